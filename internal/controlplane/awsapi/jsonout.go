package awsapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// encodeJSON makes the answer of an operation in JSON 1.1. A nil out is an empty object.
func encodeJSON(out any) ([]byte, error) {
	v := reflect.ValueOf(out)
	if out == nil || v.IsNil() {
		return []byte("{}"), nil
	}
	p, err := planOf(v.Type())
	if err != nil {
		return nil, err
	}
	var w jsonWriter
	w.value(p, v)
	return w.Bytes(), nil
}

// encodeJSONError makes the answer to a request that has failed.
func encodeJSONError(e *Error) []byte {
	var w jsonWriter
	w.WriteString(`{"__type":`)
	w.string(e.Code)
	w.WriteString(`,"message":`)
	w.string(e.Message)
	w.WriteString("}")
	return w.Bytes()
}

type jsonWriter struct{ bytes.Buffer }

// string writes a string; what is not UTF-8 becomes U+FFFD.
func (w *jsonWriter) string(s string) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)         // a string can be encoded, and a bytes.Buffer returns no error
	w.Truncate(w.Len() - 1) // the line end
}

func (w *jsonWriter) value(p *plan, v reflect.Value) {
	switch p.kind {
	case kindPointer:
		if v.IsNil() { // in a list
			w.WriteString("null")
			return
		}
		w.value(p.elem, v.Elem())
	case kindStruct:
		w.WriteByte('{')
		first := true
		for i := range p.fields {
			f := &p.fields[i]
			if member := v.FieldByIndex(f.index); !f.absent(member) {
				w.comma(&first)
				w.string(f.name)
				w.WriteByte(':')
				w.value(f.plan, member)
			}
		}
		w.WriteByte('}')
	case kindList:
		w.WriteByte('[')
		first := true
		for i := range v.Len() {
			w.comma(&first)
			w.value(p.elem, v.Index(i))
		}
		w.WriteByte(']')
	case kindMap:
		w.object(p, v)
	case kindTime:
		w.Write(appendEpoch(nil, v.Interface().(time.Time)))
	case kindString, kindBytes:
		w.string(string(p.appendText(nil, v)))
	default:
		w.Write(p.appendText(nil, v))
	}
}

func (w *jsonWriter) object(p *plan, v reflect.Value) {
	entries := map[string]reflect.Value{}
	for k, e := range v.Seq2() {
		entries[k.String()] = e
	}
	w.WriteByte('{')
	first := true
	for _, k := range slices.Sorted(maps.Keys(entries)) {
		w.comma(&first)
		w.string(k)
		w.WriteByte(':')
		w.value(p.elem, entries[k])
	}
	w.WriteByte('}')
}

func (w *jsonWriter) comma(first *bool) {
	if !*first {
		w.WriteByte(',')
	}
	*first = false
}

// appendEpoch appends seconds since 1970, with the milliseconds where there are any.
func appendEpoch(dst []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(dst, ms/1000, 10)
	}
	return strconv.AppendFloat(dst, float64(ms)/1000, 'f', 3, 64) // exact to the millisecond for 100,000 years
}

// epoch reads what appendEpoch writes, and what clients make of it.
func epoch(number string) (time.Time, bool) {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.Abs(f) > 1e12 {
		return time.Time{}, false
	}
	t := time.UnixMilli(int64(math.Round(f * 1000))).UTC()
	return t, inRange(t)
}
