package awsapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of a JSON body.
const (
	maxJSONDepth  = 32
	maxJSONValues = 20000
)

// decodeJSON sets the structure that in points to from a body. Names of members are taken in their own case, a member
// occurs once, and null is absent. No body is the same as {}.
func decodeJSON(s *Service, action string, body []byte, in any) error {
	v := reflect.ValueOf(in).Elem()
	plan, err := planOf(v.Type())
	if err != nil {
		return err
	}
	tree := any(map[string]any{})
	if len(bytes.TrimSpace(body)) > 0 {
		if tree, err = parseJSON(body); err != nil {
			return err
		}
	}
	d := jsonDecoder{service: s}
	if err := d.decode(tree, plan, v, ""); err != nil {
		return err
	}
	switch {
	case len(d.unknown) > 0:
		return s.unknown(action, slices.Min(d.unknown))
	case len(d.missing) > 0:
		return s.missing(d.missing)
	}
	return nil
}

// unreadable is the error of JSON services for a body that is not what its operation takes.
func unreadable(format string, args ...any) *Error {
	return Errorf(400, "SerializationException", format, args...)
}

// parseJSON makes a tree of maps, slices, strings, json.Numbers, bools and nils of one value. It is stricter than
// encoding/json, which takes members that occur twice and silently changes text that is not Unicode: here that could be
// a password.
func parseJSON(body []byte) (any, error) {
	if !utf8.Valid(body) || loneSurrogate(body) {
		return nil, unreadable("The body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	p := jsonParser{decoder: d}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, unreadable("Unexpected content after the JSON value")
	}
	return v, nil
}

type jsonParser struct {
	decoder *json.Decoder
	values  int
}

func (p *jsonParser) value(depth int) (any, error) {
	t, err := p.decoder.Token()
	if err != nil {
		return nil, unreadable("The body is not valid JSON at byte %d", p.decoder.InputOffset())
	}
	if p.values++; p.values > maxJSONValues || depth > maxJSONDepth {
		return nil, unreadable("The body has more values, or is nested deeper, than any request needs")
	}
	switch t {
	case json.Delim('{'):
		return p.object(depth)
	case json.Delim('['):
		return p.list(depth)
	}
	return t, nil // "}" and "]" do not occur here: Token refuses them
}

func (p *jsonParser) object(depth int) (any, error) {
	o := map[string]any{}
	for p.decoder.More() {
		t, err := p.decoder.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, unreadable("The body is not valid JSON at byte %d", p.decoder.InputOffset())
		}
		if _, twice := o[name]; twice {
			return nil, unreadable("The member %s occurs more than once", clip(name))
		}
		if o[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return o, p.end()
}

func (p *jsonParser) list(depth int) (any, error) {
	l := []any{}
	for p.decoder.More() {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, value)
	}
	return l, p.end()
}

func (p *jsonParser) end() error {
	if _, err := p.decoder.Token(); err != nil {
		return unreadable("The body is not valid JSON at byte %d", p.decoder.InputOffset())
	}
	return nil
}

// loneSurrogate reports whether a \u escape is half a character. What is not valid JSON is for the parser to find.
func loneSurrogate(body []byte) bool {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		r, ok := escaped(body[i:])
		if !ok {
			i++ // another escape: \\ above all
			continue
		}
		i += 5
		if !utf16.IsSurrogate(r) {
			continue
		}
		low, ok := escaped(body[i+1:])
		if !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// escaped reads \uXXXX.
func escaped(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// jsonDecoder collects what is only wrong if nothing worse is.
type jsonDecoder struct {
	service *Service
	unknown []string
	missing []string
}

// decode sets v, whose plan is p, from a part of a tree. The path is in the form of AWS Query's names.
func (d *jsonDecoder) decode(from any, p *plan, v reflect.Value, path string) error {
	switch p.kind {
	case kindPointer:
		v.Set(reflect.New(p.elem.typ))
		return d.decode(from, p.elem, v.Elem(), path)
	case kindStruct:
		object, ok := from.(map[string]any)
		if !ok {
			return wrongType(from, "a structure", path)
		}
		return d.decodeStruct(object, p, v, path)
	case kindList:
		list, ok := from.([]any)
		if !ok {
			return wrongType(from, "a list", path)
		}
		v.Set(reflect.MakeSlice(p.typ, len(list), len(list)))
		for i, item := range list {
			at := join(path, defaultItem+"."+strconv.Itoa(i+1))
			if item == nil {
				d.missing = append(d.missing, at)
				continue
			}
			if err := d.decode(item, p.elem, v.Index(i), at); err != nil {
				return err
			}
		}
		return nil
	case kindMap:
		object, ok := from.(map[string]any)
		if !ok {
			return wrongType(from, "a map", path)
		}
		return d.decodeMap(object, p, v, path)
	default:
		return p.setJSON(v, from, path)
	}
}

func (d *jsonDecoder) decodeStruct(object map[string]any, p *plan, v reflect.Value, path string) error {
	for i := range p.fields {
		f := &p.fields[i]
		from := object[f.name]
		if from == nil {
			if f.required {
				d.missing = append(d.missing, join(path, f.name))
			}
			continue
		}
		if err := d.decode(from, f.plan, v.FieldByIndex(f.index), join(path, f.name)); err != nil {
			return err
		}
	}
	for name := range object {
		if p.byName[name] == nil {
			d.unknown = append(d.unknown, join(path, name))
		}
	}
	return nil
}

func (d *jsonDecoder) decodeMap(object map[string]any, p *plan, v reflect.Value, path string) error {
	m := reflect.MakeMapWithSize(p.typ, len(object))
	for name, from := range object {
		at := join(path, name)
		if from == nil {
			d.missing = append(d.missing, at)
			continue
		}
		e := reflect.New(p.elem.typ).Elem()
		if err := d.decode(from, p.elem, e, at); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(name).Convert(p.typ.Key()), e)
	}
	v.Set(m)
	return nil
}

// setJSON sets a scalar. A JSON type that does not fit is refused rather than converted.
func (p *plan) setJSON(v reflect.Value, from any, path string) error {
	text, isString := from.(string)
	number, isNumber := from.(json.Number)
	truth, isBool := from.(bool)
	switch {
	case p.kind == kindString && isString:
		v.SetString(text)
	case p.kind == kindBool && isBool:
		v.SetBool(truth)
	case p.kind == kindBytes && isString:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return unreadable("%s is not base64", clip(path))
		}
		v.SetBytes(b)
	case p.kind == kindTime && isNumber:
		t, ok := epoch(number.String())
		if !ok {
			return unreadable("%s is no time that can be represented", clip(path))
		}
		v.Set(reflect.ValueOf(t))
	case (p.kind == kindInt || p.kind == kindFloat) && isNumber:
		if err := p.setText(v, number.String()); err != nil {
			return unreadable("%s %v", clip(path), err)
		}
	default:
		return wrongType(from, map[kind]string{
			kindString: "a String", kindBool: "a Boolean", kindBytes: "a Blob", kindTime: "a Timestamp", kindInt: "an Integer", kindFloat: "a Double",
		}[p.kind], path)
	}
	return nil
}

func wrongType(from any, want, path string) error {
	is := map[string]string{"string": "STRING_VALUE", "json.Number": "NUMBER_VALUE", "[]interface {}": "A list"}[fmt.Sprintf("%T", from)]
	switch from.(type) {
	case bool:
		is = "TRUE_VALUE"
		if from == false {
			is = "FALSE_VALUE"
		}
	case map[string]any:
		is = "A structure"
	case nil:
		is = "null"
	}
	where := ""
	if path != "" {
		where = ": " + clip(path)
	}
	return unreadable("%s can not be converted to %s%s", is, want, where)
}
