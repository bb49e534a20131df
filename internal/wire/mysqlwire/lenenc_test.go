package mysqlwire_test

import (
	"bytes"
	"testing"

	"forebay/internal/wire/mysqlwire"

	"github.com/google/go-cmp/cmp"
)

func TestLenEncInt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		v  uint64
		in string
	}{
		{0, "\x00"},
		{250, "\xfa"},
		{251, "\xfc\xfb\x00"},
		{65535, "\xfc\xff\xff"},
		{65536, "\xfd\x00\x00\x01"},
		{1<<24 - 1, "\xfd\xff\xff\xff"},
		{1 << 24, "\xfe\x00\x00\x00\x01\x00\x00\x00\x00"},
		{1<<64 - 1, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		if got := mysqlwire.AppendLenEncInt(nil, tt.v); string(got) != tt.in {
			t.Errorf("%d encodes to % x, want % x", tt.v, got, tt.in)
		}
		v, rest, ok := mysqlwire.LenEncInt([]byte(tt.in + "r"))
		if v != tt.v || string(rest) != "r" || !ok {
			t.Errorf("LenEncInt(% x) = %d, %q, %t", tt.in, v, rest, ok)
		}
		for cut := range len(tt.in) {
			if v, _, ok := mysqlwire.LenEncInt([]byte(tt.in[:cut])); ok {
				t.Errorf("LenEncInt(% x) = %d", tt.in[:cut], v)
			}
		}
	}
	for _, in := range []string{"\xfb", "\xff\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if _, _, ok := mysqlwire.LenEncInt([]byte(in)); ok {
			t.Errorf("LenEncInt(% x) is ok", in)
		}
	}
	if v, _, ok := mysqlwire.LenEncInt([]byte("\xfc\x01\x00")); v != 1 || !ok {
		t.Errorf("a longer form than needed gives %d, %t", v, ok)
	}
}

func TestLenEncString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, s, rest string
		ok          bool
	}{
		{"", "", "", false},
		{"\x00", "", "", true},
		{"\x02abc", "ab", "c", true},
		{"\x03ab", "", "", false},
		{"\xfe\xff\xff\xff\xff\xff\xff\xff\xffab", "", "", false},
		{"\xfb", "", "", false},
	} {
		s, rest, ok := mysqlwire.LenEncString([]byte(tt.in))
		if string(s) != tt.s || string(rest) != tt.rest || ok != tt.ok {
			t.Errorf("LenEncString(%q) = %q, %q, %t", tt.in, s, rest, ok)
		}
	}
	if s, _, _ := mysqlwire.LenEncString([]byte("\x01ab")); cap(s) != 1 {
		t.Error("appending to the string would write over what follows it")
	}
}

func TestTextRow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		n    int
		want [][]byte
		ok   bool
	}{
		{"", 0, nil, true},
		{"\x01a\xfb\x00", 3, [][]byte{[]byte("a"), nil, {}}, true},
		{"\x01a", 2, [][]byte{[]byte("a")}, false},
		{"\x01a\x01b", 1, [][]byte{[]byte("a")}, false},
		{"\x02a", 1, nil, false},
		{"\xff", 1, nil, false},
	} {
		got, ok := mysqlwire.TextRow(nil, []byte(tt.in), tt.n)
		if d := cmp.Diff(tt.want, got); d != "" || ok != tt.ok {
			t.Errorf("TextRow(%q, %d) ok %t (-want +got):\n%s", tt.in, tt.n, ok, d)
		}
	}
}

func FuzzLenEnc(f *testing.F) {
	f.Add([]byte("\xfc\x01\x00a"))
	f.Add([]byte("\x02ab\xfb\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, rest, ok := mysqlwire.LenEncInt(b); ok {
			again, after, _ := mysqlwire.LenEncInt(append(mysqlwire.AppendLenEncInt(nil, v), rest...))
			if again != v || !bytes.Equal(after, rest) {
				t.Errorf("% x: %d becomes %d", b, v, again)
			}
		}
		if s, rest, ok := mysqlwire.LenEncString(b); ok {
			again, after, ok := mysqlwire.LenEncString(append(mysqlwire.AppendLenEncString(nil, s), rest...))
			if !ok || !bytes.Equal(again, s) || !bytes.Equal(after, rest) {
				t.Errorf("% x: %q becomes %q", b, s, again)
			}
		}
		want, after, found := bytes.Cut(b, []byte{0})
		if s, rest, ok := mysqlwire.NulString(b); ok != found || ok && !(bytes.Equal(s, want) && bytes.Equal(rest, after)) {
			t.Errorf("NulString(% x) = %q, %q, %t", b, s, rest, ok)
		}
	})
}

// FuzzTextRow checks that a row encodes back to columns equal to its own.
func FuzzTextRow(f *testing.F) {
	f.Add([]byte("\x01a\xfb\x00"), 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		cols, ok := mysqlwire.TextRow(nil, b, min(n, 1000))
		if !ok {
			return
		}
		var row []byte
		for _, c := range cols {
			if c == nil {
				row = append(row, mysqlwire.Null)
			} else {
				row = mysqlwire.AppendLenEncString(row, c)
			}
		}
		again, ok := mysqlwire.TextRow(nil, row, len(cols))
		if d := cmp.Diff(cols, again); d != "" || !ok {
			t.Errorf("% x (-first +second):\n%s", b, d)
		}
	})
}
