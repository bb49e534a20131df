package sqlserver

import (
	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
)

// This file stands for the query phase on the branch of the connection phase alone; the merge with that of the query phase
// removes it.

type local struct{ db *database }

func newLocal(db *database, _ *engine.Counters) *local { return &local{db: db} }

func newServer(*database, *login.Server) engine.Server { panic("the query phase is on another branch") }

func newSession(*local, *login.Client, engine.SessionID) engine.Session {
	panic("the query phase is on another branch")
}
