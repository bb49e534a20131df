package login

import (
	"io"
	"net"
	"sync"

	"forebay/internal/wire/mysqlwire"
)

// Sizes in bytes.
const (
	readBufferLen = 4096
	// maxLoginPacket bounds one packet of the connection phase. A client may send 64 KiB of connection attributes; an IAM
	// token of a few KB must pass.
	maxLoginPacket = 72 << 10
)

var bufferPool = sync.Pool{New: func() any { return new([readBufferLen]byte) }}

// reader collects whole packets from a connection. It reads as much as there is, so that a packet costs one system call,
// and keeps what came too early.
type reader struct {
	conn   net.Conn
	pooled *[readBufferLen]byte
	buf    []byte // pooled, or larger for one long packet
	r, w   int    // buf[r:w] has been received and not used
}

func newReader(c net.Conn) *reader {
	p := bufferPool.Get().(*[readBufferLen]byte)
	return &reader{conn: c, pooled: p, buf: p[:]}
}

// release gives the buffer back, wiped: a password may have passed through it.
func (r *reader) release() {
	if r.pooled == nil {
		return
	}
	if len(r.buf) > len(r.pooled) {
		clear(r.buf)
	}
	clear(r.pooled[:])
	bufferPool.Put(r.pooled)
	r.pooled, r.buf, r.r, r.w = nil, nil, 0, 0
}

func (r *reader) buffered() []byte { return r.buf[r.r:r.w] }

// anything as a limit lets need fill its buffer.
const anything = 1 << 30

// need blocks until n bytes are buffered. It takes at most limit bytes from the connection, counted from the first
// unused one: those past limit stay in the socket.
func (r *reader) need(n, limit int) error {
	if r.w-r.r >= n {
		return nil
	}
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	if n > len(r.buf) {
		bigger := make([]byte, n)
		copy(bigger, r.buf[:r.w])
		clear(r.buf[:r.w])
		r.buf = bigger
	}
	limit = min(max(limit, n), len(r.buf))
	for r.w < n {
		m, err := r.conn.Read(r.buf[r.w:limit])
		r.w += m
		if r.w >= n {
			return nil
		}
		if err != nil {
			if err == io.EOF && r.w > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// packet reads the packet with number *seq, which it counts up. The payload is valid until the next call. A payload
// longer than maxLen bytes, or one that goes on in a second packet, is a *mysqlwire.LengthError, a packet with another
// number a *mysqlwire.SequenceError.
func (r *reader) packet(seq *uint8, maxLen int) ([]byte, error) {
	return r.packetWithin(seq, maxLen, anything)
}

// packetWithin is packet where bytes past limit stay in the socket unless they belong to the packet.
func (r *reader) packetWithin(seq *uint8, maxLen, limit int) ([]byte, error) {
	if err := r.need(mysqlwire.HeaderLen, limit); err != nil {
		return nil, err
	}
	h, err := mysqlwire.ParseHeader(r.buffered())
	switch {
	case err != nil:
		return nil, err
	case h.Length > maxLen || h.Continues():
		return nil, &mysqlwire.LengthError{Length: h.Length, Max: min(maxLen, mysqlwire.MaxPayload-1)}
	case h.Sequence != *seq:
		return nil, &mysqlwire.SequenceError{Got: h.Sequence, Want: *seq}
	}
	total := mysqlwire.HeaderLen + h.Length
	if err := r.need(total, limit); err != nil {
		return nil, unexpected(err)
	}
	payload := r.buf[r.r+mysqlwire.HeaderLen : r.r+total : r.r+total]
	r.r += total
	*seq++
	return payload, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
