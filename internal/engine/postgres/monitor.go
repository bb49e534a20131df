package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/login"
	"forebay/internal/secret"
)

// NewMonitor implements engine.Engine.
func (e *Engine) NewMonitor(o engine.MonitorOptions) engine.Monitor { return &monitor{o: o} }

// monitor asks one member how it is, over a connection that it keeps. It is used by one goroutine.
type monitor struct {
	o engine.MonitorOptions

	server *login.Server // nil: not logged in
	kind   serverKind    // of server

	// The keys derived from a password cost time, and the versions of the secret that they were derived from tell whether
	// they still hold.
	versions          string
	current, previous *login.Credentials // previous: nil where the secret has none
	lease, before     *secret.Lease      // of the users of current and previous; nil: they do not end
	held              *secret.Lease      // of server's user
	rotation          engine.Rotation

	caughtUp time.Time // when the member was last seen without a lag; zero: not yet
	blind    bool      // it was said that the user may not see all
}

// startupParams are those of the monitor's connection. With that search_path nothing but the server's own functions and views
// is asked, whatever anybody has made in the database.
var startupParams = []login.Param{
	{Name: "application_name", Value: "forebay"},
	{Name: "client_encoding", Value: "UTF8"},
	{Name: "search_path", Value: "pg_catalog"},
}

// Look implements engine.Monitor. A server that says that it takes no sessions (it starts, stops, recovers, or has hot_standby
// off: class 57P) is one that does not answer: it does not say what it is, and so gives up no role either.
func (m *monitor) Look(ctx context.Context) (engine.Status, error) {
	if m.held != nil && !time.Now().Before(m.held.Retires(0)) {
		m.Close() // its user ends
	}
	kept := m.server != nil
	st, err := m.look(ctx)
	if err != nil && kept && ctx.Err() == nil && stale(err) {
		// The connection was ended, as an administrator or idle_session_timeout does, or a privilege of then is gone: that says
		// nothing of the member yet.
		m.Close()
		st, err = m.look(ctx)
	}
	if err == nil {
		return st, nil
	}
	m.Close()
	var se *login.ServerError
	if errors.As(err, &se) && !errors.Is(err, login.ErrUnreachable) {
		err = &engine.AnswerError{Err: err}
	}
	return engine.Status{}, err
}

// codeInsufficientPrivilege is the SQLSTATE of what the user may not do.
const codeInsufficientPrivilege = "42501"

// stale reports whether a new connection could have another answer.
func stale(err error) bool {
	var se *login.ServerError
	return !errors.As(err, &se) || errors.Is(err, login.ErrUnreachable) || se.Code == codeInsufficientPrivilege
}

// look is Look without a second try.
func (m *monitor) look(ctx context.Context) (engine.Status, error) {
	if m.server == nil {
		if err := m.login(ctx); err != nil {
			return engine.Status{}, err
		}
	}
	rows, err := m.server.Query(ctx, m.kind.question())
	if err != nil {
		return engine.Status{}, fmt.Errorf("postgres: ask %s for its role: %w", m.address(), withHint(err))
	}
	a, err := readAnswer(rows)
	if err != nil {
		return engine.Status{}, err
	}
	if !a.seesAll && !a.aurora && !m.blind {
		m.blind = true
		m.o.Log.Warn("the monitoring user may not see the state of replication: lag in bytes, sources and peers are not known; GRANT pg_monitor to it",
			slog.String("user", m.current.User()))
	}
	now := time.Now()
	host, _, _ := net.SplitHostPort(m.address())
	st, err := a.status(host, m.since(now))
	if err == nil && st.Lag == 0 {
		m.caughtUp = now
	}
	return st, err
}

// since is how long ago the member was last seen without a lag: it is not further behind than that. Negative: not known.
func (m *monitor) since(now time.Time) time.Duration {
	if m.caughtUp.IsZero() {
		return -1
	}
	return now.Sub(m.caughtUp)
}

// login makes the connection, and finds out what there is to be asked.
func (m *monitor) login(ctx context.Context) error {
	sec, err := m.o.Secret(ctx)
	if err != nil {
		return fmt.Errorf("postgres: secret of the monitoring user: %w", err)
	}
	m.derive(sec)
	o, err := dialOptions(m.o.Member.Config())
	if err != nil {
		return err
	}
	o.Database, o.Params = m.o.Database, startupParams
	if o.Database == "" {
		o.Database = defaultDatabase
	}
	o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return m.o.Member.Dial(ctx) }
	s, byPrevious, err := engine.DialEither(ctx, m.previous != nil, login.PasswordRefused, func(previous bool) (*login.Server, error) {
		o.Credentials = m.current
		if previous {
			o.Credentials = m.previous
		}
		return login.Dial(ctx, o)
	})
	if login.PasswordRefused(err) {
		m.o.Refuse(sec)
	}
	if err != nil {
		return fmt.Errorf("monitoring user %q: %w", m.current.User(), err)
	}
	if byPrevious && m.rotation.Say(m.versions) {
		m.o.Log.Warn("the database has refused the current password of the monitoring user's secret, and taken the previous one",
			slog.String("secret", sec.Name))
	}
	kind, err := askKind(ctx, s)
	if err != nil {
		s.Close()
		return fmt.Errorf("postgres: ask %s what it is: %w", m.address(), withHint(err))
	}
	m.server, m.kind = s, kind
	if m.held = m.lease; byPrevious {
		m.held = m.before
	}
	if m.held != nil {
		m.held.Hold()
	}
	return nil
}

// derive takes over a secret, unless it is the one of before.
func (m *monitor) derive(sec secret.Secret) {
	as := sec.AtServer()
	m.lease, m.before = as.Lease, nil
	if as.Previous != nil {
		m.before = as.Previous.Lease
	}
	versions := sec.Versions() + "\x00" + as.Version
	if m.current != nil && m.current.User() == as.Username && m.versions == versions {
		return
	}
	m.versions = versions
	m.current, m.previous = login.NewCredentials(as.Username, as.Password), nil
	if p := as.Previous; p != nil {
		m.previous = login.NewCredentials(p.Username, p.Password)
	}
}

func (m *monitor) address() string {
	c := m.o.Member.Config()
	return c.Address()
}

// Close implements engine.Monitor.
func (m *monitor) Close() {
	if m.server != nil {
		m.server.Close()
		m.server = nil
	}
	if m.held != nil {
		m.held.Release()
		m.held = nil
	}
}

// withHint says what to do about a missing privilege; the server has said which it is.
func withHint(err error) error {
	var se *login.ServerError
	if errors.As(err, &se) && se.Code == codeInsufficientPrivilege {
		return fmt.Errorf("%w: GRANT EXECUTE on it, or pg_monitor, to the monitoring user", err)
	}
	return err
}
