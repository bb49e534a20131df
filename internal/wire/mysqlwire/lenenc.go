package mysqlwire

import "encoding/binary"

// Null is the first byte of a length-encoded NULL in a text row (0xFB). It begins no integer.
const Null = 0xfb

// LenEncInt decodes the length-encoded integer (int<lenenc>) at the start of b. ok is false when b is too short or holds
// none there (0xFB, 0xFF). Longer forms than needed are taken, as everywhere in the protocol.
func LenEncInt(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	switch first := b[0]; first {
	case 0xfc:
		if len(b) >= 3 {
			return uint64(binary.LittleEndian.Uint16(b[1:])), b[3:], true
		}
	case 0xfd:
		if len(b) >= 4 {
			return uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16, b[4:], true
		}
	case 0xfe:
		if len(b) >= 9 {
			return binary.LittleEndian.Uint64(b[1:]), b[9:], true
		}
	case Null, 0xff:
	default:
		return uint64(first), b[1:], true
	}
	return 0, nil, false
}

// AppendLenEncInt appends v as a length-encoded integer in its shortest form.
func AppendLenEncInt(dst []byte, v uint64) []byte {
	switch {
	case v < Null:
		return append(dst, byte(v))
	case v < 1<<16:
		return append(dst, 0xfc, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(dst, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(dst, 0xfe), v)
}

// LenEncString decodes the length-encoded string (string<lenenc>) at the start of b. Both results point into b. ok is
// false when b does not hold all of it.
func LenEncString(b []byte) (s, rest []byte, ok bool) {
	n, rest, ok := LenEncInt(b)
	if !ok || n > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:n:n], rest[n:], true
}

// AppendLenEncString appends s as a length-encoded string.
func AppendLenEncString[S string | []byte](dst []byte, s S) []byte {
	return append(AppendLenEncInt(dst, uint64(len(s))), s...)
}

// NulString decodes the zero-terminated string (string<NUL>) at the start of b, without its terminator. Both results
// point into b. ok is false when there is no terminator.
func NulString(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// lastString decodes a zero-terminated string that may be the payload's last field: there servers take a missing
// terminator, and a string that is missing altogether, which is empty.
func lastString(b []byte) (s, rest []byte) {
	if s, rest, ok := NulString(b); ok {
		return s, rest
	}
	return b, nil
}

func appendNul(dst []byte, s string) []byte { return append(append(dst, s...), 0) }
