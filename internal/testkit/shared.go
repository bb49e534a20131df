package testkit

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"forebay/internal/localserver"
)

// Main runs a package's tests and then stops what they share. A package that calls SharedPostgres or SharedMySQL has
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
func Main(m *testing.M) {
	os.Exit(Run(m))
}

// inCharge says that Run will stop the shared servers.
var inCharge atomic.Bool

// Run is Main for a package that has more to do at the end: it returns the exit code.
func Run(m *testing.M) int {
	inCharge.Store(true)
	code := m.Run()
	StopShared()
	return code
}

// StopShared stops the shared servers that run. A later SharedPostgres or SharedMySQL starts a new one.
func StopShared() {
	postgresServers.stop()
	mysqlServers.stop()
}

// shared are the servers of one engine in this test binary, one for each release.
type shared[S interface{ Stop() }] struct {
	find  func() ([]localserver.Install, error)
	start func(ctx context.Context, in localserver.Install) (S, error)

	mu      sync.Mutex
	servers map[localserver.Install]*started[S]
	usual   localserver.Install // the first that find found; zero: not looked for yet
}

// started is a server, or why it could not be started.
type started[S any] struct {
	server S
	err    error
}

// get returns the shared server of a release, or of the usual one for the zero Install.
func (s *shared[S]) get(t testing.TB, in localserver.Install) S {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !inCharge.Load() {
		t.Fatal("shared servers need TestMain to call testkit.Main or testkit.Run, which stop them")
	}
	if s.servers == nil {
		s.servers = make(map[localserver.Install]*started[S])
	}
	if in == (localserver.Install{}) {
		if s.usual == in {
			all, err := s.find()
			if err != nil {
				noServer(t, err)
			}
			s.usual = all[0]
		}
		in = s.usual
	}
	st := s.servers[in]
	if st == nil {
		st = new(started[S])
		// Not the test's context: the server outlives the test that came first.
		st.server, st.err = s.start(context.Background(), in)
		s.servers[in] = st
	}
	if st.err != nil {
		noServer(t, st.err)
	}
	return st.server
}

func (s *shared[S]) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.servers {
		if st.err == nil {
			st.server.Stop()
		}
	}
	s.servers = nil
}

// noServer ends a test that cannot have its server.
func noServer(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, localserver.ErrNotInstalled) && os.Getenv("FOREBAY_REQUIRE_SERVERS") != "1" {
		t.Skipf("needs a real server: %v", err)
	}
	t.Fatalf("start a server: %v", err)
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
