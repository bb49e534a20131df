package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"forebay/internal/localserver"
)

// Postgres starts a PostgreSQL server for this test alone and stops it with the test. Prefer SharedPostgres, which is
// faster, unless the test restarts the server or needs options of its own.
//
// Without PostgreSQL on the machine the test is skipped, or fails if FOREBAY_REQUIRE_SERVERS is 1.
func Postgres(t testing.TB, o localserver.PostgresOptions) *localserver.Postgres {
	t.Helper()
	p, err := localserver.StartPostgres(t.Context(), o)
	if err != nil {
		noServer(t, err)
	}
	t.Cleanup(p.Stop)
	return p
}

// noServer ends a test that cannot have its server.
func noServer(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, localserver.ErrNotInstalled) && os.Getenv("FOREBAY_REQUIRE_SERVERS") != "1" {
		t.Skipf("needs a real server: %v", err)
	}
	t.Fatalf("start a server: %v", err)
}

// shared are the servers of this test binary.
var shared struct {
	mu      sync.Mutex
	servers map[localserver.Install]*sharedServer
	usual   localserver.Install // that of SharedPostgres; zero: not looked for yet
	run     bool                // Main is in charge and will stop the servers
}

// sharedServer is a server, or why it could not be started.
type sharedServer struct {
	server *localserver.Postgres
	err    error
}

// sharedOptions suit most tests: TLS is offered, not demanded.
var sharedOptions = localserver.PostgresOptions{MaxConnections: 100, TLS: true}

// Main runs a package's tests and then stops what they share. A package that calls SharedPostgres has
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
func Main(m *testing.M) {
	os.Exit(Run(m))
}

// Run is Main for a package that has more to do at the end: it returns the exit code.
func Run(m *testing.M) int {
	shared.mu.Lock()
	shared.run = true
	shared.mu.Unlock()
	code := m.Run()
	StopShared()
	return code
}

// StopShared stops the shared servers that run. A later SharedPostgres starts a new one.
func StopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for _, s := range shared.servers {
		if s.server != nil {
			s.server.Stop()
		}
	}
	shared.servers = nil
}

// SharedPostgres returns the one server of this test binary, started by the first test that asks. It offers TLS, and
// has 100 connections. Tests run side by side on it: use Database, and leave the server's own settings alone.
func SharedPostgres(t testing.TB) *localserver.Postgres {
	t.Helper()
	return sharedPostgres(t, localserver.Install{})
}

// EachPostgres runs a subtest, side by side with others, for each major version of PostgreSQL that is on the machine,
// with a server like that of SharedPostgres. The newest, in the sid tree, is skipped with a word where there is no tree.
func EachPostgres(t *testing.T, test func(t *testing.T, p *localserver.Postgres)) {
	t.Helper()
	all, err := localserver.PostgresReleases()
	if err != nil {
		noServer(t, err)
	}
	for _, in := range all {
		t.Run(fmt.Sprintf("postgres%d", in.Major), func(t *testing.T) {
			t.Parallel()
			test(t, sharedPostgres(t, in))
		})
	}
	if _, err := localserver.SidTree(); err != nil {
		t.Run("newest", func(t *testing.T) { t.Skipf("needs the newest PostgreSQL: %v", err) })
	}
}

// sharedPostgres returns the shared server of a release, or of the usual one for the zero Install.
func sharedPostgres(t testing.TB, in localserver.Install) *localserver.Postgres {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.run {
		t.Fatal("shared servers need TestMain to call testkit.Main or testkit.Run, which stop them")
	}
	if shared.servers == nil {
		shared.servers = make(map[localserver.Install]*sharedServer)
	}
	if in == (localserver.Install{}) {
		if shared.usual == in {
			all, err := localserver.FindPostgres()
			if err != nil {
				noServer(t, err)
			}
			shared.usual = all[0]
		}
		in = shared.usual
	}
	s := shared.servers[in]
	if s == nil {
		s = new(sharedServer)
		o := sharedOptions
		o.BinDir, o.Chroot = in.BinDir, in.Chroot
		// Not the test's context: the server outlives the test that came first.
		s.server, s.err = localserver.StartPostgres(context.Background(), o)
		shared.servers[in] = s
	}
	if s.err != nil {
		noServer(t, s.err)
	}
	return s.server
}

var databases atomic.Int64

// DB is a database made for one test, with a user of its own.
type DB struct {
	Server   *localserver.Postgres
	Name     string
	User     string // owns the database; no superuser
	Password string
}

// DSN returns a connection URL straight to the server.
func (d DB) DSN() string { return d.Server.DSN(d.User, d.Name, d.Password) }

// Database makes a database and a user for this test, and removes both with the test.
func Database(t testing.TB, p *localserver.Postgres) DB {
	t.Helper()
	n := databases.Add(1)
	name := fmt.Sprintf("test_%d_%s", n, plainName(t.Name()))
	d := DB{Server: p, Name: name, User: fmt.Sprintf("user_%d", n), Password: "pw-" + name}
	if err := p.CreateUser(t.Context(), localserver.User{Name: d.User, Password: d.Password}); err != nil {
		t.Fatal(err)
	}
	if err := p.CreateDatabase(t.Context(), d.Name, d.User); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		if p.PID() == 0 {
			return // the test killed the server
		}
		if err := p.DropDatabase(ctx, d.Name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
		if err := p.Exec(ctx, "DROP ROLE "+d.User); err != nil {
			t.Errorf("drop the test's user: %v", err)
		}
	})
	return d
}

// plainName turns a test's name into letters, digits and underscores, short enough for an identifier.
func plainName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, s)
	return s[:min(len(s), 40)]
}
