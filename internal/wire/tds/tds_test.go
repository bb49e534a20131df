package tds

import (
	"bytes"
	"errors"
	"testing"
)

func TestAppendMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, size, packets int }{{0, 512, 1}, {504, 512, 1}, {505, 512, 2}, {2000, 512, 4}} {
		data := bytes.Repeat([]byte{7}, c.data)
		b := AppendMessage(nil, PacketSQLBatch, StatusResetConnection, c.size, 3, data)
		var got []byte
		packets := 0
		for len(b) > 0 {
			h, err := ParseHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			packets++
			got = append(got, b[HeaderSize:h.Length]...)
			b = b[h.Length:]
			if h.Type != PacketSQLBatch || h.SPID != 3 || int(h.ID) != packets || h.Length > c.size {
				t.Errorf("%+v", h)
			}
			if last := len(b) == 0; last != (h.Status&StatusEOM != 0) {
				t.Errorf("packet %d of %d bytes of data: status %#x", packets, c.data, h.Status)
			}
			if first := packets == 1; first != (h.Status&StatusResetConnection != 0) {
				t.Errorf("packet %d: status %#x", packets, h.Status)
			}
		}
		if packets != c.packets || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: %d packets with %d bytes, want %d", c.data, packets, len(got), c.packets)
		}
	}
}

func TestParseHeader(t *testing.T) {
	t.Parallel()
	if _, err := ParseHeader(make([]byte, 7)); !errors.Is(err, ErrShort) {
		t.Error(err)
	}
	var m *MalformedError
	if _, err := ParseHeader([]byte{1, 1, 0, 7, 0, 0, 0, 0}); !errors.As(err, &m) {
		t.Error(err)
	}
}
