// Package tds encodes and decodes the packets and tokens of the Tabular Data Stream protocol as SQL Server speaks it, from TDS
// 7.1 to 8.0 ([MS-TDS]). It works on bytes alone: it opens no connection, starts no goroutine, writes no log.
//
// A message is one or more packets, each a header (Header) and data; what a message's data means is its type's business. The
// type named after a structure decodes it with Parse... and appends it with Append, neither of which deals with packets. Byte
// slices of a decoded value point into what was decoded; strings are copies.
//
// Lengths are checked before anything is taken or allocated.
package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrShort means that more bytes are needed before something can be decoded.
var ErrShort = errors.New("tds: short buffer")

// MalformedError reports bytes that do not have the form of what they are to be.
type MalformedError struct {
	Structure string // the specification's name for it
	Field     string // where decoding ended
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("tds: malformed %s: %s", e.Structure, e.Field)
}

// Version is the version of the protocol, as LOGIN7 and LOGINACK have it ([MS-TDS] 2.2.6.4, 2.2.7.14): in the client's order of
// bytes.
type Version uint32

// The versions of the protocol.
const (
	V71  Version = 0x71000000 // SQL Server 2000
	V71R Version = 0x71000001 // with Service Pack 1
	V72  Version = 0x72090002 // SQL Server 2005
	V73A Version = 0x730A0003 // SQL Server 2008, without NBCROW and sparse column sets
	V73B Version = 0x730B0003 // SQL Server 2008
	V74  Version = 0x74000004 // SQL Server 2012 to 2022
	V80  Version = 0x08000000 // strict encryption
)

// PacketType is the first byte of a packet ([MS-TDS] 2.2.3.1.1).
type PacketType byte

// The packet types.
const (
	PacketSQLBatch    PacketType = 1
	PacketPreTDS7     PacketType = 2 // a login of before TDS 7
	PacketRPC         PacketType = 3
	PacketReply       PacketType = 4 // everything a server sends, but for the answer to PRELOGIN of old
	PacketAttention   PacketType = 6
	PacketBulkLoad    PacketType = 7
	PacketFedAuth     PacketType = 8 // a federated authentication token
	PacketTransaction PacketType = 14
	PacketLogin7      PacketType = 16
	PacketSSPI        PacketType = 17
	PacketPreLogin    PacketType = 18
)

// PacketStatus are the bits of the second byte of a packet ([MS-TDS] 2.2.3.1.2).
type PacketStatus byte

// The bits of the status.
const (
	StatusEOM                 PacketStatus = 0x01 // the last packet of the message
	StatusIgnore              PacketStatus = 0x02 // the message is to be ignored; with StatusEOM
	StatusResetConnection     PacketStatus = 0x08 // reset the session before the message is looked at; first packet of a request
	StatusResetConnectionSkip PacketStatus = 0x10 // the same, but for the transaction
)

// Sizes of packets, in bytes, with their headers.
const (
	HeaderSize        = 8
	MinPacketSize     = 512
	DefaultPacketSize = 4096 // until the log-in is over
	MaxPacketSize     = 32767
)

// Header begins every packet ([MS-TDS] 2.2.3.1).
type Header struct {
	Type   PacketType
	Status PacketStatus
	Length int    // of the packet, in bytes, with the header: HeaderSize to 65535
	SPID   uint16 // of the session on the server; a client sends 0
	ID     uint8  // counts the packets of a message from 1, modulo 256; receivers ignore it
	Window uint8  // 0
}

// ParseHeader decodes the header at the beginning of b: ErrShort where that is not whole, a *MalformedError where the length
// cannot be.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, ErrShort
	}
	h := Header{
		Type: PacketType(b[0]), Status: PacketStatus(b[1]), Length: int(binary.BigEndian.Uint16(b[2:])),
		SPID: binary.BigEndian.Uint16(b[4:]), ID: b[6], Window: b[7],
	}
	if h.Length < HeaderSize {
		return h, &MalformedError{"packet header", "length"}
	}
	return h, nil
}

// Append appends the header.
func (h Header) Append(b []byte) []byte {
	b = append(b, byte(h.Type), byte(h.Status))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Length))
	b = binary.BigEndian.AppendUint16(b, h.SPID)
	return append(b, h.ID, h.Window)
}

// AppendMessage appends a message whose data is given, in packets of at most size bytes with their headers.
func AppendMessage(b []byte, t PacketType, status PacketStatus, size int, spid uint16, data []byte) []byte {
	for id := uint8(1); ; id++ {
		n := min(len(data), size-HeaderSize)
		h := Header{Type: t, Status: status, Length: HeaderSize + n, SPID: spid, ID: id}
		if n == len(data) {
			h.Status |= StatusEOM
		}
		b = append(h.Append(b), data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return b
		}
		status &^= StatusResetConnection | StatusResetConnectionSkip
	}
}
