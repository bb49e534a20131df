package login

import (
	"context"
	"net"

	"forebay/internal/wire/mysqlwire"
)

// Change is a COM_CHANGE_USER that a client has sent.
type Change struct {
	// From is the client as Accept or the last ChangeUser returned it. What it says of Conn, TLS, Capabilities, MaxPacket,
	// ZstdLevel and Scramble holds on; Charset and Attributes do where the request says nothing of them.
	From     *Client
	Conn     net.Conn // what to go on with; nil: From's
	Request  *mysqlwire.ChangeUser
	Sequence uint8  // number of the next packet: one more than the request's
	Early    []byte // what the client has sent behind the request, nearly always nothing
}

// ChangeUser conducts the authentication that a COM_CHANGE_USER asks for; of o, Hello and TLS are not used. As with
// Accept, the OK packet is left to the caller, and on every error the caller closes the connection.
func ChangeUser(ctx context.Context, ch Change, o AcceptOptions) (*Client, error) {
	c := ch.Conn
	if c == nil {
		c = ch.From.Conn
	}
	under := c
	if len(ch.Early) > 0 {
		under = &earlyConn{Conn: c, early: ch.Early}
	}
	a := newAcceptor(c, o)
	defer a.r.release()
	a.r.conn = under
	a.tls, a.caps, a.last, a.seq, a.user = ch.From.TLS, ch.From.Capabilities, ch.From.Scramble, ch.Sequence, ch.Request.User
	client, err := a.change(ctx, ch)
	if client, err = a.end(client, err); err != nil {
		return nil, err
	}
	if e, ok := under.(*earlyConn); ok {
		client.Buffered = append(client.Buffered, e.early...)
	}
	return client, nil
}

// earlyConn reads what has come already before its Conn.
type earlyConn struct {
	net.Conn
	early []byte
}

func (c *earlyConn) Read(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.early)
	c.early = c.early[n:]
	return n, nil
}

func (a *acceptor) change(ctx context.Context, ch Change) (*Client, error) {
	r := ch.Request
	client := &Client{
		User:         r.User,
		Database:     r.Database,
		Capabilities: a.caps,
		Charset:      ch.From.Charset,
		MaxPacket:    ch.From.MaxPacket,
		ZstdLevel:    ch.From.ZstdLevel,
		Attributes:   ch.From.Attributes,
	}
	if r.HasCharset {
		client.Charset = r.Charset
	}
	if len(r.Attributes) > 0 {
		attrs, _, err := mysqlwire.ParseAttributes(r.Attributes, maxAttributes)
		if err != nil {
			return nil, err
		}
		client.Attributes = attrs
	}
	if a.o.RequireTLS && !a.tls {
		return nil, tlsRequired("the proxy requires TLS, the client came without")
	}
	// Clients differ in the scramble that they answer here: the greeting's, the last one, or none. One that can be sent
	// another is.
	plugin, data := mysqlwire.PluginNative, r.AuthResponse
	if a.caps.Has(mysqlwire.ClientPluginAuth) {
		plugin, data = "", nil
	}
	var err error
	client.Verifier, err = a.authenticate(ctx, plugin, data)
	return client, err
}
