// Package postgres is the PostgreSQL engine: log-in, session state, pin rules, reset and probes.
//
// The connection phase is in package login. The query phase is session (one client) and server (one server connection):
// state machines without I/O. What passes from the client is in client.go, what comes back in reply.go; queue.go keeps
// what the server still owes, so that answers to Forebay's own requests never reach the client and its own come in order.
//
// What a statement may leave behind is in three classes. Settings (settings.go) and prepared statements (statements.go,
// sqlprepared.go) are carried from server connection to server connection. State that only the server has pins the
// session (pins.go). The statement's text, read by package sqltext, only says when to look; the truth comes from the
// server (probe.go).
package postgres
