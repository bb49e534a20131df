package compress

import (
	"forebay/internal/wire/mysqlwire"
)

// Kind is a compression algorithm of the protocol.
type Kind uint8

const (
	Zlib Kind = iota // CLIENT_COMPRESS
	Zstd             // CLIENT_ZSTD_COMPRESSION_ALGORITHM
)

// KindOf returns what was agreed on with a client of these capabilities; ok is false if it speaks the plain protocol.
// Where both algorithms are set it is zlib.
func KindOf(c mysqlwire.Capability) (k Kind, ok bool) {
	switch {
	case c.Has(mysqlwire.ClientCompress):
		return Zlib, true
	case c.Has(mysqlwire.ClientZstdCompression):
		return Zstd, true
	}
	return 0, false
}

// maxPiece is the longest run of plain bytes that is put into one packet. It is far from the 16 MiB that would fit: some
// clients (mysql2, MariaDB's for Node.js) take a packet of that length for the first part of a longer one.
const maxPiece = 4 << 20

// codec packs and unpacks for one client. It is a plain value: the memory that the algorithms need is borrowed for the time
// of a call.
type codec struct {
	kind  Kind
	level uint8 // of packing
}

func newCodec(kind Kind, level int) codec {
	if kind == Zstd {
		return codec{kind, zstdLevel(level)}
	}
	return codec{kind, zlibLevel(level)}
}

// appendPackets appends plain in packets, of which the first has number seq. It returns the number of the next one.
func (c codec) appendPackets(dst []byte, seq uint8, plain []byte) (packets []byte, next uint8) {
	for len(plain) > 0 {
		n := min(len(plain), maxPiece)
		dst = c.appendPacket(dst, seq, plain[:n])
		plain = plain[n:]
		seq++
	}
	return dst, seq
}

func (c codec) appendPacket(dst []byte, seq uint8, plain []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, mysqlwire.CompressedHeaderLen)...)
	if len(plain) >= mysqlwire.MinCompressed {
		if c.kind == Zstd {
			dst = zstdPack(dst, plain, c.level)
		} else {
			dst = zlibPack(dst, plain, c.level)
		}
		if n := len(dst) - at - mysqlwire.CompressedHeaderLen; n < len(plain) {
			mysqlwire.CompressedHeader{Length: n, Sequence: seq, Uncompressed: len(plain)}.Append(dst[at:at])
			return dst
		}
	}
	dst = mysqlwire.CompressedHeader{Length: len(plain), Sequence: seq}.Append(dst[:at])
	return append(dst, plain...)
}

// unpack appends the payload of a packet, as it was before compression, to dst. When that is not what the header announces,
// nothing is appended, and the connection is of no more use.
func (c codec) unpack(dst []byte, h mysqlwire.CompressedHeader, payload []byte) ([]byte, error) {
	if h.Uncompressed == 0 {
		return append(dst, payload...), nil
	}
	var out []byte
	var ok bool
	if c.kind == Zstd {
		out, ok = zstdUnpack(dst, payload, h.Uncompressed)
	} else {
		out, ok = zlibUnpack(dst, payload, h.Uncompressed)
	}
	if !ok {
		return dst, &mysqlwire.MalformedError{Packet: "compressed packet", Field: "compressed payload"}
	}
	return out, nil
}

// next returns the packet at the start of b, and its length with header: 0 while it has not come whole. The payload points
// into b.
func next(b []byte) (h mysqlwire.CompressedHeader, payload []byte, n int) {
	h, err := mysqlwire.ParseCompressedHeader(b)
	n = mysqlwire.CompressedHeaderLen + h.Length
	if err != nil || len(b) < n {
		return h, nil, 0
	}
	return h, b[mysqlwire.CompressedHeaderLen:n], n
}
