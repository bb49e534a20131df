package mysql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/secret"
	"forebay/internal/wire/mysqlwire"
)

// NewMonitor implements engine.Engine.
func (e *Engine) NewMonitor(o engine.MonitorOptions) engine.Monitor { return &monitor{o: o} }

// monitor asks one member how it is, over a connection that it keeps. Only one goroutine uses it.
type monitor struct {
	o        engine.MonitorOptions
	rotation engine.Rotation

	server *login.Server // nil: not logged in
	held   *secret.Lease // of server's user; nil: that has no end
	kind   serverKind    // of server
	denied question      // what the user has been seen not to be allowed, on this connection
	said   question      // for what of it the log has it
	told   bool          // the log has it that the member replicates and takes writes
}

// monitorCaps are the capabilities of the monitor's connection.
const monitorCaps = mysqlwire.ClientMultiStatements | mysqlwire.ClientMultiResults | mysqlwire.ClientDeprecateEOF

// Look implements engine.Monitor: one round trip.
func (m *monitor) Look(ctx context.Context) (engine.Status, error) {
	if m.held != nil && !time.Now().Before(m.held.Retires(0)) {
		m.Close() // its user ends
	}
	kept := m.server != nil
	st, err := m.look(ctx)
	if err != nil && kept && ctx.Err() == nil && !answered(err) {
		// The connection was ended, as KILL or wait_timeout does: that says nothing of the member yet.
		m.Close()
		st, err = m.look(ctx)
	}
	if err == nil {
		return st, nil
	}
	m.Close()
	if answered(err) {
		err = &engine.AnswerError{Err: err}
	}
	return engine.Status{}, err
}

// look is Look without a second try.
func (m *monitor) look(ctx context.Context) (engine.Status, error) {
	if m.server == nil {
		if err := m.login(ctx); err != nil {
			return engine.Status{}, err
		}
	}
	a, err := m.ask(ctx)
	if err != nil {
		return engine.Status{}, fmt.Errorf("mysql: ask %s how it is: %w", m.address(), err)
	}
	st, err := a.status(m.o.Member.Config().Host)
	if err != nil {
		return engine.Status{}, fmt.Errorf("mysql: what %s says of itself: %w", m.address(), err)
	}
	if a.writableReplica && !m.told {
		m.told = true
		m.o.Log.Warn("the database server replicates from another one, and is not read_only: it is taken for a reader",
			slog.String("source", st.Source))
	}
	return st, nil
}

// ask puts all questions. What the user may not ask is left out from then on, and named in the log once.
func (m *monitor) ask(ctx context.Context) (*answer, error) {
	for {
		questions := m.kind.questions(m.denied)
		texts := make([]string, len(questions))
		for i, q := range questions {
			texts[i] = m.kind.text(q)
		}
		results, err := m.server.QueryAll(ctx, strings.Join(texts, ";"))
		var refused *login.ServerError
		if errors.As(err, &refused) && len(results) < len(questions) && questions[len(results)] != askVariables && deniedCodes[refused.Code] {
			q := questions[len(results)]
			m.denied |= q
			m.say(q)
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(results) != len(questions) {
			return nil, fmt.Errorf("%w: %d results for %d questions", login.ErrProtocol, len(results), len(questions))
		}
		a := &answer{kind: m.kind}
		for i, q := range questions {
			if err := a.take(q, results[i]); err != nil {
				return nil, err
			}
		}
		return a, nil
	}
}

// deniedCodes are the errors of a question that the user may not ask: ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR,
// ER_COLUMNACCESS_DENIED_ERROR, ER_SPECIFIC_ACCESS_DENIED_ERROR.
var deniedCodes = map[uint16]bool{1044: true, 1142: true, 1143: true, 1227: true}

// say names the privilege that a question needs, once.
func (m *monitor) say(q question) {
	if m.said&q != 0 || q == askGroup && !m.kind.group {
		return
	}
	m.said |= q
	m.o.Log.Warn("the monitoring user may not see all of the database server's state", slog.String("unknown", q.unknown()),
		slog.String("privilege", m.kind.privilege(q)))
}

// login makes the connection, and finds out what there is to be asked.
func (m *monitor) login(ctx context.Context) error {
	sec, err := m.o.Secret(ctx)
	if err != nil {
		return fmt.Errorf("mysql: secret of the monitoring user: %w", err)
	}
	c := m.o.Member.Config()
	o, err := dialOptions(c)
	if err != nil {
		return err
	}
	o.Database, o.Capabilities = m.o.Database, monitorCaps
	o.Attributes = []mysqlwire.Attribute{{Name: "program_name", Value: "forebay-monitor"}}
	transport := func(ctx context.Context, _, _ string) (net.Conn, error) { return m.o.Member.Dial(ctx) }
	as := sec.AtServer()
	s, previous, err := engine.DialEither(ctx, as.Previous != nil, login.PasswordRefused, func(previous bool) (*login.Server, error) {
		o.Credentials = login.NewCredentials(as.Username, as.Password)
		if previous {
			o.Credentials = login.NewCredentials(as.Previous.Username, as.Previous.Password)
		}
		return login.Dial(ctx, transport, o)
	})
	if login.PasswordRefused(err) {
		m.o.Refuse(sec)
	}
	switch {
	case errors.Is(err, login.ErrAuth):
		return fmt.Errorf("monitoring user %q: %w: it has to exist there, with the password of its secret, and be allowed in from here",
			as.Username, err)
	case err != nil:
		return fmt.Errorf("monitoring user %q: %w", as.Username, err)
	}
	if previous && m.rotation.Say(sec.Versions()+as.Version) {
		m.o.Log.Warn("the database has refused the current password of the monitoring user's secret, and taken the previous one",
			slog.String("secret", sec.Name))
	}
	kind, err := askKind(ctx, s)
	if err != nil {
		s.Close()
		return fmt.Errorf("mysql: ask %s what it is: %w", m.address(), err)
	}
	m.server, m.kind, m.denied = s, kind, 0
	if m.held = as.Lease; previous {
		m.held = as.Previous.Lease
	}
	if m.held != nil {
		m.held.Hold()
	}
	return nil
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
