package login

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"forebay/internal/resource"
	"forebay/internal/wire/mysqlwire"
)

// AcceptOptions say how clients log in to one proxy.
type AcceptOptions struct {
	Hello *Hello // of this client alone; ChangeUser needs none

	TLS        *tls.Config // nil: TLS is not offered; used as it is, not changed
	RequireTLS bool        // refuse plaintext logins

	// Lookup returns the verifier of a user, or ErrUnknownUser. Any other error is ours: the client is told "Unknown error"
	// and the Refusal wraps it. It runs where Accept runs: what may block in it goes through Block.
	Lookup func(ctx context.Context, user string) (*Verifier, error)

	// UnknownUserAuthType is how an unknown user is asked for a password; MySQLCachingSHA2 if empty. Where all users have
	// one type, this should be the same.
	UnknownUserAuthType resource.ClientPasswordAuthType

	// ClientHost stands for the client in "Access denied"; empty: the address of the connection.
	ClientHost string

	// Admit is asked about a client that has proven who it is, and has not been told so; nil: it is let in. Of the Client,
	// what Accept fills in last is not there yet. A *Refusal is told to the client.
	Admit func(c *Client) error

	// Block runs what takes long, such as a TLS handshake, where that keeps nobody waiting; nil: where Accept runs.
	Block func(func())
}

// Client is a client that has logged in and waits for its OK.
type Client struct {
	Conn net.Conn // what to go on with: the connection given to Accept, or the *tls.Conn over it
	TLS  bool

	User, Database string // Database may be empty
	// Capabilities are the client's, less those that it was not offered.
	Capabilities mysqlwire.Capability
	Charset      uint16 // a collation's id; of one above 255 the greeting's answer holds the low byte alone
	MaxPacket    uint32 // max_packet_size in bytes
	ZstdLevel    uint8
	// Attributes are what the client says about itself: the first 4 KiB of it.
	Attributes []mysqlwire.Attribute

	// Greeting has not been sent: AuthMoreData, or nothing. The OK packet follows in the same write, with number Sequence.
	Greeting []byte
	Sequence uint8
	Verifier *Verifier // the one that let the client in; its Credentials serve toward the server
	// Scramble is the last that the client was sent: ChangeUser needs it for clients that cannot be sent another.
	Scramble [mysqlwire.ScrambleLen]byte

	// Buffered holds bytes that came before they were asked for, nearly always none. They belong to the command phase,
	// before what Conn gives.
	Buffered []byte
}

// maxAttributes is how much of the connection attributes is kept, in bytes.
const maxAttributes = 4096

// Accept conducts the connection phase with a client that has just connected. It ends soon after c's deadline has passed
// or c was closed, by whomever; ctx is for Lookup. It does not send the OK packet that ends the phase.
//
// Errors: *Refusal, the client has been told why; ErrClientGone; all others, the connection is of no use. On every error
// the caller closes c.
func Accept(ctx context.Context, c net.Conn, o AcceptOptions) (*Client, error) {
	a := newAcceptor(c, o)
	defer a.r.release()
	client, err := a.run(ctx)
	return a.end(client, err)
}

// acceptor is one run of Accept or ChangeUser.
type acceptor struct {
	o    AcceptOptions
	r    *reader
	conn net.Conn // given, or the *tls.Conn over it
	tls  bool
	seq  uint8                // number of the next packet, whoever sends it
	caps mysqlwire.Capability // agreed on
	old  bool                 // the client is older than protocol 4.1
	user string
	out  []byte // packets that precede the next one to the client
	last scramble
}

func newAcceptor(c net.Conn, o AcceptOptions) *acceptor {
	if o.Block == nil {
		o.Block = func(f func()) { f() }
	}
	return &acceptor{o: o, r: newReader(c), conn: c}
}

// end completes the result, or tells the client about a refusal.
func (a *acceptor) end(client *Client, err error) (*Client, error) {
	if err == nil {
		client.Conn, client.TLS = a.conn, a.tls
		client.Greeting, client.Sequence, client.Scramble = a.out, a.seq, a.last
		if early := a.r.buffered(); len(early) > 0 {
			client.Buffered = append([]byte(nil), early...)
		}
		return client, nil
	}
	var malformed *mysqlwire.MalformedError
	var length *mysqlwire.LengthError
	var sequence *mysqlwire.SequenceError
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
	case errors.As(err, &malformed), errors.As(err, &length), errors.As(err, &sequence):
		refusal = badHandshake(err)
	case errors.Is(err, io.EOF):
		return nil, ErrClientGone
	default:
		return nil, fmt.Errorf("mysql login: %w", err)
	}
	refusal.User = a.user
	e := mysqlwire.Error{Code: refusal.Code, SQLState: refusal.SQLState, Message: refusal.Message}
	if a.old {
		e.SQLState = ""
	}
	out, at := mysqlwire.BeginPacket(a.out)
	out, _ = mysqlwire.EndPacket(e.Append(out), at, a.seq)
	// The client may have gone; the refusal is the news, not that.
	_, _ = a.conn.Write(out)
	if t, ok := a.conn.(*tls.Conn); ok {
		_ = t.CloseWrite()
	}
	return nil, refusal
}

func (a *acceptor) run(ctx context.Context) (*Client, error) {
	hello := a.o.Hello
	a.last = hello.Scramble
	if !hello.Sent {
		if _, err := a.conn.Write(hello.Append(nil)); err != nil {
			return nil, err
		}
	}
	a.seq = 1
	payload, err := a.first()
	if err != nil {
		return nil, err
	}
	r, err := mysqlwire.ParseHandshakeResponse41(payload)
	if err != nil {
		return nil, err
	}
	a.user = r.User
	a.caps = r.Capabilities & hello.Capabilities
	switch {
	case a.o.RequireTLS && !a.tls:
		return nil, tlsRequired("the proxy requires TLS, the client came without")
	case !r.Capabilities.Has(mysqlwire.ClientSecureConnection):
		return nil, notSupported("client knows no authentication of MySQL 4.1 or newer")
	}
	client := &Client{
		User:         r.User,
		Database:     r.Database,
		Capabilities: a.caps,
		Charset:      uint16(r.Charset),
		MaxPacket:    r.MaxPacket,
		ZstdLevel:    r.ZstdLevel,
	}
	if client.Attributes, _, err = mysqlwire.ParseAttributes(r.Attributes, maxAttributes); err != nil {
		return nil, err
	}
	plugin := r.Plugin
	if !a.caps.Has(mysqlwire.ClientPluginAuth) {
		plugin = mysqlwire.PluginNative
	}
	if client.Verifier, err = a.authenticate(ctx, plugin, r.AuthResponse); err == nil && a.o.Admit != nil {
		err = a.o.Admit(client)
	}
	return client, err
}

// sslRequestPacket is the length in bytes of an SSLRequest with its header: the shortest first packet that is in order.
const sslRequestPacket = mysqlwire.HeaderLen + mysqlwire.SSLRequestLen

// first reads the client's first packet, and switches to TLS when that is the wish: then it is the packet after that. The
// payload is valid until the next read.
func (a *acceptor) first() ([]byte, error) {
	for {
		// A client waits for no answer to its SSLRequest: the TLS handshake may come right behind. So nothing behind the
		// request may leave the socket, where TLS finds it: no plaintext byte ever passes for an encrypted one.
		limit := sslRequestPacket
		if a.tls || a.o.TLS == nil {
			limit = anything
		}
		payload, err := a.r.packetWithin(&a.seq, maxLoginPacket, limit)
		if err != nil {
			return nil, err
		}
		if len(payload) < 2 {
			return nil, &mysqlwire.MalformedError{Packet: "HandshakeResponse41", Field: "client_flag"}
		}
		flags := mysqlwire.Capability(binary.LittleEndian.Uint16(payload))
		switch {
		case !flags.Has(mysqlwire.ClientProtocol41):
			a.old = true
			return nil, notSupported("client is older than protocol 4.1")
		case a.tls || !flags.Has(mysqlwire.ClientSSL):
			return payload, nil
		case !mysqlwire.IsSSLRequest(payload):
			return nil, badHandshake(errors.New("CLIENT_SSL in a packet that is no SSLRequest"))
		case a.o.TLS == nil:
			return nil, badHandshake(errors.New("client wants TLS, which it was not offered"))
		case len(a.r.buffered()) > 0:
			return nil, errEarlyBytes
		}
		if err := a.switchToTLS(); err != nil {
			return nil, err
		}
	}
}

// errEarlyBytes means that bytes behind an SSLRequest were read as plaintext.
var errEarlyBytes = errors.New("unencrypted data behind a request for encryption")

func (a *acceptor) switchToTLS() error {
	t := tls.Server(a.conn, a.o.TLS)
	// Not HandshakeContext: the connection's deadline is enough, and that would start a goroutine for each client.
	var err error
	a.o.Block(func() { err = t.Handshake() })
	if err != nil {
		return &handshakeError{unexpected(err)}
	}
	a.conn, a.r.conn, a.tls = t, t, true
	return nil
}

// handshakeError is a TLS handshake that failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// AuthFailure puts it with the failures of authentication, as the contract does (8.1).
func (e *handshakeError) AuthFailure() bool { return true }
