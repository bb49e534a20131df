package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/secret"
	"forebay/internal/wire/tds"
)

// NewMonitor implements engine.Engine.
func (e *Engine) NewMonitor(o engine.MonitorOptions) engine.Monitor { return &monitor{o: o} }

// monitor asks one member how it is, over a connection that it keeps. Only one goroutine uses it.
type monitor struct {
	o        engine.MonitorOptions
	rotation engine.Rotation
	server   *login.Server // nil: not logged in
	held     *secret.Lease // of its user; nil: that has no end
	alone    bool          // the server has no availability groups, or does not let the user see them
	said     bool          // the log has it that the user may not see them
}

// groupsQuery asks for the replicas of this server in its availability groups, as it sees them: for each database or group
// its role, and how far it is behind. Without groups there is no row.
const groupsQuery = "SELECT CONVERT(nvarchar(4000), r.role_desc), CONVERT(nvarchar(4000), r.operational_state_desc), " +
	"CONVERT(nvarchar(4000), r.synchronization_health_desc), CONVERT(nvarchar(4000), s.primary_replica), " +
	"(SELECT CONVERT(nvarchar(30), MAX(d.secondary_lag_seconds)) FROM sys.dm_hadr_database_replica_states d " +
	"WHERE d.is_local = 1 AND d.group_id = r.group_id) " +
	"FROM sys.dm_hadr_availability_replica_states r LEFT JOIN sys.dm_hadr_availability_group_states s ON s.group_id = r.group_id " +
	"WHERE r.is_local = 1"

// deniedNumbers are the errors of a question that the user may not ask.
var deniedNumbers = map[int32]bool{229: true, 297: true, 300: true, 371: true}

// Look implements engine.Monitor.
func (m *monitor) Look(ctx context.Context) (engine.Status, error) {
	if m.held != nil && !time.Now().Before(m.held.Retires(0)) {
		m.Close() // its user ends
	}
	kept := m.server != nil
	st, err := m.look(ctx)
	if err != nil && kept && ctx.Err() == nil && !answered(err) {
		// The connection was ended, as KILL does: that says nothing of the member yet.
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
	f, err := ask(ctx, m.server)
	if err != nil {
		return engine.Status{}, fmt.Errorf("sqlserver: ask %s how it is: %w", m.address(), err)
	}
	v := m.server.ProgVersion
	st := engine.Status{
		Role: engine.Writer, Lag: -1, LagBytes: -1, Capacity: engine.Capacity{MaxConnections: f.maxConns},
		Version: fmt.Sprintf("%d.%d.%d", v>>24, v>>16&0xFF, v&0xFFFF),
	}
	if f.readOnly {
		st.Role = engine.Reader
	}
	if m.alone {
		return st, nil
	}
	rows, err := m.server.Query(ctx, groupsQuery)
	var refused *login.ServerError
	if errors.As(err, &refused) && deniedNumbers[refused.Number] {
		m.alone = true
		if !m.said {
			m.said = true
			m.o.Log.Warn("the monitoring user may not see the availability groups: a member whose database takes writes is taken for the writer",
				slog.String("privilege", "VIEW SERVER STATE"))
		}
		return st, nil
	}
	if err != nil {
		return engine.Status{}, fmt.Errorf("sqlserver: ask %s for its availability groups: %w", m.address(), err)
	}
	return groupStatus(st, rows)
}

// groupStatus completes a status by what groupsQuery has found. A server in several groups is the writer if it is of any: which
// of them a session's database is in is not known here, and a database that takes no writes refuses them.
func groupStatus(st engine.Status, rows [][]*string) (engine.Status, error) {
	if len(rows) == 0 {
		return st, nil // in no group
	}
	primary, resolving, unready := false, false, ""
	for _, r := range rows {
		if len(r) != 5 {
			return engine.Status{}, fmt.Errorf("%w: unexpected answer about availability groups", login.ErrProtocol)
		}
		text := func(i int) string {
			if r[i] == nil {
				return ""
			}
			return *r[i]
		}
		switch role := text(0); role {
		case "PRIMARY":
			// It may be one that is to be, or one that has lost its cluster, and then takes no requests.
			if state := text(1); state == "" || state == "ONLINE" {
				primary = true
			} else {
				unready = "it is the primary of an availability group, which is " + clip(state)
			}
		case "SECONDARY":
			if text(2) == "NOT_HEALTHY" {
				st.Unusable = "its availability group says NOT_HEALTHY"
			}
			if seconds, err := strconv.ParseInt(text(4), 10, 32); err == nil {
				st.Lag = max(st.Lag, time.Duration(seconds)*time.Second)
			}
			st.Source = text(3)
		default: // RESOLVING, or none yet
			resolving = true
			st.Unusable = "its role in an availability group is " + clip(role)
		}
	}
	switch {
	case primary:
		st.Role, st.Unusable, st.Lag, st.Source = engine.Writer, "", -1, ""
	case unready != "":
		st.Role, st.Unusable = engine.Writer, unready
	case resolving:
		st.Role = engine.RoleUnknown
	default:
		st.Role = engine.Reader
	}
	return st, nil
}

// clip makes what a server says fit for a log.
func clip(s string) string {
	if s = strings.ToValidUTF8(s, ""); len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "")
	}
	if s == "" {
		return "not known"
	}
	return s
}

// login makes the connection.
func (m *monitor) login(ctx context.Context) error {
	sec, err := m.o.Secret(ctx)
	if err != nil {
		return fmt.Errorf("sqlserver: secret of the monitoring user: %w", err)
	}
	o, err := dialOptions(m.o.Member.Config())
	if err != nil {
		return err
	}
	o.Version, o.ODBC, o.Database, o.Application = tds.V74, true, m.o.Database, "forebay-monitor"
	as := sec.AtServer()
	s, in, err := dialAs(ctx, as, o, func(ctx context.Context) (net.Conn, error) { return m.o.Member.Dial(ctx) })
	if login.PasswordRefused(err) {
		m.o.Refuse(sec)
	}
	switch {
	case errors.Is(err, login.ErrAuth):
		return fmt.Errorf("monitoring user %q: %w: it has to exist there, with the password of its secret", as.Username, err)
	case err != nil:
		return fmt.Errorf("monitoring user %q: %w", as.Username, err)
	}
	if in.previous && m.rotation.Say(sec.Versions()+as.Version) {
		m.o.Log.Warn("the database has refused the current password of the monitoring user's secret, and taken the previous one",
			slog.String("secret", sec.Name))
	}
	hadr, err := one(ctx, s, "SELECT CONVERT(nvarchar(20), SERVERPROPERTY('IsHadrEnabled'))", 1)
	var unknown *login.ServerError
	if err != nil && !errors.As(err, &unknown) {
		s.Close()
		return fmt.Errorf("sqlserver: ask %s what it is: %w", m.address(), err)
	}
	m.server, m.alone = s, err != nil || hadr[0] != "1"
	if m.held = in.lease; m.held != nil {
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
