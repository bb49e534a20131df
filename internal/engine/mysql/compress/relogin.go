package compress

import (
	"context"
	"io"
	"net"
	"slices"

	"forebay/internal/engine"
)

// reloginFunc is the type of engine.Output.Relogin.
type reloginFunc = func(ctx context.Context, nc net.Conn, o engine.AcceptOptions) (*engine.Login, error)

// relogin ends s and has f, which speaks the plain protocol, log the client in again inside the compressed one. f has to use
// the connection that it is given, and no other.
//
// AcceptOptions.Early holds what was not unpacked before; f finds plain bytes there: what was, but not consumed. What f
// returns as Login.Buffered is plain as well, and becomes the new session's own.
func (s *session) relogin(f reloginFunc) reloginFunc {
	c := &conn{codec: s.codec, seq: s.seq}
	early := slices.Clone(s.in.bytes())
	s.forget()
	return func(ctx context.Context, nc net.Conn, o engine.AcceptOptions) (*engine.Login, error) {
		c.Conn, c.packed = nc, slices.Clone(o.Early)
		o.Early = early
		l, err := f(ctx, c, o)
		if err != nil {
			return nil, err
		}
		return c.end(l), nil
	}
}

// conn speaks the compressed protocol while the client logs in again.
type conn struct {
	net.Conn
	codec  codec
	seq    uint8  // number of the next packet to the client
	packed []byte // received, not unpacked
	plain  []byte // unpacked, not read
	out    []byte
}

// minRead is the least room for a read, in bytes.
const minRead = 512

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	for len(b) > 0 && len(c.plain) == 0 {
		h, payload, n := next(c.packed)
		var err error
		if n > 0 {
			if c.plain, err = c.codec.unpack(nil, h, payload); err != nil {
				return 0, err
			}
			c.seq, c.packed = h.Sequence+1, c.packed[n:]
			continue
		}
		// Room grows with what has come, not with what a header announces.
		c.packed = slices.Grow(c.packed, minRead)
		n, err = c.Conn.Read(c.packed[len(c.packed):cap(c.packed)])
		c.packed = c.packed[:len(c.packed)+n]
		if n == 0 && err != nil {
			if err == io.EOF && len(c.packed) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	n := copy(b, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

// Write implements net.Conn. It sends what it is given at once.
func (c *conn) Write(b []byte) (int, error) {
	c.out, c.seq = c.codec.appendPackets(c.out[:0], c.seq, b)
	if _, err := c.Conn.Write(c.out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// end gives the compression back to a session.
func (c *conn) end(l *engine.Login) *engine.Login {
	if l.Conn == net.Conn(c) {
		l.Conn = c.Conn
	}
	plain := slices.Concat(l.Buffered, c.plain)
	l.Buffered = c.packed
	if len(plain) > 0 {
		l.Buffered = slices.Concat([]byte{0}, c.packed) // the token for them
	}
	newSession := l.NewSession
	l.NewSession = func(local engine.Local, id engine.SessionID) engine.Session {
		s := newSession(local, id)
		if d, ok := s.(*session); ok {
			s = d.Session
		}
		d := &session{Session: s, codec: c.codec, seq: c.seq}
		if len(plain) > 0 {
			d.in.set(append(d.in.grow(), plain...))
			d.held = 1
		}
		return d
	}
	return l
}
