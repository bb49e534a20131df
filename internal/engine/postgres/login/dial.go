package login

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"forebay/internal/resource"

	"github.com/jackc/pgx/v5/pgproto3"
)

// DialOptions say where and as whom to log in.
type DialOptions struct {
	Address string           // host:port; the host is also the name that verify-full wants in the certificate
	TLSMode resource.TLSMode // empty: prefer
	// RootCAs checks the server's certificate. nil: verify-ca and verify-full use the system's, the other modes
	// check nothing. Given, every mode checks the chain, as libpq does when it finds a root certificate.
	RootCAs *x509.CertPool

	Database    string       // empty: the user's name
	Credentials *Credentials // whose keys are kept: reconnecting costs no PBKDF2
	Params      []Param      // further startup parameters: application_name, client_encoding ...

	// Dialer opens the network connection; nil: a net.Dialer.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// Server is a server connection, logged in and idle. It belongs to one goroutine at a time.
type Server struct {
	Conn   net.Conn // maybe a *tls.Conn
	TLS    bool
	Params []Param // ParameterStatus by name, in the order in which they came first; Query keeps them current

	PID       uint32
	SecretKey []byte // as in BackendKeyData; nil if the server sent none

	// TxStatus is that of the last ReadyForQuery: 'I' idle, 'T' in a transaction, 'E' in a failed one.
	TxStatus byte

	broken bool // the message boundary is lost or a reply is outstanding
}

// Bounds on what a server may send, in bytes.
const (
	maxLoginMessage = 64 << 10
	maxQueryMessage = 16 << 20 // one message of a Query's answer
	maxQueryResult  = 64 << 20 // all rows that a Query returns
)

// Dial connects, agrees on TLS, and logs in. On return the connection is idle, at a message boundary, without a
// deadline. ctx bounds all of it.
//
// Errors match one of ErrUnreachable, ErrTLS, ErrAuth, ErrTooManyConnections, ErrNoDatabase and ErrProtocol, or hold
// a *ServerError of another SQLSTATE; the context's own errors match too.
func Dial(ctx context.Context, o DialOptions) (*Server, error) {
	if o.Credentials.token && (prefers(o.TLSMode) || o.TLSMode == resource.TLSDisable) {
		return nil, fmt.Errorf("postgres login to %s: %w: a token is sent over TLS alone, and the mode is %q", o.Address, ErrTLS, o.TLSMode)
	}
	s, err := dialOnce(ctx, o, o.TLSMode)
	if err != nil && prefers(o.TLSMode) && retryPlain(err) && ctx.Err() == nil {
		plain, plainErr := dialOnce(ctx, o, resource.TLSDisable)
		if plainErr == nil {
			return plain, nil
		}
		err = errors.Join(err, plainErr)
	}
	if err != nil {
		return nil, fmt.Errorf("postgres login to %s: %w", o.Address, err)
	}
	return s, nil
}

func prefers(mode resource.TLSMode) bool { return mode == resource.TLSPrefer || mode == "" }

// retryPlain reports whether mode prefer tries again without TLS: after a failed handshake, and when the server has no
// rule for this user over TLS (hostnossl in pg_hba.conf). libpq tries again after every error of the server; we
// do not repeat a wrong password or add a second connection to a full server.
func retryPlain(err error) bool {
	var se *ServerError
	if errors.As(err, &se) {
		return se.Code == codeInvalidAuthorization && errors.Is(err, errOverTLS)
	}
	return errors.Is(err, ErrTLS)
}

// errOverTLS marks a server's error that came over TLS.
var errOverTLS = errors.New("over TLS")

// overTLS adds errOverTLS to an error without changing its text.
type overTLS struct{ error }

func (e overTLS) Unwrap() []error { return []error{e.error, errOverTLS} }

func dialOnce(ctx context.Context, o DialOptions, mode resource.TLSMode) (*Server, error) {
	conn, stop, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer stop()
	s, err := func() (*Server, error) {
		c, err := negotiateTLS(conn, o, mode)
		if err != nil {
			return nil, err
		}
		l := &dialer{o: o, s: &Server{Conn: c.conn, TLS: c.tls != nil}, tls: c, r: newReader(c.conn)}
		defer l.r.release()
		if err := l.run(); err != nil {
			if l.s.TLS {
				err = overTLS{err}
			}
			return nil, err
		}
		return l.s, nil
	}()
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, withContext(ctx, err)
	}
	return s, nil
}

// Knock connects and agrees on TLS, as Dial does, and leaves: the server is there, whoever it would let in. Of o it uses
// what does not depend on a user. Errors are those of Dial.
func Knock(ctx context.Context, o DialOptions) error {
	conn, stop, err := open(ctx, o)
	if err == nil {
		defer conn.Close()
		defer stop()
		if _, err = negotiateTLS(conn, o, o.TLSMode); err != nil {
			err = withContext(ctx, err)
		}
	}
	if err != nil {
		return fmt.Errorf("postgres at %s: %w", o.Address, err)
	}
	return nil
}

// open makes the network connection and ties it to ctx.
func open(ctx context.Context, o DialOptions) (net.Conn, func() bool, error) {
	dial := o.Dialer
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", o.Address)
	if err != nil {
		return nil, nil, withContext(ctx, fmt.Errorf("%w: %w", ErrUnreachable, err))
	}
	stop, err := bindContext(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, stop, nil
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
	var length *LengthError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &length):
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
	o   DialOptions
	s   *Server
	tls *secured
	r   *reader
}

func (l *dialer) run() error {
	packet, err := l.startupPacket()
	if err != nil {
		return err
	}
	if _, err := l.s.Conn.Write(packet); err != nil {
		return ioError(err)
	}
	if err := l.authenticate(); err != nil {
		return err
	}
	for {
		typ, body, err := l.next()
		if err != nil {
			return err
		}
		switch typ {
		case 'K':
			if len(body) < 4+minCancelSecret || len(body) > 4+maxCancelSecret {
				return fmt.Errorf("%w: BackendKeyData of %d bytes", ErrProtocol, len(body))
			}
			l.s.PID = binary.BigEndian.Uint32(body)
			l.s.SecretKey = append([]byte(nil), body[4:]...)
		case 'Z':
			return l.s.ready(l.r, body)
		default:
			return fmt.Errorf("%w: message %q after authentication", ErrProtocol, typ)
		}
	}
}

// startupPacket encodes StartupMessage for protocol 3.0, which every server speaks.
func (l *dialer) startupPacket() ([]byte, error) {
	params := append([]Param{{"user", l.o.Credentials.user}, {"database", l.o.Database}}, l.o.Params...)
	packet := binary.BigEndian.AppendUint32(make([]byte, 4, 256), protocol30)
	for _, p := range params {
		if p.Name == "database" && p.Value == "" {
			continue
		}
		if p.Name == "" || strings.IndexByte(p.Name, 0) >= 0 || strings.IndexByte(p.Value, 0) >= 0 {
			return nil, fmt.Errorf("%w: startup parameter %q cannot be sent", ErrProtocol, printable(p.Name))
		}
		packet = append(append(packet, p.Name...), 0)
		packet = append(append(packet, p.Value...), 0)
	}
	packet = append(packet, 0)
	if len(packet)-4 > maxStartupLen {
		return nil, fmt.Errorf("%w: startup packet of %d bytes", ErrProtocol, len(packet))
	}
	binary.BigEndian.PutUint32(packet, uint32(len(packet)))
	return packet, nil
}

// next returns the next message that is neither a notice nor a ParameterStatus; an ErrorResponse is returned as error.
func (l *dialer) next() (byte, []byte, error) {
	for {
		typ, body, err := l.r.message("server message", maxLoginMessage, true)
		if err != nil {
			return 0, nil, ioError(err)
		}
		switch typ {
		case 'E':
			return 0, nil, parseServerError(body)
		case 'N', 'A':
		case 'S':
			if err := l.s.parameterStatus(body); err != nil {
				return 0, nil, err
			}
		case 'v':
			return 0, nil, fmt.Errorf("%w: server does not speak protocol 3.0", ErrProtocol)
		default:
			return typ, body, nil
		}
	}
}

func (s *Server) parameterStatus(body []byte) error {
	var m pgproto3.ParameterStatus
	if err := m.Decode(body); err != nil {
		return fmt.Errorf("%w: malformed ParameterStatus", ErrProtocol)
	}
	s.Params = setParam(s.Params, m.Name, m.Value)
	return nil
}

// ready takes a ReadyForQuery and then whatever asynchronous messages came with it, up to a message boundary: nothing
// of the connection may remain in r.
func (s *Server) ready(r *reader, body []byte) error {
	if len(body) != 1 {
		return fmt.Errorf("%w: malformed ReadyForQuery", ErrProtocol)
	}
	s.TxStatus = body[0]
	for len(r.buffered()) > 0 {
		typ, body, err := r.message("server message", maxLoginMessage, false)
		if err != nil {
			return ioError(err)
		}
		switch typ {
		case 'N', 'A':
		case 'S':
			if err := s.parameterStatus(body); err != nil {
				return err
			}
		case 'E': // the server ends the session: shutdown, terminated by an administrator
			return parseServerError(body)
		default:
			return fmt.Errorf("%w: message %q while idle", ErrProtocol, typ)
		}
	}
	return nil
}

// Close says goodbye (Terminate) and closes the connection.
func (s *Server) Close() {
	if !s.broken {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = s.Conn.Write([]byte{'X', 0, 0, 0, 4})
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
