package login

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"forebay/internal/resource"
	"forebay/internal/wire/mysqlwire"
)

// Transport opens network connections.
type Transport func(ctx context.Context, network, address string) (net.Conn, error)

// DialOptions say where and as whom to log in.
type DialOptions struct {
	Address string           // host:port; the host is also the name that verify-full wants in the certificate
	TLSMode resource.TLSMode // empty: prefer
	// RootCAs checks the server's certificate. nil: verify-ca and verify-full use the system's, the other modes
	// check nothing. Given, every mode checks the chain.
	RootCAs *x509.CertPool

	Database    string // empty: none
	Credentials *Credentials

	// Capabilities to ask for beside those that the log-in needs; what the server does not offer is left out, and so are
	// compression and further authentication factors. MariaDB's extended ones replace CLIENT_LONG_PASSWORD.
	Capabilities mysqlwire.Capability
	Charset      uint8                 // low byte of a collation's id; 0: utf8mb4_general_ci
	MaxPacket    uint32                // in bytes; 0: 1 GiB, the largest that servers allow
	Attributes   []mysqlwire.Attribute // what the server shows of us
}

// Server is a server connection, logged in and idle. It belongs to one goroutine at a time.
type Server struct {
	Conn net.Conn // maybe a *tls.Conn
	TLS  bool

	Version      string // without MariaDB's "5.5.5-"
	FullVersion  string // as in the greeting
	MariaDB      bool
	ConnectionID uint32               // as in the greeting
	Capabilities mysqlwire.Capability // agreed on
	Offered      mysqlwire.Capability // all that the greeting had
	Charset      uint8                // the server's own, as in the greeting
	Plugin       string               // by which the user was authenticated

	// Status is that of the last OK or EOF packet.
	Status mysqlwire.Status
	// SessionState holds the session state changes of the log-in's OK packet, encoded (mysqlwire.NextStateChange).
	SessionState []byte

	broken bool // the message boundary is lost or a reply is outstanding
}

// Capabilities that Dial always asks for, and those that it never does.
const (
	needed = mysqlwire.ClientProtocol41 | mysqlwire.ClientSecureConnection
	asked  = needed | mysqlwire.ClientTransactions | mysqlwire.ClientPluginAuth | mysqlwire.ClientPluginAuthLenEncClientData |
		mysqlwire.ClientLongFlag | mysqlwire.ClientLongPassword
	never = mysqlwire.ClientCompress | mysqlwire.ClientZstdCompression | mysqlwire.ClientMultiFactorAuthentication |
		mysqlwire.ClientCapabilityExtension | mysqlwire.ClientSSLVerifyServerCert | mysqlwire.ClientRememberOptions |
		mysqlwire.ClientSSL | mysqlwire.ClientConnectWithDB | mysqlwire.ClientConnectAttrs
)

// Dial connects by transport (nil: a net.Dialer), agrees on TLS, and logs in. On return the connection is idle, at a
// message boundary, without a deadline. ctx bounds all of it.
//
// Errors match one of ErrUnreachable, ErrTLS, ErrAuth, ErrTooManyConnections, ErrNoDatabase and ErrProtocol, or hold
// a *ServerError of another code; the context's own errors match too.
func Dial(ctx context.Context, transport Transport, o DialOptions) (*Server, error) {
	if o.Credentials.token && (o.TLSMode == resource.TLSPrefer || o.TLSMode == "" || o.TLSMode == resource.TLSDisable) {
		return nil, fmt.Errorf("mysql login to %s: %w: a token is sent over TLS alone, and the mode is %q", o.Address, ErrTLS, o.TLSMode)
	}
	s, err := dialOnce(ctx, transport, o, o.TLSMode)
	// Mode prefer tries again without TLS after a failed handshake, as libpq does; MySQL's clients do not.
	if errors.Is(err, errHandshake) && (o.TLSMode == resource.TLSPrefer || o.TLSMode == "") && ctx.Err() == nil {
		plain, plainErr := dialOnce(ctx, transport, o, resource.TLSDisable)
		if plainErr == nil {
			return plain, nil
		}
		err = errors.Join(err, plainErr)
	}
	if err != nil {
		return nil, fmt.Errorf("mysql login to %s: %w", o.Address, err)
	}
	return s, nil
}

// errHandshake marks a TLS handshake that failed.
var errHandshake = errors.New("handshake")

// Knock asks a server for its greeting, as Dial does. It then tries to log in, though o.Credentials are nobody's: one that
// left without that would be counted as a fault of the network by the server, which shuts such hosts out after a while
// (max_connect_errors). That the server would not have it is no error, and what the Server is good for is what a greeting
// says: it is closed.
func Knock(ctx context.Context, transport Transport, o DialOptions) (*Server, error) {
	l, err := dial(ctx, transport, o, o.TLSMode)
	if err == nil {
		l.s.Close()
	}
	var answer *ServerError
	refused := (errors.As(err, &answer) || errors.Is(err, ErrAuth)) && !errors.Is(err, ErrUnreachable)
	if err == nil || refused && l != nil && l.s.FullVersion != "" {
		return l.s, nil
	}
	return nil, fmt.Errorf("mysql at %s: %w", o.Address, err)
}

func dialOnce(ctx context.Context, transport Transport, o DialOptions, mode resource.TLSMode) (*Server, error) {
	l, err := dial(ctx, transport, o, mode)
	if err != nil {
		return nil, err
	}
	return l.s, nil
}

// dial is one attempt. With an error the dialer, if there is one, has what came before it.
func dial(ctx context.Context, transport Transport, o DialOptions, mode resource.TLSMode) (*dialer, error) {
	if transport == nil {
		transport = (&net.Dialer{}).DialContext
	}
	conn, err := transport(ctx, "tcp", o.Address)
	if err != nil {
		return nil, withContext(ctx, fmt.Errorf("%w: %w", ErrUnreachable, err))
	}
	stop, err := bindContext(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer stop()
	l := &dialer{o: o, mode: mode, s: &Server{Conn: conn}, r: newReader(conn)}
	defer l.r.release()
	err = l.run()
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return l, withContext(ctx, err)
	}
	return l, nil
}

// withContext adds the context's error where its end, not the peer, is why the work failed.
func withContext(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
		return fmt.Errorf("%w: %w", ctxErr, err)
	}
	return err
}

// ioError classifies what a read or write of a server connection returned.
func ioError(err error) error {
	var length *mysqlwire.LengthError
	var sequence *mysqlwire.SequenceError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &length), errors.As(err, &sequence):
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: server closed the connection", ErrUnreachable)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: no answer in time: %w", ErrUnreachable, context.DeadlineExceeded)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// dialer is one login under way.
type dialer struct {
	o    DialOptions
	mode resource.TLSMode
	s    *Server
	r    *reader
	seq  uint8 // number of the next packet, whoever sends it

	plugin   string
	scramble []byte // as the server has sent it, perhaps with a zero behind
}

func (l *dialer) run() error {
	greeting, err := l.greeting()
	if err != nil {
		return err
	}
	response, err := l.response(greeting)
	if err != nil {
		return err
	}
	secure, err := wantsTLS(l.mode, greeting.Capabilities)
	if err != nil {
		return err
	}
	if secure {
		response.Capabilities |= mysqlwire.ClientSSL
		if err := l.send(response.SSLRequest.Append); err != nil {
			return err
		}
		t, err := clientHandshake(l.s.Conn, l.o, l.mode)
		if err != nil {
			return err
		}
		l.s.Conn, l.r.conn, l.s.TLS = t, t, true
	}
	l.s.Capabilities = response.Capabilities
	// Not before TLS: what is sent may depend on it.
	if response.AuthResponse, err = l.proof(); err != nil {
		return err
	}
	if !response.Capabilities.Has(mysqlwire.ClientPluginAuthLenEncClientData) && len(response.AuthResponse) > 255 {
		return fmt.Errorf("%w: proof of %d bytes, which the server cannot take", ErrProtocol, len(response.AuthResponse))
	}
	if err := l.send(response.Append); err != nil {
		return err
	}
	if err := l.authenticate(); err != nil {
		return err
	}
	return l.s.idle(l.r)
}

// greeting reads HandshakeV10, or the error that a server sends in its place.
func (l *dialer) greeting() (*mysqlwire.HandshakeV10, error) {
	payload, err := l.r.packet(&l.seq, maxLoginPacket)
	if err != nil {
		return nil, ioError(err)
	}
	if mysqlwire.IsERR(payload) {
		return nil, parseServerError(payload)
	}
	h, err := mysqlwire.ParseHandshakeV10(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if !h.Capabilities.Has(needed) {
		return nil, fmt.Errorf("%w: server %s is older than MySQL 4.1", ErrProtocol, printable(h.ServerVersion))
	}
	// A byte behind the greeting was not sent by a server that keeps to the protocol, and must not pass for part of the
	// encrypted session. Later ones stay in the socket and break the handshake.
	if len(l.r.buffered()) > 0 {
		return nil, fmt.Errorf("%w: data behind the greeting", ErrProtocol)
	}
	l.s.FullVersion = h.ServerVersion
	l.s.Version, l.s.MariaDB, l.s.ConnectionID = h.Version(), h.IsMariaDB(), h.ConnectionID
	l.s.Offered, l.s.Charset, l.s.Status = h.Capabilities, h.Charset, h.Status
	l.plugin, l.scramble = h.Plugin, h.AuthData
	if l.plugin != mysqlwire.PluginCachingSHA2 {
		// What a server without plugins means, and what we begin with where the greeting names another: the server then
		// asks for the user's own.
		l.plugin = mysqlwire.PluginNative
	}
	if l.o.Credentials.token {
		// A server that wants another plugin of this user says so, and which.
		l.plugin = mysqlwire.PluginClearPassword
	}
	return h, nil
}

// response makes the answer to the greeting, all but the proof.
func (l *dialer) response(h *mysqlwire.HandshakeV10) (*mysqlwire.HandshakeResponse41, error) {
	for _, s := range []string{l.o.Credentials.user, l.o.Database} {
		if strings.IndexByte(s, 0) >= 0 {
			return nil, fmt.Errorf("%w: user or database %q cannot be sent", ErrProtocol, printable(s))
		}
	}
	caps := l.o.Capabilities&^never | asked
	if l.o.Database != "" {
		caps |= mysqlwire.ClientConnectWithDB
	}
	if len(l.o.Attributes) > 0 {
		caps |= mysqlwire.ClientConnectAttrs
	}
	r := &mysqlwire.HandshakeResponse41{
		SSLRequest: mysqlwire.SSLRequest{
			Capabilities: caps & h.Capabilities,
			MaxPacket:    l.o.MaxPacket,
			Charset:      l.o.Charset,
		},
		User:       l.o.Credentials.user,
		Database:   l.o.Database,
		Plugin:     l.plugin,
		Attributes: mysqlwire.AppendAttributes(nil, l.o.Attributes),
	}
	if r.MaxPacket == 0 {
		r.MaxPacket = 1 << 30
	}
	if r.Charset == 0 {
		r.Charset = mysqlwire.UTF8MB4General
	}
	if l.o.Database != "" && !r.Capabilities.Has(mysqlwire.ClientConnectWithDB) {
		return nil, fmt.Errorf("%w: server takes no database at log-in", ErrProtocol)
	}
	return r, nil
}

// send writes one packet.
func (l *dialer) send(appendTo func([]byte) []byte) error {
	out, at := mysqlwire.BeginPacket(make([]byte, 0, 256))
	out, l.seq = mysqlwire.EndPacket(appendTo(out), at, l.seq)
	_, err := l.s.Conn.Write(out)
	clear(out)
	return ioError(err)
}

// idle checks that nothing of the connection remains in r. Servers that end an idle session say so in an ERR packet.
func (s *Server) idle(r *reader) error {
	if len(r.buffered()) == 0 {
		return nil
	}
	var seq uint8
	if payload, err := r.packet(&seq, maxLoginPacket); err == nil && mysqlwire.IsERR(payload) {
		return fmt.Errorf("%w: %w", ErrUnreachable, parseServerError(payload))
	}
	return fmt.Errorf("%w: data while idle", ErrProtocol)
}

// Close says goodbye (COM_QUIT) and closes the connection.
func (s *Server) Close() {
	if !s.broken {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = s.Conn.Write([]byte{1, 0, 0, 0, byte(mysqlwire.ComQuit)})
	}
	_ = s.Conn.Close()
}

// bindContext makes reads and writes of c end with ctx. stop ends that and reports whether ctx was still alive.
func bindContext(ctx context.Context, c net.Conn) (stop func() bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The end of ctx, its deadline included, becomes a deadline that has passed. One set in advance would mean a timer
	// for each wait of the connection.
	if ctx.Done() == nil {
		return func() bool { return true }, nil
	}
	var ended bool
	var alive bool
	unhook := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	return func() bool {
		if !ended {
			ended, alive = true, unhook()
		}
		return alive
	}, nil
}
