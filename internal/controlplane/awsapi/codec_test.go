package awsapi

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// everything has a field of each shape that the protocols carry.
type everything struct {
	base
	Name    string `aws:"required"`
	Note    *string
	Port    int
	Small   int32
	Max     *int64
	Ratio   *float64
	On      bool
	Off     *bool
	When    *time.Time
	Blob    []byte
	Kind    textKind
	Nested  *nested
	Inline  nested
	IDs     []string
	Tags    []pair   `aws:"list=Tag"`
	Filters []filter `aws:"list=Filter"`
	Other   string   `aws:"name=otherName,omitempty"`
	Hidden  int      `aws:"-"`
	_       int
}

type base struct{ Region *string }

type textKind string

type nested struct {
	Percent *int
	Words   []string
	Deeper  *pair
}

type pair struct {
	Key   string `aws:"required"`
	Value *string
}

type filter struct {
	Name   string
	Values []string `aws:"list=Value"`
}

func ptr[T any](v T) *T { return &v }

var (
	rds     = &Service{Name: "rds", Namespace: "urn:rds"}
	iam     = &Service{Name: "iam", Namespace: "urn:iam"}
	secrets = &Service{Name: "secretsmanager", Protocol: JSON}
)

func decodeForm(s *Service, form string, in any) error {
	p := params{}
	if err := p.add(form, nil); err != nil {
		return err
	}
	return decodeQuery(s, "Do", p, in)
}

func full() *everything {
	at := time.Date(2026, 11, 22, 10, 35, 54, 910e6, time.UTC)
	return &everything{
		base: base{Region: ptr("here")}, Name: "a b&c=d+é\r\n\t<ü>", Note: ptr(""), Port: -3, Small: 7, Max: ptr(int64(1) << 60), Ratio: ptr(0.5), On: true,
		Off: ptr(false), When: &at, Blob: []byte{0, 1, 255}, Kind: "x", Nested: &nested{Percent: ptr(80), Words: []string{}, Deeper: &pair{Key: "k"}},
		Inline: nested{Words: []string{"one", ""}}, IDs: []string{}, Tags: []pair{{"a", ptr("1")}, {"b", nil}},
		Filters: []filter{{"f", []string{"x", "y"}}}, Other: "o",
	}
}

func TestDecodeForm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		form string
		want everything
	}{
		{"Name=p", everything{Name: "p"}},
		{"Name=p&Action=Do&Version=1", everything{Name: "p"}},
		{"&Name=p&&", everything{Name: "p"}},
		{"Name=", everything{}},
		{"Name=a%20b+c", everything{Name: "a b c"}},
		{"Name=a;b", everything{Name: "a;b"}},
		{"Name=p&Region=r", everything{Name: "p", base: base{Region: ptr("r")}}},
		{"Name=p&Note=", everything{Name: "p", Note: ptr("")}},
		{"Name=p&Port=-12&Small=2147483647&Max=0", everything{Name: "p", Port: -12, Small: 2147483647, Max: ptr(int64(0))}},
		{"Name=p&On=true&Off=false", everything{Name: "p", On: true, Off: ptr(false)}},
		{"Name=p&Blob=AAH%2F", everything{Name: "p", Blob: []byte{0, 1, 255}}},
		{"Name=p&IDs=", everything{Name: "p", IDs: []string{}}},
		{"Name=p&IDs.member.1=x&IDs.member.2=y", everything{Name: "p", IDs: []string{"x", "y"}}},
		{"Name=p&IDs.member.2=y&IDs.member.1=x", everything{Name: "p", IDs: []string{"x", "y"}}},
		{"Name=p&Tags.Tag.1.Key=k&Tags.Tag.1.Value=v", everything{Name: "p", Tags: []pair{{"k", ptr("v")}}}},
		{"Name=p&Tags.member.1.Key=k", everything{Name: "p", Tags: []pair{{"k", nil}}}},
		{
			"Name=p&Filters.Filter.1.Name=n&Filters.Filter.1.Values.Value.1=v&Filters.Filter.1.Values.Value.2=w",
			everything{Name: "p", Filters: []filter{{"n", []string{"v", "w"}}}},
		},
		{"Name=p&Nested=", everything{Name: "p", Nested: &nested{}}},
		{
			"Name=p&Nested.Percent=80&Nested.Words=&Nested.Deeper.Key=k",
			everything{Name: "p", Nested: &nested{Percent: ptr(80), Words: []string{}, Deeper: &pair{Key: "k"}}},
		},
		{"Name=p&otherName=o", everything{Name: "p", Other: "o"}},
		{"Name=p&When=2026-11-22T10:35:54.910Z", everything{Name: "p", When: ptr(time.Date(2026, 11, 22, 10, 35, 54, 910e6, time.UTC))}},
		{"Name=p&When=2026-11-22T12:35%2B02:00", everything{Name: "p", When: ptr(time.Date(2026, 11, 22, 10, 35, 0, 0, time.UTC))}},
		{"Name=p&When=2026-11-22", everything{Name: "p", When: ptr(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))}},
	}
	for _, tt := range tests {
		var got everything
		if err := decodeForm(rds, tt.form, &got); err != nil {
			t.Errorf("%s: %v", tt.form, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got, unexported); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.form, diff)
		}
	}
}

var unexported = cmp.AllowUnexported(everything{}, base{})

func TestRefuseForm(t *testing.T) {
	t.Parallel()
	many := func() string {
		var b strings.Builder
		for i := range maxParams + 1 {
			fmt.Fprintf(&b, "&IDs.member.%d=x", i+1)
		}
		return b.String()
	}()
	tests := []struct {
		form, code, part string
		status           int
	}{
		{"", "MissingParameter", "The parameter Name must be provided", 400},
		{"Name=p&Tags.Tag.1.Value=v", "MissingParameter", "Tags.Tag.1.Key", 400},
		{"Name=p&Nested.Deeper=", "MissingParameter", "Nested.Deeper.Key", 400},
		{"Name=p&Nonsense=1", "ValidationError", "Unknown parameter Nonsense: Do takes no such parameter", 400},
		{"Name=p&name=q", "ValidationError", "Unknown parameter name", 400},
		{"Name=p&Hidden=1", "ValidationError", "Hidden", 400},
		{"Name=p&_=1", "ValidationError", "_", 400},
		{"Name=p&base.Region=1", "ValidationError", "base", 400},
		{"Name=p&Nested.Wrong=1", "ValidationError", "Nested.Wrong", 400},
		{"Name=p&Tags.entry.1.Key=k", "ValidationError", "Tags.entry", 400},
		{"Name=p&Tags.Tag.1.Key=k&Tags.Tag.1.Colour=k", "ValidationError", "Tags.Tag.1.Colour", 400},
		{"Name=p&Action.x=1", "ValidationError", "Action", 400},
		{"Name=p&" + strings.Repeat("y", 250) + "=1", "ValidationError", "…", 400},
		{"Name=p&Port=x", "InvalidParameterValue", "The parameter Port is not valid", 400},
		{"Name=p&Port=", "InvalidParameterValue", "Port", 400},
		{"Name=p&Port=%2B1", "InvalidParameterValue", "Port", 400},
		{"Name=p&Port=1.0", "InvalidParameterValue", "Port", 400},
		{"Name=p&Port=99999999999999999999", "InvalidParameterValue", "64 bits", 400},
		{"Name=p&Small=2147483648", "InvalidParameterValue", "32 bits", 400},
		{"Name=p&On=True", "InvalidParameterValue", "true or false", 400},
		{"Name=p&When=yesterday", "InvalidParameterValue", "ISO 8601", 400},
		{"Name=p&When=0000-01-01", "InvalidParameterValue", "ISO 8601", 400},
		{"Name=p&Ratio=NaN", "InvalidParameterValue", "number", 400},
		{"Name=p&Blob=%%", "MalformedQueryString", "percent", 404},
		{"Name=p&Blob=***", "InvalidParameterValue", "base64", 400},
		{"Name=a%FFb", "InvalidParameterValue", "UTF-8", 400},
		{"Name=a%00b", "InvalidParameterValue", "XML", 400},
		{"Na%me=p", "MalformedQueryString", "syntax error", 404},
		{"=p", "MalformedInput", "empty", 400},
		{"Name=p&Name=p", "MalformedInput", "Name occurs more than once", 400},
		{"Name=p&IDs.member.1=a&IDs.member.1=a", "MalformedInput", "more than once", 400},
		{"Name.x=p", "MalformedInput", "structure or map", 400},
		{"Name=p&Name.x=p", "MalformedInput", "structure or map", 400},
		{"Name=p&Nested=x", "MalformedInput", "structure is expected", 400},
		{"Name=p&IDs=x", "MalformedInput", "list is expected", 400},
		{"Name=p&IDs=&IDs.member.1=x", "MalformedInput", "list is expected", 400},
		{"Name=p&IDs.member=x", "MalformedInput", "list is expected", 400},
		{"Name=p&IDs.member.0=x", "MalformedInput", "without gaps", 400},
		{"Name=p&IDs.member.2=x", "MalformedInput", "without gaps", 400},
		{"Name=p&IDs.member.1=x&IDs.member.3=x", "MalformedInput", "IDs.member.2", 400},
		{"Name=p&IDs.member.01=x", "MalformedInput", "without gaps", 400},
		{"Name=p&IDs.member.-1=x", "MalformedInput", "without gaps", 400},
		{"Name=p&IDs.member.x=x", "MalformedInput", "without gaps", 400},
		{"Name=p&IDs.member.99999999999=x", "MalformedInput", "without gaps", 400},
		{"Name=p&IDs.member.99999999999999999999999=x", "MalformedInput", "without gaps", 400},
		{"Name=p&Tags.Tag.1.Key=a&Tags.member.1.Key=b", "MalformedInput", "two names", 400},
		{"Name=p&a.b.c.d.e.f.g.h.i.j.k=1", "MalformedInput", "too deep", 400},
		{"Name=p&" + strings.Repeat("y", 257) + "=1", "MalformedInput", "too long", 400},
		{many, "MalformedInput", "more than 5000", 400},
	}
	for _, tt := range tests {
		var e *Error
		err := decodeForm(rds, tt.form, &everything{})
		if !errors.As(err, &e) || e.Code != tt.code || e.Status != tt.status || !strings.Contains(e.Message, tt.part) {
			t.Errorf("%s: got %v; want %s (%d) with %q", clip(tt.form), err, tt.code, tt.status, tt.part)
		}
	}
}

// TestConstraints checks how services other than RDS word the same.
func TestConstraints(t *testing.T) {
	t.Parallel()
	type in struct {
		RoleName string `aws:"required"`
		DBName   string `aws:"required"`
		Tags     []pair
		MaxItems *int
	}
	tests := []struct {
		service    *Service
		form, want string
	}{
		{iam, "DBName=x", "ValidationError: 1 validation error detected: Value null at 'roleName' failed to satisfy constraint: Member must not be null"},
		{
			iam, "RoleName=x&Tags.member.1.Value=y",
			"ValidationError: 2 validation errors detected: Value null at 'dBName' failed to satisfy constraint: Member must not be null; " +
				"Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null",
		},
		{
			iam, "RoleName=x&DBName=y&MaxItems=z",
			"ValidationError: 1 validation error detected: Value at 'maxItems' failed to satisfy constraint: Member must be an integer of 64 bits",
		},
		{&Service{Name: "x", Missing: func(m []string) *Error { return Errorf(400, "Own", "%s", strings.Join(m, " ")) }}, "", "Own: RoleName DBName"},
		{&Service{Name: "x", Invalid: func(m, _ string) *Error { return Errorf(400, "Own", "%s", m) }}, "MaxItems=z", "Own: MaxItems"},
	}
	for _, tt := range tests {
		if err := decodeForm(tt.service, tt.form, &in{}); err == nil || err.Error() != tt.want {
			t.Errorf("%s:\ngot  %v\nwant %s", tt.form, err, tt.want)
		}
	}
}

// writeForm writes a structure as clients do; it is the decoder's counterpart, for tests.
func writeForm(p *plan, v reflect.Value, name, item string, to url.Values) {
	switch p.kind {
	case kindPointer:
		writeForm(p.elem, v.Elem(), name, item, to)
	case kindStruct:
		before := len(to)
		for _, f := range p.fields {
			if m := v.FieldByIndex(f.index); !f.absent(m) {
				writeForm(f.plan, m, join(name, f.name), f.item, to)
			}
		}
		if name != "" && len(to) == before {
			to.Set(name, "")
		}
	case kindList:
		if v.Len() == 0 {
			to.Set(name, "")
		}
		for i := range v.Len() {
			writeForm(p.elem, v.Index(i), name+"."+item+"."+strconv.Itoa(i+1), defaultItem, to)
		}
	default:
		to.Set(name, string(p.appendText(nil, v)))
	}
}

func toForm(t testing.TB, in any) string {
	v := reflect.ValueOf(in)
	p, err := planOf(v.Type())
	if err != nil {
		t.Fatal(err)
	}
	to := url.Values{}
	writeForm(p, v, "", "", to)
	return to.Encode()
}

func TestFormBothWays(t *testing.T) {
	t.Parallel()
	var got everything
	if err := decodeForm(rds, toForm(t, full()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), &got, unexported); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzForm checks that no form panics, and that what decodes encodes back, and can be answered as XML.
func FuzzForm(f *testing.F) {
	f.Add(toForm(f, full()))
	f.Add("Name=&IDs=&Tags.Tag.1.Key=k&Nested.Words.member.1=%26&When=2026-11-22")
	f.Add("Name=p&IDs.member.2=x&IDs.member.18446744073709551617=x")
	f.Fuzz(func(t *testing.T, in string) {
		var got, again everything
		err := decodeForm(rds, in, &got)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Status < 400 || e.Status > 499 {
				t.Errorf("%q: %v is no refusal", in, err)
			}
			return
		}
		if got.When != nil {
			got.When = ptr(got.When.Truncate(time.Millisecond)) // answers have no more
		}
		if err := decodeForm(rds, toForm(t, &got), &again); err != nil {
			t.Fatalf("%q decodes to %+v, which does not decode: %v", in, got, err)
		}
		if diff := cmp.Diff(got, again, unexported); diff != "" {
			t.Errorf("%q, decoded twice:\n%s", in, diff)
		}
		checkXML(t, &got)
	})
}

// BenchmarkForm decodes the largest honest request.
func BenchmarkForm(b *testing.B) {
	in := full()
	for range 200 {
		in.Tags = append(in.Tags, pair{"key", ptr("value")})
	}
	text := toForm(b, in)
	b.ReportAllocs()
	for b.Loop() {
		if err := decodeForm(rds, text, &everything{}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	type twice struct {
		A string
		B string `aws:"name=A"`
	}
	for _, v := range []any{
		struct{ A any }{},
		struct{ A chan int }{},
		struct{ A map[int]string }{},
		struct{ A []func() }{},
		twice{},
		struct {
			A string `aws:"requierd"`
		}{},
	} {
		if _, err := planOf(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T: no error", v)
		}
	}
	type tree struct{ Children []tree }
	var got tree
	if err := decodeForm(rds, "Children.member.1.Children.member.1.Children=", &got); err != nil || len(got.Children[0].Children) != 1 {
		t.Errorf("a type that contains itself: got %+v, %v", got, err)
	}
}
