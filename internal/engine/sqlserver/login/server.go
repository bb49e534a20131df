package login

import (
	"net"

	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/wire/tds"
)

// Server is a server connection, logged in and idle. It belongs to one goroutine at a time.
type Server struct {
	Conn net.Conn // maybe a *tls.Conn
	TLS  bool     // all of the session is encrypted

	Version    tds.Version // agreed on
	PacketSize int         // agreed on, in bytes
	SPID       uint16      // of the session, as packet headers have it; 0: the server does not say
	Collation  [5]byte     // of the database
	Database   string
	Language   string
	ServerName string // by which the server calls itself in its messages; may be empty

	ProgName    string // such as "Microsoft SQL Server"
	ProgVersion uint32 // major, minor, and two bytes of build number: 0x10000FA0 is 16.0.4000
	// Features are those that the server has acknowledged.
	Features tds.Features

	// Settings are those of the session after log-in, to which a reset goes back.
	Settings settings.Set

	transaction [8]byte // the descriptor of the one that is open
	broken      bool    // the message boundary is lost or a reply is outstanding
}
