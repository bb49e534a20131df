package awsapi

import (
	"encoding/base64"
	"errors"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// xmlTime is ISO 8601 as AWS writes it (contract 2.1).
const xmlTime = "2006-01-02T15:04:05.000Z"

// timeLayouts are the ISO 8601 forms that clients send; those without a zone are UTC. A fraction of a second is taken
// where seconds are.
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly}

// setText sets a scalar from its text in a form. The error says what the text must be ("must be …"), and does not repeat it.
func (p *plan) setText(v reflect.Value, text string) error {
	switch p.kind {
	case kindString:
		if !validXML(text) {
			return errors.New("must be UTF-8 and hold characters that XML 1.0 can represent")
		}
		v.SetString(text)
	case kindInt:
		n, err := strconv.ParseInt(text, 10, p.typ.Bits())
		if err != nil || text[0] == '+' {
			return errors.New("must be an integer of " + strconv.Itoa(p.typ.Bits()) + " bits")
		}
		v.SetInt(n)
	case kindFloat:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return errors.New("must be a number")
		}
		v.SetFloat(f)
	case kindBool:
		if text != "true" && text != "false" {
			return errors.New("must be true or false")
		}
		v.SetBool(text == "true")
	case kindTime:
		t, err := parseTime(text)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(t))
	case kindBytes:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return errors.New("must be base64")
		}
		v.SetBytes(b)
	}
	return nil
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil && inRange(t) {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("must be a time in ISO 8601, such as 2026-11-22T10:35:54Z")
}

// inRange keeps to the years that four digits hold, so that every time can be written again.
func inRange(t time.Time) bool {
	y := t.UTC().Year()
	return y >= 1 && y <= 9999 && !t.IsZero()
}

// appendText appends a scalar as text, not escaped.
func (p *plan) appendText(dst []byte, v reflect.Value) []byte {
	switch p.kind {
	case kindString:
		return append(dst, v.String()...)
	case kindInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case kindFloat:
		return strconv.AppendFloat(dst, v.Float(), 'g', -1, 64)
	case kindBool:
		return strconv.AppendBool(dst, v.Bool())
	case kindTime:
		return v.Interface().(time.Time).UTC().AppendFormat(dst, xmlTime)
	default: // kindBytes
		return base64.StdEncoding.AppendEncode(dst, v.Bytes())
	}
}

// validXML reports whether XML 1.0 can represent a text, so that an answer can hold it unchanged.
func validXML(s string) bool {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
		i += n
	}
	return true
}
