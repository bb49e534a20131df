package mysqlwire

// Sizes in bytes ("Compression").
const (
	CompressedHeaderLen = 7
	// MinCompressed is the shortest payload that is worth compressing (MIN_COMPRESS_LENGTH).
	MinCompressed = 50
)

// CompressedHeader precedes every packet of the compressed protocol ("Compressed Packet Header"). The payload, once
// unpacked, is any run of bytes of the plain stream: a part of a packet, or several.
type CompressedHeader struct {
	Length       int   // length of compressed payload: bytes behind the header, 0 to MaxPayload; at MaxPayload nothing continues
	Sequence     uint8 // compressed sequence id: counts up from 0 with each command as Header.Sequence does, on its own
	Uncompressed int   // length of payload before compression, in bytes, 0 to MaxPayload; 0: it is sent as it is
}

// ParseCompressedHeader decodes the header at the start of b. Fewer than CompressedHeaderLen bytes are ErrShort; every other
// header is valid. What Uncompressed announces is yet to be seen.
func ParseCompressedHeader(b []byte) (CompressedHeader, error) {
	if len(b) < CompressedHeaderLen {
		return CompressedHeader{}, ErrShort
	}
	return CompressedHeader{
		Length:       int(b[0]) | int(b[1])<<8 | int(b[2])<<16,
		Sequence:     b[3],
		Uncompressed: int(b[4]) | int(b[5])<<8 | int(b[6])<<16,
	}, nil
}

// Append appends the encoded header.
func (h CompressedHeader) Append(dst []byte) []byte {
	return append(dst, byte(h.Length), byte(h.Length>>8), byte(h.Length>>16), h.Sequence,
		byte(h.Uncompressed), byte(h.Uncompressed>>8), byte(h.Uncompressed>>16))
}
