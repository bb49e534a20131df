package failover_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/test/failover/workload"

	"github.com/go-sql-driver/mysql"
)

// mySet is a primary and a replica that it waits for, behind a Forebay.
type mySet struct {
	*localserver.MySQLReplicas
	fb  *testkit.Forebay
	dsn string
}

// eachMySet runs a subtest for each release series, side by side.
func eachMySet(t *testing.T, test func(t *testing.T, s *mySet)) {
	t.Helper()
	all, err := localserver.MySQLReleases()
	if err != nil || len(all) == 0 {
		testkit.SharedMySQL(t) // which skips, or fails, and says why
	}
	for _, in := range all {
		t.Run(strings.ToLower(string(in.Product))+in.Series(), func(t *testing.T) {
			t.Parallel()
			test(t, startMySet(t, localserver.MySQLOptions{BinDir: in.BinDir, Chroot: in.Chroot}))
		})
	}
}

func startMySet(t *testing.T, o localserver.MySQLOptions) *mySet {
	t.Helper()
	s := &mySet{MySQLReplicas: testkit.MySQLReplicas(t, localserver.MySQLReplicasOptions{Server: o, Replicas: 1, SemiSync: true})}
	p := s.Primary()
	// Not a superuser: read_only does not hold for one.
	user := localserver.MySQLUser{Name: "app", Password: localserver.RandomWord(20), Database: "app"}
	if err := p.CreateDatabase(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if err := p.CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if err := p.ExecIn(t.Context(), "app", workload.Table+" ENGINE=InnoDB"); err != nil {
		t.Fatal(err)
	}
	if err := s.CatchUp(t.Context(), s.Replicas()[0]); err != nil {
		t.Fatal(err)
	}
	users := map[string]string{"app": user.Password, "root": p.Password()}
	s.fb = testkit.StartForebayMySQL(t, p, testkit.ForebayOptions{Loops: 2, Users: users, Change: func(p *resource.Proxy) {
		first := p.Target.Members[0]
		p.Target = resource.Target{Cluster: "set", Monitor: resource.Monitor{Secret: "root"}}
		for _, m := range s.Members {
			first.Port = m.Port()
			p.Target.Members = append(p.Target.Members, first)
		}
		p.Pool.MaxConnections = 10
	}})
	s.dsn = s.fb.MySQLDSN("app", "app", "")
	return s
}

func (s *mySet) dial(ctx context.Context) (workload.Conn, error) {
	return workload.DialMySQL(ctx, s.dsn)
}

func (s *mySet) connect(t *testing.T) workload.MySQL {
	t.Helper()
	return connectMySQL(t, s.dsn)
}

func (s *mySet) direct(t *testing.T, m *localserver.MySQL) workload.MySQL {
	t.Helper()
	return connectMySQL(t, m.SuperDSN("app"))
}

func connectMySQL(t *testing.T, dsn string) workload.MySQL {
	t.Helper()
	c, err := workload.DialMySQL(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// alone has a primary wait for no replica.
func (s *mySet) alone(t *testing.T, m *localserver.MySQL) {
	t.Helper()
	name := "rpl_semi_sync_source_enabled"
	if m.Version().Product == localserver.ProductMariaDB {
		name = "rpl_semi_sync_master_enabled"
	}
	if err := m.Exec(t.Context(), "SET GLOBAL "+name+" = 0"); err != nil {
		t.Fatal(err)
	}
}

// promote makes the replica the primary, which has nobody to wait for.
func (s *mySet) promote(t *testing.T) *localserver.MySQL {
	t.Helper()
	to := s.Replicas()[0]
	if err := s.Promote(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	s.alone(t, to)
	return to
}

// As TestPostgresPrimaryKilled, and a session with a named lock is told that it has lost it.
func TestMySQLPrimaryKilled(t *testing.T) {
	t.Parallel()
	eachMySet(t, func(t *testing.T, s *mySet) {
		idle, pinned := s.connect(t), s.connect(t)
		if _, err := idle.ExecContext(t.Context(), "SET @mine = 'idle'"); err != nil {
			t.Fatal(err)
		}
		if _, err := pinned.ExecContext(t.Context(), "DO GET_LOCK('mine', 10)"); err != nil {
			t.Fatal(err)
		}
		w := startWriting(t, 20, s.dial)
		w.goesOn(200)
		s.Primary().Kill()
		now := s.promote(t)
		w.all()
		for class := range w.Errors() {
			if !strings.HasPrefix(class, "2013 ") {
				t.Errorf("a client hears %q", class)
			}
		}
		var mine string
		if err := idle.QueryRowContext(t.Context(), "SELECT @mine").Scan(&mine); err != nil || mine != "idle" {
			t.Errorf("the idle client hears %q, %v", mine, err)
		}
		toldOnce(t, pinned)
		w.end(s.direct(t, now))
	})
}

// toldOnce has a pinned client's next statement hear that its server connection is lost, and the one after that work.
func toldOnce(t *testing.T, c workload.MySQL) {
	t.Helper()
	var my *mysql.MySQLError
	if err := c.Ping(t.Context()); !errors.As(err, &my) {
		t.Errorf("a pinned session's next statement: %v, want an error of the protocol", err)
	} else {
		t.Logf("a pinned session hears %v", err)
	}
	if _, err := c.ExecContext(t.Context(), "DO GET_LOCK('mine', 10)"); err != nil {
		t.Errorf("a pinned session, afterwards: %v", err)
	}
}

// A frozen primary comes back and takes itself for the primary: it is fenced.
func TestMariaDBPrimaryFrozen(t *testing.T) {
	t.Parallel()
	s := startMySet(t, localserver.MySQLOptions{})
	old := s.Primary()
	direct := s.direct(t, old)
	w := startWriting(t, 20, s.dial)
	w.goesOn(200)
	if err := old.Freeze(); err != nil {
		t.Fatal(err)
	}
	now := s.promote(t)
	w.all()
	old.Thaw()
	s.alone(t, old) // a write that came there would be kept
	keptOut(t, w, s.fb, 0, direct)
	w.end(s.direct(t, now))
}

// In a planned switchover the old primary becomes read-only under a transaction: that is refused or ends well, and its client
// goes on at the new primary over the same connection.
func TestMariaDBSwitchover(t *testing.T) {
	t.Parallel()
	s := startMySet(t, localserver.MySQLOptions{})
	in := s.connect(t)
	for _, sql := range []string{"BEGIN", "INSERT INTO ledger (id) VALUES (-1)"} {
		if _, err := in.ExecContext(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	w := startWriting(t, 20, s.dial)
	w.goesOn(200)
	if err := s.Switchover(t.Context(), s.Replicas()[0]); err != nil {
		t.Fatal(err)
	}
	w.all()
	_, err := in.ExecContext(t.Context(), "COMMIT")
	var my *mysql.MySQLError
	if err == nil || !errors.As(err, &my) {
		t.Errorf("a transaction across the switchover ends with %v, want an error of the protocol", err)
	}
	t.Logf("a transaction across the switchover: %v", err)
	if in.Closed() {
		t.Fatal("the transaction's client has lost its connection")
	}
	_, _ = in.ExecContext(t.Context(), "ROLLBACK") // it may be over, or not
	if _, err := in.ExecContext(t.Context(), "DELETE FROM ledger WHERE id < 0"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	truth := w.end(s.direct(t, s.Primary()))
	for class := range truth.Errors {
		if !strings.HasPrefix(class, "1290 ") && !strings.HasPrefix(class, "2013 ") {
			t.Errorf("a client hears %q", class)
		}
	}
}
