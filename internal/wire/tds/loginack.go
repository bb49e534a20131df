package tds

import "encoding/binary"

const tokenByteLoginAck = 0xAD

// LoginAck is the token LOGINACK ([MS-TDS] 2.2.7.14).
type LoginAck struct {
	Interface   byte // 1: Transact-SQL
	Version     Version
	ProgName    string
	ProgVersion uint32 // major, minor, and two bytes of build number
}

// V70 is the version of SQL Server 7.0, which is known by name alone.
const V70 Version = 0x70000000

// version70 and version71 are how a server spells the first versions.
const (
	version70 = 0x07000000
	version71 = 0x07010000
)

// ParseLoginAck decodes the token at the beginning of b, and returns its length: ErrShort where b ends before it does.
func ParseLoginAck(b []byte) (a LoginAck, n int, err error) {
	body, n, err := tokenBody(b, tokenByteLoginAck, "LOGINACK")
	if err != nil {
		return a, 0, err
	}
	c := cursor{b: body, structure: "LOGINACK"}
	a.Interface = c.uint8("Interface")
	if v := c.bytes(4, "TDSVersion"); v != nil {
		switch a.Version = Version(binary.BigEndian.Uint32(v)); a.Version {
		case version70:
			a.Version = V70
		case version71:
			a.Version = V71
		}
	}
	a.ProgName = DecodeText(c.text8("ProgName"))
	if v := c.bytes(4, "ProgVersion"); v != nil {
		a.ProgVersion = binary.BigEndian.Uint32(v)
	}
	return a, n, c.err
}

// Append appends the token.
func (a LoginAck) Append(b []byte) []byte {
	v := uint32(a.Version)
	switch a.Version {
	case V70:
		v = version70
	case V71:
		v = version71
	}
	at := len(b)
	b = append(b, tokenByteLoginAck, 0, 0, a.Interface)
	b = binary.BigEndian.AppendUint32(b, v)
	b = appendText8(b, a.ProgName)
	b = binary.BigEndian.AppendUint32(b, a.ProgVersion)
	return endToken(b, at)
}
