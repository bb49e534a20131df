package mysql

import (
	"errors"
	"log/slog"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/wire/mysqlwire"
)

// Codes of errors that Forebay itself tells a client (mysqld_error.h of the servers), with their SQLSTATEs.
var (
	errUnknownCommand = mysqlwire.Error{Code: 1047, SQLState: "08S01", Message: "Unknown command"}
	errMalformed      = mysqlwire.Error{Code: 1835, SQLState: "HY000", Message: "Malformed communication packet."}
	errArguments      = mysqlwire.Error{Code: 1210, SQLState: "HY000", Message: "Incorrect arguments to mysqld_stmt_execute"}
	errUnknownThread  = mysqlwire.Error{Code: 1094, SQLState: "HY000", Message: "Unknown thread id: "}
	errManyStatements = mysqlwire.Error{Code: 1461, SQLState: "42000", Message: "Can't create more than max_prepared_stmt_count statements: this client has too many"}
	errTooLarge       = mysqlwire.Error{Code: 1235, SQLState: "42000", Message: "Forebay does not support statements above 1 MiB in this command"}
	errReplication    = mysqlwire.Error{Code: 1235, SQLState: "42000", Message: "Forebay does not support replication commands: connect to the database itself"}
	errDropped        = mysqlwire.Error{Code: 1105, SQLState: "HY000", Message: "Unknown error"}
)

// told are the conditions that Forebay itself tells a client, with the contract's texts where it has them (section 4.3).
var told = []struct {
	err     error
	code    uint16
	state   string
	message string
}{
	{engine.ErrBorrowTimeout, 9501, "HY000", "Timed-out waiting to acquire database connection"},
	{engine.ErrTooManyWaiting, 1040, "08004", "Too many connections: too many clients wait for a database connection"},
	{engine.ErrCanceled, 1317, "70100", "Query execution was interrupted"},
	{engine.ErrKilled, 1317, "70100", "Query execution was interrupted"},
	{engine.ErrIdle, 4031, "HY000", "The client was disconnected by the server because of inactivity."},
	{engine.ErrLifetime, 1053, "08S01", "Server shutdown in progress: the connection has reached its maximum lifetime"},
	{engine.ErrShutdown, 1053, "08S01", "Server shutdown in progress"},
	{engine.ErrNoReaders, 9501, "HY000", "The target group doesn't have any associated read-only instances"},
	{engine.ErrUnfit, 1105, "HY000", "Unknown error: the database's server connections do not fit the session any more"},
	{engine.ErrUnsure, 2013, "HY000", "Lost connection to MySQL server during query: its state was unsure"},
}

// errorOf makes an error that a client can be sent: one of ours, or the server's own. Anything else is an internal fault,
// logged here and told without its content.
func errorOf(err error) mysqlwire.Error {
	var reply *login.ServerError
	hasReply := errors.As(err, &reply)
	for _, t := range told {
		if errors.Is(err, t.err) {
			e := mysqlwire.Error{Code: t.code, SQLState: t.state, Message: t.message}
			if why := failureOf(err, reply); why != "" {
				e.Message += " (the last attempt to connect to the database failed: " + why + ")"
			}
			return e
		}
	}
	if hasReply {
		e := mysqlwire.Error(*reply)
		if e.SQLState == "" {
			e.SQLState = "HY000"
		}
		return e
	}
	slog.Error("a server connection could not be had", slog.Any("error", err))
	return errDropped
}

// failureOf is what a client may know of a failed log-in to the server: the server's own words, or else the kind of trouble,
// without addresses.
func failureOf(err error, reply *login.ServerError) string {
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

// lostError is what a client hears when its server connection is gone: the server's own last words, if it had any. The
// client's connection lives on.
func lostError(last *mysqlwire.Error) mysqlwire.Error {
	if last != nil {
		e := *last
		if e.SQLState == "" {
			e.SQLState = "HY000"
		}
		return e
	}
	return mysqlwire.Error{Code: 2013, SQLState: "HY000", Message: "Lost connection to MySQL server during query"}
}
