package dataplane

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/evloop"
	"forebay/internal/resource"
)

// newcomer is a client from its arrival until it has logged in, or will not. Owned by loop.
type newcomer struct {
	px       *proxy
	endpoint string // listenKey of the one that it came to
	conn     *evloop.Conn
	net      net.Conn // of the connection phase
	id       engine.SessionID
	greeting any              // what it has been sent, for Accept; nil: nothing
	at       int64            // when it came, by the loop's clock
	readOnly bool             // of a client that has been in already: its sessions read
	relogin  engine.LoginFunc // takes the place of Accept, for a client that has been in already; else nil
	early    []byte           // what such a client has sent already
	seen     int64            // when it has last written or read, by the loop's clock; 0: it has not
	from     *member          // where its last session was
	full     bool             // there were as many clients as there may be
	began    bool             // its connection phase is under way
}

// maxTold is how many clients above the limit are told at a time that there are too many; further ones find their
// connection closed.
const maxTold = 100

// accept begins the connection phase of a new client, which came to the endpoint with that listenKey. Called on its loop.
func (px *proxy) accept(a evloop.Accepted, endpoint string) {
	cfg := px.cfg.Load()
	if cfg == nil { // the proxy is new, and what it is to be not in force yet
		a.Net.Close()
		return
	}
	px.stats.received.Add(1)
	open, most := px.stats.open.Add(1), int64(cfg.MaxClients)
	full := most > 0 && open > most
	if full && open > most+maxTold {
		px.stats.refused.Add(1)
		px.gone()
		a.Net.Close()
		return
	}
	n := &newcomer{px: px, endpoint: endpoint, conn: a.Conn, net: a.Net, full: full}
	loop := a.Conn.Loop().ID()
	n.id.PID = pidOf(loop, px.plane.workers[loop].Slot())
	n.arrivals().add(n)
	if px.greets != nil && !n.greet() {
		return
	}
	n.conn.WhenReadable(n.enter)
}

// greet speaks first. It returns false where there is nothing to wait for: the client has gone, or it is Accept that
// greets.
func (n *newcomer) greet() bool {
	n.drawSecret()
	first, greeting, ok := n.px.greets.Greet(n.options())
	if !ok {
		n.enter()
		return false
	}
	if n.conn.SendFirst(first) != nil {
		n.arrivals().turnAway(n)
		return false
	}
	n.greeting = greeting
	return true
}

// drawSecret completes the client's identity. It is left until it is needed: most who connect and say nothing have no use
// for it.
func (n *newcomer) drawSecret() { _, _ = rand.Read(n.id.Secret[:]) } // never fails

// options are what the connection phase needs to know.
func (n *newcomer) options() engine.AcceptOptions {
	return engine.AcceptOptions{
		ID: n.id, Greeting: n.greeting, Full: n.full,
		Proxy: n.px.cfg.Load(), TLS: n.px.tls.Load(), Credentials: n.px.creds,
	}
}

// arrivals is the list that the newcomer is in.
func (n *newcomer) arrivals() *arrivals { return n.px.plane.arrived[n.conn.Loop().ID()] }

// enter has the connection phase begin as soon as there is room for it.
func (n *newcomer) enter() {
	if !n.px.plane.gate.enter(n) {
		n.arrivals().leave(n)
		n.gone()
		n.conn.Close()
	}
}

// entered implements entrant. It is called on any goroutine.
func (n *newcomer) entered() {
	if !n.conn.Loop().Post(n.begin) {
		n.px.plane.gate.leave()
	}
}

func (n *newcomer) begin() {
	if !n.arrivals().begin(n) {
		n.px.plane.gate.leave()
		return
	}
	n.conn.Begin(n.run)
}

func (n *newcomer) run(t *evloop.Task) {
	n.connect(t)
	n.arrivals().leave(n)
	n.px.plane.gate.leave()
	n.px.plane.tidier.phaseEnded()
}

// gone says that the newcomer has left, or is to: its place is free again.
func (n *newcomer) gone() {
	loop, slot := placeOf(n.id.PID)
	n.px.plane.workers[loop].Free(slot)
	n.px.gone()
}

// gone counts a client that has left.
func (px *proxy) gone() {
	px.stats.open.Add(-1)
	px.stats.closed.Add(1)
}

// connect is the connection phase, as a task of the loop.
func (n *newcomer) connect(t *evloop.Task) {
	px := n.px
	ctx := px.plane.ctx
	if px.greets == nil {
		n.drawSecret()
	} else if n.greeting == nil {
		// What there is to wait for before a greeting has no deadline of the connection's.
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, n.left())
		defer stop()
	}
	o := n.options()
	o.Block, o.Early = t.Block, n.early
	if px.plane.opts.Tokens != nil {
		o.VerifyToken = n.verifyToken
		if users, ok := px.plane.opts.Tokens.(engine.TokenUsers); ok {
			o.TokenUser = users.TokenUser
		}
	}
	o.Look = px.lookAs
	accept := px.eng.Accept
	if n.relogin != nil {
		accept = n.relogin
	}
	l, err := accept(ctx, n.net, o)
	if err != nil {
		if n.full {
			px.stats.refused.Add(1)
		}
		n.refused(err)
		return
	}
	if l.Cancel != nil {
		px.stats.cancels.Add(1)
		n.gone()
		t.Block(func() {
			ctx, stop := context.WithTimeout(px.plane.ctx, loginTimeout(o.Proxy))
			defer stop()
			px.cancel(ctx, l.Cancel)
		})
		n.net.Close()
		return
	}
	l.Key.ReadOnly = n.readOnly || n.relogin == nil && readOnly(o.Proxy, n.endpoint)
	db := px.target.database(l.Key)
	loop, slot := placeOf(n.id.PID)
	posted := n.conn.Loop().Post(func() {
		p := db.place(n.from).pool(loop)
		p.Begin(n.conn, l, slot, n.id, n.seen, px.limits.Load(), px.gone)
		if px.target.isClosed() { // while the client logged in
			p.End(engine.ErrShutdown)
		}
	})
	if !posted {
		px.gone()
		return
	}
	if n.relogin == nil {
		px.stats.succeeded.Add(1)
	}
	if l.Token {
		px.stats.tokens.Add(1)
		px.log.Info("client let in by a token", slog.String("client", n.net.RemoteAddr().String()), slog.String("user", l.Key.User))
	}
}

// lookAs implements engine.AcceptOptions.Look.
func (px *proxy) lookAs(ctx context.Context, k engine.Key) error {
	t := px.target
	m := t.memberFor(k.ReadOnly)
	if m == nil {
		return t.routes.Load().why(k.ReadOnly)
	}
	ctx, stop := context.WithTimeout(ctx, watchTimeout)
	defer stop()
	c, err := t.database(k).db.Maintain(ctx, m)
	m.learn(c)
	if err != nil {
		t.doubt.Store(true)
	}
	return err
}

// Relogin implements session.Host.
func (b *branch) Relogin(p *session.Pool, c *evloop.Conn, slot uint32, early []byte, seen int64, f engine.LoginFunc) {
	n := &newcomer{px: b.db.target.px, conn: c, relogin: f, early: early, seen: seen, from: b.member, readOnly: b.db.key.ReadOnly}
	n.id.PID = pidOf(p.Loop().ID(), slot)
	n.drawSecret()
	n.arrivals().add(n)
	c.Restart(func(nc net.Conn) {
		if n.net = nc; c.TLS() != nil {
			n.net = c.TLS()
		}
		n.enter()
	})
}

func loginTimeout(cfg *resource.Proxy) time.Duration {
	if cfg.ClientLoginTimeout > 0 {
		return cfg.ClientLoginTimeout
	}
	return 30 * time.Second
}

// left is how much of the time for a log-in is left.
func (n *newcomer) left() time.Duration {
	return loginTimeout(n.px.cfg.Load()) - time.Duration(n.conn.Loop().Nanos()-n.at)
}

// refused ends a connection phase that has failed.
func (n *newcomer) refused(err error) {
	px := n.px
	n.net.Close()
	n.gone()
	if px.plane.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return
	}
	if n.tokenRefused(err) {
		return
	}
	var auth interface{ AuthFailure() bool }
	if errors.As(err, &auth) && auth.AuthFailure() {
		px.stats.failedAuth.Add(1)
		if named := (interface{ RefusedUser() string })(nil); errors.As(err, &named) {
			px.creds.wrongPassword(named.RefusedUser())
		}
		px.log.Info("client not let in", slog.String("client", n.net.RemoteAddr().String()), slog.Any("error", err))
		return
	}
	px.stats.failedOther.Add(1)
	px.log.Debug("client left or failed before it had logged in", slog.String("client", n.net.RemoteAddr().String()), slog.Any("error", err))
}
