package testkit

import (
	"context"
	"fmt"
	"testing"

	"forebay/internal/localserver"
)

// MySQL starts a MariaDB or MySQL server for this test alone and stops it with the test. Prefer SharedMySQL, which is
// faster, unless the test restarts the server or needs options of its own.
//
// Without one on the machine the test is skipped, or fails if FOREBAY_REQUIRE_SERVERS is 1.
func MySQL(t testing.TB, o localserver.MySQLOptions) *localserver.MySQL {
	t.Helper()
	m, err := localserver.StartMySQL(t.Context(), o)
	if err != nil {
		noServer(t, err)
	}
	t.Cleanup(m.Stop)
	return m
}

// mysqlServers suit most tests: TLS is offered, not demanded.
var mysqlServers = shared[*localserver.MySQL]{
	find: localserver.FindMySQL,
	start: func(ctx context.Context, in localserver.Install) (*localserver.MySQL, error) {
		return localserver.StartMySQL(ctx, localserver.MySQLOptions{
			BinDir: in.BinDir, Chroot: in.Chroot, MaxConnections: 100, TLS: true,
			// Room for values that take several packets. Clients may send files, as MariaDB's default is.
			Settings: map[string]string{"max_allowed_packet": "67108864", "local_infile": "ON"},
		})
	},
}

// SharedMySQL returns the one server of this test binary, started by the first test that asks: usually the system's
// MariaDB. It offers TLS, has 100 connections, and takes packets of 64 MiB. Tests run side by side on it: use MySQLDatabase, and leave the server's
// own settings alone.
func SharedMySQL(t testing.TB) *localserver.MySQL {
	t.Helper()
	return mysqlServers.get(t, localserver.Install{})
}

// EachMySQL runs a subtest, side by side with others, for each release series of MariaDB and MySQL that is on the
// machine, with a server like that of SharedMySQL. The newest, in the sid tree, are skipped with a word where there is no
// tree.
func EachMySQL(t *testing.T, test func(t *testing.T, m *localserver.MySQL)) {
	t.Helper()
	all, err := localserver.MySQLReleases()
	if err != nil {
		noServer(t, err)
	}
	inTree := 0
	for _, in := range all {
		if in.Chroot != "" {
			inTree++
		}
		t.Run(plainName(in.Product)+in.Series(), func(t *testing.T) {
			t.Parallel()
			test(t, mysqlServers.get(t, in))
		})
	}
	if _, err := localserver.SidTree(); err != nil {
		t.Run("newest", func(t *testing.T) { t.Skipf("needs the newest MariaDB and MySQL: %v", err) })
	} else if inTree == 0 {
		t.Run("newest", func(t *testing.T) { t.Skip("the sid tree is old and has neither MariaDB nor MySQL: run make servers") })
	}
}

// MySQLDB is a database made for one test, with a user of its own.
type MySQLDB struct {
	Server   *localserver.MySQL
	Name     string
	User     string // may do all in the database, and nothing elsewhere
	Password string
}

// DSN returns a data source name straight to the server, for github.com/go-sql-driver/mysql.
func (d MySQLDB) DSN() string { return d.Server.DSN(d.User, d.Name, d.Password) }

// URL returns a connection URL straight to the server.
func (d MySQLDB) URL() string { return d.Server.URL(d.User, d.Name, d.Password) }

// MySQLDatabase makes a database and a user for this test, and removes both with the test.
func MySQLDatabase(t testing.TB, m *localserver.MySQL) MySQLDB {
	t.Helper()
	n := databases.Add(1)
	name := fmt.Sprintf("test_%d_%s", n, plainName(t.Name()))
	d := MySQLDB{Server: m, Name: name, User: fmt.Sprintf("user_%d", n), Password: "pw-" + name}
	if err := m.CreateDatabase(t.Context(), d.Name); err != nil {
		t.Fatal(err)
	}
	if err := m.CreateUser(t.Context(), localserver.MySQLUser{Name: d.User, Password: d.Password, Database: d.Name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		if m.PID() == 0 {
			return // the test killed the server
		}
		if err := m.DropDatabase(ctx, d.Name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
		if err := m.DropUser(ctx, d.User); err != nil {
			t.Errorf("drop the test's user: %v", err)
		}
	})
	return d
}

// MySQLReplicas starts a primary with replicas for this test alone and stops them with the test. Without a server on the
// machine the test is skipped, like MySQL.
func MySQLReplicas(t testing.TB, o localserver.MySQLReplicasOptions) *localserver.MySQLReplicas {
	t.Helper()
	r, err := localserver.StartMySQLReplicas(t.Context(), o)
	if err != nil {
		noServer(t, err)
	}
	t.Cleanup(r.Stop)
	return r
}
