// Package mysqlwire encodes and decodes the packets of the MySQL client/server protocol as MySQL and MariaDB speak it
// ("Client/Server Protocol" in the MySQL source code documentation and in the MariaDB documentation). It works on bytes
// alone: it opens no connection, starts no goroutine, writes no log.
//
// A packet is a header (Header) and a payload; the type named after a payload decodes it with Parse... and appends it
// with Append, neither of which deals with the header: BeginPacket and EndPacket put one around what was appended. Byte
// slices of a decoded value point into the payload; strings are copies.
//
// Lengths are checked before anything is taken or allocated. A decoder takes what the servers themselves let pass from
// old clients, so not every payload encodes back to the same bytes; the value it stands for does.
package mysqlwire

import (
	"errors"
	"fmt"
)

// ErrShort means that more bytes are needed before the packet's header can be decoded.
var ErrShort = errors.New("mysqlwire: short buffer")

// MalformedError reports a payload that does not have the form of its packet. The message boundary is not lost, but what
// the peer means is: answer 1043 (Bad handshake) or 1835 (Malformed communication packet), or close the connection.
type MalformedError struct {
	Packet string // the protocol's name for it
	Field  string // where decoding ended
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("mysqlwire: malformed %s: %s", e.Packet, e.Field)
}

// LengthError reports a payload that is longer than the caller allows.
type LengthError struct {
	Length int // bytes
	Max    int // bytes
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("mysqlwire: packet of %d bytes where at most %d may come", e.Length, e.Max)
}

// SequenceError reports a packet out of its turn (the server's ER_NET_PACKETS_OUT_OF_ORDER): a packet was lost or
// written by somebody else. Close the connection.
type SequenceError struct {
	Got, Want uint8
}

func (e *SequenceError) Error() string {
	return fmt.Sprintf("mysqlwire: packet number %d where %d is due", e.Got, e.Want)
}
