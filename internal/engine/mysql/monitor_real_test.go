package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit"
	"forebay/internal/testkit/testlog"
)

// memberOf reaches a server as the data plane does.
type memberOf struct{ c resource.Member }

func (m memberOf) Config() resource.Member { return m.c }

func (m memberOf) Dial(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", m.c.Address())
}

// watch is a monitor of a server in a test.
type watch struct {
	engine.Monitor
	t   *testing.T
	log *testlog.Buffer
}

func monitorOf(t *testing.T, m *localserver.MySQL, user, password string) *watch {
	w := &watch{t: t, log: new(testlog.Buffer)}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.Monitor = mysql.New(log).NewMonitor(engine.MonitorOptions{
		Member: memberOf{resource.Member{Host: m.Host(), Port: m.Port(), TLSMode: resource.TLSPrefer, ConnectTimeout: time.Minute}},
		Log:    log,
		Secret: func(context.Context) (secret.Secret, error) {
			return secret.Secret{Name: "monitor", Version: "1", Username: user, Password: secret.Password(password)}, nil
		},
	})
	t.Cleanup(w.Close)
	return w
}

// look is a Look that must succeed, and have that role.
func (w *watch) look(role engine.Role) engine.Status {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	st, err := w.Look(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	if st.Role != role || st.Unusable != "" {
		w.t.Errorf("role %v, unusable %q; want %v", st.Role, st.Unusable, role)
	}
	return st
}

// until looks until what it sees will do.
func (w *watch) until(what string, good func(engine.Status) bool) engine.Status {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	var last engine.Status
	for {
		st, err := w.Look(ctx)
		if err == nil && good(st) {
			return st
		}
		if ctx.Err() != nil {
			w.t.Fatalf("%s does not come: %+v, %v", what, last, err)
		}
		if err == nil {
			last = st
		}
		time.Sleep(5 * time.Millisecond) // leave the server some time
	}
}

func hasPeer(st engine.Status, m *localserver.MySQL) bool {
	for _, p := range st.Peers {
		if p.Host == m.Host() && p.Port == m.Port() {
			return true
		}
	}
	return false
}

// eachRelease runs a subtest for each release, for tests that start servers of their own.
func eachRelease(t *testing.T, test func(t *testing.T, in localserver.Install)) {
	t.Helper()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) { test(t, m.Version()) })
}

// monitorGrants are the privileges of docs/failover.md.
func monitorGrants(in localserver.Install) []string {
	if in.Product == localserver.ProductMariaDB {
		return []string{
			"CREATE USER 'forebay_monitor'@'%' IDENTIFIED BY 'x'",
			"GRANT SLAVE MONITOR, REPLICATION MASTER ADMIN ON *.* TO 'forebay_monitor'@'%'",
		}
	}
	return []string{
		"CREATE USER 'forebay_monitor'@'%' IDENTIFIED BY 'x'",
		"GRANT REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO 'forebay_monitor'@'%'",
		"GRANT SELECT ON performance_schema.* TO 'forebay_monitor'@'%'",
	}
}

func TestMonitorReplicas(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, in localserver.Install) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		set := testkit.MySQLReplicas(t, localserver.MySQLReplicasOptions{
			Server: localserver.MySQLOptions{BinDir: in.BinDir, Chroot: in.Chroot, MaxConnections: 77}, Replicas: 1,
		})
		primary, replica := set.Members[0], set.Members[1]
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(primary.CreateDatabase(ctx, "app"))
		must(primary.ExecIn(ctx, "app", "CREATE TABLE t (x int) ENGINE=InnoDB"))
		for _, sql := range monitorGrants(in) {
			must(primary.Exec(ctx, sql))
		}
		must(set.CatchUp(ctx, replica))
		onPrimary, onReplica := monitorOf(t, primary, "forebay_monitor", "x"), monitorOf(t, replica, "forebay_monitor", "x")

		st := onPrimary.look(engine.Writer)
		if st.Capacity.MaxConnections != 77 || !strings.Contains(st.Version, in.Version) || st.Lag != 0 || st.LagBytes != 0 ||
			st.Source != "" || st.Term != 0 || st.Position == nil {
			t.Errorf("the primary says %+v", st)
		}
		if !hasPeer(st, replica) || hasPeer(st, primary) {
			t.Errorf("the primary names %v", st.Peers)
		}
		rs := onReplica.until("a caught-up replica", func(st engine.Status) bool { return st.Lag == 0 && st.LagBytes == 0 })
		if rs.Role != engine.Reader || rs.Source != primary.Addr() || !hasPeer(rs, primary) || !rs.Position.Covers(st.Position) {
			t.Errorf("the replica says %+v", rs)
		}

		// What a replica has not applied it does not cover, and how far it is behind is not known while it applies nothing.
		stop, start := "STOP REPLICA SQL_THREAD", "START REPLICA"
		if in.Product == localserver.ProductMariaDB {
			stop, start = "STOP SLAVE SQL_THREAD", "START SLAVE"
		}
		must(replica.Exec(ctx, stop))
		must(primary.ExecIn(ctx, "app", "INSERT INTO t VALUES (1)"))
		written := onPrimary.look(engine.Writer).Position
		if written.Covers(st.Position) == false || st.Position.Covers(written) {
			t.Errorf("a write leads from %v to %v", st.Position, written)
		}
		rs = onReplica.until("bytes of lag", func(st engine.Status) bool { return st.LagBytes > 0 })
		if rs.Lag >= 0 || rs.Position.Covers(written) || rs.Role != engine.Reader {
			t.Errorf("with its SQL thread stopped the replica says %+v", rs)
		}
		must(replica.Exec(ctx, start))
		onReplica.until("what was written", func(st engine.Status) bool { return st.Position.Covers(written) })

		// Without connection to its source nothing is known of a lag.
		must(replica.Exec(ctx, strings.Replace(stop, "SQL", "IO", 1)))
		if rs = onReplica.look(engine.Reader); rs.Lag >= 0 || rs.LagBytes >= 0 {
			t.Errorf("with its receiver stopped the replica says %+v", rs)
		}
		must(replica.Exec(ctx, start))

		must(primary.Exec(ctx, "SET GLOBAL read_only = 1"))
		onPrimary.look(engine.Reader)
		must(primary.Exec(ctx, "SET GLOBAL read_only = 0"))
		onPrimary.look(engine.Writer)

		for m, want := range map[*localserver.MySQL]bool{primary: false, replica: true} {
			if got := dialedReadOnly(t, m); got != want {
				t.Errorf("a new server connection to %s: read-only %v, want %v", m.Addr(), got, want)
			}
		}

		// A replica that takes writes is a replica all the same, and the log says so once.
		must(replica.Exec(ctx, "SET GLOBAL read_only = 0"))
		onReplica.look(engine.Reader)
		onReplica.look(engine.Reader)
		if n := strings.Count(onReplica.log.String(), "not read_only"); n != 1 {
			t.Errorf("said %d times:\n%s", n, onReplica.log)
		}
		must(replica.Exec(ctx, "SET GLOBAL read_only = 1"))

		must(set.Switchover(ctx, replica))
		if st = onReplica.look(engine.Writer); st.Source != "" || st.Lag != 0 {
			t.Errorf("the new primary says %+v", st)
		}
		if st = onPrimary.look(engine.Reader); st.Source != replica.Addr() {
			t.Errorf("the old primary says %+v", st)
		}

		// Two that replicate from each other: what takes writes is the writer.
		must(replica.Exec(ctx, "SET GLOBAL read_only = 1"))
		must(primary.Exec(ctx, "SET GLOBAL read_only = 0"))
		change := "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %, SOURCE_USER = 'root', SOURCE_PASSWORD = '$', " +
			"SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 0, GET_SOURCE_PUBLIC_KEY = 1"
		if in.Product == localserver.ProductMariaDB {
			change = "SET GLOBAL gtid_slave_pos = @@global.gtid_binlog_pos; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %, " +
				"MASTER_USER = 'root', MASTER_PASSWORD = '$', MASTER_SSL = 0, MASTER_USE_GTID = slave_pos"
		}
		change = strings.NewReplacer("%", strings.TrimPrefix(primary.Addr(), "127.0.0.1:"), "$", primary.Password()).Replace(change)
		must(replica.Exec(ctx, change+";"+start))
		onReplica.until("a replica of its replica", func(st engine.Status) bool { return st.Source == primary.Addr() })
		onPrimary.until("the writer of two", func(st engine.Status) bool { return st.Role == engine.Writer })

		// A server that stands still: the context's end is the error, and there is a new connection afterwards.
		must(primary.Freeze())
		short, end := context.WithTimeout(ctx, 200*time.Millisecond)
		_, err := onPrimary.Look(short)
		end()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a frozen server: %v", err)
		}
		primary.Thaw()
		onPrimary.look(engine.Writer)

		// One that is killed does not answer; the connection of before is no hindrance once it is back.
		primary.Kill()
		var answer *engine.AnswerError
		if _, err := onPrimary.Look(ctx); err == nil || errors.As(err, &answer) {
			t.Errorf("a server that is gone: %v", err)
		}
		must(primary.Restart(ctx))
		onPrimary.look(engine.Reader) // read-only, as it is configured
	})
}

// asRoot are the credentials of a server's root.
type asRoot struct{ m *localserver.MySQL }

func (c asRoot) Lookup(context.Context, string) (secret.Secret, resource.AuthEntry, error) {
	return secret.Secret{Name: "root", Username: "root", Password: secret.Password(c.m.Password())}, resource.AuthEntry{Secret: "root"}, nil
}

// Token implements engine.Credentials.
func (c asRoot) Token(context.Context, *resource.Proxy, resource.Member, string) (secret.Password, error) {
	return "", engine.ErrNoToken
}

func (c asRoot) Recent(string) (secret.Secret, resource.AuthEntry, bool, error) {
	return secret.Secret{}, resource.AuthEntry{}, false, nil
}

// TestDialedCapacity: a new server connection tells how many its own server allows, whatever is known of another member that
// has the same version. Here that is the same server, before.
func TestDialedCapacity(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, in localserver.Install) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		m, err := localserver.StartMySQL(ctx, localserver.MySQLOptions{BinDir: in.BinDir, Chroot: in.Chroot, MaxConnections: 77})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Stop)
		member := memberOf{resource.Member{Host: m.Host(), Port: m.Port(), TLSMode: resource.TLSPrefer}}
		p := &resource.Proxy{Name: "p", Target: resource.Target{Members: []resource.Member{member.c}}}
		db := mysql.New(slog.New(slog.DiscardHandler)).Open(p, engine.Key{User: "root"}, asRoot{m})
		for _, want := range []int{77, 55} {
			if err := m.Exec(ctx, fmt.Sprintf("SET GLOBAL max_connections = %d", want)); err != nil {
				t.Fatal(err)
			}
			d, err := db.Dial(ctx, member.c, member.Dial)
			if err != nil {
				t.Fatal(err)
			}
			d.Conn.Close()
			if got := d.Limits.MaxConnections; got != want {
				t.Errorf("a server connection tells of %d, want %d", got, want)
			}
		}
	})
}

// dialedReadOnly is what a new server connection of a pool tells.
func dialedReadOnly(t *testing.T, m *localserver.MySQL) bool {
	t.Helper()
	member := memberOf{resource.Member{Host: m.Host(), Port: m.Port(), TLSMode: resource.TLSPrefer}}
	p := &resource.Proxy{Name: "p", Target: resource.Target{Members: []resource.Member{member.c}}}
	d, err := mysql.New(slog.New(slog.DiscardHandler)).Open(p, engine.Key{User: "root"}, asRoot{m}).Dial(t.Context(), member.c, member.Dial)
	if err != nil {
		t.Fatal(err)
	}
	d.Conn.Close()
	return d.ReadOnly
}

// TestMonitorUsers: what happens to users who may not do all.
func TestMonitorUsers(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, in localserver.Install) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		m := testkit.MySQL(t, localserver.MySQLOptions{BinDir: in.BinDir, Chroot: in.Chroot, TLS: true})
		if err := m.CreateUser(ctx, localserver.MySQLUser{Name: "plain", Password: "x"}); err != nil {
			t.Fatal(err)
		}
		w := monitorOf(t, m, "plain", "x")
		for range 3 {
			if st := w.look(engine.Writer); st.Capacity.MaxConnections == 0 {
				t.Errorf("says %+v", st)
			}
		}
		want := []string{"REPLICATION CLIENT", "REPLICATION SLAVE"}
		if in.Product == localserver.ProductMariaDB {
			want = []string{"SLAVE MONITOR", "REPLICATION MASTER ADMIN"}
		}
		for _, privilege := range want {
			if n := strings.Count(w.log.String(), privilege); n != 1 {
				t.Errorf("%s is named %d times:\n%s", privilege, n, w.log)
			}
		}
		if strings.Contains(w.log.String(), "performance_schema") {
			t.Errorf("a privilege is missed that is of no use:\n%s", w.log)
		}

		// Its connection is ended: that is no news of the server.
		kill := "SELECT CONCAT('KILL ', ID) FROM information_schema.processlist WHERE USER = 'plain'"
		rows, err := m.Query(ctx, "", kill)
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		if err := m.Exec(ctx, rows[0][0]); err != nil {
			t.Fatal(err)
		}
		w.look(engine.Writer)

		var answer *engine.AnswerError
		wrong := monitorOf(t, m, "plain", "s3cret-guess")
		_, err = wrong.Look(ctx)
		if !errors.As(err, &answer) || !strings.Contains(err.Error(), "plain") || strings.Contains(err.Error(), "s3cret-guess") {
			t.Errorf("a wrong password: %v", err)
		}
	})
}

func TestMonitorGalera(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, in localserver.Install) {
		switch {
		case in.Product != localserver.ProductMariaDB:
			t.Skip("Galera is MariaDB's")
		case in.Chroot != "":
			t.Skip("Galera's scripts need /proc, which is not in a chroot")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		c := testkit.Galera(t, localserver.MySQLOptions{BinDir: in.BinDir, Chroot: in.Chroot}, 3)
		if err := c.Members[0].CreateUser(ctx, localserver.MySQLUser{Name: "plain", Password: "x"}); err != nil {
			t.Fatal(err)
		}
		var nodes []*watch
		var before engine.Position
		for i, m := range c.Members {
			w := monitorOf(t, m, "root", m.Password())
			nodes = append(nodes, w)
			st := w.until("a synced node", func(st engine.Status) bool { return st.Unusable == "" && len(st.Peers) == 2 })
			if st.Role != engine.Writer || st.Term != 0 || st.Position == nil {
				t.Errorf("node %d says %+v", i, st)
			}
			for j, other := range c.Members {
				if hasPeer(st, other) != (i != j) {
					t.Errorf("node %d names %v", i, st.Peers)
				}
			}
			before = st.Position
		}
		if err := c.Members[0].CreateDatabase(ctx, "app"); err != nil {
			t.Fatal(err)
		}
		after := nodes[0].look(engine.Writer).Position
		if !after.Covers(before) || before.Covers(after) {
			t.Errorf("a write leads from %v to %v", before, after)
		}
		nodes[2].until("what was written", func(st engine.Status) bool { return st.Position.Covers(after) })
		if st := monitorOf(t, c.Members[1], "plain", "x").look(engine.Writer); len(st.Peers) != 2 {
			t.Errorf("a user without privileges sees %+v", st)
		}
		if err := c.Members[1].Exec(ctx, "SET GLOBAL read_only = 1"); err != nil {
			t.Fatal(err)
		}
		nodes[1].until("a node that takes no writes", func(st engine.Status) bool { return st.Role == engine.Reader && st.Unusable == "" })

		if err := c.Members[1].Exec(ctx, "SET GLOBAL wsrep_desync = ON"); err != nil {
			t.Fatal(err)
		}
		nodes[1].until("a node that is not synced", func(st engine.Status) bool { return strings.Contains(st.Unusable, "Donor") })

		// What is left of three is no majority.
		c.Members[0].Kill()
		c.Members[1].Kill()
		nodes[2].until("a node without the others", func(st engine.Status) bool { return strings.Contains(st.Unusable, "primary component") })
	})
}

func TestMonitorGroupReplication(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, in localserver.Install) {
		if in.Product != localserver.ProductMySQL {
			t.Skip("Group Replication is MySQL's")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		c := testkit.GroupReplication(t, localserver.MySQLOptions{BinDir: in.BinDir, Chroot: in.Chroot}, 3)
		for _, sql := range monitorGrants(in) {
			if err := c.Members[0].Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		primary := monitorOf(t, c.Members[0], "forebay_monitor", "x")
		st := primary.until("a group of three", func(st engine.Status) bool { return len(st.Peers) == 2 })
		if st.Role != engine.Writer || st.Unusable != "" || st.Term == 0 || !hasPeer(st, c.Members[1]) || hasPeer(st, c.Members[0]) {
			t.Errorf("the primary says %+v", st)
		}
		var others []*watch
		for _, m := range c.Members[1:] {
			// The account is there once it has been applied.
			w := monitorOf(t, m, "forebay_monitor", "x")
			others = append(others, w)
			r := w.until("a secondary that has all", func(r engine.Status) bool { return r.Position != nil && r.Position.Covers(st.Position) && r.Lag == 0 })
			if r.Role != engine.Reader || r.Unusable != "" || r.Term != st.Term {
				t.Errorf("a secondary says %+v", r)
			}
		}
		c.Members[0].Kill()
		var next engine.Status // whichever of the two it is
		others[0].until("a new primary", func(r engine.Status) bool {
			for i := 0; i < len(others) && next.Role != engine.Writer; i++ {
				if i > 0 {
					r, _ = others[i].Look(ctx)
				}
				if r.Role == engine.Writer && r.Unusable == "" {
					next = r
				}
			}
			return next.Role == engine.Writer
		})
		if next.Term <= st.Term {
			t.Errorf("the term was %d and is %d", st.Term, next.Term)
		}
		if err := c.Members[2].Exec(ctx, "STOP GROUP_REPLICATION"); err != nil {
			t.Fatal(err)
		}
		others[1].until("a server that has left", func(st engine.Status) bool {
			return strings.Contains(st.Unusable, "not in its group") && st.Role == engine.Reader
		})
	})
}
