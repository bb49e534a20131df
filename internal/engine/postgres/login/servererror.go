package login

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// What went wrong with a server, for errors.Is: a pool decides by these whether to wait, to try elsewhere or to mark
// the user.
var (
	// ErrUnreachable: no working server there: no connection, a connection lost, or a server that starts, stops or
	// recovers (SQLSTATE class 57P).
	ErrUnreachable = errors.New("server unreachable")
	// ErrTLS: the two sides do not agree about TLS, or the certificate does not satisfy the mode.
	ErrTLS = errors.New("TLS mismatch")
	// ErrAuth: the server refuses this user or its password, or asks for a proof that we do not give.
	ErrAuth = errors.New("authentication failed")
	// ErrTooManyConnections: the server, role or database is at its connection limit (53300).
	ErrTooManyConnections = errors.New("too many connections")
	// ErrNoDatabase: the database does not exist (3D000).
	ErrNoDatabase = errors.New("no such database")
	// ErrProtocol: the peer does not speak the protocol. Close the connection.
	ErrProtocol = errors.New("protocol violation")
)

// ServerError is an ErrorResponse of a server.
type ServerError struct {
	Severity string // FATAL, ERROR ...: the one that is not translated, where the server sends it
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("%s: %s (SQLSTATE %s)", e.Severity, e.Message, e.Code)
}

// Is matches the sentinels above by SQLSTATE.
func (e *ServerError) Is(target error) bool {
	switch target {
	case ErrTooManyConnections:
		return e.Code == "53300"
	case ErrNoDatabase:
		return e.Code == "3D000"
	case ErrAuth:
		return strings.HasPrefix(e.Code, "28")
	case ErrUnreachable:
		return strings.HasPrefix(e.Code, "57P")
	}
	return false
}

// PasswordRefused reports whether err is the server's word that it does not let the user in by this password, so that
// another one may be worth a try.
func PasswordRefused(err error) bool {
	var e *ServerError
	return errors.As(err, &e) && (e.Code == codeInvalidPassword || e.Code == codeInvalidAuthorization)
}

func parseServerError(body []byte) error {
	var m pgproto3.ErrorResponse
	if err := m.Decode(body); err != nil {
		return fmt.Errorf("%w: malformed ErrorResponse", ErrProtocol)
	}
	e := &ServerError{Severity: m.SeverityUnlocalized, Code: m.Code, Message: m.Message, Detail: m.Detail, Hint: m.Hint}
	if e.Severity == "" {
		e.Severity = m.Severity
	}
	return e
}
