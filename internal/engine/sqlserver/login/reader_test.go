package login

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"

	"forebay/internal/wire/tds"
)

// A message of many packets takes memory by what is in it, however small they are. (Not in parallel: it counts what is allocated.)
func TestMessageOfManyPackets(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	b := tds.AppendMessage(nil, tds.PacketReply, 0, 512, 0, data)
	for _, exact := range []bool{false, true} {
		r := newReader(&readConn{Reader: bytes.NewReader(b)})
		r.exact = exact
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, got, err := r.message(len(data), tds.PacketReply)
		runtime.ReadMemStats(&after)
		r.release()
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(8*len(data)) {
			t.Errorf("%d bytes allocated for %d", n, len(data))
		}
	}
}

// readConn is a connection whose peer has sent all that it ever will.
type readConn struct {
	io.Reader
	net.Conn
}

func (c *readConn) Read(b []byte) (int, error) { return c.Reader.Read(b) }
