package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit"
	"forebay/internal/wire/pgwire"
)

const monitorPassword = "pw-of-the-monitor"

// member reaches a server, as the data plane does.
type member struct {
	conf resource.Member
	dial func(context.Context) (net.Conn, error) // nil: over TCP
}

func (m member) Config() resource.Member { return m.conf }

func (m member) Dial(ctx context.Context) (net.Conn, error) {
	if m.dial != nil {
		return m.dial(ctx)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", m.conf.Address())
}

func memberOf(p *localserver.Postgres) member {
	m := member{conf: resource.Member{Host: p.Host(), Port: p.Port(), TLSMode: resource.TLSDisable}}
	if p.CAFile() != "" {
		m.conf.TLSMode, m.conf.CAFile = resource.TLSVerifyCA, p.CAFile()
	}
	return m
}

// watch makes a monitor that logs in as the user with monitorPassword.
func watch(t *testing.T, m member, user string) engine.Monitor {
	t.Helper()
	return watchBy(t, m, secret.Secret{Name: "s", Version: "1", Username: user, Password: monitorPassword}, io.Discard)
}

func watchBy(t *testing.T, m member, s secret.Secret, log io.Writer) engine.Monitor {
	t.Helper()
	l := slog.New(slog.NewTextHandler(log, nil))
	mon := postgres.New(l, nil).NewMonitor(engine.MonitorOptions{
		Member: m, Secret: func(context.Context) (secret.Secret, error) { return s, nil }, Log: l,
	})
	t.Cleanup(mon.Close)
	return mon
}

func look(t *testing.T, m engine.Monitor) engine.Status {
	t.Helper()
	st, err := m.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// query returns the first value of the first row.
func query(t *testing.T, p *localserver.Postgres, sql string) string {
	t.Helper()
	rows, err := p.Query(t.Context(), "postgres", sql)
	if err != nil || len(rows) == 0 {
		t.Fatalf("%s: %d rows, err %v", sql, len(rows), err)
	}
	return rows[0][0]
}

// until asks a server until it says yes.
func until(t *testing.T, p *localserver.Postgres, sql string) {
	t.Helper()
	for range 1000 {
		if query(t, p, sql) == "t" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s never says yes to %s", p.Addr(), sql)
}

func TestMonitor(t *testing.T) {
	t.Parallel()
	testkit.EachPostgresRelease(t, func(t *testing.T, o localserver.PostgresOptions) {
		o.TLS, o.MaxConnections = true, 30
		set := testkit.PostgresSet(t, o, 2)
		first, second, third := set[0], set[1], set[2]
		must(t, first.CreateUser(t.Context(), localserver.User{Name: "mon", Password: monitorPassword, Options: "IN ROLE pg_monitor"}))
		must(t, first.Exec(t.Context(), "CREATE TABLE t (x text)"))
		must(t, second.CatchUp(t.Context(), first))
		must(t, third.CatchUp(t.Context(), first))
		ofFirst, ofSecond, ofThird := watch(t, memberOf(first), "mon"), watch(t, memberOf(second), "mon"), watch(t, memberOf(third), "mon")

		writer := look(t, ofFirst)
		if writer.Role != engine.Writer || writer.Term != 1 || writer.Lag != 0 || writer.Source != "" || writer.Unusable != "" {
			t.Errorf("the primary says %+v", writer)
		}
		if want := (engine.Capacity{MaxConnections: 30, Reserved: 3}); writer.Capacity != want {
			t.Errorf("capacity %+v, want %+v", writer.Capacity, want)
		}
		if writer.Version != first.Version().Version {
			t.Errorf("version %q of %s", writer.Version, first.Version())
		}
		named := map[string]bool{}
		for _, p := range writer.Peers {
			named[p.Name] = p.Host == "127.0.0.1" && p.Port == 0
		}
		for _, p := range set[1:] {
			if name := p.SocketDir()[strings.LastIndexByte(p.SocketDir(), '/')+1:]; !named[name] || len(named) != 2 {
				t.Errorf("the primary names %+v, want %s among them", writer.Peers, name)
			}
		}

		must(t, second.CatchUp(t.Context(), first))
		reader := look(t, ofSecond)
		if reader.Role != engine.Reader || reader.Term != 1 || reader.Lag != 0 || reader.LagBytes != 0 || reader.Source != first.Addr() {
			t.Errorf("the standby says %+v", reader)
		}
		if diff := cmp.Diff([]engine.Peer{{Host: first.Host(), Port: first.Port()}}, reader.Peers); diff != "" {
			t.Errorf("the standby names (-want +got):\n%s", diff)
		}
		if !reader.Position.Covers(writer.Position) {
			t.Errorf("the standby, caught up, is at %s, the primary was at %s", reader.Position, writer.Position)
		}

		// A lag grows while nothing is replayed.
		must(t, second.Exec(t.Context(), "SELECT pg_wal_replay_pause()"))
		until(t, second, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
		must(t, first.Exec(t.Context(), "INSERT INTO t VALUES (repeat('x', 1000))"))
		until(t, second, "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()")
		one, writer := look(t, ofSecond), look(t, ofFirst)
		two := look(t, ofSecond)
		if one.Lag <= 0 || two.Lag <= one.Lag || one.LagBytes < 1000 || one.Unusable != "" {
			t.Errorf("paused: lag %v, then %v, of %d bytes; unusable %q", one.Lag, two.Lag, one.LagBytes, one.Unusable)
		}
		if two.Position.Covers(writer.Position) {
			t.Errorf("paused at %s, passes for as far as %s", two.Position, writer.Position)
		}
		must(t, second.Exec(t.Context(), "SELECT pg_wal_replay_resume()"))
		must(t, second.CatchUp(t.Context(), first))
		if st := look(t, ofSecond); st.Lag != 0 || st.LagBytes != 0 || !st.Position.Covers(writer.Position) {
			t.Errorf("resumed: lag %v, %d bytes, at %s, the primary was at %s", st.Lag, st.LagBytes, st.Position, writer.Position)
		}

		// The first look that sees the promotion sees its term, and through the same connection.
		must(t, second.Exec(t.Context(), "SELECT pg_promote(false)"))
		st := look(t, ofSecond)
		for st.Role != engine.Writer {
			st = look(t, ofSecond)
		}
		if st.Term != 2 || st.Lag != 0 || !st.Position.Covers(writer.Position) {
			t.Errorf("promoted: %+v at %s", st, st.Position)
		}
		for _, p := range set {
			if n := query(t, p, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mon' AND application_name = 'forebay'"); p != third && n != "1" {
				t.Errorf("%s: %s connections of the monitor, want the one", p.Addr(), n)
			}
		}

		// The old primary does not know, and goes on, further than the new one.
		must(t, first.Exec(t.Context(), "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 1000)"))
		old := look(t, ofFirst)
		if old.Role != engine.Writer || old.Term != 1 || old.Position.Covers(st.Position) {
			t.Errorf("the old primary says %+v, at %s; the new one is at %s", old, old.Position, st.Position)
		}
		// A standby that follows the old one is no better.
		must(t, third.CatchUp(t.Context(), first))
		if st3 := look(t, ofThird); st3.Term != 1 || st3.Position.Covers(st.Position) || !st3.Position.Covers(old.Position) {
			t.Errorf("the old primary's standby says %+v, at %s", st3, st3.Position)
		}

		// It rejoins.
		must(t, first.Follow(t.Context(), second))
		must(t, first.CatchUp(t.Context(), second))
		back := look(t, ofFirst)
		if back.Role != engine.Reader || back.Term != 2 || back.Source != second.Addr() || !back.Position.Covers(st.Position) {
			t.Errorf("rejoined: %+v", back)
		}
		if st := look(t, ofSecond); len(st.Peers) != 1 {
			t.Errorf("the new primary names %+v", st.Peers)
		}
	})
}

// TestMonitorFollows checks a reader that follows the new writer after a failover: it is asked through the same connection.
func TestMonitorFollows(t *testing.T) {
	t.Parallel()
	set := testkit.PostgresSet(t, localserver.PostgresOptions{}, 2)
	must(t, set[0].CreateUser(t.Context(), localserver.User{Name: "mon", Password: monitorPassword, Options: "IN ROLE pg_monitor"}))
	must(t, set[1].CatchUp(t.Context(), set[0]))
	must(t, set[2].CatchUp(t.Context(), set[0]))
	ofWriter, ofReader := watch(t, memberOf(set[1]), "mon"), watch(t, memberOf(set[2]), "mon")
	before := look(t, ofReader)
	set[0].Kill()
	must(t, set[1].Promote(t.Context()))
	writer := look(t, ofWriter)
	until(t, set[2], "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
	// Its source is gone: it has all that there was, but cannot know.
	if st := look(t, ofReader); st.Lag == 0 || st.LagBytes >= 0 || st.Term != 1 || st.Position.Covers(writer.Position) || !st.Position.Covers(before.Position) {
		t.Errorf("without its source: %+v at %s; the writer is at %s", st, st.Position, writer.Position)
	}
	must(t, set[2].Follow(t.Context(), set[1]))
	must(t, set[2].CatchUp(t.Context(), set[1]))
	st := look(t, ofReader)
	if st.Lag != 0 || st.Term != 2 || st.Source != set[1].Addr() || !st.Position.Covers(writer.Position) || before.Position.Covers(st.Position) {
		t.Errorf("it follows: %+v at %s; the writer was at %s", st, st.Position, writer.Position)
	}
	if n := query(t, set[2], "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mon'"); n != "1" {
		t.Errorf("%s connections of the monitor", n)
	}
}

// TestMonitorPeersThatAreNone checks that a logical subscriber and an archiver are not taken for members.
// What a client has been told is committed is covered by the position, also where it is not written to the log yet.
func TestMonitorAsynchronousCommit(t *testing.T) {
	t.Parallel()
	testkit.EachPostgresRelease(t, func(t *testing.T, o localserver.PostgresOptions) {
		o.Settings = map[string]string{"synchronous_commit": "off", "wal_writer_delay": "10s"}
		set := testkit.PostgresSet(t, o, 1)
		must(t, set[0].CreateUser(t.Context(), localserver.User{Name: "mon", Password: monitorPassword, Options: "IN ROLE pg_monitor"}))
		must(t, set[1].CatchUp(t.Context(), set[0]))
		primary, standby := watch(t, memberOf(set[0]), "mon"), watch(t, memberOf(set[1]), "mon")
		_ = look(t, primary)
		must(t, set[0].Exec(t.Context(), "CREATE TABLE t (n int)"))
		for range 20 {
			must(t, set[0].Exec(t.Context(), "INSERT INTO t VALUES (1)"))
			end := query(t, set[0], "SELECT pg_current_wal_insert_lsn()") // maybe behind a page's header
			if st := look(t, primary); query(t, set[0], "SELECT pg_wal_lsn_diff('"+end+"', '"+st.Position.String()+"') <= 40") != "t" {
				t.Fatalf("at %s, after a commit behind %s", st.Position, end)
			}
		}
		query(t, set[0], "SELECT pg_switch_wal()") // its log ends with a file
		for end := time.Now().Add(time.Minute); !look(t, standby).Position.Covers(look(t, primary).Position); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the standby is at %s, the primary at %s", look(t, standby).Position, look(t, primary).Position)
			}
		}
		if a, b := look(t, primary).System, look(t, standby).System; a == "" || a != b {
			t.Errorf("identified as %q and %q", a, b)
		}
	})
}

func TestMonitorPeersThatAreNone(t *testing.T) {
	t.Parallel()
	p := testkit.Postgres(t, localserver.PostgresOptions{Settings: map[string]string{"wal_level": "logical"}})
	q := testkit.Postgres(t, localserver.PostgresOptions{})
	must(t, p.Exec(t.Context(), "CREATE PUBLICATION p FOR ALL TABLES"))
	must(t, q.Exec(t.Context(), "CREATE SUBSCRIPTION s CONNECTION '"+
		strings.TrimSuffix(p.SuperDSN("postgres"), "?sslmode=disable")+"' PUBLICATION p"))
	must(t, p.CreateUser(t.Context(), localserver.User{Name: "mon", Password: monitorPassword, Options: "IN ROLE pg_monitor"}))
	until(t, p, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn IS NOT NULL)")
	if st := look(t, watch(t, memberOf(p), "mon")); len(st.Peers) != 0 {
		t.Errorf("the publisher names %+v", st.Peers)
	}
}

func TestMonitorConnection(t *testing.T) {
	t.Parallel()
	p := testkit.Postgres(t, localserver.PostgresOptions{})
	must(t, p.CreateUser(t.Context(), localserver.User{Name: "mon", Password: monitorPassword}))
	m := watch(t, memberOf(p), "mon")
	look(t, m)

	// One that an administrator ends is made anew in the same look.
	if got := query(t, p, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'mon'"); got != "t" {
		t.Fatal("the monitor keeps no connection")
	}
	look(t, m)

	// A server that hangs is an error at the look's deadline, each time; afterwards there is a new connection.
	pid := query(t, p, "SELECT pid FROM pg_stat_activity WHERE usename = 'mon'")
	must(t, p.Freeze())
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := m.Look(ctx)
		cancel()
		var answer *engine.AnswerError
		if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &answer) {
			t.Errorf("frozen: %v", err)
		}
	}
	p.Thaw()
	look(t, m)
	until(t, p, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = "+pid+")") // it is not used again

	// A server that is gone is no answer.
	p.Kill()
	var answer *engine.AnswerError
	if _, err := m.Look(t.Context()); err == nil || errors.As(err, &answer) {
		t.Errorf("killed: %v", err)
	}
	must(t, p.Restart(t.Context()))
	look(t, m)
	m.Close()
	until(t, p, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'mon')")
}

func TestMonitorRefused(t *testing.T) {
	t.Parallel()
	p := testkit.Postgres(t, localserver.PostgresOptions{HBA: []string{"host all rejected 127.0.0.1/32 reject"}})
	for _, u := range []localserver.User{{Name: "mon"}, {Name: "rejected"}, {Name: "full", Options: "CONNECTION LIMIT 0"}, {Name: "group"}} {
		u.Password = monitorPassword
		must(t, p.CreateUser(t.Context(), u))
	}
	must(t, p.Exec(t.Context(), `ALTER ROLE "group" NOLOGIN`))
	refused := func(name string, m engine.Monitor, want string) {
		t.Helper()
		var answer *engine.AnswerError
		_, err := m.Look(t.Context())
		if !errors.As(err, &answer) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want an answer with %q", name, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), monitorPassword) || strings.Contains(err.Error(), "wrong-pw")) {
			t.Errorf("%s: the password is in %q", name, err)
		}
	}
	refused("rejected", watch(t, memberOf(p), "rejected"), `"rejected"`)
	refused("full", watch(t, memberOf(p), "full"), "53300")
	refused("may not log in", watch(t, memberOf(p), "group"), "not permitted to log in")
	refused("nobody", watch(t, memberOf(p), "nobody"), `"nobody"`)
	s := secret.Secret{Name: "s", Version: "1", Username: "mon", Password: "wrong-pw"}
	refused("wrong password", watchBy(t, memberOf(p), s, io.Discard), "28P01")

	// Whoever keeps the secret is told: there may be a newer one. With a previous password that is right there is no reason to.
	var doubted []string
	discard := slog.New(slog.DiscardHandler)
	doubting := func() engine.Monitor {
		m := postgres.New(discard, nil).NewMonitor(engine.MonitorOptions{
			Member: memberOf(p), Log: discard, Secret: func(context.Context) (secret.Secret, error) { return s, nil },
			Refused: func(s secret.Secret) { doubted = append(doubted, s.Name+" "+s.Version) },
		})
		t.Cleanup(m.Close)
		return m
	}
	refused("wrong password", doubting(), "28P01")
	s.Previous = &secret.Previous{Version: "0", Username: "mon", Password: monitorPassword}
	look(t, doubting())
	if !slices.Equal(doubted, []string{"s 1"}) {
		t.Errorf("doubted: %q, want version 1 of s, once", doubted)
	}

	var log bytes.Buffer
	m := watchBy(t, memberOf(p), s, &log)
	look(t, m)
	if got := strings.Count(log.String(), "taken the previous one"); got != 1 {
		t.Errorf("the previous password let it in, the log says so %d times: %s", got, &log)
	}

	// A privilege that is missing is named.
	must(t, p.Exec(t.Context(), "REVOKE EXECUTE ON FUNCTION pg_control_checkpoint() FROM public"))
	look(t, watch(t, memberOf(p), "mon")) // can do without
	must(t, p.Exec(t.Context(), "REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM public"))
	refused("privilege", watch(t, memberOf(p), "mon"), "permission denied for function pg_current_wal_lsn")
	must(t, p.Exec(t.Context(), "GRANT EXECUTE ON FUNCTION pg_current_wal_lsn() TO mon"))
	look(t, m)
}

// TestMonitorUnprivileged checks what a user sees to whom nothing was granted.
func TestMonitorUnprivileged(t *testing.T) {
	t.Parallel()
	testkit.EachPostgresRelease(t, func(t *testing.T, o localserver.PostgresOptions) {
		set := testkit.PostgresSet(t, o, 1)
		must(t, set[0].CreateUser(t.Context(), localserver.User{Name: "plain", Password: monitorPassword}))
		must(t, set[1].CatchUp(t.Context(), set[0]))
		var log bytes.Buffer
		s := secret.Secret{Name: "s", Version: "1", Username: "plain", Password: monitorPassword}
		ofWriter, ofReader := watchBy(t, memberOf(set[0]), s, io.Discard), watchBy(t, memberOf(set[1]), s, &log)
		writer := look(t, ofWriter)
		if writer.Role != engine.Writer || writer.Term != 1 || len(writer.Peers) != 0 || writer.Capacity.MaxConnections == 0 {
			t.Errorf("the primary says %+v", writer)
		}
		must(t, set[1].CatchUp(t.Context(), set[0]))
		for range 2 {
			st := look(t, ofReader)
			if st.Role != engine.Reader || st.Lag != 0 || st.Source != "" || len(st.Peers) != 0 || !st.Position.Covers(writer.Position) {
				t.Errorf("the standby says %+v", st)
			}
		}
		if got := strings.Count(log.String(), "GRANT pg_monitor"); got != 1 || !strings.Contains(log.String(), "user=plain") {
			t.Errorf("the log names the missing privilege %d times: %s", got, &log)
		}
	})
}

// TestMonitorTakesNoSessions checks a server that answers that it takes no sessions.
func TestMonitorTakesNoSessions(t *testing.T) {
	t.Parallel()
	const message = "the database system is not accepting connections"
	m := member{conf: resource.Member{Host: "db", Port: 5432, TLSMode: resource.TLSDisable}}
	m.dial = func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if _, err := theirs.Read(make([]byte, 1024)); err != nil {
				return
			}
			theirs.Write(pgwire.AppendError(nil, &pgwire.Error{Severity: "FATAL", Code: "57P03", Message: message}))
		}()
		return ours, nil
	}
	var answer *engine.AnswerError
	if st, err := watch(t, m, "mon").Look(t.Context()); err == nil || errors.As(err, &answer) || !strings.Contains(err.Error(), message) {
		t.Errorf("%+v, err %v", st, err)
	}
}

// TestMonitorAurora asks a server that has Aurora's functions, made up.
func TestMonitorAurora(t *testing.T) {
	t.Parallel()
	p := testkit.Postgres(t, localserver.PostgresOptions{})
	must(t, p.CreateUser(t.Context(), localserver.User{Name: "mon", Password: monitorPassword}))
	must(t, p.Exec(t.Context(), `SET allow_system_table_mods = on;
		CREATE FUNCTION pg_catalog.aurora_db_instance_identifier() RETURNS text LANGUAGE sql AS $$ SELECT 'one' $$;
		CREATE FUNCTION pg_catalog.aurora_replica_status(OUT server_id text, OUT session_id text, OUT durable_lsn bigint,
			OUT last_update_timestamp timestamptz, OUT replica_lag_in_msec double precision) RETURNS SETOF record LANGUAGE sql AS $$
			VALUES ('one', 'MASTER_SESSION_ID', 100::bigint, NULL::timestamptz, NULL::float8), ('two', 'abc', 90, now(), 12.5),
				('gone', 'def', 10, now() - interval '1 hour', 99.0) $$`))
	m := memberOf(p)
	m.conf.Host = "db.cluster-c0ffee.eu-west-1.rds.amazonaws.com"
	m.dial = func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr()) }
	st := look(t, watch(t, m, "mon"))
	if st.Role != engine.Writer || st.Lag != 0 || st.Term != 0 || st.Position == nil || st.Position.String() != "100" || st.Capacity.MaxConnections == 0 {
		t.Errorf("says %+v", st)
	}
	if diff := cmp.Diff([]engine.Peer{{Name: "two", Host: "two.c0ffee.eu-west-1.rds.amazonaws.com"}}, st.Peers); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// users are the credentials of one user.
type users struct{ s secret.Secret }

func (u users) Lookup(context.Context, string) (secret.Secret, resource.AuthEntry, error) {
	return u.s, resource.AuthEntry{Secret: u.s.Name}, nil
}

// Token implements engine.Credentials.
func (u users) Token(context.Context, *resource.Proxy, resource.Member, string) (secret.Password, error) {
	return "", engine.ErrNoToken
}

func (u users) Recent(string) (secret.Secret, resource.AuthEntry, bool, error) {
	return u.s, resource.AuthEntry{Secret: u.s.Name}, true, nil
}

// TestDialedReadOnly checks that a server connection knows whether it leads to a standby.
func TestDialedReadOnly(t *testing.T) {
	t.Parallel()
	set := testkit.PostgresSet(t, localserver.PostgresOptions{}, 1)
	must(t, set[0].CreateUser(t.Context(), localserver.User{Name: "u", Password: monitorPassword}))
	must(t, set[1].CatchUp(t.Context(), set[0]))
	e := postgres.New(slog.New(slog.DiscardHandler), nil)
	d := e.Open(&resource.Proxy{Name: "p"}, engine.Key{User: "u", Database: "postgres"},
		users{secret.Secret{Name: "s", Version: "1", Username: "u", Password: monitorPassword}})
	dial := func(p *localserver.Postgres) bool {
		t.Helper()
		m := memberOf(p)
		c, err := d.Dial(t.Context(), m.Config(), m.Dial)
		must(t, err)
		c.Conn.Close()
		if c.Limits.MaxConnections == 0 {
			t.Error("no limits")
		}
		return c.ReadOnly
	}
	if dial(set[0]) {
		t.Error("the primary passes for a standby")
	}
	if !dial(set[1]) {
		t.Error("the standby passes for a primary")
	}
	must(t, set[1].Promote(t.Context()))
	if dial(set[1]) {
		t.Error("promoted, it passes for a standby")
	}
}
