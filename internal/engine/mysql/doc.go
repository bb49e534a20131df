// Package mysql is the engine of MySQL and MariaDB. Its session is a state machine without I/O that stands between one
// client and, from transaction to transaction, any of the pool's server connections.
//
// The protocol is half duplex: a client sends a command and waits for the whole answer. So there is at most one command
// under way on a server connection: the client's, or one of Forebay's own, which go before it (the session's settings, its
// prepared statement) or behind it (a look at what it has left).
//
// What a session has set is known from the server itself: session tracking is on for every server connection, and each OK
// packet tells what has changed. What tracking does not tell is known from the statement's text (package sqltext), and
// what neither tells keeps the session on its server connection: pins.go.
package mysql
