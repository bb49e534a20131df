package pgwire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"forebay/internal/wire/pgwire"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		length uint32
		size   int // 0: impossible
	}{
		{0, 0}, {3, 0}, {4, 5}, {5, 6}, {pgwire.MaxMessageLen + 4, pgwire.MaxMessageLen + 5},
		{pgwire.MaxMessageLen + 5, 0}, {1 << 31, 0}, {0xffffffff, 0},
	} {
		b := binary.BigEndian.AppendUint32([]byte{'Q'}, tt.length)
		got, err := pgwire.Size(b)
		var le *pgwire.LengthError
		if got != tt.size || (tt.size == 0) != errors.As(err, &le) {
			t.Errorf("Size with length %d: %d, %v; want %d", tt.length, got, err, tt.size)
		}
		if le != nil && (le.Type != 'Q' || le.Length != tt.length || !strings.Contains(le.Error(), "'Q'")) {
			t.Errorf("Size with length %d: %+v, %v", tt.length, le, le)
		}
	}
}

func TestCString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, s, rest string
		ok          bool
	}{{"", "", "", false}, {"abc", "", "", false}, {"\x00", "", "", true}, {"abc\x00de\x00", "abc", "de\x00", true}} {
		s, rest, ok := pgwire.CString([]byte(tt.in))
		if string(s) != tt.s || string(rest) != tt.rest || ok != tt.ok {
			t.Errorf("CString(%q) = %q, %q, %v; want %q, %q, %v", tt.in, s, rest, ok, tt.s, tt.rest, tt.ok)
		}
	}
}

// What is appended is what pgproto3 makes of the same message.
func TestAppend(t *testing.T) {
	t.Parallel()
	enc := func(ms ...interface{ Encode([]byte) ([]byte, error) }) []byte {
		b := []byte("before")
		for _, m := range ms {
			var err error
			if b, err = m.Encode(b); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	pre := func() []byte { return []byte("before") }
	secret := []byte{1, 2, 3, 4}
	e := &pgwire.Error{Severity: "FATAL", Code: "57P01", Message: "m", Detail: "d", Hint: "h"}
	for name, tt := range map[string]struct{ got, want []byte }{
		"sync":          {pgwire.AppendEmpty(pre(), pgwire.Sync), enc(&pgproto3.Sync{})},
		"ready":         {pgwire.AppendReadyForQuery(pre(), 'T'), enc(&pgproto3.ReadyForQuery{TxStatus: 'T'})},
		"query":         {pgwire.AppendQuery(pre(), "SELECT 1"), enc(&pgproto3.Query{String: "SELECT 1"})},
		"parse":         {pgwire.AppendParse(pre(), "n", "SELECT $1", []byte{0, 1, 0, 0, 0, 25}), enc(&pgproto3.Parse{Name: "n", Query: "SELECT $1", ParameterOIDs: []uint32{25}})},
		"close":         {pgwire.AppendClose(pre(), 'S', "n"), enc(&pgproto3.Close{ObjectType: 'S', Name: "n"})},
		"bind, execute": {pgwire.AppendBindExecute(pre(), "n", "a", ""), enc(&pgproto3.Bind{PreparedStatement: "n", Parameters: [][]byte{[]byte("a"), {}}}, &pgproto3.Execute{})},
		"status":        {pgwire.AppendParameterStatus(pre(), "a", "b"), enc(&pgproto3.ParameterStatus{Name: "a", Value: "b"})},
		"key":           {pgwire.AppendBackendKeyData(pre(), 7, secret), enc(&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: secret})},
		"complete":      {pgwire.AppendCommandComplete(pre(), "SELECT 1"), enc(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})},
		"error": {pgwire.AppendError(pre(), e), enc(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL",
			Code: "57P01", Message: "m", Detail: "d", Hint: "h"})},
	} {
		if !bytes.Equal(tt.got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, tt.got, tt.want)
		}
	}
}

func TestParseError(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]pgwire.Error{
		"":                                {},
		"\x00":                            {},
		"SFEHLER\x00VERROR\x00C1\x00\x00": {Severity: "ERROR", Code: "1"},
		"VERROR\x00SFEHLER\x00\x00":       {Severity: "ERROR"},
		"SERROR\x00C42601\x00Mm\x00P7\x00Dd\x00Hh\x00\x00Mlate\x00": {Severity: "ERROR", Code: "42601", Message: "m", Detail: "d", Hint: "h"},
		"C42601\x00Mcut sh": {Code: "42601"},
	} {
		if d := cmp.Diff(&want, pgwire.ParseError([]byte(body))); d != "" {
			t.Errorf("ParseError(%q) (-want +got):\n%s", body, d)
		}
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{ // nil: malformed
		"":                           nil,
		"\x00":                       nil,
		"\x00\x00":                   {},
		"\x00\x01":                   nil,
		"\x00\x01\x00\x00\x00\x02ab": {"ab"},
		"\x00\x01\x00\x00\x00\x03ab": nil,
		"\x00\x02\xff\xff\xff\xff\x00\x00\x00\x00": {"NULL", ""},
		"\x00\x01\x7f\xff\xff\xffab":               nil,
	} {
		cols, ok := pgwire.Row(nil, []byte(body))
		if ok != (want != nil) {
			t.Errorf("Row(%q): ok %v", body, ok)
		}
		got := []string{}
		for _, c := range cols {
			if c == nil {
				c = []byte("NULL")
			}
			got = append(got, string(c))
		}
		if d := cmp.Diff(want, got); ok && d != "" {
			t.Errorf("Row(%q) (-want +got):\n%s", body, d)
		}
	}
}

func FuzzSize(f *testing.F) {
	f.Add([]byte("Q\x00\x00\x00\x05\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < pgwire.HeaderLen {
			return
		}
		if n, err := pgwire.Size(b); (err == nil) != (n >= pgwire.HeaderLen) {
			t.Errorf("Size(%q) = %d, %v", b, n, err)
		}
	})
}

func FuzzCString(f *testing.F) {
	f.Add([]byte("ab\x00c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, ok := pgwire.CString(b)
		if want, after, found := bytes.Cut(b, []byte{0}); ok != found || ok && !(bytes.Equal(s, want) && bytes.Equal(rest, after)) {
			t.Errorf("CString(%q) = %q, %q, %v", b, s, rest, ok)
		}
	})
}

func FuzzParseError(f *testing.F) {
	f.Add([]byte("SERROR\x00C42601\x00Mm\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := pgwire.ParseError(b)
		// What decodes encodes back.
		again := pgwire.ParseError(pgwire.AppendError(nil, e)[pgwire.HeaderLen:])
		if d := cmp.Diff(e, again); d != "" {
			t.Errorf("ParseError(%q) once and again:\n%s", b, d)
		}
	})
}

func FuzzRow(f *testing.F) {
	f.Add([]byte("\x00\x02\xff\xff\xff\xff\x00\x00\x00\x01a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		cols, ok := pgwire.Row(nil, b)
		var m pgproto3.DataRow
		if err := m.Decode(b); ok && err == nil && len(b) > 2 {
			if d := cmp.Diff(m.Values, cols); d != "" {
				t.Errorf("Row(%q), pgproto3 and ours:\n%s", b, d)
			}
		} else if err == nil && !ok {
			t.Errorf("Row(%q) is refused, pgproto3 takes it", b)
		}
	})
}
