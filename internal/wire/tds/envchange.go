package tds

import (
	"encoding/binary"
)

const tokenByteEnvChange = 0xE3

// EnvType is the kind of an ENVCHANGE.
type EnvType byte

// The kinds ([MS-TDS] 2.2.7.9).
const (
	EnvDatabase           EnvType = 1
	EnvLanguage           EnvType = 2
	EnvCharset            EnvType = 3 // TDS 7.0
	EnvPacketSize         EnvType = 4
	EnvUnicodeLocale      EnvType = 5 // TDS 7.0
	EnvUnicodeComparison  EnvType = 6 // TDS 7.0
	EnvCollation          EnvType = 7
	EnvBegin              EnvType = 8  // New is the transaction's descriptor
	EnvCommit             EnvType = 9  // Old is the descriptor
	EnvRollback           EnvType = 10 // Old is the descriptor
	EnvEnlist             EnvType = 11
	EnvDefect             EnvType = 12
	EnvMirroringPartner   EnvType = 13
	EnvPromote            EnvType = 15
	EnvTransactionManager EnvType = 16
	EnvTransactionEnded   EnvType = 17 // Old is the descriptor
	EnvReset              EnvType = 18 // the answer to a packet with StatusResetConnection
	EnvUserInstance       EnvType = 19
	EnvRouting            EnvType = 20
)

// EnvChange is the token ENVCHANGE. New and Old point into what was decoded: text is in UTF-16LE (DecodeText), the rest is as
// the kind has it. The data of an unknown kind is all in New.
type EnvChange struct {
	Type     EnvType
	New, Old []byte
}

// isText reports whether the values of a kind are B_VARCHAR.
func (t EnvType) isText() bool {
	switch t {
	case EnvDatabase, EnvLanguage, EnvCharset, EnvPacketSize, EnvUnicodeLocale, EnvUnicodeComparison, EnvMirroringPartner, EnvUserInstance:
		return true
	}
	return false
}

// isBytes reports whether the values of a kind are B_VARBYTE.
func (t EnvType) isBytes() bool {
	switch t {
	case EnvCollation, EnvBegin, EnvCommit, EnvRollback, EnvEnlist, EnvDefect, EnvTransactionManager, EnvTransactionEnded, EnvReset:
		return true
	}
	return false
}

// ParseEnvChange decodes the token at the beginning of b, and returns its length: ErrShort where b ends before it does.
func ParseEnvChange(b []byte) (e EnvChange, n int, err error) {
	body, n, err := tokenBody(b, tokenByteEnvChange, "ENVCHANGE")
	if err != nil {
		return e, 0, err
	}
	c := cursor{b: body, structure: "ENVCHANGE"}
	e.Type = EnvType(c.uint8("Type"))
	switch {
	case e.Type.isText():
		e.New, e.Old = c.text8("NewValue"), c.text8("OldValue")
	case e.Type.isBytes():
		e.New, e.Old = c.bytes8("NewValue"), c.bytes8("OldValue")
	case e.Type == EnvPromote:
		size := c.uint32("NewValue")
		if c.err == nil && uint64(size) > uint64(len(c.b)) {
			return e, 0, &MalformedError{"ENVCHANGE", "NewValue"}
		}
		e.New, e.Old = c.bytes(int(size), "NewValue"), c.bytes8("OldValue")
	case e.Type == EnvRouting:
		e.New = c.bytes(int(c.uint16("NewValue")), "NewValue")
		e.Old = c.bytes(int(c.uint16("OldValue")), "OldValue")
	default:
		e.New, c.b = c.b, nil
	}
	if c.err == nil && len(c.b) > 0 {
		c.err = &MalformedError{"ENVCHANGE", "Length"}
	}
	if c.err != nil {
		return EnvChange{}, 0, c.err
	}
	return e, n, nil
}

// Append appends the token. Values that are too long for the kind are cut down.
func (e EnvChange) Append(b []byte) []byte {
	at := len(b)
	b = append(b, tokenByteEnvChange, 0, 0, byte(e.Type))
	switch {
	case e.Type.isText():
		for _, v := range [...][]byte{e.New, e.Old} {
			v = v[:min(len(v)&^1, 510)]
			b = append(append(b, byte(len(v)/2)), v...)
		}
	case e.Type.isBytes():
		for _, v := range [...][]byte{e.New, e.Old} {
			v = v[:min(len(v), 255)]
			b = append(append(b, byte(len(v))), v...)
		}
	case e.Type == EnvPromote:
		v := e.New[:min(len(e.New), 0x8000)]
		b = append(append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...), 0)
	case e.Type == EnvRouting:
		v := e.New[:min(len(e.New), 0x8000)]
		b = append(append(binary.LittleEndian.AppendUint16(b, uint16(len(v))), v...), 0, 0)
	default:
		b = append(b, e.New[:min(len(e.New), 0x8000)]...)
	}
	return endToken(b, at)
}

// TextChange is an EnvChange of a kind whose values are text.
func TextChange(t EnvType, newValue, oldValue string) EnvChange {
	return EnvChange{Type: t, New: AppendText(nil, newValue), Old: AppendText(nil, oldValue)}
}

// Routing is where EnvRouting sends a client.
type Routing struct {
	Host string
	Port uint16
}

// Routing decodes the value of an EnvRouting.
func (e EnvChange) Routing() (r Routing, err error) {
	c := cursor{b: e.New, structure: "ENVCHANGE"}
	if protocol := c.uint8("Protocol"); protocol != 0 { // TCP
		return r, &MalformedError{"ENVCHANGE", "Protocol"}
	}
	r.Port = c.uint16("ProtocolProperty")
	r.Host = DecodeText(c.text16("AlternateServer"))
	return r, c.err
}

// Change makes the ENVCHANGE of r.
func (r Routing) Change() EnvChange {
	b := binary.LittleEndian.AppendUint16([]byte{0}, r.Port)
	return EnvChange{Type: EnvRouting, New: appendText16(b, clipText(r.Host, 1024))}
}
