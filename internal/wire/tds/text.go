package tds

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// DecodeText decodes text in UTF-16LE, as almost all text of the protocol is. An odd byte at the end is left out, a lone
// surrogate becomes U+FFFD.
func DecodeText(b []byte) string {
	out := make([]byte, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		r := rune(binary.LittleEndian.Uint16(b))
		if utf16.IsSurrogate(r) {
			low := rune(utf8.RuneError)
			if len(b) >= 4 {
				low = rune(binary.LittleEndian.Uint16(b[2:]))
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				b = b[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// AppendText appends a text in UTF-16LE.
func AppendText(b []byte, s string) []byte {
	for _, r := range s {
		if r1, r2 := utf16.EncodeRune(r); r1 != utf8.RuneError {
			b = binary.LittleEndian.AppendUint16(b, uint16(r1))
			b = binary.LittleEndian.AppendUint16(b, uint16(r2))
			continue
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(r))
	}
	return b
}

// textUnits is how many UTF-16 code units a text has.
func textUnits(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// clipText is as much of the beginning of a text as has no more than that many UTF-16 code units.
func clipText(s string, units int) string {
	for i, r := range s {
		if units -= utf16.RuneLen(r); units < 0 {
			return s[:i]
		}
	}
	return s
}

// appendText8 appends a B_VARCHAR, cut down to the 255 code units that it can have.
func appendText8(b []byte, s string) []byte {
	s = clipText(s, 255)
	return AppendText(append(b, byte(textUnits(s))), s)
}

// appendText16 appends a US_VARCHAR. The caller keeps it short enough.
func appendText16(b []byte, s string) []byte {
	return AppendText(binary.LittleEndian.AppendUint16(b, uint16(textUnits(s))), s)
}

// cursor takes a structure apart. After the first thing that is not there, all further ones are zero values, and err says
// which it was.
type cursor struct {
	b         []byte
	structure string
	err       error
}

func (c *cursor) bytes(n int, field string) []byte {
	if c.err != nil {
		return nil
	}
	if n > len(c.b) {
		c.err = &MalformedError{c.structure, field}
		return nil
	}
	taken := c.b[:n:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) uint8(field string) uint8 {
	if b := c.bytes(1, field); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16(field string) uint16 {
	if b := c.bytes(2, field); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32(field string) uint32 {
	if b := c.bytes(4, field); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// bytes8 takes a B_VARBYTE.
func (c *cursor) bytes8(field string) []byte { return c.bytes(int(c.uint8(field)), field) }

// text8 takes a B_VARCHAR, as its bytes.
func (c *cursor) text8(field string) []byte { return c.bytes(2*int(c.uint8(field)), field) }

// text16 takes a US_VARCHAR, as its bytes.
func (c *cursor) text16(field string) []byte { return c.bytes(2*int(c.uint16(field)), field) }

// tokenBody is the content of a token that has its length, in 16 bits, behind its first byte. It returns how many bytes the
// token has in all: ErrShort where b ends before it does.
func tokenBody(b []byte, token byte, structure string) (body []byte, n int, err error) {
	if len(b) < 3 {
		return nil, 0, ErrShort
	}
	if b[0] != token {
		return nil, 0, &MalformedError{structure, "TokenType"}
	}
	n = 3 + int(binary.LittleEndian.Uint16(b[1:]))
	if len(b) < n {
		return nil, 0, ErrShort
	}
	return b[3:n:n], n, nil
}

// endToken puts the length of a token's content behind its first byte, which is at b[at].
func endToken(b []byte, at int) []byte {
	binary.LittleEndian.PutUint16(b[at+1:], uint16(len(b)-at-3))
	return b
}
