package pgwire_test

import (
	"bytes"
	"testing"

	"forebay/internal/wire/pgwire"

	"github.com/google/go-cmp/cmp"
)

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
