package tdsserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Packet types ([MS-TDS] 2.2.3.1.1).
const (
	packetBatch       = 1
	packetRPC         = 3
	packetReply       = 4
	packetAttention   = 6
	packetBulk        = 7
	packetFedAuth     = 8
	packetTransaction = 14
	packetLogin       = 16
	packetPreLogin    = 18
)

// Bits of a packet's status ([MS-TDS] 2.2.3.1.2).
const (
	statusEnd       = 0x01
	statusIgnore    = 0x02
	statusReset     = 0x08
	statusResetSkip = 0x10
)

const (
	headerSize    = 8
	minPacket     = 512
	defaultPacket = 4096
	maxPacket     = 32767
)

// Packet is a packet of a conversation, decrypted.
type Packet struct {
	FromClient bool
	Type       byte
	Status     byte
	Data       []byte // what follows the header
	Cut        bool   // recordLimit had been reached: Data is left out
}

// recordLimit is how many bytes of a conversation are recorded.
const recordLimit = 16 << 20

// message is what a client sends: its packets' data together.
type message struct {
	kind   byte
	status byte // of the first packet, with the last one's end and ignore
	data   []byte
}

// wire reads and writes packets. One goroutine reads, another one writes.
type wire struct {
	rw   io.ReadWriter // the connection, or TLS on it
	size int           // of packets, agreed on at the log-in
	spid uint16

	mu    sync.Mutex
	log   []Packet // guarded by mu
	bytes int      // guarded by mu; in log
}

func (w *wire) record(p Packet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes += len(p.Data); w.bytes > recordLimit {
		p.Data, p.Cut = nil, true
	}
	w.log = append(w.log, p)
}

func (w *wire) recorded() []Packet {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Packet(nil), w.log...)
}

// readPacket reads one packet; limit is the size that a client may use.
func (w *wire) readPacket(limit int) (Packet, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(w.rw, h[:]); err != nil {
		return Packet{}, err
	}
	n := int(binary.BigEndian.Uint16(h[2:]))
	if n < headerSize || n > limit {
		return Packet{}, fmt.Errorf("tdsserver: packet of type %d has %d bytes, of at most %d", h[0], n, limit)
	}
	p := Packet{FromClient: true, Type: h[0], Status: h[1], Data: make([]byte, n-headerSize)}
	if _, err := io.ReadFull(w.rw, p.Data); err != nil {
		return Packet{}, err
	}
	return p, nil
}

// readMessage reads a whole message. A message whose packets differ in their type is an error.
func (w *wire) readMessage(limit int) (message, error) {
	var m message
	for first := true; ; first = false {
		p, err := w.readPacket(limit)
		if err != nil {
			return m, err
		}
		w.record(p)
		if first {
			m.kind, m.status = p.Type, p.Status
		} else if p.Type != m.kind {
			return m, fmt.Errorf("tdsserver: packet of type %d inside a message of type %d", p.Type, m.kind)
		}
		m.data = append(m.data, p.Data...)
		if p.Status&statusEnd != 0 {
			m.status |= p.Status & (statusEnd | statusIgnore)
			return m, nil
		}
	}
}

// reply writes one message in packets; it is flushed packet by packet, so that large results stream.
type reply struct {
	w    *wire
	buf  []byte // with room for the header
	id   byte
	done []byte // a DONE token that waits to know whether another one follows
	sent int    // bytes of tokens so far
	err  error
}

func (w *wire) newReply() *reply {
	return &reply{w: w, buf: make([]byte, headerSize, w.size)}
}

// token appends a whole token.
func (r *reply) token(b []byte) {
	if r.done != nil {
		r.done[1] |= doneMore
		r.raw(r.done)
		r.done = nil
	}
	r.raw(b)
}

// last appends a DONE token that is kept back until it is known whether another token follows.
func (r *reply) last(done []byte) {
	r.token(nil)
	r.done = done
}

func (r *reply) raw(b []byte) {
	r.sent += len(b)
	for len(b) > 0 && r.err == nil {
		room := r.w.size - len(r.buf)
		if room <= 0 {
			r.packet(0)
			continue
		}
		n := min(room, len(b))
		r.buf = append(r.buf, b[:n]...)
		b = b[n:]
	}
}

func (r *reply) packet(status byte) {
	r.id++
	r.buf[0], r.buf[1] = packetReply, status
	binary.BigEndian.PutUint16(r.buf[2:], uint16(len(r.buf)))
	binary.BigEndian.PutUint16(r.buf[4:], r.w.spid)
	r.buf[6], r.buf[7] = r.id, 0
	if r.err == nil {
		_, r.err = r.w.rw.Write(r.buf)
	}
	r.w.record(Packet{Type: packetReply, Status: status, Data: append([]byte(nil), r.buf[headerSize:]...)})
	r.buf = r.buf[:headerSize]
}

// end sends what is left as the last packet.
func (r *reply) end() error {
	if r.done != nil {
		r.raw(r.done)
		r.done = nil
	}
	r.packet(statusEnd)
	return r.err
}

// handshakeConn carries TLS records inside PRELOGIN packets until bare is set ([MS-TDS] 2.2.6.5, 3.2.5.1).
type handshakeConn struct {
	net.Conn
	bare bool
	in   []byte
	out  []byte
}

func (c *handshakeConn) Read(b []byte) (int, error) {
	if c.bare {
		if len(c.in) > 0 {
			n := copy(b, c.in)
			c.in = c.in[n:]
			return n, nil
		}
		return c.Conn.Read(b)
	}
	if len(c.out) > 0 { // a flight is over when the other side is waited for
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	for len(c.in) == 0 {
		w := wire{rw: c.Conn}
		p, err := w.readPacket(65535)
		if err != nil {
			return 0, err
		}
		if p.Type != packetPreLogin {
			return 0, errors.New("tdsserver: TLS handshake outside of PRELOGIN packets")
		}
		c.in = p.Data
	}
	n := copy(b, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *handshakeConn) Write(b []byte) (int, error) {
	if c.bare {
		return c.Conn.Write(b)
	}
	c.out = append(c.out, b...)
	return len(b), nil
}

func (c *handshakeConn) flush() error {
	for len(c.out) > 0 {
		n := min(len(c.out), defaultPacket-headerSize)
		status := byte(0)
		if n == len(c.out) {
			status = statusEnd
		}
		p := []byte{packetPreLogin, status, 0, 0, 0, 0, 1, 0}
		binary.BigEndian.PutUint16(p[2:], uint16(n+headerSize))
		if _, err := c.Conn.Write(append(p, c.out[:n]...)); err != nil {
			return err
		}
		c.out = c.out[n:]
	}
	return nil
}
