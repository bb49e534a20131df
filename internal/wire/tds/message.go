package tds

import (
	"encoding/binary"
)

const (
	tokenByteError         = 0xAA
	tokenByteInfo          = 0xAB
	tokenByteFeatureExtAck = 0xAE
	tokenByteDone          = 0xFD
)

// Message is the token ERROR or INFO ([MS-TDS] 2.2.7.10, 2.2.7.13): what a server tells, with SQL Server's number of it.
type Message struct {
	Info      bool // INFO; else ERROR
	Number    int32
	State     uint8
	Class     uint8 // severity: up to 10 for information, from 20 on the connection ends
	Text      string
	Server    string
	Procedure string
	Line      int32 // from 1; 0: none
}

// Error is the text.
func (m *Message) Error() string { return m.Text }

// maxMessageText is how long a text may be, in UTF-16 code units, so that the token's length fits.
const maxMessageText = 30000

// ParseMessage decodes the token at the beginning of b, of a connection of that version, and returns its length: ErrShort
// where b ends before it does.
func ParseMessage(b []byte, v Version) (m *Message, n int, err error) {
	if len(b) == 0 {
		return nil, 0, ErrShort
	}
	token, structure := byte(tokenByteError), "ERROR"
	if b[0] == tokenByteInfo {
		token, structure = tokenByteInfo, "INFO"
	}
	body, n, err := tokenBody(b, token, structure)
	if err != nil {
		return nil, 0, err
	}
	c := cursor{b: body, structure: structure}
	m = &Message{
		Info: token == tokenByteInfo, Number: int32(c.uint32("Number")), State: c.uint8("State"), Class: c.uint8("Class"),
		Text: DecodeText(c.text16("MsgText")), Server: DecodeText(c.text8("ServerName")), Procedure: DecodeText(c.text8("ProcName")),
	}
	if v.AtLeast(V72) {
		m.Line = int32(c.uint32("LineNumber"))
	} else {
		m.Line = int32(c.uint16("LineNumber"))
	}
	if c.err != nil {
		return nil, 0, c.err
	}
	return m, n, nil
}

// Append appends the token, for a connection of that version. A text that is too long is cut down.
func (m *Message) Append(b []byte, v Version) []byte {
	at := len(b)
	token := byte(tokenByteError)
	if m.Info {
		token = tokenByteInfo
	}
	b = append(b, token, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(m.Number))
	b = append(b, m.State, m.Class)
	b = appendText16(b, clipText(m.Text, maxMessageText))
	b = appendText8(b, m.Server)
	b = appendText8(b, m.Procedure)
	if v.AtLeast(V72) {
		b = binary.LittleEndian.AppendUint32(b, uint32(m.Line))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(m.Line))
	}
	return endToken(b, at)
}

// AppendFeatureExtAck appends the token FEATUREEXTACK ([MS-TDS] 2.2.7.11).
func AppendFeatureExtAck(b []byte, list []Feature) []byte {
	return AppendFeatureExt(append(b, tokenByteFeatureExtAck), list)
}

// ParseFeatureExtAck decodes the token at the beginning of b, and returns its length: ErrShort where b ends before it does.
func ParseFeatureExtAck(b []byte) (list []Feature, n int, err error) {
	if len(b) == 0 {
		return nil, 0, ErrShort
	}
	if b[0] != tokenByteFeatureExtAck {
		return nil, 0, &MalformedError{"FEATUREEXTACK", "TokenType"}
	}
	list, n, err = ParseFeatureExt(b[1:])
	return list, n + 1, err
}

// Bits of DONE's status that answers of our own have ([MS-TDS] 2.2.7.6).
const (
	doneFinal = 0x0000
	doneError = 0x0002
)

// AppendDone appends a DONE that ends an answer of no rows, for a connection of that version. failed: after an ERROR.
func AppendDone(b []byte, v Version, failed bool) []byte {
	status := uint16(doneFinal)
	if failed {
		status = doneError
	}
	b = append(b, tokenByteDone)
	b = binary.LittleEndian.AppendUint16(b, status)
	b = append(b, 0, 0) // CurCmd
	if v.AtLeast(V72) {
		return binary.LittleEndian.AppendUint64(b, 0)
	}
	return binary.LittleEndian.AppendUint32(b, 0)
}
