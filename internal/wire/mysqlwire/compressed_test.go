package mysqlwire_test

import (
	"bytes"
	"errors"
	"testing"

	"forebay/internal/wire/mysqlwire"
)

func TestCompressedHeader(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want mysqlwire.CompressedHeader
	}{
		// The documentation's examples: a query, its result, and SELECT 1 as it is.
		{"\x22\x00\x00\x00\x32\x00\x00\x78", mysqlwire.CompressedHeader{Length: 34, Uncompressed: 50}},
		{"\x4a\x00\x00\x01\x77\x00\x00\x78", mysqlwire.CompressedHeader{Length: 74, Sequence: 1, Uncompressed: 119}},
		{"\x0d\x00\x00\x00\x00\x00\x00\x09", mysqlwire.CompressedHeader{Length: 13}},
		{"\x00\x00\x00\x07\x00\x00\x00", mysqlwire.CompressedHeader{Sequence: 7}},
		{"\x03\x02\x01\xff\x06\x05\x04", mysqlwire.CompressedHeader{Length: 0x010203, Sequence: 255, Uncompressed: 0x040506}},
		{"\xff\xff\xff\x00\xff\xff\xff", mysqlwire.CompressedHeader{Length: mysqlwire.MaxPayload, Uncompressed: mysqlwire.MaxPayload}},
	}
	for _, tt := range tests {
		got, err := mysqlwire.ParseCompressedHeader([]byte(tt.in))
		if err != nil || got != tt.want {
			t.Errorf("ParseCompressedHeader(%q) = %+v, %v; want %+v", tt.in, got, err, tt.want)
		}
		if out := string(got.Append(nil)); out != tt.in[:mysqlwire.CompressedHeaderLen] {
			t.Errorf("%+v encodes to %q, want %q", got, out, tt.in[:mysqlwire.CompressedHeaderLen])
		}
	}
	if _, err := mysqlwire.ParseCompressedHeader([]byte("\x01\x00\x00\x00\x00\x00")); !errors.Is(err, mysqlwire.ErrShort) {
		t.Errorf("six bytes: %v", err)
	}
}

func FuzzCompressedHeader(f *testing.F) {
	f.Add([]byte("\x22\x00\x00\x00\x32\x00\x00\x78"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := mysqlwire.ParseCompressedHeader(b)
		if (err != nil) != (len(b) < mysqlwire.CompressedHeaderLen) {
			t.Fatalf("% x: %v", b, err)
		}
		if err == nil && !bytes.Equal(h.Append(nil), b[:mysqlwire.CompressedHeaderLen]) {
			t.Errorf("% x encodes to % x", b, h.Append(nil))
		}
	})
}
