package sqlserver

import (
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/wire/tds"
)

// numberLost is the number of errors about what was lost with a server connection: Azure's for a service that has failed
// over, which clients know to be worth another try.
const numberLost = login.NumberServiceError

// textGarbled is what a client hears whose answer cannot be read.
const textGarbled = "The service has encountered an error processing your request: the answer of the database could not be read, and its connection was closed."

func errMalformed() *tds.Message {
	return &tds.Message{Number: 4002, State: 1, Class: 20, Line: 1, Text: "The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly, or is malformed."}
}

// errTooManyHandles is about memory, as SQL Server's own number for that.
func errTooManyHandles() *tds.Message {
	return &tds.Message{Number: 701, State: 1, Class: 17, Line: 1, Text: "The session has too many prepared statements, or too large ones: unprepare those that are not used any more."}
}

func errNoBulk() *tds.Message {
	return &tds.Message{Number: 4022, State: 1, Class: 16, Line: 1, Text: "Bulk load data was expected but not sent, or sent but not expected. The batch will be terminated."}
}
