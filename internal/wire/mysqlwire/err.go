package mysqlwire

import (
	"encoding/binary"
	"fmt"
)

// Error is the content of an ERR packet ("ERR_Packet").
type Error struct {
	Code     uint16
	SQLState string // 5 characters; empty: sent without, as by servers that have not seen the client's capabilities yet
	Message  string
}

func (e *Error) Error() string {
	if e.SQLState == "" {
		return fmt.Sprintf("%s (error %d)", e.Message, e.Code)
	}
	return fmt.Sprintf("%s (error %d, SQLSTATE %s)", e.Message, e.Code, e.SQLState)
}

// ParseError decodes the payload of an ERR packet that is no progress report. The SQLSTATE is recognised by its mark, not
// by capabilities: a server that refuses a connection at once does not know them.
func ParseError(b []byte) (*Error, error) {
	if len(b) < 3 || b[0] != HeaderERR || IsProgress(b) {
		return nil, &MalformedError{"ERR_Packet", "header"}
	}
	e := &Error{Code: binary.LittleEndian.Uint16(b[1:])}
	b = b[3:]
	if len(b) >= 6 && b[0] == '#' {
		e.SQLState, b = string(b[1:6]), b[6:]
	}
	e.Message = string(b)
	return e, nil
}

// Append appends the payload. A SQLState that has not 5 characters is left out.
func (e *Error) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(append(dst, HeaderERR), e.Code)
	if len(e.SQLState) == 5 {
		dst = append(append(dst, '#'), e.SQLState...)
	}
	return append(dst, e.Message...)
}

// Progress is how far a MariaDB server is with a long statement: an ERR packet with code 0xFFFF, which ends nothing. It
// comes only where MARIADB_CLIENT_PROGRESS is agreed on.
type Progress struct {
	Strings  uint8  // number of strings, 1: how many follow the numbers, of which the first is Info
	Stage    uint8  // from 1
	MaxStage uint8  // how many there are
	Progress uint32 // of the stage, in thousandths of a percent; 24 bits
	Info     []byte // proc_info: what is being done
}

// IsProgress reports whether a payload is a progress report.
func IsProgress(b []byte) bool {
	return len(b) >= 3 && b[0] == HeaderERR && binary.LittleEndian.Uint16(b[1:]) == progressReportError
}

// ParseProgress decodes the payload. Info points into it.
func ParseProgress(b []byte) (Progress, error) {
	if !IsProgress(b) || len(b) < 9 {
		return Progress{}, &MalformedError{"progress report", "fixed part"}
	}
	p := Progress{Strings: b[3], Stage: b[4], MaxStage: b[5], Progress: uint32(b[6]) | uint32(b[7])<<8 | uint32(b[8])<<16}
	var ok bool
	if p.Info, _, ok = LenEncString(b[9:]); !ok {
		return Progress{}, &MalformedError{"progress report", "proc_info"}
	}
	return p, nil
}

// Append appends the payload.
func (p Progress) Append(dst []byte) []byte {
	dst = append(dst, HeaderERR, 0xff, 0xff, p.Strings, p.Stage, p.MaxStage)
	dst = append(dst, byte(p.Progress), byte(p.Progress>>8), byte(p.Progress>>16))
	return AppendLenEncString(dst, p.Info)
}
