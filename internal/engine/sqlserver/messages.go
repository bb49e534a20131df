package sqlserver

import (
	"errors"
	"log/slog"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/wire/tds"
)

// numberLost is the number of errors about what was lost with a server connection: Azure's for a service that has failed
// over, which clients know to be worth another try.
const numberLost = login.NumberServiceError

// told are the conditions that Forebay itself tells a client in the query phase. docs/sqlserver.md lists them.
var told = []struct {
	err    error
	number int32
	class  uint8
	text   string
}{
	{engine.ErrBorrowTimeout, login.NumberSessionLimit, 16, "Timed out waiting for a database connection of the proxy."},
	{engine.ErrTooManyWaiting, 10929, 16, "Too many clients wait for a database connection of the proxy."},
	{engine.ErrCanceled, 3617, 16, "The request was cancelled."},
	{engine.ErrKilled, 596, 20, "The session was ended by another client of the same user."},
	{engine.ErrIdle, 17189, 20, "The connection was closed by the proxy because of inactivity."},
	{engine.ErrLifetime, 6005, 20, "The connection has reached its maximum lifetime."},
	{engine.ErrShutdown, 6005, 20, "SHUTDOWN is in progress."},
	{engine.ErrNoReaders, login.NumberNotAvailable, 16, "The target group has no read-only instances."},
	{engine.ErrUnfit, numberLost, 16, "The database's server connections do not fit the session any more."},
	{engine.ErrUnsure, numberLost, 16, "The server connection's state was unsure, so it was closed."},
}

// messageOf makes an error that a client can be sent: one of ours, or the server's own. Anything else is an internal fault,
// logged here and told without its content.
func messageOf(err error) *tds.Message {
	var reply *login.ServerError
	has := errors.As(err, &reply)
	for _, t := range told {
		if errors.Is(err, t.err) {
			m := &tds.Message{Number: t.number, State: 1, Class: t.class, Line: 1, Text: t.text}
			if has {
				m.Text += " (The last attempt to connect to the database failed: " + reply.Message().Text + ")"
			}
			return m
		}
	}
	if has {
		m := *reply.Message()
		m.Info = false
		return &m
	}
	for _, e := range []error{engine.ErrPaused, engine.ErrNoWriter, engine.ErrNoReader, engine.ErrFailover} {
		if errors.Is(err, e) {
			return &tds.Message{Number: login.NumberNotAvailable, State: 1, Class: 16, Line: 1, Text: "The database is not available: " + e.Error() + "."}
		}
	}
	slog.Error("a server connection could not be had", slog.Any("error", err))
	return &tds.Message{Number: login.NumberNotAvailable, State: 1, Class: 16, Line: 1, Text: "The database is not available now. Please try again."}
}

// lostMessage is what a client hears when its server connection is gone. The client's connection lives on.
func lostMessage() *tds.Message {
	return &tds.Message{Number: numberLost, State: 1, Class: 16, Line: 1, Text: "The proxy has lost the connection to the database. What the session had open there is gone."}
}

func errMalformed() *tds.Message {
	return &tds.Message{Number: 4002, State: 1, Class: 20, Line: 1, Text: "The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly, or is malformed."}
}

func errNoBulk() *tds.Message {
	return &tds.Message{Number: 4022, State: 1, Class: 16, Line: 1, Text: "Bulk load data was expected but not sent, or sent but not expected. The batch will be terminated."}
}
