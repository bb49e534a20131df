package login

import (
	"fmt"
	"io"
	"net"
	"sync"

	"forebay/internal/wire/tds"
)

// Sizes in bytes.
const (
	// readBufferLen is more than a TLS record holds, so that one read leaves none of it behind.
	readBufferLen = 17 << 10
	// maxPreLogin bounds a PRELOGIN message: some 100 bytes, and the name of an instance.
	maxPreLogin = 4096
	// maxLogin bounds LOGIN7 and the message of a token: all fields of LOGIN7 have some 3 KiB, and a token may have 16 Ki
	// characters.
	maxLogin = 64 << 10
	// maxAnswer bounds the answer to LOGIN7.
	maxAnswer = 256 << 10
)

var bufferPool = sync.Pool{New: func() any { return new([readBufferLen]byte) }}

// reader collects whole messages from a connection.
type reader struct {
	conn   net.Conn
	exact  bool // take nothing from the connection that has not been asked for
	pooled *[readBufferLen]byte
	r, w   int // pooled[r:w] has been received and not used
}

func newReader(c net.Conn) *reader {
	return &reader{conn: c, pooled: bufferPool.Get().(*[readBufferLen]byte)}
}

// release gives the buffer back, wiped: a password may have passed through it.
func (r *reader) release() {
	if r.pooled == nil {
		return
	}
	clear(r.pooled[:])
	bufferPool.Put(r.pooled)
	r.pooled, r.r, r.w = nil, 0, 0
}

// buffered is what has been received and not used.
func (r *reader) buffered() []byte { return r.pooled[r.r:r.w] }

// fill reads len(b) bytes into b. An end of the stream before the first one is io.EOF.
func (r *reader) fill(b []byte) error {
	if r.exact {
		return r.fillExact(b)
	}
	got := 0
	for {
		n := copy(b[got:], r.buffered())
		r.r += n
		if got += n; got == len(b) {
			return nil
		}
		m, err := r.conn.Read(r.pooled[:])
		r.r, r.w = 0, m
		if m == 0 && err != nil {
			if err == io.EOF && got > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

// fillExact is fill that takes from the connection what it needs alone.
func (r *reader) fillExact(b []byte) error {
	n, err := io.ReadFull(r.conn, b)
	if n == len(b) {
		return nil
	}
	return err
}

// message reads one message, whose packets' headers are gone, and the header of its first packet. One of more than most bytes
// is a *tds.MalformedError. The first packet may be of any of the types; the others are of the same.
func (r *reader) message(most int, types ...tds.PacketType) (tds.Header, []byte, error) {
	var head [tds.HeaderSize]byte
	if err := r.fill(head[:]); err != nil {
		return tds.Header{}, nil, err
	}
	return r.messageFrom(head, most, types...)
}

// messageFrom is message where the first header has been read.
func (r *reader) messageFrom(head [tds.HeaderSize]byte, most int, types ...tds.PacketType) (first tds.Header, data []byte, err error) {
	for packet := 0; ; packet++ {
		h, err := tds.ParseHeader(head[:])
		if err != nil {
			return h, nil, err
		}
		if packet == 0 {
			first = h
			known := false
			for _, t := range types {
				known = known || t == h.Type
			}
			if !known {
				return h, nil, fmt.Errorf("packet of type %d: %w", h.Type, &tds.MalformedError{Structure: "packet header", Field: "type"})
			}
		} else if h.Type != first.Type {
			return h, nil, &tds.MalformedError{Structure: "packet header", Field: "type"}
		}
		n := h.Length - tds.HeaderSize
		if len(data)+n > most || packet > most/16 {
			clear(data)
			return h, nil, &tds.MalformedError{Structure: "message", Field: "length"}
		}
		at := len(data)
		if at+n > cap(data) {
			grown := make([]byte, at, max(at+n, 2*cap(data)))
			copy(grown, data)
			clear(data) // it may hold a password
			data = grown
		}
		data = data[:at+n]
		if err := r.fill(data[at:]); err != nil {
			return h, nil, unexpected(err)
		}
		if h.Status&tds.StatusEOM != 0 {
			return first, data, nil
		}
		if err := r.fill(head[:]); err != nil {
			return h, nil, unexpected(err)
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
