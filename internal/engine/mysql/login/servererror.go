package login

import (
	"errors"
	"fmt"

	"forebay/internal/wire/mysqlwire"
)

// What went wrong with a server, for errors.Is: a pool decides by these whether to wait, to try elsewhere or to mark
// the user.
var (
	// ErrUnreachable: no working server there: no connection, a connection lost, or a server that starts, stops, is
	// offline or has blocked this host.
	ErrUnreachable = errors.New("server unreachable")
	// ErrTLS: the two sides do not agree about TLS, or the certificate does not satisfy the mode.
	ErrTLS = errors.New("TLS mismatch")
	// ErrAuth: the server refuses this user or its password, or asks for a proof that we do not give.
	ErrAuth = errors.New("authentication failed")
	// ErrTooManyConnections: the server or user is at its connection limit.
	ErrTooManyConnections = errors.New("too many connections")
	// ErrNoDatabase: the database does not exist.
	ErrNoDatabase = errors.New("no such database")
	// ErrProtocol: the peer does not speak the protocol. Close the connection.
	ErrProtocol = errors.New("protocol violation")
)

// ServerError is an ERR packet of a server.
type ServerError struct {
	Code     uint16
	SQLState string // empty from a server that has not seen our capabilities yet
	Message  string
}

func (e *ServerError) Error() string { return (*mysqlwire.Error)(e).Error() }

// kinds sorts the codes of MySQL and MariaDB that end a login.
var kinds = map[uint16]error{
	codeConCount:       ErrTooManyConnections,
	1203:               ErrTooManyConnections, // ER_TOO_MANY_USER_CONNECTIONS
	1226:               ErrTooManyConnections, // ER_USER_LIMIT_REACHED
	1049:               ErrNoDatabase,         // ER_BAD_DB_ERROR
	codeDBAccessDenied: ErrAuth,
	codeAccessDenied:   ErrAuth,
	1130:               ErrAuth, // ER_HOST_NOT_PRIVILEGED
	codeNotSupported:   ErrAuth,
	1275:               ErrAuth,        // ER_SERVER_IS_IN_SECURE_AUTH_MODE
	1524:               ErrAuth,        // ER_PLUGIN_IS_NOT_LOADED
	1698:               ErrAuth,        // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
	1820:               ErrAuth,        // ER_MUST_CHANGE_PASSWORD
	1862:               ErrAuth,        // ER_MUST_CHANGE_PASSWORD_LOGIN
	3118:               ErrAuth,        // ER_ACCOUNT_HAS_BEEN_LOCKED
	3955:               ErrAuth,        // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
	4151:               ErrAuth,        // ER_ACCOUNT_HAS_BEEN_LOCKED of MariaDB
	1053:               ErrUnreachable, // ER_SERVER_SHUTDOWN
	1129:               ErrUnreachable, // ER_HOST_IS_BLOCKED
	1152:               ErrUnreachable, // ER_ABORTING_CONNECTION
	1159:               ErrUnreachable, // ER_NET_READ_INTERRUPTED
	3032:               ErrUnreachable, // ER_SERVER_OFFLINE_MODE
	codeTLSRequired:    ErrTLS,
}

// Is matches the sentinels above by the code.
func (e *ServerError) Is(target error) bool {
	kind, ok := kinds[e.Code]
	return ok && kind == target
}

// PasswordRefused reports whether err is the server's word that it does not let the user in by this password, so that
// another one may be worth a try.
func PasswordRefused(err error) bool {
	var e *ServerError
	return errors.As(err, &e) && e.Code == codeAccessDenied
}

func parseServerError(payload []byte) error {
	e, err := mysqlwire.ParseError(payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return (*ServerError)(e)
}
