package login

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"forebay/internal/wire/tds"
)

// framed is what lies under a *tls.Conn of TDS 7: the handshake's bytes go inside PRELOGIN packets, and what comes after it
// as it is ([MS-TDS] 2.2.6.5). One goroutine at a time uses it.
type framed struct {
	net.Conn // with deadlines and addresses
	state    framing
	left     int    // bytes of the packet, or of the TLS record, that have not been read yet
	prefix   []byte // what was read before TLS was known to be what comes
	head     [5]byte
	headAt   int  // bytes of head that Read has to give out still, from the end
	read     bool // a packet has come
}

type framing uint8

const (
	framingPass    framing = iota // as it is
	framingPackets                // inside packets: during the handshake
	framingRecords                // as it is, but no byte past a TLS record is taken from the connection
)

// errEarlyBytes means that bytes behind a message that ends a phase were there before it had ended: they are in plain text, and
// must not pass for what was encrypted, or the other way round.
var errEarlyBytes = errors.New("data that was not asked for where the encryption changes")

// Read implements net.Conn.
func (f *framed) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(f.prefix) > 0 {
		n := copy(b, f.prefix)
		f.prefix = f.prefix[n:]
		return n, nil
	}
	switch f.state {
	case framingPackets:
		return f.readPacket(b)
	case framingRecords:
		return f.readRecord(b)
	}
	return f.Conn.Read(b)
}

// readPacket gives out what packets have in them. Nothing behind the current packet is taken from the connection.
func (f *framed) readPacket(b []byte) (int, error) {
	for f.left == 0 {
		var head [tds.HeaderSize]byte
		if _, err := io.ReadFull(f.Conn, head[:]); err != nil {
			return 0, err
		}
		h, err := tds.ParseHeader(head[:])
		if err != nil {
			return 0, err
		}
		// A server of old answers in packets of type 4.
		if h.Type != tds.PacketPreLogin && h.Type != tds.PacketReply {
			return 0, &tds.MalformedError{Structure: "packet header", Field: "type"}
		}
		f.left, f.read = h.Length-tds.HeaderSize, true
	}
	n, err := f.Conn.Read(b[:min(len(b), f.left)])
	f.left -= n
	return n, err
}

// readRecord gives out TLS records, one at a time.
func (f *framed) readRecord(b []byte) (int, error) {
	if f.headAt > 0 {
		n := copy(b, f.head[len(f.head)-f.headAt:])
		f.headAt -= n
		return n, nil
	}
	if f.left == 0 {
		if _, err := io.ReadFull(f.Conn, f.head[:]); err != nil {
			return 0, err
		}
		f.left = int(binary.BigEndian.Uint16(f.head[3:]))
		n := copy(b, f.head[:])
		f.headAt = len(f.head) - n
		return n, nil
	}
	n, err := f.Conn.Read(b[:min(len(b), f.left)])
	f.left -= n
	return n, err
}

// Write implements net.Conn.
func (f *framed) Write(b []byte) (int, error) {
	if f.state != framingPackets {
		return f.Conn.Write(b)
	}
	if _, err := f.Conn.Write(tds.AppendMessage(nil, tds.PacketPreLogin, 0, tds.DefaultPacketSize, 0, b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// ended says that the handshake is over. What follows is read as then says.
func (f *framed) ended(then framing) error {
	if f.left > 0 || f.headAt > 0 {
		return errEarlyBytes
	}
	f.state = then
	return nil
}

// idle reports whether f is between two TLS records.
func (f *framed) idle() bool { return f.left == 0 && f.headAt == 0 && len(f.prefix) == 0 }

// ServerTLS makes, of a configuration for handshakes with clients, those for TLS inside PRELOGIN packets and for TLS that comes
// first (TDS 8).
func ServerTLS(cfg *tls.Config) (inside, first *tls.Config) {
	inside, first = cfg.Clone(), cfg.Clone()
	insideTLS(inside)
	inside.SessionTicketsDisabled = true
	first.NextProtos = []string{alpn}
	first.DynamicRecordSizingDisabled = true
	return inside, first
}

// alpn names TDS 8 in a TLS handshake.
const alpn = "tds/8.0"

// insideTLS changes a configuration to one for TLS inside PRELOGIN packets: up to TLS 1.2. In TLS 1.3 what belongs to the
// handshake may come after its end, where no packets are around it.
func insideTLS(cfg *tls.Config) {
	cfg.MaxVersion = tls.VersionTLS12
	cfg.DynamicRecordSizingDisabled = true // a packet is one record, if it can be
	cfg.NextProtos = nil
}
