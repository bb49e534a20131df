package sqlserver

import (
	"errors"
	"log/slog"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/wire/tds"
)

// Severities of errors that Forebay itself tells a client: what goes wrong with a request leaves the connection as it is, and
// what ends it is fatal.
const (
	classRequest = 16
	classFatal   = 20
)

// told are the conditions that Forebay itself tells a client, with numbers that a client of SQL Server or of Azure knows: the
// contract has none (section 4.5). Drivers try again after 10928, 10929, 40197, 40613 and 49918 where they retry at all.
var told = []struct {
	err    error
	number int32
	class  uint8
	text   string
}{
	{engine.ErrNoReaders, login.NumberNotAvailable, classRequest, "The target group doesn't have any associated read-only instances."},
	{engine.ErrBorrowTimeout, 49918, classRequest, "Cannot process request. Not enough resources to process request: timed out waiting to acquire a database connection."},
	{engine.ErrTooManyWaiting, login.NumberSessionLimit, classRequest, "Resource ID : 1. The request limit for the database has been reached: too many clients wait for a database connection."},
	{engine.ErrNoWriter, login.NumberNotAvailable, classRequest, "The database is not currently available: no server of the target is the writer. Please retry the connection later."},
	{engine.ErrNoReader, login.NumberNotAvailable, classRequest, "The database is not currently available: no server of the target is a reader that can be used. Please retry the connection later."},
	{engine.ErrFailover, login.NumberNotAvailable, classRequest, "The database has failed over. Please retry."},
	{engine.ErrUnsure, login.NumberServiceError, classRequest, "The service has encountered an error processing your request: the state of the database connection was unsure. Please try again."},
	{engine.ErrUnfit, login.NumberServiceError, classRequest, "The service has encountered an error processing your request: the database's connections do not fit the session any more. Please connect again."},
	{engine.ErrIdle, 17197, classFatal, "The connection has been closed: it was idle for too long."},
	{engine.ErrLifetime, 17197, classFatal, "The connection has been closed: it has reached its maximum lifetime."},
	{engine.ErrKilled, 596, classFatal + 1, "Cannot continue the execution because the session is in the kill state."},
	{engine.ErrShutdown, 6005, classFatal, "SHUTDOWN is in progress."},
}

// errorOf makes an error that a client can be sent: one of ours, or the server's own. Anything else is an internal fault,
// logged here and told without its content.
func errorOf(err error) *tds.Message {
	var reply *login.ServerError
	hasReply := errors.As(err, &reply)
	for _, t := range told {
		if errors.Is(err, t.err) {
			m := &tds.Message{Number: t.number, State: 1, Class: t.class, Text: t.text, Line: 1}
			if why := failureOf(err, reply); why != "" {
				m.Text += " (The last attempt to connect to the database failed: " + why + ")"
			}
			return m
		}
	}
	if hasReply {
		m := *reply.Message()
		return &m
	}
	slog.Error("a server connection could not be had", slog.Any("error", err))
	return &tds.Message{
		Number: login.NumberServiceError, State: 1, Class: classRequest, Line: 1,
		Text: "The service has encountered an error processing your request. Please try again.",
	}
}

// failureOf is what a client may know of a failed log-in to the server: the server's own words, or else the kind of trouble,
// without addresses.
func failureOf(err error, reply *login.ServerError) string {
	if reply != nil {
		return reply.Text
	}
	for _, kind := range []error{engine.ErrPaused, login.ErrUnreachable, login.ErrTLS, login.ErrRouted, login.ErrAuth, login.ErrProtocol} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return ""
}

// lostError is what a client hears when its server connection is gone: the server's own last words, if it had any. The
// client's connection lives on.
func lostError(last *tds.Message) *tds.Message {
	if last != nil {
		m := *last
		m.Class = min(m.Class, classRequest)
		return &m
	}
	return &tds.Message{
		Number: login.NumberServiceError, State: 2, Class: classRequest, Line: 1,
		Text: "The service has encountered an error processing your request: the database connection was lost. Please try again.",
	}
}
