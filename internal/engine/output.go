package engine

import (
	"context"
	"net"
)

// Output is what a session wants done after a call: bytes for either side, and whether a side is to be closed.
type Output struct {
	Client, Server Buffer
	CloseClient    bool // once the bytes for it are sent
	CloseServer    bool // its state is unsure or its protocol broken
	// ReadOnly says that the server has refused a write since it takes none: it may not be the writer any more.
	ReadOnly bool
	// Writes says, of a session whose ReadsOnly has said so, that what it has sent may write after all.
	Writes bool
	// More says that FromClient has stopped because this is much already: it takes the rest of the same bytes once this is
	// sent.
	More bool
	// Kill asks for another session's end. FromClient is not called again until Killed has been.
	Kill *Kill
	// Relogin ends the session and begins the connection phase anew, with the same client: it takes the place of
	// Engine.Accept. The bytes behind what FromClient has consumed belong to it: it finds them in AcceptOptions.Early.
	Relogin LoginFunc
}

// LoginFunc runs a connection phase, as Engine.Accept does.
type LoginFunc func(ctx context.Context, nc net.Conn, o AcceptOptions) (*Login, error)

// Reset empties o for the next call.
func (o *Output) Reset() {
	o.Client.Reset()
	o.Server.Reset()
	o.CloseClient, o.CloseServer, o.ReadOnly, o.Writes, o.More = false, false, false, false, false
	o.Kill, o.Relogin = nil, nil
}

// Buffer collects bytes to send. A run of the input is kept as it is, without copying; only when something is put before,
// between or behind are the pieces copied together.
type Buffer struct {
	run []byte // a run of the input, while buf is empty
	buf []byte
}

// Pass adds p, which is part of the input of the current call.
func (b *Buffer) Pass(p []byte) {
	switch {
	case len(p) == 0:
	case len(b.buf) > 0:
		b.buf = append(b.buf, p...)
	case len(b.run) == 0:
		b.run = p
	case cap(b.run)-len(b.run) >= len(p) && &b.run[:len(b.run)+1][len(b.run)] == &p[0]:
		b.run = b.run[:len(b.run)+len(p)]
	default:
		b.buf = append(append(b.buf, b.run...), p...)
		b.run = nil
	}
}

// Grow returns the bytes collected so far as a slice to append to; give the result to Set.
func (b *Buffer) Grow() []byte {
	if len(b.run) > 0 {
		b.buf = append(b.buf, b.run...)
		b.run = nil
	}
	return b.buf
}

// Set replaces the content with p, which was made from Grow.
func (b *Buffer) Set(p []byte) { b.buf = p }

// Bytes is the content. It lasts until the next call on b, and no longer than the input.
func (b *Buffer) Bytes() []byte {
	if len(b.buf) > 0 {
		return b.buf
	}
	return b.run
}

// Len is the number of bytes collected.
func (b *Buffer) Len() int { return len(b.buf) + len(b.run) }

// keepBuffer is the largest buffer kept from call to call, in bytes.
const keepBuffer = 256 << 10

// Reset empties the buffer and keeps its memory, unless that has grown large.
func (b *Buffer) Reset() {
	b.run = nil
	if cap(b.buf) > keepBuffer {
		b.buf = nil
	}
	b.buf = b.buf[:0]
}
