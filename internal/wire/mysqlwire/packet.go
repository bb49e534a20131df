package mysqlwire

// Sizes in bytes ("MySQL Packets").
const (
	HeaderLen = 4
	// MaxPayload is the longest payload of one packet. A packet of exactly this length is continued by the next one,
	// which may be empty.
	MaxPayload = 1<<24 - 1
)

// Header precedes every packet.
type Header struct {
	Length   int   // bytes of payload, 0 to MaxPayload
	Sequence uint8 // sequence_id: counts up modulo 256 from 0 with each command, in both directions together
}

// ParseHeader decodes the header at the start of b. Fewer than HeaderLen bytes are ErrShort; every other header is valid.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, ErrShort
	}
	return Header{Length: int(b[0]) | int(b[1])<<8 | int(b[2])<<16, Sequence: b[3]}, nil
}

// Continues reports whether the next packet goes on with this one's payload.
func (h Header) Continues() bool { return h.Length == MaxPayload }

// Append appends the encoded header.
func (h Header) Append(dst []byte) []byte {
	return append(dst, byte(h.Length), byte(h.Length>>8), byte(h.Length>>16), h.Sequence)
}

// BeginPacket appends room for a header. Append the payload, then call EndPacket with the position returned.
func BeginPacket(dst []byte) (extended []byte, at int) {
	return append(dst, 0, 0, 0, 0), len(dst)
}

// EndPacket makes one packet, or as many as its length needs, of what follows the header begun at at, the first with
// number seq. It returns the number of the packet that comes after.
func EndPacket(dst []byte, at int, seq uint8) (packets []byte, next uint8) {
	n := len(dst) - at - HeaderLen
	if n < MaxPayload {
		Header{n, seq}.Append(dst[at:at])
		return dst, seq + 1
	}
	payload := append([]byte(nil), dst[at+HeaderLen:]...)
	return AppendPacket(dst[:at], seq, payload)
}

// AppendPacket appends a payload as one packet, or as many as its length needs, the first with number seq. It returns
// the number of the packet that comes after.
func AppendPacket(dst []byte, seq uint8, payload []byte) (packets []byte, next uint8) {
	for {
		n := min(len(payload), MaxPayload)
		dst = Header{n, seq}.Append(dst)
		dst = append(dst, payload[:n]...)
		seq++
		if n < MaxPayload {
			return dst, seq
		}
		payload = payload[n:]
	}
}
