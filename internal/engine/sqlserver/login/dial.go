package login

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/targettls"
	"forebay/internal/wire/tds"
)

// Transport opens network connections.
type Transport func(ctx context.Context, network, address string) (net.Conn, error)

// Credentials log one user in to servers. They print as the user name.
type Credentials struct {
	user     string
	password secret.Password
}

// NewCredentials returns the credentials of a user.
func NewCredentials(user string, password secret.Password) *Credentials {
	return &Credentials{user: user, password: password}
}

// String returns the user name: nothing else of Credentials may be printed.
func (c *Credentials) String() string { return c.user }

// GoString is String, for %#v.
func (c *Credentials) GoString() string { return c.user }

// DialOptions say where and as whom to log in.
type DialOptions struct {
	Address string           // host:port; the host is also the name that verify-full wants in the certificate
	TLSMode resource.TLSMode // empty: prefer
	// RootCAs checks the server's certificate. nil: verify-ca, verify-full and strict use the system's, the other modes
	// check nothing. Given, every mode checks the chain.
	RootCAs *x509.CertPool

	Credentials *Credentials
	Database    string // empty: the user's default
	Application string // what the server shows of us

	// Version to ask for: of TDS 7, whatever the mode; 0: V74.
	Version    tds.Version
	PacketSize int // to ask for, in bytes; 0: DefaultPacket
	Features   tds.Features

	ODBC             bool // as of Client
	OLEDB            bool
	BinaryXML        bool
	UnknownCollation bool
	ReadOnlyIntent   bool
}

// DefaultPacket is the packet size that servers are asked for, in bytes: that of most drivers, so that packets pass whole.
const DefaultPacket = 8000

// progVersion is our library's version, as servers show it: 1.0.
const progVersion = 0x01000000

// Dial connects by transport (nil: a net.Dialer), agrees on TLS, and logs in. On return the connection is idle, at a
// message boundary, without a deadline. ctx bounds all of it.
//
// Errors match one of ErrUnreachable, ErrTLS, ErrAuth, ErrTooManyConnections, ErrNoDatabase, ErrRouted and ErrProtocol, or
// hold a *ServerError of another number; the context's own errors match too.
func Dial(ctx context.Context, transport Transport, o DialOptions) (*Server, error) {
	s, err := dialOnce(ctx, transport, o, o.TLSMode)
	// Mode prefer tries again without TLS after a failed handshake, as libpq does; drivers of SQL Server do not.
	if errors.Is(err, errHandshake) && (o.TLSMode == resource.TLSPrefer || o.TLSMode == "") && ctx.Err() == nil {
		plain, plainErr := dialOnce(ctx, transport, o, resource.TLSDisable)
		if plainErr == nil {
			return plain, nil
		}
		err = errors.Join(err, plainErr)
	}
	if err != nil {
		return nil, fmt.Errorf("tds login to %s: %w", o.Address, err)
	}
	return s, nil
}

// Knock asks a server for its PRELOGIN, which is no log-in and costs it little, and returns its version, as that has it.
func Knock(ctx context.Context, transport Transport, o DialOptions) (version uint32, err error) {
	mode := o.TLSMode
	err = withConn(ctx, transport, o.Address, func(conn net.Conn) error {
		l := newDialer(conn, o, mode)
		defer l.r.release()
		if mode == resource.TLSStrict {
			if err := l.tlsFirst(); err != nil {
				return err
			}
		}
		p, err := l.hello()
		if err == nil {
			version = p.Version
		}
		conn.Close()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("tds at %s: %w", o.Address, err)
	}
	return version, nil
}

// errHandshake marks a TLS handshake that failed.
var errHandshake = errors.New("handshake")

// withConn runs f with a connection that ends with ctx. Where f fails, the connection is closed.
func withConn(ctx context.Context, transport Transport, address string, f func(net.Conn) error) error {
	if transport == nil {
		transport = (&net.Dialer{}).DialContext
	}
	conn, err := transport(ctx, "tcp", address)
	if err != nil {
		return withContext(ctx, fmt.Errorf("%w: %w", ErrUnreachable, err))
	}
	stop, err := bindContext(ctx, conn)
	if err != nil {
		conn.Close()
		return err
	}
	defer stop()
	err = f(conn)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return withContext(ctx, err)
	}
	return nil
}

func dialOnce(ctx context.Context, transport Transport, o DialOptions, mode resource.TLSMode) (*Server, error) {
	var s *Server
	err := withConn(ctx, transport, o.Address, func(conn net.Conn) error {
		l := newDialer(conn, o, mode)
		defer l.r.release()
		if err := l.run(); err != nil {
			return err
		}
		s = l.s
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.Conn.SetDeadline(time.Time{}); err != nil {
		s.Conn.Close()
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return s, nil
}

// withContext adds the context's error where its end, not the peer, is why the work failed.
func withContext(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
		return fmt.Errorf("%w: %w", ctxErr, err)
	}
	return err
}

// bindContext makes reads and writes of c end with ctx. stop ends that and reports whether ctx was still alive.
func bindContext(ctx context.Context, c net.Conn) (stop func() bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if ctx.Done() == nil {
		return func() bool { return true }, nil
	}
	// The end of ctx, its deadline included, becomes a deadline that has passed. One set in advance would mean a timer
	// for each wait of the connection.
	var ended, alive bool
	unhook := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return func() bool {
		if !ended {
			ended, alive = true, unhook()
		}
		return alive
	}, nil
}

// ioError classifies what a read or write of a server connection returned.
func ioError(err error) error {
	var malformed *tds.MalformedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &malformed):
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
	raw  net.Conn
	s    *Server
	r    *reader
}

func newDialer(conn net.Conn, o DialOptions, mode resource.TLSMode) *dialer {
	l := &dialer{o: o, mode: mode, raw: conn, s: &Server{Conn: conn}, r: newReader(conn)}
	l.r.exact = true
	return l
}

func (l *dialer) run() error {
	if l.mode == resource.TLSStrict {
		if err := l.tlsFirst(); err != nil {
			return err
		}
	}
	p, err := l.hello()
	if err != nil {
		return err
	}
	if !l.s.TLS {
		secure, err := wantsTLS(l.mode, p)
		if err != nil {
			return err
		}
		if secure {
			if err := l.tlsInside(); err != nil {
				return err
			}
		}
	}
	return l.login()
}

// hello sends PRELOGIN and reads the server's.
func (l *dialer) hello() (*tds.PreLogin, error) {
	p := tds.PreLogin{
		Version: progVersion, HasEncryption: true, Encryption: tds.EncryptOn, Instance: []byte{0}, HasThreadID: true, HasMARS: true,
	}
	if l.mode == resource.TLSDisable || l.mode == resource.TLSStrict {
		p.Encryption = tds.EncryptNotSupported // over TLS that has come first there is no other
	}
	if err := l.send(tds.PacketPreLogin, p.Append(nil)); err != nil {
		return nil, err
	}
	_, data, err := l.r.message(maxPreLogin, tds.PacketReply, tds.PacketPreLogin)
	if err != nil {
		return nil, ioError(err)
	}
	if m, _, err := tds.ParseMessage(data, tds.V74); err == nil { // a server that is full, or stops
		return nil, (*ServerError)(m)
	}
	answer, err := tds.ParsePreLogin(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return answer, nil
}

// wantsTLS decides by the mode (libpq's sslmode) and by what the server has answered.
func wantsTLS(mode resource.TLSMode, p *tds.PreLogin) (bool, error) {
	has := p.HasEncryption && (p.Encryption == tds.EncryptOn || p.Encryption == tds.EncryptRequired)
	switch mode {
	case resource.TLSDisable:
		if has {
			return false, fmt.Errorf("%w: server wants TLS, mode disable has none", ErrTLS)
		}
		return false, nil
	case "", resource.TLSPrefer:
		return has, nil
	case resource.TLSRequire, resource.TLSVerifyCA, resource.TLSVerifyFull:
		if !has {
			return false, fmt.Errorf("%w: server does not offer TLS, mode %s wants it", ErrTLS, mode)
		}
		return true, nil
	}
	return false, fmt.Errorf("%w: unknown mode %q", ErrTLS, mode)
}

// tlsInside is TLS inside PRELOGIN packets.
func (l *dialer) tlsInside() error {
	cfg := targettls.Config(l.o.Address, l.mode, l.o.RootCAs)
	insideTLS(cfg)
	return l.handshake(&framed{Conn: l.raw, state: framingPackets}, cfg)
}

// tlsFirst is TDS 8: it asks for what verify-full asks for.
func (l *dialer) tlsFirst() error {
	cfg := targettls.Config(l.o.Address, resource.TLSVerifyFull, l.o.RootCAs)
	cfg.NextProtos = []string{alpn}
	cfg.DynamicRecordSizingDisabled = true
	return l.handshake(&framed{Conn: l.raw}, cfg)
}

func (l *dialer) handshake(under *framed, cfg *tls.Config) error {
	t := tls.Client(under, cfg)
	err := t.Handshake()
	if err == nil {
		err = under.ended(framingPass)
	}
	if err != nil {
		return fmt.Errorf("%w: %w: %w", ErrTLS, errHandshake, unexpected(err))
	}
	l.s.Conn, l.s.TLS, l.r.conn = t, true, t
	return nil
}

// send writes one message of the connection phase.
func (l *dialer) send(t tds.PacketType, data []byte) error {
	out := tds.AppendMessage(nil, t, 0, tds.DefaultPacketSize, 0, data)
	_, err := l.s.Conn.Write(out)
	clear(out)
	return ioError(err)
}

// login sends LOGIN7 and reads the answer.
func (l *dialer) login() error {
	l.r.exact = false
	m := l.message()
	data, err := m.Append(nil)
	if err != nil {
		return fmt.Errorf("%w: what is to be sent is too long: %w", ErrProtocol, err)
	}
	err = l.send(tds.PacketLogin7, data)
	clear(data)
	if err != nil {
		return err
	}
	h, answer, err := l.r.message(maxAnswer, tds.PacketReply)
	if err != nil {
		return ioError(err)
	}
	l.s.SPID, l.s.PacketSize, l.s.Version = h.SPID, tds.DefaultPacketSize, m.Version
	if err := l.take(answer); err != nil {
		return err
	}
	// What it has not been asked for would have its answers in forms that nobody expects.
	if v := l.s.Version; !m.Version.AtLeast(v) || !v.AtLeast(tds.V71) {
		return fmt.Errorf("%w: server speaks TDS version %#08x, and was asked for %#08x", ErrProtocol, uint32(v), uint32(m.Version))
	}
	if f := l.s.Features; f != f.And(tds.FeaturesOf(m.Features)) {
		return fmt.Errorf("%w: server acknowledges features that it was not asked for", ErrProtocol)
	}
	if len(l.r.buffered()) > 0 {
		return fmt.Errorf("%w: data while idle", ErrProtocol)
	}
	l.s.Settings = settings.LogIn(settings.LoginOptions{
		ODBC: l.o.ODBC || l.o.OLEDB, Database: l.s.Database, Language: l.s.Language,
	})
	return nil
}

// message makes the LOGIN7.
func (l *dialer) message() *tds.Login7 {
	o := l.o
	if o.Version == 0 {
		o.Version = tds.V74
	}
	if l.mode == resource.TLSStrict {
		o.Version = tds.V80
	}
	if o.PacketSize == 0 {
		o.PacketSize = DefaultPacket
	}
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		host = o.Address
	}
	m := &tds.Login7{
		Version: o.Version, PacketSize: uint32(o.PacketSize), ProgVersion: progVersion, PID: uint32(os.Getpid()),
		Flags1: tds.Flag1UseDB | tds.Flag1DatabaseFatal | tds.Flag1SetLanguage, Flags2: tds.Flag2LanguageFatal,
		UserName: o.Credentials.user, Password: o.Credentials.password.Reveal(), AppName: o.Application, HostName: o.Application,
		ServerName: host, Library: "forebay", Database: o.Database,
	}
	set := func(on bool, flags *uint8, bit uint8) {
		if on {
			*flags |= bit
		}
	}
	set(o.ODBC, &m.Flags2, tds.Flag2ODBC)
	set(o.OLEDB, &m.TypeFlags, tds.FlagTypeOLEDB)
	set(o.ReadOnlyIntent, &m.TypeFlags, tds.FlagTypeReadOnlyIntent)
	if o.Version.AtLeast(tds.V72) {
		set(o.BinaryXML, &m.Flags3, tds.Flag3BinaryXML)
		set(o.UnknownCollation, &m.Flags3, tds.Flag3UnknownCollation)
	}
	if o.Version.AtLeast(tds.V74) {
		m.Features = o.Features.Request()
	}
	return m
}

// take goes through the answer to LOGIN7.
func (l *dialer) take(b []byte) error {
	s := l.s
	var failed *ServerError
	acknowledged := false
	protocol := func(err error) error {
		if errors.Is(err, tds.ErrShort) {
			err = errors.New("the answer to LOGIN7 ends within a token")
		}
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	for len(b) > 0 {
		n := 0
		var err error
		switch b[0] {
		case tokenLoginAck:
			var a tds.LoginAck
			if a, n, err = tds.ParseLoginAck(b); err == nil {
				s.Version, s.ProgName, s.ProgVersion, acknowledged = a.Version, a.ProgName, a.ProgVersion, true
			}
		case tokenEnvChange:
			var e tds.EnvChange
			if e, n, err = tds.ParseEnvChange(b); err == nil {
				err = s.change(e)
			}
		case tokenError, tokenInfo:
			var m *tds.Message
			if m, n, err = tds.ParseMessage(b, s.Version); err == nil {
				if s.ServerName = m.Server; !m.Info && failed == nil {
					failed = (*ServerError)(m)
				}
			}
		case tokenFeatureExtAck:
			var list []tds.Feature
			if list, n, err = tds.ParseFeatureExtAck(b); err == nil {
				s.Features = tds.FeaturesOf(list)
			}
		case tokenDone, tokenDoneProc, tokenDoneInProc:
			n = doneLen(s.Version)
		case tokenSSPI:
			return fmt.Errorf("%w: server asks for integrated authentication", ErrAuth)
		case tokenFedAuthInfo:
			return fmt.Errorf("%w: server asks for a token", ErrAuth)
		default:
			return fmt.Errorf("%w: token 0x%02x in the answer to LOGIN7", ErrProtocol, b[0])
		}
		switch {
		case errors.Is(err, ErrRouted):
			return err
		case err != nil:
			return protocol(err)
		case n > len(b):
			return protocol(tds.ErrShort)
		}
		b = b[n:]
	}
	switch {
	case failed != nil:
		return failed
	case !acknowledged:
		return fmt.Errorf("%w: answer to LOGIN7 without LOGINACK", ErrProtocol)
	}
	return nil
}

// The tokens of answers that are read here.
const (
	tokenColMetadata   = 0x81
	tokenOrder         = 0xA9
	tokenError         = 0xAA
	tokenInfo          = 0xAB
	tokenLoginAck      = 0xAD
	tokenFeatureExtAck = 0xAE
	tokenRow           = 0xD1
	tokenNBCRow        = 0xD2
	tokenEnvChange     = 0xE3
	tokenSSPI          = 0xED
	tokenFedAuthInfo   = 0xEE
	tokenDone          = 0xFD
	tokenDoneProc      = 0xFE
	tokenDoneInProc    = 0xFF
)

// doneLen is the length of a DONE, in bytes.
func doneLen(v tds.Version) int {
	if v.AtLeast(tds.V72) {
		return 13
	}
	return 9
}

// change takes over what an ENVCHANGE tells.
func (s *Server) change(e tds.EnvChange) error {
	switch e.Type {
	case tds.EnvDatabase:
		s.Database = tds.DecodeText(e.New)
	case tds.EnvLanguage:
		s.Language = tds.DecodeText(e.New)
	case tds.EnvCollation:
		if len(e.New) == len(s.Collation) {
			copy(s.Collation[:], e.New)
		}
	case tds.EnvPacketSize:
		size, err := strconv.Atoi(tds.DecodeText(e.New))
		if err != nil || size < tds.MinPacketSize || size > tds.MaxPacketSize {
			return &tds.MalformedError{Structure: "ENVCHANGE", Field: "packet size"}
		}
		s.PacketSize = size
	case tds.EnvBegin, tds.EnvCommit, tds.EnvRollback:
		s.transacts(e.Type, e.New)
	case tds.EnvRouting:
		r, err := e.Routing()
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: %s", ErrRouted, printable(net.JoinHostPort(strings.TrimSpace(r.Host), strconv.Itoa(int(r.Port)))))
	}
	return nil
}

// transacts takes over what an ENVCHANGE tells of transactions.
func (s *Server) transacts(t tds.EnvType, descriptor []byte) {
	switch {
	case t == tds.EnvBegin && len(descriptor) == len(s.transaction):
		copy(s.transaction[:], descriptor)
	case t == tds.EnvCommit || t == tds.EnvRollback:
		s.transaction = [8]byte{}
	}
}

// Close closes the connection: the protocol has no farewell.
func (s *Server) Close() { _ = s.Conn.Close() }
