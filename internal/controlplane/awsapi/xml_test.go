package awsapi

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestXML holds whole answers as clients get them, but for the line ends.
func TestXML(t *testing.T) {
	t.Parallel()
	type row struct {
		Created time.Time
		Zero    time.Time
		Items   []*string
		Stages  map[string][]string
	}
	tests := []struct {
		name   string
		result bool
		out    any
		want   string
	}{
		{
			"everything", true, full(), `
<DoResponse xmlns="urn:rds">
<DoResult>
<Region>here</Region>
<Name>a b&amp;c=d+é&#xD;&#xA;&#x9;&lt;ü&gt;</Name>
<Note></Note>
<Port>-3</Port>
<Small>7</Small>
<Max>1152921504606846976</Max>
<Ratio>0.5</Ratio>
<On>true</On>
<Off>false</Off>
<When>2026-11-22T10:35:54.910Z</When>
<Blob>AAH/</Blob>
<Kind>x</Kind>
<Nested>
<Percent>80</Percent>
<Words/>
<Deeper>
<Key>k</Key>
</Deeper>
</Nested>
<Inline>
<Words>
<member>one</member>
<member></member>
</Words>
</Inline>
<IDs/>
<Tags>
<Tag>
<Key>a</Key>
<Value>1</Value>
</Tag>
<Tag>
<Key>b</Key>
</Tag>
</Tags>
<Filters>
<Filter>
<Name>f</Name>
<Values>
<Value>x</Value>
<Value>y</Value>
</Values>
</Filter>
</Filters>
<otherName>o</otherName>
</DoResult>
<ResponseMetadata>
<RequestId>id</RequestId>
</ResponseMetadata>
</DoResponse>`,
		},
		{
			"absent and unusual", true, &row{
				Created: time.Date(2026, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600)), Items: []*string{nil, ptr("a\x00b\xffc")},
				Stages: map[string][]string{"v2": {}, "v1": {"AWSCURRENT"}},
			}, `
<DoResponse xmlns="urn:rds">
<DoResult>
<Created>2026-01-01T00:00:00.000Z</Created>
<Items>
<member/>
<member>a` + "\uFFFDb\uFFFD" + `c</member>
</Items>
<Stages>
<entry>
<key>v1</key>
<value>
<member>AWSCURRENT</member>
</value>
</entry>
<entry>
<key>v2</key>
<value/>
</entry>
</Stages>
</DoResult>
<ResponseMetadata>
<RequestId>id</RequestId>
</ResponseMetadata>
</DoResponse>`,
		},
		{
			"an empty result", true, &struct{}{},
			`<DoResponse xmlns="urn:rds"><DoResult/><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DoResponse>`,
		},
		{
			"a nil result", true, nil,
			`<DoResponse xmlns="urn:rds"><DoResult/><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DoResponse>`,
		},
		{
			"no result", false, nil,
			`<DoResponse xmlns="urn:rds"><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DoResponse>`,
		},
	}
	for _, tt := range tests {
		got, err := encodeXML(rds, "Do", "id", tt.result, tt.out)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(strings.ReplaceAll(tt.want, "\n", ""), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestXMLErrors(t *testing.T) {
	t.Parallel()
	sender := Errorf(404, "DBProxyNotFoundFault", "no <%s>", "p")
	got := string(encodeXMLError("urn:rds", "id", sender))
	want := `<ErrorResponse xmlns="urn:rds"><Error><Type>Sender</Type><Code>DBProxyNotFoundFault</Code><Message>no &lt;p&gt;</Message></Error><RequestId>id</RequestId></ErrorResponse>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(encodeXMLError("", "id", Common("InternalFailure", "m"))); !strings.Contains(got, "<Type>Receiver</Type>") {
		t.Errorf("a fault of Forebay's own: got %s", got)
	}
	want = `<Response><Errors><Error><Code>DBProxyNotFoundFault</Code><Message>no &lt;p&gt;</Message></Error></Errors><RequestID>id</RequestID></Response>`
	if got := string(encodeEC2Error("id", sender)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// checkXML checks that an answer is well-formed, and that a parser gives back the name that is in it.
func checkXML(t *testing.T, out *everything) {
	t.Helper()
	answer, err := encodeXML(rds, "Do", "id", true, out)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Name string `xml:"DoResult>Name"`
	}
	if err := xml.Unmarshal(answer, &parsed); err != nil {
		t.Fatalf("%+v becomes %q: %v", out, answer, err)
	}
	if parsed.Name != out.Name {
		t.Errorf("the name %q is read back as %q", out.Name, parsed.Name)
	}
	d := xml.NewDecoder(strings.NewReader(string(answer)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%q: %v", answer, err)
		}
	}
}
