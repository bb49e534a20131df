// Package pgwire encodes and decodes the messages of PostgreSQL's protocol 3 (chapter "Frontend/Backend Protocol" of the
// PostgreSQL documentation) that the query phase looks into or makes itself. It works on bytes alone: it opens no
// connection, starts no goroutine, writes no log. The connection phase, off the hot path, uses jackc/pgx's pgproto3.
package pgwire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Message types sent by a client ("Message Formats").
const (
	Bind         = 'B'
	Close        = 'C'
	CopyData     = 'd' // both directions
	CopyDone     = 'c' // both directions
	CopyFail     = 'f'
	Describe     = 'D'
	Execute      = 'E'
	Flush        = 'H'
	FunctionCall = 'F'
	Parse        = 'P'
	Password     = 'p'
	Query        = 'Q'
	Sync         = 'S'
	Terminate    = 'X'
)

// Message types sent by a server.
const (
	Authentication           = 'R'
	BackendKeyData           = 'K'
	BindComplete             = '2'
	CloseComplete            = '3'
	CommandComplete          = 'C'
	CopyInResponse           = 'G'
	CopyOutResponse          = 'H'
	CopyBothResponse         = 'W'
	DataRow                  = 'D'
	EmptyQueryResponse       = 'I'
	ErrorResponse            = 'E'
	FunctionCallResponse     = 'V'
	NegotiateProtocolVersion = 'v'
	NoData                   = 'n'
	NoticeResponse           = 'N'
	NotificationResponse     = 'A'
	ParameterDescription     = 't'
	ParameterStatus          = 'S'
	ParseComplete            = '1'
	PortalSuspended          = 's'
	ReadyForQuery            = 'Z'
	RowDescription           = 'T'
)

// Transaction status in ReadyForQuery.
const (
	Idle          = 'I'
	InTransaction = 'T'
	Failed        = 'E'
)

// HeaderLen is the length of a message's type and length fields, in bytes.
const HeaderLen = 5

// MaxMessageLen is the largest length field that the server accepts from a client, in bytes (PQ_LARGE_MESSAGE_LIMIT in
// the server's libpq.h).
const MaxMessageLen = 0x3fffffff

// ErrShort means that more bytes are needed before the message can be decoded.
var ErrShort = errors.New("pgwire: short buffer")

// LengthError reports a length field that no message can have. The message boundary is lost: close the connection.
type LengthError struct {
	Type   byte
	Length uint32
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("pgwire: impossible length %d of message %q", e.Length, e.Type)
}

// Size returns the size in bytes of the message that starts b, its type byte included. b holds at least HeaderLen bytes.
// A length field below 4 gives a *LengthError.
func Size(b []byte) (int, error) {
	n := binary.BigEndian.Uint32(b[1:])
	if n < 4 || n > MaxMessageLen+4 {
		return 0, &LengthError{Type: b[0], Length: n}
	}
	return int(n) + 1, nil
}

// CString returns the zero-terminated string at the start of b without its terminator, and what follows it. ok is false
// when there is no terminator. Both point into b.
func CString(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// begin appends a message's type and room for its length; end fills the length in.
func begin(dst []byte, typ byte) ([]byte, int) {
	return append(dst, typ, 0, 0, 0, 0), len(dst) + 1
}

func end(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

func appendCString(dst []byte, s string) []byte { return append(append(dst, s...), 0) }

// AppendEmpty appends a message without a body, such as Sync, ParseComplete or CloseComplete.
func AppendEmpty(dst []byte, typ byte) []byte { return append(dst, typ, 0, 0, 0, 4) }

// AppendReadyForQuery appends ReadyForQuery with the given transaction status.
func AppendReadyForQuery(dst []byte, status byte) []byte {
	return append(dst, ReadyForQuery, 0, 0, 0, 5, status)
}

// AppendQuery appends a simple query.
func AppendQuery(dst []byte, sql string) []byte {
	dst, at := begin(dst, Query)
	return end(appendCString(dst, sql), at)
}

// AppendParse appends a Parse message. types is the message's own encoding of the parameter types: a 16-bit count and a
// 32-bit object identifier for each.
func AppendParse(dst []byte, name, sql string, types []byte) []byte {
	dst, at := begin(dst, Parse)
	dst = appendCString(dst, name)
	dst = appendCString(dst, sql)
	return end(append(dst, types...), at)
}

// AppendClose appends a Close message; kind is 'S' for a statement, 'P' for a portal.
func AppendClose(dst []byte, kind byte, name string) []byte {
	dst, at := begin(dst, Close)
	dst = append(dst, kind)
	return end(appendCString(dst, name), at)
}

// AppendBindExecute appends a Bind of the named statement to the unnamed portal with parameters in text format, and its
// Execute without a row limit.
func AppendBindExecute(dst []byte, statement string, params ...string) []byte {
	dst, at := begin(dst, Bind)
	dst = append(dst, 0)
	dst = appendCString(dst, statement)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(params)))
	for _, p := range params {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(p)))
		dst = append(dst, p...)
	}
	dst = end(append(dst, 0, 0), at)
	dst, at = begin(dst, Execute)
	return end(append(dst, 0, 0, 0, 0, 0), at)
}

// AppendParameterStatus appends a ParameterStatus message.
func AppendParameterStatus(dst []byte, name, value string) []byte {
	dst, at := begin(dst, ParameterStatus)
	return end(appendCString(appendCString(dst, name), value), at)
}

// AppendBackendKeyData appends BackendKeyData; secret has 4 bytes in protocol 3.0, up to 256 in 3.2.
func AppendBackendKeyData(dst []byte, pid uint32, secret []byte) []byte {
	dst, at := begin(dst, BackendKeyData)
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return end(append(dst, secret...), at)
}

// AppendCommandComplete appends CommandComplete with the given tag.
func AppendCommandComplete(dst []byte, tag string) []byte {
	dst, at := begin(dst, CommandComplete)
	return end(appendCString(dst, tag), at)
}

// Error is the content of an ErrorResponse or NoticeResponse, as far as Forebay makes or reads one.
type Error struct {
	Severity string // ERROR, FATAL, ...: field V, or S from servers before 9.6
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
}

func (e *Error) Error() string { return e.Severity + ": " + e.Message + " (SQLSTATE " + e.Code + ")" }

// AppendError appends an ErrorResponse.
func AppendError(dst []byte, e *Error) []byte {
	dst, at := begin(dst, ErrorResponse)
	field := func(code byte, s string) {
		if s != "" {
			dst = appendCString(append(dst, code), s)
		}
	}
	field('S', e.Severity)
	field('V', e.Severity)
	field('C', e.Code)
	field('M', e.Message)
	field('D', e.Detail)
	field('H', e.Hint)
	return end(append(dst, 0), at)
}

// ParseError decodes the body of an ErrorResponse or NoticeResponse. Fields that it does not know are left out; a body
// cut short gives what was there.
func ParseError(body []byte) *Error {
	e := &Error{}
	for len(body) > 0 && body[0] != 0 {
		code := body[0]
		s, rest, ok := CString(body[1:])
		if !ok {
			break
		}
		switch code {
		case 'S':
			if e.Severity == "" {
				e.Severity = string(s)
			}
		case 'V':
			e.Severity = string(s)
		case 'C':
			e.Code = string(s)
		case 'M':
			e.Message = string(s)
		case 'D':
			e.Detail = string(s)
		case 'H':
			e.Hint = string(s)
		}
		body = rest
	}
	return e
}

// Row splits the body of a DataRow into its columns, appended to dst; nil is NULL. The columns point into body. ok is
// false when the body is malformed.
func Row(dst [][]byte, body []byte) (cols [][]byte, ok bool) {
	if len(body) < 2 {
		return dst, false
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for range n {
		if len(body) < 4 {
			return dst, false
		}
		size := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if size < 0 {
			dst = append(dst, nil)
			continue
		}
		if int(size) > len(body) {
			return dst, false
		}
		dst = append(dst, body[:size:size])
		body = body[size:]
	}
	return dst, true
}
