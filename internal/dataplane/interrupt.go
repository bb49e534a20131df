package dataplane

import (
	"context"
	"log/slog"
	"net"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
)

// cancel passes a cancel request on to the server connection that runs the statement meant, and returns when the request
// has arrived there or there was nothing to cancel.
func (px *proxy) cancel(ctx context.Context, c *engine.Cancel) {
	loop, slot := placeOf(c.PID)
	if loop >= len(px.plane.loops) {
		return
	}
	done := make(chan struct{})
	px.plane.loops[loop].Call(func() {
		s := px.plane.workers[loop].Session(slot)
		if s == nil || !s.Matches(c) || !px.interrupt(s, func() { close(done) }) {
			close(done)
		}
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// interrupt ends what a session runs, or waits to run. It reports whether the database has to be asked for that: then
// ended is called, on any goroutine, when it has been, or could not be in time. Called on the session's loop.
func (px *proxy) interrupt(s *session.Session, ended func()) (asked bool) {
	s.Interrupt(func(sv *session.Server) {
		b := sv.Pool().Owner().(*branch)
		t := b.db.target
		release, at := sv.HoldForCancel(), sv.Addr()
		asked = t.run(func() {
			defer ended()
			defer release()
			ctx, stop := context.WithTimeout(t.ctx, loginTimeout(px.cfg.Load()))
			defer stop()
			if err := sv.Engine().Cancel(ctx, memberAt{b.member, at}); err != nil {
				px.log.Warn("a cancel request could not be passed on", slog.Any("error", err))
			}
		})
		if !asked {
			release()
		}
	})
	return asked
}

// memberAt is a member at the address that one server connection is to: a name may stand for several servers, or for another
// one by now, on which the connection's number is somebody else's.
type memberAt struct {
	*member
	addr net.Addr
}

// Dial implements engine.Member.
func (m memberAt) Dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: connectTimeout(m.Config())}
	return d.DialContext(ctx, "tcp", m.addr.String())
}

// Kill implements session.Host.
func (b *branch) Kill(asker *session.Session, k engine.Kill, done func(found bool)) {
	px, home := b.db.target.px, asker.Pool().Loop()
	answer := func(found bool) { home.Post(func() { done(found) }) }
	loop, slot := placeOf(k.PID)
	if loop >= len(px.plane.loops) || pidOf(loop, slot) != k.PID {
		answer(false)
		return
	}
	there := px.plane.loops[loop]
	there.Post(func() {
		victim := px.plane.workers[loop].Session(slot)
		if victim == nil || !b.db.mayKill(victim) {
			answer(false)
			return
		}
		end := func() {
			if k.Connection {
				victim.End(engine.ErrKilled)
			}
			answer(true)
		}
		// Who kills itself runs nothing else, and one that waits for a server connection is told of its end alone.
		_, waits := victim.Waiting()
		if victim == asker || k.Connection && waits || !px.interrupt(victim, func() { there.Post(end) }) {
			end()
		}
	})
}

// mayKill reports whether sessions of d may kill another: it has to be the same proxy's and the same user's.
func (d *database) mayKill(other *session.Session) bool {
	o, ok := other.Pool().Owner().(*branch)
	return ok && o.db.target == d.target && o.db.key.User == d.key.User
}
