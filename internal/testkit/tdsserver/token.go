package tdsserver

import (
	"encoding/binary"
	"unicode/utf16"
)

// Tokens ([MS-TDS] 2.2.7).
const (
	tokenReturnStatus = 0x79
	tokenColMetaData  = 0x81
	tokenError        = 0xAA
	tokenInfo         = 0xAB
	tokenReturnValue  = 0xAC
	tokenLoginAck     = 0xAD
	tokenFeatureAck   = 0xAE
	tokenRow          = 0xD1
	tokenNBCRow       = 0xD2
	tokenEnvChange    = 0xE3
	tokenFedAuthInfo  = 0xEE
	tokenDone         = 0xFD
	tokenDoneProc     = 0xFE
	tokenDoneInProc   = 0xFF
)

// Bits of DONE's status.
const (
	doneMore  = 0x01
	doneError = 0x02
	doneInXct = 0x04
	doneCount = 0x10
	doneAttn  = 0x20
	doneSrv   = 0x100
)

// What DONE says has been done.
const (
	cmdSelect   = 0xC1
	cmdInsert   = 0xC3
	cmdDelete   = 0xC4
	cmdUpdate   = 0xC5
	cmdCreate   = 0xC6
	cmdDrop     = 0xC7
	cmdBegin    = 0xD4
	cmdCommit   = 0xD5
	cmdRollback = 0xD2
	cmdSave     = 0xD3
	cmdExec     = 0xE0
	cmdUse      = 0xE2
	cmdPrint    = 0xF7
	cmdSet      = 0xF9
	cmdBulk     = 0xF0
)

// Types of ENVCHANGE.
const (
	envDatabase   = 1
	envLanguage   = 2
	envPacketSize = 4
	envCollation  = 7
	envBegin      = 8
	envCommit     = 9
	envRollback   = 10
	envReset      = 18
	envRouting    = 20
)

// Versions of the protocol, as LOGIN7 has them.
const (
	v70  = 0x70000000
	v71  = 0x71000000
	v71r = 0x71000001
	v72  = 0x72090002
	v73a = 0x730A0003
	v73b = 0x730B0003
	v74  = 0x74000004
	v80  = 0x08000000
)

// rank orders versions: 71, 72, 73, 74, 80.
func rank(v uint32) int {
	if v == v80 {
		return 80
	}
	return int(v>>28)*10 + int(v>>24&0xF)
}

func ucs2(s string) []byte {
	u := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(u))
	for _, c := range u {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

func fromUCS2(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// bString appends a B_VARCHAR: its characters' count in a byte.
func bString(b []byte, s string) []byte {
	u := ucs2(s)
	u = u[:min(len(u), 2*255)]
	return append(append(b, byte(len(u)/2)), u...)
}

func usString(b []byte, s string) []byte {
	u := ucs2(s)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(u)/2))
	return append(b, u...)
}

// sized is a token with a length of two bytes.
func sized(kind byte, data []byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{kind}, uint16(len(data)))
	return append(b, data...)
}

func envStrings(kind byte, now, was string) []byte {
	return sized(tokenEnvChange, bString(bString([]byte{kind}, now), was))
}

func envBytes(kind byte, now, was []byte) []byte {
	b := append([]byte{kind, byte(len(now))}, now...)
	b = append(b, byte(len(was)))
	return sized(tokenEnvChange, append(b, was...))
}

// Error is a message of the server's.
type Error struct {
	Number  int32
	Class   byte
	State   byte
	Message string
	Proc    string
	Line    int
}

func (e *Error) Error() string { return e.Message }

// message is an ERROR or an INFO.
func (s *session) messageToken(kind byte, e *Error) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(e.Number))
	b = append(b, e.State, e.Class)
	b = usString(b, e.Message)
	b = bString(b, s.srv.o.Name)
	b = bString(b, e.Proc)
	line := max(e.Line, 1)
	if rank(s.version) >= 72 {
		b = binary.LittleEndian.AppendUint32(b, uint32(line))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(line))
	}
	return sized(kind, b)
}

func (s *session) doneToken(kind byte, status, cmd uint16, rows int64) []byte {
	if s.srv.o.InTransactionBit && s.trancount > 0 {
		status |= doneInXct
	}
	b := binary.LittleEndian.AppendUint16([]byte{kind}, status)
	b = binary.LittleEndian.AppendUint16(b, cmd)
	if rank(s.version) >= 72 {
		return binary.LittleEndian.AppendUint64(b, uint64(rows))
	}
	return binary.LittleEndian.AppendUint32(b, uint32(rows))
}
