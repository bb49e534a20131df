package mysqlwire_test

import (
	"errors"
	"strings"
	"testing"

	"forebay/internal/wire/mysqlwire"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const tracking = mysqlwire.ClientProtocol41 | mysqlwire.ClientSessionTrack

func TestOK(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		c         mysqlwire.Capability
		in        string
		want      mysqlwire.OK
		different bool // does not encode back
	}{
		{"plain", mysqlwire.ClientProtocol41, "\x00\x01\x02\x02\x00\x03\x00", mysqlwire.OK{AffectedRows: 1, LastInsertID: 2, Status: 2, Warnings: 3}, false},
		{"in place of EOF", tracking, "\xfe\x00\x00\x02\x00\x00\x00", mysqlwire.OK{EOF: true, Status: 2}, false},
		{"info as servers write it", mysqlwire.ClientProtocol41, "\x00\x00\x00\x02\x00\x00\x00\x03abc", mysqlwire.OK{Status: 2, Info: []byte("abc")}, false},
		{"info as documented", mysqlwire.ClientProtocol41, "\x00\x00\x00\x02\x00\x00\x00abc", mysqlwire.OK{Status: 2, Info: []byte("abc")}, true},
		{"info", tracking, "\x00\x00\x00\x02\x00\x00\x00\x03abc", mysqlwire.OK{Status: 2, Info: []byte("abc")}, false},
		{
			"session state", tracking, "\x00\x00\x00\x02\x40\x00\x00\x00\x03\x02\x011",
			mysqlwire.OK{Status: 0x4002, SessionState: []byte("\x02\x011")},
			false,
		},
		{"session state left out", tracking, "\x00\x00\x00\x02\x40\x00\x00", mysqlwire.OK{Status: 0x4002}, true},
		{"before 4.1", mysqlwire.ClientTransactions, "\x00\x00\x00\x02\x00", mysqlwire.OK{Status: 2}, false},
		{"oldest", 0, "\x00\x05\x00", mysqlwire.OK{AffectedRows: 5}, false},
	}
	for _, tt := range tests {
		got, err := mysqlwire.ParseOK([]byte(tt.in), tt.c)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if encoded := string(got.Append(nil, tt.c)); (encoded != tt.in) != tt.different {
			t.Errorf("%s encodes to % x", tt.name, encoded)
		}
	}
	for _, in := range []string{
		"", "\x01", "\x00", "\x00\x00", "\x00\x00\x00", "\x00\x00\x00\x02\x00\x00", "\x00\xfb\x00\x02\x00\x00\x00",
		"\x00\x00\x00\x02\x00\x00\x00\x05abc", "\x00\x00\x00\x02\x40\x00\x00\x00\x05abc",
	} {
		var malformed *mysqlwire.MalformedError
		if p, err := mysqlwire.ParseOK([]byte(in), tracking); !errors.As(err, &malformed) {
			t.Errorf("ParseOK(% x) = %+v, %v", in, p, err)
		}
	}
}

func TestWhichReply(t *testing.T) {
	t.Parallel()
	long := "\xfe" + strings.Repeat("x", 20)
	for _, tt := range []struct {
		in                     string
		ok, okForEOF, eof, err bool
	}{
		{"", false, false, false, false},
		{"\x00\x00\x00\x02\x00\x00\x00", true, true, false, false},
		{"\xfe\x00\x00\x02\x00", false, true, true, false},
		{"\xfe\x00\x00\x02\x00\x00\x00", false, true, true, false},
		{long, false, true, false, false},
		{"\xff\x15\x04", false, false, false, true},
		{"\x01a", false, false, false, false},
	} {
		b := []byte(tt.in)
		if mysqlwire.IsOK(b, false) != tt.ok || mysqlwire.IsOK(b, true) != tt.okForEOF || mysqlwire.IsEOF(b) != tt.eof ||
			mysqlwire.IsERR(b) != tt.err {
			t.Errorf("% x is taken for something else", tt.in)
		}
	}
	if row := append([]byte{0xfe}, make([]byte, mysqlwire.MaxPayload-1)...); mysqlwire.IsOK(row, true) {
		t.Error("a row with a first column of 16 MiB is taken for OK")
	}
}

func TestEOF(t *testing.T) {
	t.Parallel()
	const in = "\xfe\x01\x00\x22\x00"
	want := mysqlwire.EOF{Warnings: 1, Status: 0x22}
	if got, err := mysqlwire.ParseEOF([]byte(in)); err != nil || got != want || string(got.Append(nil)) != in {
		t.Errorf("%+v, %v", got, err)
	}
	for _, in := range []string{"", "\xfe", "\xfe\x00\x00\x00", "\x00\x00\x00\x00\x00", "\xfe\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if got, err := mysqlwire.ParseEOF([]byte(in)); err == nil {
			t.Errorf("% x: %+v", in, got)
		}
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]mysqlwire.Error{
		"\xff\x15\x04#28000Access denied":      {Code: 1045, SQLState: "28000", Message: "Access denied"},
		"\xff\x10\x04Too many connections":     {Code: 1040, Message: "Too many connections"},
		"\xff\x10\x04":                         {Code: 1040},
		"\xff\x10\x04#HY000":                   {Code: 1040, SQLState: "HY000"},
		"\xff\x10\x04#no state":                {Code: 1040, SQLState: "no st", Message: "ate"},
		"\xff\x10\x04#shrt":                    {Code: 1040, Message: "#shrt"},
		"\xff\x57\x0c#HY000This RDS Proxy req": {Code: 3159, SQLState: "HY000", Message: "This RDS Proxy req"},
	} {
		got, err := mysqlwire.ParseError([]byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if d := cmp.Diff(&want, got); d != "" || string(got.Append(nil)) != in {
			t.Errorf("%q encodes to %q (-want +got):\n%s", in, got.Append(nil), d)
		}
	}
	for _, in := range []string{"", "\xff", "\xff\x01", "\x00\x01\x02", "\xff\xff\xff\x01\x01\x01\x00\x00\x00\x00"} {
		if got, err := mysqlwire.ParseError([]byte(in)); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
	e := &mysqlwire.Error{Code: 1045, SQLState: "28000", Message: "no"}
	if e.Error() != "no (error 1045, SQLSTATE 28000)" || (&mysqlwire.Error{Code: 1, Message: "m"}).Error() != "m (error 1)" {
		t.Errorf("prints as %q", e.Error())
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	const in = "\xff\xff\xff\x01\x01\x02\x10\x27\x00\x0ccopy to tmp "
	want := mysqlwire.Progress{Strings: 1, Stage: 1, MaxStage: 2, Progress: 10000, Info: []byte("copy to tmp ")}
	got, err := mysqlwire.ParseProgress([]byte(in))
	if d := cmp.Diff(want, got); err != nil || d != "" || string(got.Append(nil)) != in {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for _, in := range []string{"", "\xff\xff\xff", in[:9], in[:12], "\xff\x15\x04#28000Access denied"} {
		if got, err := mysqlwire.ParseProgress([]byte(in)); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

func TestPrepareOK(t *testing.T) {
	t.Parallel()
	const optional = mysqlwire.ClientOptionalResultsetMetadata
	for _, tt := range []struct {
		in        string
		c         mysqlwire.Capability
		want      mysqlwire.PrepareOK
		different bool
	}{
		{"\x00\x01\x00\x00\x00\x02\x00\x03\x00\x00\x04\x00", 0, mysqlwire.PrepareOK{StatementID: 1, Columns: 2, Params: 3, Warnings: 4}, false},
		{"\x00\x01\x00\x00\x00\x02\x00\x03\x00", 0, mysqlwire.PrepareOK{StatementID: 1, Columns: 2, Params: 3}, true},
		{"\x00\x01\x00\x00\x00\x02\x00\x03\x00\x00\x04\x00\x01", optional, mysqlwire.PrepareOK{StatementID: 1, Columns: 2, Params: 3, Warnings: 4}, false},
		{"\x00\x01\x00\x00\x00\x02\x00\x03\x00\x00\x04\x00\x00", optional, mysqlwire.PrepareOK{StatementID: 1, Columns: 2, Params: 3, Warnings: 4, NoMetadata: true}, false},
	} {
		got, err := mysqlwire.ParsePrepareOK([]byte(tt.in), tt.c)
		if err != nil || got != tt.want || (string(got.Append(nil, tt.c)) != tt.in) != tt.different {
			t.Errorf("% x: %+v, %v; encodes to % x", tt.in, got, err, got.Append(nil, tt.c))
		}
	}
	for _, in := range []string{"", "\x00\x00", "\xff\x01\x00\x00\x00\x02\x00\x03\x00"} {
		if got, err := mysqlwire.ParsePrepareOK([]byte(in), 0); err == nil {
			t.Errorf("% x: %+v", in, got)
		}
	}
}

func FuzzOK(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02\x40\x00\x00\x00\x03\x02\x011"), uint64(tracking))
	f.Add([]byte("\xfe\x00\x00\x02\x00\x00\x00abc"), uint64(mysqlwire.ClientProtocol41))
	f.Fuzz(func(t *testing.T, b []byte, caps uint64) {
		c := mysqlwire.Capability(caps)
		p, err := mysqlwire.ParseOK(b, c)
		if err != nil {
			return
		}
		again, err := mysqlwire.ParseOK(p.Append(nil, c), c)
		if d := cmp.Diff(p, again, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("% x: %v (-first +second):\n%s", b, err, d)
		}
	})
}

// FuzzReplies checks the small packets of a server: EOF, ERR, progress, COM_STMT_PREPARE_OK.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("\xff\x15\x04#28000Access denied"))
	f.Add([]byte("\xff\xff\xff\x01\x01\x02\x10\x27\x00\x0ccopy to tmp "))
	f.Add([]byte("\xfe\x01\x00\x22\x00"))
	f.Add([]byte("\x00\x01\x00\x00\x00\x02\x00\x03\x00\x00\x04\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const c = mysqlwire.ClientOptionalResultsetMetadata
		if p, err := mysqlwire.ParseEOF(b); err == nil {
			if again, err := mysqlwire.ParseEOF(p.Append(nil)); err != nil || again != p {
				t.Errorf("EOF % x becomes %+v, %v", b, again, err)
			}
		}
		if p, err := mysqlwire.ParsePrepareOK(b, c); err == nil {
			if again, err := mysqlwire.ParsePrepareOK(p.Append(nil, c), c); err != nil || again != p {
				t.Errorf("COM_STMT_PREPARE_OK % x becomes %+v, %v", b, again, err)
			}
		}
		if p, err := mysqlwire.ParseProgress(b); err == nil {
			if again, err := mysqlwire.ParseProgress(p.Append(nil)); err != nil || !cmp.Equal(again, p) {
				t.Errorf("progress % x becomes %+v, %v", b, again, err)
			}
		}
		if p, err := mysqlwire.ParseError(b); err == nil {
			if encoded := p.Append(nil); string(encoded) != string(b) {
				t.Errorf("ERR % x becomes % x", b, encoded)
			}
		}
	})
}
