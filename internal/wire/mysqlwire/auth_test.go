package mysqlwire_test

import (
	"errors"
	"testing"

	"forebay/internal/wire/mysqlwire"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAuthSwitchRequest(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]mysqlwire.AuthSwitchRequest{
		"\xfe": {Plugin: mysqlwire.PluginOldPassword},
		"\xfemysql_native_password\x00" + scramble + "\x00": {Plugin: mysqlwire.PluginNative, Data: []byte(scramble + "\x00")},
		"\xfemysql_clear_password\x00":                      {Plugin: mysqlwire.PluginClearPassword},
	} {
		got, err := mysqlwire.ParseAuthSwitchRequest([]byte(in))
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || d != "" || string(got.Append(nil)) != in {
			t.Errorf("%q: %v, encodes to %q (-want +got):\n%s", in, err, got.Append(nil), d)
		}
	}
	for _, in := range []string{"", "\x00", "\xfename"} {
		if got, err := mysqlwire.ParseAuthSwitchRequest([]byte(in)); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

func TestAuthMoreData(t *testing.T) {
	t.Parallel()
	in := mysqlwire.AppendAuthMoreData(nil, []byte{mysqlwire.SHA2FastAuthOK})
	if got, err := mysqlwire.ParseAuthMoreData(in); string(in) != "\x01\x03" || err != nil || string(got) != "\x03" {
		t.Errorf("% x: % x, %v", in, got, err)
	}
	for _, in := range []string{"", "\x00"} {
		if got, err := mysqlwire.ParseAuthMoreData([]byte(in)); err == nil {
			t.Errorf("%q: % x", in, got)
		}
	}
}

func TestChangeUser(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in  string
		c         mysqlwire.Capability
		want      mysqlwire.ChangeUser
		different bool
	}{
		{"everything", "\x11u\x00\x02abdb\x00\x2d\x00p\x00\x04\x01k\x01v", modern, mysqlwire.ChangeUser{
			User: "u", AuthResponse: []byte("ab"), Database: "db", HasCharset: true, Charset: 45, Plugin: "p", Attributes: []byte("\x01k\x01v"),
		}, false},
		{"old", "\x11u\x00\x00\x00", modern, mysqlwire.ChangeUser{User: "u"}, false},
		{"before 4.1.1", "\x11u\x00pw\x00db\x00", mysqlwire.ClientProtocol41, mysqlwire.ChangeUser{
			User: "u", AuthResponse: []byte("pw"), Database: "db",
		}, false},
		{"left out", "\x11u\x00\x00db\x00\x2d\x00", modern, mysqlwire.ChangeUser{User: "u", Database: "db", HasCharset: true, Charset: 45}, true},
	} {
		got, err := mysqlwire.ParseChangeUser([]byte(tt.in), tt.c)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d := cmp.Diff(&tt.want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if encoded := string(got.Append(nil, tt.c)); (encoded != tt.in) != tt.different {
			t.Errorf("%s encodes to %q", tt.name, encoded)
		}
	}
	for _, in := range []string{"", "\x03", "\x11", "\x11u", "\x11u\x00", "\x11u\x00\x05abc", "\x11u\x00\x00\x00\x01", "\x11u\x00\x00\x00\x2d\x00\x00\x05abc"} {
		var malformed *mysqlwire.MalformedError
		if got, err := mysqlwire.ParseChangeUser([]byte(in), modern); !errors.As(err, &malformed) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestStateChanges(t *testing.T) {
	t.Parallel()
	const in = "\x00\x0f\x0aautocommit\x03OFF" + "\x01\x03\x02db" + "\x02\x011" + "\x03\x04\x00\x02g1" +
		"\x04\x07\x06BEGIN;" + "\x05\x09\x08T_______" + "\x63\x02ab"
	want := []mysqlwire.StateChange{
		{Type: mysqlwire.TrackSystemVariables, Name: []byte("autocommit"), Value: []byte("OFF")},
		{Type: mysqlwire.TrackSchema, Value: []byte("db")},
		{Type: mysqlwire.TrackStateChange, Value: []byte("1")},
		{Type: mysqlwire.TrackGTIDs, Value: []byte("g1")},
		{Type: mysqlwire.TrackTransactionCharacteristics, Value: []byte("BEGIN;")},
		{Type: mysqlwire.TrackTransactionState, Value: []byte("T_______")},
		{Type: 0x63, Value: []byte("ab")},
	}
	var got []mysqlwire.StateChange
	var encoded []byte
	for rest := []byte(in); len(rest) > 0; {
		e, after, err := mysqlwire.NextStateChange(rest)
		if err != nil {
			t.Fatal(err)
		}
		got, encoded, rest = append(got, e), e.Append(encoded), after
	}
	if d := cmp.Diff(want, got); d != "" || string(encoded) != in {
		t.Errorf("encodes to %q (-want +got):\n%s", encoded, d)
	}
	for _, in := range []string{"", "\x00", "\x00\x05abc", "\x00\x00", "\x00\x02\x01a", "\x00\x05\x01a\x01bc", "\x01\x00", "\x03\x00", "\x03\x01\x00", "\x63"} {
		if e, _, err := mysqlwire.NextStateChange([]byte(in)); err == nil {
			t.Errorf("% x: %+v", in, e)
		}
	}
	if e, _, err := mysqlwire.NextStateChange([]byte("\x02\x02\x011")); err != nil || string(e.Value) != "1" {
		t.Errorf("state change as documented: %+v, %v", e, err)
	}
	for _, n := range []int{250, 251, 65535, 65536, 1 << 24} { // lengths of lengths
		e := mysqlwire.StateChange{Type: mysqlwire.TrackSystemVariables, Name: []byte("n"), Value: make([]byte, n)}
		if got, rest, err := mysqlwire.NextStateChange(e.Append(nil)); err != nil || len(rest) > 0 || len(got.Value) != n {
			t.Errorf("value of %d bytes: %d bytes, %v", n, len(got.Value), err)
		}
	}
}

func FuzzAuth(f *testing.F) {
	f.Add([]byte("\xfemysql_native_password\x00" + scramble + "\x00"))
	f.Add([]byte("\xfe"))
	f.Add([]byte("\x01\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := mysqlwire.ParseAuthSwitchRequest(b); err == nil {
			again, err := mysqlwire.ParseAuthSwitchRequest(r.Append(nil))
			if d := cmp.Diff(r, again, cmpopts.EquateEmpty()); err != nil || d != "" {
				t.Errorf("AuthSwitchRequest % x: %v (-first +second):\n%s", b, err, d)
			}
		}
		if data, err := mysqlwire.ParseAuthMoreData(b); err == nil && string(mysqlwire.AppendAuthMoreData(nil, data)) != string(b) {
			t.Errorf("AuthMoreData % x", b)
		}
	})
}

func FuzzChangeUser(f *testing.F) {
	f.Add([]byte("\x11u\x00\x02abdb\x00\x2d\x00p\x00\x04\x01k\x01v"), uint64(modern))
	f.Fuzz(func(t *testing.T, b []byte, caps uint64) {
		c := mysqlwire.Capability(caps)
		p, err := mysqlwire.ParseChangeUser(b, c)
		if err != nil {
			return
		}
		again, err := mysqlwire.ParseChangeUser(p.Append(nil, c), c)
		if d := cmp.Diff(p, again, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("% x: %v (-first +second):\n%s", b, err, d)
		}
	})
}

func FuzzStateChange(f *testing.F) {
	f.Add([]byte("\x00\x0f\x0aautocommit\x03OFF\x01\x03\x02db"))
	f.Add([]byte("\x03\x04\x00\x02g1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			e, rest, err := mysqlwire.NextStateChange(b)
			if err != nil {
				return
			}
			again, after, err := mysqlwire.NextStateChange(e.Append(nil))
			if d := cmp.Diff(e, again, cmpopts.EquateEmpty()); err != nil || d != "" || len(after) > 0 {
				t.Errorf("% x: %v (-first +second):\n%s", b, err, d)
			}
			b = rest
		}
	})
}
