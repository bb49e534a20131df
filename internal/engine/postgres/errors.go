package postgres

import (
	"errors"
	"log/slog"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/login"
	"forebay/internal/wire/pgwire"
)

// told are the conditions that Forebay itself tells a client, with the contract's texts where it has them (section 4.4).
var told = []struct {
	err     error
	code    string
	message string
}{
	{engine.ErrBorrowTimeout, "08000", "Timed-out waiting to acquire database connection."},
	{engine.ErrTooManyWaiting, "53300", "too many clients wait for a database connection"},
	{engine.ErrCanceled, "57014", "canceling statement due to user request"},
	{engine.ErrIdle, "57P05", "terminating connection due to idle-session timeout"},
	{engine.ErrLifetime, "57P01", "terminating connection: it has reached its maximum lifetime"},
	{engine.ErrShutdown, "57P01", "terminating connection: the proxy is shutting down"},
	{engine.ErrNoReaders, "08000", "The target group doesn't have any associated read-only instances"},
	{engine.ErrUnsure, "08006", "server connection lost: its state was unsure"},
}

// errorOf makes an error that a client can be sent: one of ours, or the server's own. Anything else is an internal fault,
// logged here and told without its content.
func errorOf(err error) *pgwire.Error {
	var reply *pgwire.Error
	hasReply := errors.As(err, &reply)
	for _, t := range told {
		if errors.Is(err, t.err) {
			e := &pgwire.Error{Code: t.code, Message: t.message}
			if why := failureOf(err, reply); why != "" {
				e.Detail = "The last attempt to connect to the database failed: " + why
			}
			return e
		}
	}
	if hasReply {
		e := *reply
		return &e
	}
	slog.Error("a server connection could not be had", slog.Any("error", err))
	return &pgwire.Error{Code: "08001", Message: "The database could not be reached."}
}

// failureOf is what a client may know of a failed log-in to the server: the server's own words, or else the kind of trouble,
// without addresses.
func failureOf(err error, reply *pgwire.Error) string {
	if reply != nil {
		return reply.Message
	}
	for _, kind := range []error{engine.ErrPaused, engine.ErrNoWriter, engine.ErrNoReader, login.ErrUnreachable, login.ErrTLS, login.ErrAuth, login.ErrProtocol} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return ""
}

// lostError is what a client hears when its server connection is gone: the server's own code, if it said one, but not its
// severity, since the client's connection lives on.
func lostError(fatal *pgwire.Error, err error) *pgwire.Error {
	if fatal != nil {
		return &pgwire.Error{Severity: "ERROR", Code: fatal.Code, Message: fatal.Message, Detail: fatal.Detail, Hint: fatal.Hint}
	}
	return &pgwire.Error{Severity: "ERROR", Code: "08006", Message: "server connection lost: " + err.Error()}
}
