package login

import (
	"errors"
	"fmt"
	"slices"

	"forebay/internal/wire/tds"
)

// What went wrong with a server, for errors.Is: a pool decides by these whether to wait, to try elsewhere or to mark
// the user.
var (
	// ErrUnreachable: no working server there: no connection, a connection lost, or a server that starts, stops, or has the
	// database closed for now.
	ErrUnreachable = errors.New("server unreachable")
	// ErrTLS: TLS could not be agreed on, or the server's certificate does not satisfy the mode.
	ErrTLS = errors.New("TLS failed")
	// ErrAuth: the server does not let the user in.
	ErrAuth = errors.New("authentication failed")
	// ErrTooManyConnections: the server has no room for a further connection.
	ErrTooManyConnections = errors.New("too many connections")
	// ErrNoDatabase: the database does not exist, or the user may not have it.
	ErrNoDatabase = errors.New("no such database")
	// ErrProtocol: the peer does not keep to the protocol.
	ErrProtocol = errors.New("protocol violation")
	// ErrRouted: the server sends read-only sessions elsewhere.
	ErrRouted = errors.New("the server routes the session to another one")
)

// ServerError is an ERROR token of a server.
type ServerError tds.Message

func (e *ServerError) Error() string {
	return fmt.Sprintf("server error %d, state %d: %s", e.Number, e.State, printable(e.Text))
}

// Message is the token.
func (e *ServerError) Message() *tds.Message { return (*tds.Message)(e) }

// kinds sorts the numbers of SQL Server's errors, and of Azure's, that end a login.
var kinds = map[int32]error{
	NumberDatabase:     ErrNoDatabase,
	911:                ErrNoDatabase, // the database does not exist
	916:                ErrNoDatabase, // the user is not able to access the database
	4064:               ErrNoDatabase, // the user's default database cannot be opened
	NumberLoginFailed:  ErrAuth,
	NumberIntegrated:   ErrAuth,
	18450:              ErrAuth, // not defined as a valid login of a trusted connection
	18470:              ErrAuth, // the account is disabled
	18486:              ErrAuth, // locked out
	18487:              ErrAuth, // the password has expired
	18488:              ErrAuth, // the password must be changed
	40615:              ErrAuth, // Azure's firewall
	17809:              ErrTooManyConnections,
	NumberSessionLimit: ErrTooManyConnections,
	10929:              ErrTooManyConnections,
	17830:              ErrUnreachable, // network error while establishing a connection
	17142:              ErrUnreachable, // paused
	17187:              ErrUnreachable, // not ready for client connections yet
	17188:              ErrUnreachable, // shutting down
	17197:              ErrUnreachable, // log-in timed out: overloaded
	18401:              ErrUnreachable, // in script upgrade mode
	18451:              ErrUnreachable, // only administrators at this time
	18461:              ErrUnreachable, // in single user mode
	6005:               ErrUnreachable, // shutdown in progress
	922:                ErrUnreachable, // the database is being recovered
	927:                ErrUnreachable, // in the middle of a restore
	976:                ErrUnreachable, // of an availability group, not accessible here
	978:                ErrUnreachable, // of an availability group, for read intent alone
	979:                ErrUnreachable, // of an availability group, not accessible
	983:                ErrUnreachable, // of an availability group, not primary nor secondary here
	NumberServiceError: ErrUnreachable,
	40501:              ErrUnreachable, // busy
	NumberNotAvailable: ErrUnreachable,
	49918:              ErrUnreachable, // not enough resources
	49919:              ErrUnreachable,
	49920:              ErrUnreachable,
	NumberEncryption:   ErrTLS,
}

// Is matches the sentinels above by the number.
func (e *ServerError) Is(target error) bool {
	kind, ok := kinds[e.Number]
	return ok && kind == target
}

// PasswordRefused reports whether err is the server's word that it does not let the user in by this password, so that
// another one may be worth a try.
func PasswordRefused(err error) bool {
	var e *ServerError
	return errors.As(err, &e) && slices.Contains([]int32{NumberLoginFailed, 18486, 18487, 18488}, e.Number)
}
