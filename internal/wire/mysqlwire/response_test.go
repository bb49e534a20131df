package mysqlwire_test

import (
	"errors"
	"strings"
	"testing"

	"forebay/internal/wire/mysqlwire"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fixed is the part that begins a client's answer, with capabilities, and MariaDB's extended ones, as given.
func fixed(c mysqlwire.Capability) string {
	return string(mysqlwire.SSLRequest{Capabilities: c, MaxPacket: 1 << 24, Charset: 45}.Append(nil))
}

func TestSSLRequest(t *testing.T) {
	t.Parallel()
	const in = "\x05\xaa\x08\x00" + "\x00\x00\x00\x01" + "\x21" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	want := mysqlwire.SSLRequest{Capabilities: 0x8aa05, MaxPacket: 1 << 24, Charset: 33}
	got, err := mysqlwire.ParseSSLRequest([]byte(in))
	if err != nil || got != want || string(got.Append(nil)) != in || !mysqlwire.IsSSLRequest([]byte(in)) {
		t.Errorf("%+v, %v, encodes to % x", got, err, got.Append(nil))
	}
	if _, err := mysqlwire.ParseSSLRequest([]byte(in[:31])); err == nil {
		t.Error("31 bytes are an SSLRequest")
	}
	if mysqlwire.IsSSLRequest([]byte(in+"x")) || mysqlwire.IsSSLRequest([]byte(fixed(modern))) {
		t.Error("what goes on, or has no CLIENT_SSL, is an SSLRequest")
	}
	extended := mysqlwire.SSLRequest{Capabilities: modern | mysqlwire.MariaDBClientProgress}
	if got, err := mysqlwire.ParseSSLRequest(extended.Append(nil)); err != nil || got != extended {
		t.Errorf("MariaDB: %+v, %v", got, err)
	}
	extended.Capabilities |= mysqlwire.ClientLongPassword
	if got, err := mysqlwire.ParseSSLRequest(extended.Append(nil)); err != nil || got.Capabilities&mysqlwire.MariaDBExtended != 0 {
		t.Errorf("MySQL with extended capabilities: %+v, %v", got, err)
	}
}

func TestHandshakeResponse41(t *testing.T) {
	t.Parallel()
	const all = modern | mysqlwire.ClientConnectWithDB | mysqlwire.ClientZstdCompression
	const old = mysqlwire.ClientProtocol41 | mysqlwire.ClientConnectWithDB
	response := func(c mysqlwire.Capability, r mysqlwire.HandshakeResponse41) mysqlwire.HandshakeResponse41 {
		r.SSLRequest = mysqlwire.SSLRequest{Capabilities: c, MaxPacket: 1 << 24, Charset: 45}
		return r
	}
	long := strings.Repeat("t", 300)
	tests := []struct {
		name      string
		c         mysqlwire.Capability
		in        string // after the fixed part
		want      mysqlwire.HandshakeResponse41
		different bool // does not encode back
	}{
		{"everything", all, "u\x00\x02ab" + "db\x00" + "p\x00" + "\x04\x01k\x01v" + "\x07", mysqlwire.HandshakeResponse41{
			User: "u", AuthResponse: []byte("ab"), Database: "db", Plugin: "p", Attributes: []byte("\x01k\x01v"), ZstdLevel: 7,
		}, false},
		{"a token", modern, "u\x00\xfc\x2c\x01" + long + "p\x00" + "\x00", mysqlwire.HandshakeResponse41{
			User: "u", AuthResponse: []byte(long), Plugin: "p",
		}, false},
		{"anonymous", mysqlwire.ClientProtocol41 | mysqlwire.ClientSecureConnection, "\x00\x00", mysqlwire.HandshakeResponse41{}, false},
		{"before 4.1.1", old, "u\x00pw\x00db\x00", mysqlwire.HandshakeResponse41{User: "u", AuthResponse: []byte("pw"), Database: "db"}, false},
		{"database left out", old, "u\x00\x00", mysqlwire.HandshakeResponse41{User: "u"}, true},
		{"database without end", old, "u\x00\x00db", mysqlwire.HandshakeResponse41{User: "u", Database: "db"}, true},
		{"all left out", all, "u\x00\x00", mysqlwire.HandshakeResponse41{User: "u"}, true},
		{"more than the flags say", mysqlwire.ClientProtocol41 | mysqlwire.ClientSecureConnection, "u\x00\x00db\x00p\x00", mysqlwire.HandshakeResponse41{User: "u"}, true},
	}
	for _, tt := range tests {
		want := response(tt.c, tt.want)
		in := fixed(tt.c) + tt.in
		got, err := mysqlwire.ParseHandshakeResponse41([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d := cmp.Diff(&want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if encoded := string(got.Append(nil)); (encoded != in) != tt.different {
			t.Errorf("%s encodes to %q", tt.name, encoded)
		}
	}
	for name, in := range map[string]string{
		"nothing":            "",
		"fixed part alone":   fixed(modern),
		"not 4.1":            fixed(mysqlwire.ClientSecureConnection) + "u\x00\x00",
		"user without end":   fixed(modern) + "u",
		"no answer":          fixed(modern) + "u\x00",
		"answer cut":         fixed(modern) + "u\x00\x05abc",
		"answer of 2^64-1":   fixed(modern) + "u\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
		"short answer cut":   fixed(mysqlwire.ClientProtocol41|mysqlwire.ClientSecureConnection) + "u\x00\x05abc",
		"attributes cut":     fixed(modern) + "u\x00\x00p\x00\x05abc",
		"attributes of NULL": fixed(modern) + "u\x00\x00p\x00\xfb",
	} {
		var malformed *mysqlwire.MalformedError
		if r, err := mysqlwire.ParseHandshakeResponse41([]byte(in)); !errors.As(err, &malformed) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	attrs := []mysqlwire.Attribute{{Name: "_pid", Value: "1"}, {Name: "", Value: ""}, {Name: "program_name", Value: "till"}}
	encoded := mysqlwire.AppendAttributes(nil, attrs)
	if string(encoded) != "\x04_pid\x011\x00\x00\x0cprogram_name\x04till" {
		t.Errorf("encoded: %q", encoded)
	}
	for _, tt := range []struct {
		max, want int
		dropped   bool
	}{{1000, 3, false}, {27, 3, false}, {26, 2, true}, {8, 1, true}, {0, 0, true}} {
		got, dropped, err := mysqlwire.ParseAttributes(encoded, tt.max)
		if err != nil || dropped != tt.dropped || !cmp.Equal(got, attrs[:tt.want], cmpopts.EquateEmpty()) {
			t.Errorf("at most %d bytes: %v, %t, %v", tt.max, got, dropped, err)
		}
	}
	for _, in := range []string{"\x01", "\x01a", "\x01a\x02b", "\xfb"} {
		if got, _, err := mysqlwire.ParseAttributes([]byte(in), 100); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func FuzzHandshakeResponse41(f *testing.F) {
	f.Add([]byte(fixed(modern|mysqlwire.ClientConnectWithDB|mysqlwire.ClientZstdCompression) + "u\x00\x02abdb\x00p\x00\x04\x01k\x01v\x07"))
	f.Add([]byte(fixed(mysqlwire.ClientProtocol41) + "u\x00pw\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := mysqlwire.ParseHandshakeResponse41(b)
		if err != nil {
			return
		}
		again, err := mysqlwire.ParseHandshakeResponse41(r.Append(nil))
		if d := cmp.Diff(r, again, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("% x: %v (-first +second):\n%s", b, err, d)
		}
	})
}

func FuzzSSLRequest(f *testing.F) {
	f.Add([]byte(fixed(modern | mysqlwire.ClientSSL)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := mysqlwire.ParseSSLRequest(b)
		if err != nil {
			return
		}
		if again, err := mysqlwire.ParseSSLRequest(r.Append(nil)); err != nil || again != r {
			t.Errorf("% x: %+v becomes %+v, %v", b, r, again, err)
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte("\x04_pid\x011"))
	f.Fuzz(func(t *testing.T, b []byte) {
		attrs, dropped, err := mysqlwire.ParseAttributes(b, 100)
		if err != nil {
			return
		}
		again, _, err := mysqlwire.ParseAttributes(mysqlwire.AppendAttributes(nil, attrs), 100)
		if d := cmp.Diff(attrs, again); err != nil || d != "" || len(attrs) > 50 || !dropped && len(b) > 0 && len(attrs) == 0 {
			t.Errorf("% x: %v (-first +second):\n%s", b, err, d)
		}
	})
}
