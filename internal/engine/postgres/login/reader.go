package login

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
)

// Sizes in bytes.
const (
	readBufferLen = 4096
	// maxAuthMessage bounds the body of one authentication message (PG_MAX_SASL_MESSAGE_LENGTH is 1024 and
	// PG_MAX_AUTH_TOKEN_LENGTH 65535 in the server): an IAM token of 16 KiB, with all that a session token may hold, and a
	// zero behind it.
	maxAuthMessage = 16<<10 + 1
)

// LengthError reports a message length that the connection phase does not accept. The message boundary is lost: close
// the connection.
type LengthError struct {
	What   string // the message
	Length int64  // as received
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("postgres login: impossible length %d of %s", e.Length, e.What)
}

var bufferPool = sync.Pool{New: func() any { return new([readBufferLen]byte) }}

// reader collects whole messages from a connection. It reads as much as the caller allows, so that a message costs one
// system call, and keeps what came too early.
type reader struct {
	conn   net.Conn
	pooled *[readBufferLen]byte
	buf    []byte // pooled, or larger for one long message
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

// need blocks until n bytes are buffered. It takes at most limit from the connection beyond what is buffered already
// (limit counts from the first unused byte), so bytes past limit stay in the socket.
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

// anything as a limit lets need fill its buffer.
const anything = 1 << 30

// message reads one typed message. The body is valid until the next call. What has come behind the message is read along
// if ahead is set, else it stays in the socket.
func (r *reader) message(what string, maxBody int, ahead bool) (byte, []byte, error) {
	limit := 0 // no more than is needed
	if ahead {
		limit = anything
	}
	if err := r.need(5, limit); err != nil {
		return 0, nil, err
	}
	head := r.buffered()
	typ, length := head[0], int64(binary.BigEndian.Uint32(head[1:]))
	if length < 4 || length-4 > int64(maxBody) {
		return 0, nil, &LengthError{What: what, Length: length}
	}
	total := 1 + int(length)
	if err := r.need(total, limit); err != nil {
		return 0, nil, unexpected(err)
	}
	body := r.buf[r.r+5 : r.r+total]
	r.r += total
	return typ, body, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
