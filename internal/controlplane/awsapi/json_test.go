package awsapi

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// object has a field of each shape that JSON carries.
type object struct {
	Name   string `aws:"required"`
	Note   *string
	Port   int
	Max    *int64
	Ratio  *float64
	On     *bool
	When   *time.Time
	Blob   []byte
	List   []pair
	Stages map[string][]string
	Sub    *nested
	Token  string `aws:"name=nextToken,omitempty"`
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		body string
		want object
	}{
		{`{"Name":"n"}`, object{Name: "n"}},
		{` {"Name" : "" , "Note":"\u00e9\ud83d\ude00\\ud800"} `, object{Note: ptr("é😀\\ud800")}},
		{`{"Name":"n","Note":null,"List":null}`, object{Name: "n"}},
		{`{"Name":"n","Port":12,"Max":-1,"Ratio":1e3,"On":false}`, object{Name: "n", Port: 12, Max: ptr(int64(-1)), Ratio: ptr(1000.0), On: ptr(false)}},
		{`{"Name":"n","When":1.795343754910E9}`, object{Name: "n", When: ptr(time.Date(2026, 11, 22, 10, 35, 54, 910e6, time.UTC))}},
		{`{"Name":"n","When":0}`, object{Name: "n", When: ptr(time.Unix(0, 0).UTC())}},
		{`{"Name":"n","Blob":"AAH/"}`, object{Name: "n", Blob: []byte{0, 1, 255}}},
		{`{"Name":"n","List":[],"Stages":{}}`, object{Name: "n", List: []pair{}, Stages: map[string][]string{}}},
		{`{"Name":"n","List":[{"Key":"k"}],"Stages":{"v":["a","b"]}}`, object{Name: "n", List: []pair{{Key: "k"}}, Stages: map[string][]string{"v": {"a", "b"}}}},
		{`{"Name":"n","Sub":{},"nextToken":"t"}`, object{Name: "n", Sub: &nested{}, Token: "t"}},
	}
	for _, tt := range tests {
		var got object
		if err := decodeJSON(secrets, "Do", []byte(tt.body), &got); err != nil {
			t.Errorf("%s: %v", tt.body, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.body, diff)
		}
	}
	if err := decodeJSON(secrets, "Do", nil, &struct{}{}); err != nil {
		t.Errorf("no body: %v", err)
	}
}

func TestRefuseJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, code, part string }{
		{`{}`, "ValidationException", "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{``, "ValidationException", "'name'"},
		{`{"Name":null}`, "ValidationException", "'name'"},
		{`{"Name":"n","List":[{"Key":"k"},{}]}`, "ValidationException", "'list.2.member.key'"},
		{`{"Name":"n","List":[null]}`, "ValidationException", "'list.1.member'"},
		{`{"Name":"n","Stages":{"v":null}}`, "ValidationException", "null"},
		{`{"Name":"n","name":"m"}`, "ValidationException", "Unknown parameter name"},
		{`{"Name":"n","Token":"m"}`, "ValidationException", "Unknown parameter Token"},
		{`{"Name":"n","Sub":{"X":null}}`, "ValidationException", "Unknown parameter Sub.X"},
		{`{"Name":1}`, "SerializationException", "NUMBER_VALUE can not be converted to a String: Name"},
		{`{"Name":true}`, "SerializationException", "TRUE_VALUE can not be converted to a String"},
		{`{"Name":"n","Port":"1"}`, "SerializationException", "STRING_VALUE can not be converted to an Integer"},
		{`{"Name":"n","Port":1.5}`, "SerializationException", "Port"},
		{`{"Name":"n","Port":1e99}`, "SerializationException", "Port"},
		{`{"Name":"n","On":"true"}`, "SerializationException", "STRING_VALUE can not be converted to a Boolean"},
		{`{"Name":"n","When":"2026-11-22"}`, "SerializationException", "Timestamp"},
		{`{"Name":"n","When":1e300}`, "SerializationException", "When"},
		{`{"Name":"n","Blob":"*"}`, "SerializationException", "base64"},
		{`{"Name":"n","List":{}}`, "SerializationException", "A structure can not be converted to a list"},
		{`{"Name":"n","Sub":[]}`, "SerializationException", "A list can not be converted to a structure"},
		{`{"Name":"n","Stages":[]}`, "SerializationException", "A list can not be converted to a map"},
		{`{"Name":"n","Name":"n"}`, "SerializationException", "Name occurs more than once"},
		{`null`, "SerializationException", "null can not be converted to a structure"},
		{`[]`, "SerializationException", "list"},
		{`{"Name":"n"`, "SerializationException", "not valid JSON"},
		{`{"Name":"n",}`, "SerializationException", "not valid JSON"},
		{`{Name:"n"}`, "SerializationException", "not valid JSON"},
		{`{"Name":"n"}{}`, "SerializationException", "Unexpected content"},
		{`{"Name":"n"} x`, "SerializationException", "Unexpected content"},
		{`Action=CreateSecret`, "SerializationException", "not valid JSON"},
		{"{\"Name\":\"\xff\"}", "SerializationException", "UTF-8"},
		{`{"Name":"\ud800"}`, "SerializationException", "UTF-8"},
		{`{"Name":"\ud800\u0041"}`, "SerializationException", "UTF-8"},
		{`{"Name":"\\\udc00"}`, "SerializationException", "UTF-8"},
		{strings.Repeat(`[`, 100000), "SerializationException", "nested deeper"},
		{`[` + strings.Repeat(`1,`, maxJSONValues) + `1]`, "SerializationException", "more values"},
	}
	for _, tt := range tests {
		var e *Error
		err := decodeJSON(secrets, "Do", []byte(tt.body), &object{})
		if errors.As(err, &e) {
			e = e.in(JSON)
		}
		if e == nil || e.Code != tt.code || e.Status != 400 || !strings.Contains(e.Message, tt.part) {
			t.Errorf("%s: got %v; want %s with %q", clip(tt.body), err, tt.code, tt.part)
		}
	}
}

func TestEncodeJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 35, 54, 910e6, time.UTC)
	tests := []struct {
		out  any
		want string
	}{
		{&object{}, `{"Name":"","Port":0}`},
		{&object{Name: "<a&b>\"\n\x01", List: []pair{}, Blob: []byte{}}, `{"Name":"<a&b>\"\n\u0001","Port":0,"Blob":"","List":[]}`},
		{
			&object{Name: "a\xffb", When: &at, Blob: []byte{0, 1, 255}, On: ptr(false), Ratio: ptr(0.5), Stages: map[string][]string{"b": {}, "a": {"x", "y"}}, Token: "t"},
			`{"Name":"a\ufffdb","Port":0,"Ratio":0.5,"On":false,"When":1795343754.910,"Blob":"AAH/","Stages":{"a":["x","y"],"b":[]},"nextToken":"t"}`,
		},
		{&struct{ At time.Time }{at.Truncate(time.Second)}, `{"At":1795343754}`},
		{&struct{ At time.Time }{}, `{}`},
		{&struct{ L []*int }{[]*int{nil, ptr(1)}}, `{"L":[null,1]}`},
		{nil, `{}`},
	}
	for _, tt := range tests {
		got, err := encodeJSON(tt.out)
		if err != nil || string(got) != tt.want {
			t.Errorf("%+v:\ngot  %s, %v\nwant %s", tt.out, got, err, tt.want)
		}
	}
	if got := string(encodeJSONError(Errorf(400, "ResourceNotFoundException", `no "x"`))); got != `{"__type":"ResourceNotFoundException","message":"no \"x\""}` {
		t.Errorf("an error: got %s", got)
	}
}

// FuzzJSON checks that no body panics, and that what decodes encodes back.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"Name":"n","Port":12,"Max":-1,"Ratio":1e3,"On":false,"When":1.795343754910E9,"Blob":"AAH/"}`,
		`{"Name":"\ud83d\ude00","List":[{"Key":"k"}],"Stages":{"v":["a","b"]},"Sub":{"Percent":1,"Words":[]},"nextToken":"t"}`,
		`{"Name":"n","Name":"\ud800`, `[[[[`, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, again object
		if err := decodeJSON(secrets, "Do", body, &got); err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != 400 {
				t.Errorf("%q: %v is no refusal", body, err)
			}
			return
		}
		encoded, err := encodeJSON(&got)
		if err != nil || !json.Valid(encoded) {
			t.Fatalf("%q decodes to %+v, which becomes %q, %v", body, got, encoded, err)
		}
		if err := decodeJSON(secrets, "Do", encoded, &again); err != nil {
			t.Fatalf("%q becomes %q, which does not decode: %v", body, encoded, err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("%q, decoded twice:\n%s", body, diff)
		}
	})
}
