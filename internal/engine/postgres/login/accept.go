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
)

// AcceptOptions say how clients log in to one proxy.
type AcceptOptions struct {
	TLS        *ServerTLS // nil: TLS is not offered
	RequireTLS bool       // refuse plaintext logins; cancel requests are let through, as old clients send them plain

	// Lookup returns the verifier of a user, made for this log-in or an older one, or ErrUnknownUser. Any other error is ours: the client is told
	// "Unknown error." and the Refusal wraps it.
	Lookup func(ctx context.Context, user string) (*Verifier, error)

	// UnknownUserAuthType is how an unknown user is asked for a password; SCRAM if empty. Where all users have one type,
	// this should be the same.
	UnknownUserAuthType resource.ClientPasswordAuthType

	// Refuse is what each client is told that wants more than to cancel a statement; nil: clients may log in.
	Refuse *Refusal

	// Block runs what takes long, such as a TLS handshake, where that keeps nobody waiting; nil: where Accept runs.
	Block func(func())
}

// Client is a client that has logged in and waits for its welcome.
type Client struct {
	Conn net.Conn // what to go on with: the connection given to Accept, or the *tls.Conn over it
	TLS  bool

	User, Database string // Database defaults to User
	ProtocolMinor  int    // 0 or 2
	// Params holds all other startup parameters in the order in which a server applies them; those in "options" come
	// first. Of duplicates the last wins. Values are as received: the server judges them.
	Params []Param
	// Negotiate is the NegotiateProtocolVersion message that the client has already been sent, or nil.
	Negotiate []byte
	// Greeting has not been sent: SASLFinal, if any, and AuthenticationOk. The rest of the welcome follows in the same
	// write: ParameterStatus, BackendKeyData, ReadyForQuery.
	Greeting []byte
	Verifier *Verifier // the one that let the client in; its Credentials serve toward the server

	// Cancel is set instead of all the above but Conn and TLS: the client wants nothing but this, and expects the
	// connection to be closed.
	Cancel *CancelRequest

	// Buffered holds bytes that came before they were asked for, nearly always none: only a client that sends its
	// password and its first query in one go, unasked, has any. They belong to the query phase, before what Conn
	// gives.
	Buffered []byte
}

// Accept conducts the connection phase with a client that has just connected. It ends soon after c's deadline has passed
// or c was closed, by whomever; ctx is for Lookup.
//
// Errors: *Refusal, the client has been told why; ErrClientGone; *LengthError and all others, the connection is
// of no use. On every error the caller closes c.
func Accept(ctx context.Context, c net.Conn, o AcceptOptions) (*Client, error) {
	if o.Block == nil {
		o.Block = func(f func()) { f() }
	}
	a := acceptor{o: o, r: newReader(c), conn: c}
	defer a.r.release()
	client, err := a.run(ctx)
	if err != nil {
		return nil, a.fail(err)
	}
	return client, nil
}

// acceptor is one run of Accept.
type acceptor struct {
	o    AcceptOptions
	r    *reader
	conn net.Conn // given, or the *tls.Conn over it
	tls  *tls.Conn
	st   *startup
	out  []byte // what precedes the next message to the client
	old  bool   // the client speaks protocol 2 or older
}

// fail tells the client about a refusal.
func (a *acceptor) fail(err error) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		if errors.Is(err, io.EOF) {
			return ErrClientGone
		}
		return fmt.Errorf("postgres login: %w", err)
	}
	if a.st != nil && refusal.User == "" {
		refusal.User = a.st.user
	}
	if a.old {
		a.out = refusal.appendOldTo(a.out)
	} else {
		a.out = refusal.AppendTo(a.out)
	}
	// The client may have gone; the refusal is the news, not that.
	_, _ = a.conn.Write(a.out)
	if a.tls != nil {
		_ = a.tls.CloseWrite()
	}
	return refusal
}

func (a *acceptor) run(ctx context.Context) (*Client, error) {
	code, body, err := a.firstPacket()
	if err != nil {
		return nil, err
	}
	switch {
	case code == codeCancel:
		cancel, ok := parseCancel(body)
		if !ok {
			return nil, &LengthError{What: "CancelRequest", Length: int64(len(body))}
		}
		return &Client{Conn: a.conn, TLS: a.tls != nil, Cancel: cancel}, nil
	case code>>16 != 3:
		a.old = code>>16 < 3
		return nil, refuseVersion(code)
	}
	st, refusal := parseStartup(code, body)
	if refusal == nil {
		refusal = a.o.Refuse
	}
	if refusal != nil {
		return nil, refusal
	}
	a.st = st
	if a.o.RequireTLS && a.tls == nil {
		return nil, tlsRequired("the proxy requires TLS, the client came without")
	}
	a.out = append(a.out, st.negotiate...)
	v, err := a.lookup(ctx)
	if err != nil {
		return nil, err
	}
	greeting, err := a.authenticate(ctx, v)
	if err != nil {
		return nil, err
	}
	client := &Client{
		Conn:          a.conn,
		TLS:           a.tls != nil,
		User:          st.user,
		Database:      st.database,
		ProtocolMinor: st.minor,
		Params:        st.params,
		Negotiate:     st.negotiate,
		Greeting:      greeting,
		Verifier:      v,
	}
	if early := a.r.buffered(); len(early) > 0 {
		client.Buffered = append([]byte(nil), early...)
	}
	return client, nil
}

// lookup finds the verifier, or one that nobody satisfies.
func (a *acceptor) lookup(ctx context.Context) (*Verifier, error) {
	v, err := a.o.Lookup(ctx, a.st.user)
	if errors.Is(err, ErrUnknownUser) {
		v, err = mockVerifier(a.st.user, a.o.UnknownUserAuthType)
	}
	if err != nil {
		return nil, cannotTell("the user's secret cannot be had", err)
	}
	return v, nil
}

// firstPacket reads startup packets until one that is neither SSLRequest nor GSSENCRequest, and switches to TLS on the
// way. Each of the two requests is answered once; a second one is a version that nobody speaks. The body is valid until
// the next read.
func (a *acceptor) firstPacket() (code uint32, body []byte, err error) {
	sslDone, gssDone := false, false
	for {
		// The client waits for an answer to any of these packets, so whatever one read gives is taken; what comes
		// with a request for encryption is looked at below.
		if err := a.r.need(1, anything); err != nil {
			return 0, nil, err
		}
		if a.r.buffered()[0] == 0x16 && !sslDone && !gssDone && a.tls == nil && a.o.TLS != nil {
			if err := a.directTLS(); err != nil {
				return 0, nil, err
			}
			sslDone, gssDone = true, true
			continue
		}
		if err := a.r.need(8, anything); err != nil {
			return 0, nil, unexpected(err)
		}
		head := a.r.buffered()
		length := int64(binary.BigEndian.Uint32(head))
		if length < 8 || length-4 > maxStartupLen {
			return 0, nil, &LengthError{What: "startup packet", Length: length}
		}
		code = binary.BigEndian.Uint32(head[4:])
		if code == codeSSL && !sslDone || code == codeGSSENC && !gssDone {
			if length != 8 {
				return 0, nil, &LengthError{What: "request for encryption", Length: length}
			}
			a.r.r += 8
			// A client sends nothing before it has our answer. Whatever is here was written by somebody else, or is
			// meant to be taken for part of the encrypted session (CVE-2021-23214): the connection ends. We see what
			// arrived up to our read; what arrives between it and the answer stays in the socket, where the TLS
			// handshake reads it and fails: no plaintext byte ever passes for an encrypted one.
			if len(a.r.buffered()) > 0 {
				return 0, nil, errEarlyBytes
			}
			if code == codeGSSENC {
				gssDone = true
				if _, err := a.conn.Write([]byte{'N'}); err != nil {
					return 0, nil, err
				}
				continue
			}
			sslDone = true
			if a.o.TLS == nil || a.tls != nil {
				if _, err := a.conn.Write([]byte{'N'}); err != nil {
					return 0, nil, err
				}
				continue
			}
			gssDone = true
			if _, err := a.conn.Write([]byte{'S'}); err != nil {
				return 0, nil, err
			}
			if err := a.switchToTLS(a.conn); err != nil {
				return 0, nil, err
			}
			continue
		}
		if err := a.r.need(int(length), anything); err != nil {
			return 0, nil, unexpected(err)
		}
		body = a.r.buffered()[8:length]
		a.r.r += int(length)
		return code, body, nil
	}
}

// errEarlyBytes means that bytes came in the clear behind a request for encryption.
var errEarlyBytes = errors.New("unencrypted data behind a request for encryption")

// directTLS begins TLS without an SSLRequest (PostgreSQL 17: sslnegotiation=direct). The client must name the protocol,
// so that no other protocol's TLS traffic can be led here.
func (a *acceptor) directTLS() error {
	hello := append([]byte(nil), a.r.buffered()...)
	a.r.r, a.r.w = 0, 0
	if err := a.switchToTLS(&replayConn{Conn: a.conn, first: hello}); err != nil {
		return err
	}
	if a.tls.ConnectionState().NegotiatedProtocol != alpnProtocol {
		_ = a.tls.CloseWrite()
		return errors.New("direct TLS without the protocol name postgresql (ALPN)")
	}
	return nil
}

func (a *acceptor) switchToTLS(under net.Conn) error {
	t := tls.Server(under, a.o.TLS.config)
	// Not HandshakeContext: the connection's deadline is enough, and that would start a goroutine for each client.
	var err error
	a.o.Block(func() { err = t.Handshake() })
	if err != nil {
		return &handshakeError{unexpected(err)}
	}
	a.tls, a.conn, a.r.conn = t, t, t
	return nil
}

// handshakeError is a TLS handshake that failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// AuthFailure puts it with the failures of authentication, as the contract does (8.1).
func (e *handshakeError) AuthFailure() bool { return true }

// replayConn gives back bytes that were read to recognise TLS. Once they are used up it is its Conn.
type replayConn struct {
	net.Conn
	first []byte
}

func (c *replayConn) Read(b []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.first)
	c.first = c.first[n:]
	return n, nil
}

// NetConn returns the connection below, as tls.Conn's method of that name does. By the time Accept returns nothing is
// left to replay.
func (c *replayConn) NetConn() net.Conn { return c.Conn }

// Raw returns the network connection below c, however many layers there are (TLS, and what Accept put under TLS).
func Raw(c net.Conn) net.Conn {
	for {
		layer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = layer.NetConn()
	}
}
