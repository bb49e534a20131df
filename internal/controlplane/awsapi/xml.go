package awsapi

import (
	"bytes"
	"encoding/xml"
	"maps"
	"reflect"
	"slices"
)

// faultNamespace is the namespace of errors that no service has made.
const faultNamespace = "http://webservices.amazon.com/AWSFault/2005-15-09"

// encodeXML makes the answer of an operation in AWS Query. Without result there is no Result element; with a nil out it
// is empty.
func encodeXML(s *Service, action, requestID string, result bool, out any) ([]byte, error) {
	var x xmlWriter
	x.open(action+"Response", s.Namespace)
	if result {
		if v := reflect.ValueOf(out); out == nil || v.IsNil() {
			x.empty(action + "Result")
		} else {
			p, err := planOf(v.Type())
			if err != nil {
				return nil, err
			}
			x.value(action+"Result", defaultItem, p, v)
		}
	}
	x.open("ResponseMetadata", "")
	x.text("RequestId", []byte(requestID))
	x.close("ResponseMetadata")
	x.close(action + "Response")
	return x.Bytes(), nil
}

// encodeXMLError makes the answer to a request that has failed.
func encodeXMLError(namespace, requestID string, e *Error) []byte {
	who := "Sender"
	if e.Fault {
		who = "Receiver"
	}
	var x xmlWriter
	x.open("ErrorResponse", namespace)
	x.open("Error", "")
	x.text("Type", []byte(who))
	x.text("Code", []byte(e.Code))
	x.text("Message", []byte(e.Message))
	x.close("Error")
	x.text("RequestId", []byte(requestID))
	x.close("ErrorResponse")
	return x.Bytes()
}

// encodeEC2Error makes the same in the form that EC2, which Forebay does not serve, has for itself: its clients read no
// other.
func encodeEC2Error(requestID string, e *Error) []byte {
	var x xmlWriter
	x.open("Response", "")
	x.open("Errors", "")
	x.open("Error", "")
	x.text("Code", []byte(e.Code))
	x.text("Message", []byte(e.Message))
	x.close("Error")
	x.close("Errors")
	x.text("RequestID", []byte(requestID))
	x.close("Response")
	return x.Bytes()
}

// xmlWriter writes elements. Names are the program's own and need no escape.
type xmlWriter struct{ bytes.Buffer }

func (x *xmlWriter) open(name, namespace string) {
	x.WriteString("<" + name)
	if namespace != "" {
		x.WriteString(` xmlns="`)
		x.escape([]byte(namespace))
		x.WriteString(`"`)
	}
	x.WriteString(">")
}

func (x *xmlWriter) close(name string) { x.WriteString("</" + name + ">") }

func (x *xmlWriter) empty(name string) { x.WriteString("<" + name + "/>") }

func (x *xmlWriter) text(name string, text []byte) {
	x.open(name, "")
	x.escape(text)
	x.close(name)
}

// escape replaces what XML 1.0 cannot represent by U+FFFD; line ends are escaped too, since parsers change them.
func (x *xmlWriter) escape(text []byte) { _ = xml.EscapeText(x, text) } // a bytes.Buffer returns no error

// value writes an element of this name. A list's items are named item.
func (x *xmlWriter) value(name, item string, p *plan, v reflect.Value) {
	switch p.kind {
	case kindPointer:
		if v.IsNil() { // in a list
			x.empty(name)
			return
		}
		x.value(name, item, p.elem, v.Elem())
	case kindStruct:
		x.container(name, func() {
			for i := range p.fields {
				f := &p.fields[i]
				if member := v.FieldByIndex(f.index); !f.absent(member) {
					x.value(f.name, f.item, f.plan, member)
				}
			}
		})
	case kindList:
		x.container(name, func() {
			for i := range v.Len() {
				x.value(item, defaultItem, p.elem, v.Index(i))
			}
		})
	case kindMap:
		x.container(name, func() {
			entries := map[string]reflect.Value{}
			for k, e := range v.Seq2() {
				entries[k.String()] = e
			}
			for _, k := range slices.Sorted(maps.Keys(entries)) {
				x.open("entry", "")
				x.text("key", []byte(k))
				x.value("value", defaultItem, p.elem, entries[k])
				x.close("entry")
			}
		})
	default:
		x.text(name, p.appendText(nil, v))
	}
}

// container writes an element that holds others: <name/> where it holds none.
func (x *xmlWriter) container(name string, content func()) {
	start := x.Len()
	x.open(name, "")
	inside := x.Len()
	content()
	if x.Len() == inside {
		x.Truncate(start)
		x.empty(name)
		return
	}
	x.close(name)
}
