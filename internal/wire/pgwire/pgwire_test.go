package pgwire_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"forebay/internal/wire/pgwire"

	"github.com/google/go-cmp/cmp"
)

// TestAppend holds each helper against the bytes of "Message Formats".
func TestAppend(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"Sync", pgwire.AppendEmpty(nil, pgwire.Sync), "S\x00\x00\x00\x04"},
		{"ReadyForQuery", pgwire.AppendReadyForQuery(nil, pgwire.Failed), "Z\x00\x00\x00\x05E"},
		{"Query", pgwire.AppendQuery(nil, "SELECT"), "Q\x00\x00\x00\x0bSELECT\x00"},
		{
			"Parse", pgwire.AppendParse(nil, "n", "q", []byte{0, 1, 0, 0, 0, 23}),
			"P\x00\x00\x00\x0en\x00q\x00\x00\x01\x00\x00\x00\x17",
		},
		{"Close", pgwire.AppendClose(nil, 'S', "n"), "C\x00\x00\x00\x07Sn\x00"},
		{
			"Bind and Execute", pgwire.AppendBindExecute(nil, "n", "a", ""),
			"B\x00\x00\x00\x16\x00n\x00\x00\x00\x00\x02\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00" +
				"E\x00\x00\x00\x09\x00\x00\x00\x00\x00",
		},
		{"ParameterStatus", pgwire.AppendParameterStatus(nil, "a", "b"), "S\x00\x00\x00\x08a\x00b\x00"},
		{
			"BackendKeyData", pgwire.AppendBackendKeyData(nil, 7, []byte("key!")),
			"K\x00\x00\x00\x0c\x00\x00\x00\x07key!",
		},
		{"CommandComplete", pgwire.AppendCommandComplete(nil, "BEGIN"), "C\x00\x00\x00\x0aBEGIN\x00"},
		{
			"ErrorResponse", pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", Code: "42601", Message: "m"}),
			"E\x00\x00\x00\x1dSERROR\x00VERROR\x00C42601\x00Mm\x00\x00",
		},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, string(tt.got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if n, err := pgwire.Size(tt.got); err != nil || n > len(tt.got) {
			t.Errorf("%s: Size() = %d, %v", tt.name, n, err)
		}
	}
	if got := pgwire.AppendQuery([]byte("before"), "x"); string(got) != "beforeQ\x00\x00\x00\x06x\x00" {
		t.Errorf("appended to something: %q", got)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		in    string
		want  int
		fails bool
	}{
		{"no body", "S\x00\x00\x00\x04", 5, false},
		{"longer than the buffer", "d\x00\x01\x00\x00", 65537, false},
		{"largest", "d\x40\x00\x00\x03", 0x40000004, false},
		{"too large", "d\x40\x00\x00\x04", 0, true},
		{"negative", "d\xff\xff\xff\xff", 0, true},
		{"shorter than itself", "d\x00\x00\x00\x03", 0, true},
	}
	for _, tt := range tests {
		got, err := pgwire.Size([]byte(tt.in))
		var length *pgwire.LengthError
		if got != tt.want || errors.As(err, &length) != tt.fails {
			t.Errorf("%s: Size(% x) = %d, %v; want %d", tt.name, tt.in, got, err, tt.want)
		}
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want [][]byte
		ok   bool
	}{
		{"none", "\x00\x00", nil, true},
		{"NULL is not empty", "\x00\x02\xff\xff\xff\xff\x00\x00\x00\x00", [][]byte{nil, {}}, true},
		{"value", "\x00\x01\x00\x00\x00\x02ab", [][]byte{[]byte("ab")}, true},
		{"no count", "\x00", nil, false},
		{"no length", "\x00\x01\x00\x00", nil, false},
		{"short value", "\x00\x01\x00\x00\x00\x02a", nil, false},
	}
	for _, tt := range tests {
		got, ok := pgwire.Row(nil, []byte(tt.in))
		if diff := cmp.Diff(tt.want, got); ok != tt.ok || diff != "" {
			t.Errorf("%s: Row(% x) ok %t, want %t (-want +got):\n%s", tt.name, tt.in, ok, tt.ok, diff)
		}
	}
}

func TestParseErrorPrefersTheUntranslatedSeverity(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"SFEHLER\x00VERROR\x00C42601\x00Mm\x00Fscan.l\x00\x00",
		"VERROR\x00SFEHLER\x00C42601\x00Mm\x00\x00",
	} {
		want := &pgwire.Error{Severity: "ERROR", Code: "42601", Message: "m"}
		if diff := cmp.Diff(want, pgwire.ParseError([]byte(body))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", body, diff)
		}
	}
}

// FuzzParseError checks that no body panics, and that what was decoded survives encoding.
func FuzzParseError(f *testing.F) {
	f.Add([]byte("SERROR\x00VERROR\x00C42601\x00Mm\x00Dd\x00Hh\x00\x00"))
	f.Add([]byte("Mcut short"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := pgwire.ParseError(body)
		encoded := pgwire.AppendError(nil, e)
		if n, err := pgwire.Size(encoded); err != nil || n != len(encoded) {
			t.Fatalf("body % x: encoded size %d, %v; want %d", body, n, err, len(encoded))
		}
		if diff := cmp.Diff(e, pgwire.ParseError(encoded[pgwire.HeaderLen:])); diff != "" {
			t.Errorf("body % x changes (-first +second):\n%s", body, diff)
		}
	})
}

// FuzzRow checks that no body panics, and that the columns lie within it in order.
func FuzzRow(f *testing.F) {
	f.Add([]byte("\x00\x02\xff\xff\xff\xff\x00\x00\x00\x01a"))
	f.Fuzz(func(t *testing.T, body []byte) {
		cols, ok := pgwire.Row(nil, body)
		size := 2
		for _, c := range cols {
			size += 4 + len(c)
		}
		if size > len(body) && (ok || len(cols) > 0) {
			t.Errorf("body % x: columns of %d bytes", body, size)
		}
		if s, rest, found := pgwire.CString(body); found != bytes.Contains(body, []byte{0}) ||
			found && (len(s)+1+len(rest) != len(body) || strings.Contains(string(s), "\x00")) {
			t.Errorf("body % x: CString gives % x and % x", body, s, rest)
		}
	})
}
