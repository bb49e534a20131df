package login

import (
	"net"

	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/wire/tds"
)

// Client is a client that has logged in and waits for the answer to its LOGIN7, which Welcome makes.
type Client struct {
	Conn net.Conn // what to go on with: the connection given to Accept, or a *tls.Conn over it
	TLS  bool     // all of the session is encrypted
	// Buffered holds bytes that came before they were asked for, nearly always none. They belong to the query phase, before
	// what Conn gives.
	Buffered []byte

	// Version is the client's, at most V74, or V80 where TLS came first.
	Version    tds.Version
	PacketSize int // agreed on, in bytes

	User        string
	Database    string // empty: the user's default
	Language    string // empty: the user's default
	Application string
	Host        string // the client's name for its machine
	Library     string // the client's name for its driver

	// Flags that LOGIN7 has set and that change what a session is like.
	ODBC             bool // fODBC: ANSI defaults
	OLEDB            bool // fOLEDB
	BinaryXML        bool // fSendYukonBinaryXML
	UnknownCollation bool // fUnknownCollationHandling
	ReadOnlyIntent   bool // fReadOnlyIntent

	// Features are those that the client has asked for, as far as they are known here.
	Features tds.Features

	// Settings are what LOGIN7 asks for: those of a log-in with its flags, database and language. Where it names no database
	// or language, the Set has none that counts: the server's answer has.
	Settings settings.Set

	fedAuth      bool // the client has sent a FEDAUTH feature, which wants an answer
	fedAuthNonce []byte
	asked        bool // the client has sent a FeatureExt
}
