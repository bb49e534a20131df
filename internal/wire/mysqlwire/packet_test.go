package mysqlwire_test

import (
	"bytes"
	"errors"
	"testing"

	"forebay/internal/wire/mysqlwire"
)

func TestHeader(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in        string
		want      mysqlwire.Header
		continues bool
	}{
		{"\x00\x00\x00\x00", mysqlwire.Header{}, false},
		{"\x01\x00\x00\x05X", mysqlwire.Header{Length: 1, Sequence: 5}, false},
		{"\x03\x02\x01\xff", mysqlwire.Header{Length: 0x010203, Sequence: 255}, false},
		{"\xff\xff\xff\x00", mysqlwire.Header{Length: mysqlwire.MaxPayload}, true},
	}
	for _, tt := range tests {
		got, err := mysqlwire.ParseHeader([]byte(tt.in))
		if err != nil || got != tt.want || got.Continues() != tt.continues {
			t.Errorf("ParseHeader(%q) = %+v, %v; want %+v", tt.in, got, err, tt.want)
		}
	}
	if _, err := mysqlwire.ParseHeader([]byte("\x01\x00\x00")); !errors.Is(err, mysqlwire.ErrShort) {
		t.Errorf("three bytes: %v", err)
	}
}

// TestPackets splits payloads of all critical lengths and puts them together again.
func TestPackets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ length, packets int }{
		{0, 1},
		{1, 1},
		{mysqlwire.MaxPayload - 1, 1},
		{mysqlwire.MaxPayload, 2},
		{mysqlwire.MaxPayload + 1, 2},
		{2 * mysqlwire.MaxPayload, 3},
	} {
		payload := bytes.Repeat([]byte("x"), tt.length)
		dst, at := mysqlwire.BeginPacket([]byte("before"))
		ended, next := mysqlwire.EndPacket(append(dst, payload...), at, 254)
		appended, alsoNext := mysqlwire.AppendPacket([]byte("before"), 254, payload)
		if !bytes.Equal(ended, appended) || next != alsoNext {
			t.Errorf("%d bytes: EndPacket and AppendPacket differ", tt.length)
		}
		if next != uint8(254+tt.packets) {
			t.Errorf("%d bytes: next packet is %d", tt.length, next)
		}
		rest, got, seq := ended[len("before"):], 0, uint8(254)
		for len(rest) > 0 {
			h, err := mysqlwire.ParseHeader(rest)
			if err != nil || h.Sequence != seq {
				t.Fatalf("%d bytes: %+v, %v", tt.length, h, err)
			}
			seq++
			got += h.Length
			rest = rest[mysqlwire.HeaderLen+h.Length:]
			if h.Continues() != (len(rest) > 0) {
				t.Errorf("%d bytes: continues is %t with %d bytes left", tt.length, h.Continues(), len(rest))
			}
		}
		if got != tt.length {
			t.Errorf("%d bytes: packets hold %d", tt.length, got)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x05X"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := mysqlwire.ParseHeader(b)
		if (err != nil) != (len(b) < mysqlwire.HeaderLen) {
			t.Fatalf("% x: %v", b, err)
		}
		if err == nil && !bytes.Equal(h.Append(nil), b[:mysqlwire.HeaderLen]) {
			t.Errorf("% x encodes to % x", b, h.Append(nil))
		}
	})
}
