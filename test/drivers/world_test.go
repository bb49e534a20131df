package drivers

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"forebay/internal/certs"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// watchdog ends a program that hangs. None takes nearly so long.
const watchdog = 2 * time.Minute

// world is a database of the test's own behind a Forebay with few server connections, so that clients have to share.
type world struct {
	t  *testing.T
	db testkit.DB
	f  *testkit.Forebay // nil: directly
}

// serverConnections is fewer than the connections that any of the programs opens.
const serverConnections = 3

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: testkit.Database(t, testkit.SharedPostgres(t))}
	cfg, err := certs.New(slog.New(slog.DiscardHandler), "localhost").Config(&resource.Proxy{})
	if err != nil {
		t.Fatal(err)
	}
	w.f = testkit.StartForebay(t, w.db.Server, testkit.ForebayOptions{
		Users:  map[string]string{w.db.User: w.db.Password},
		TLS:    cfg,
		Change: func(p *resource.Proxy) { p.Pool.MaxConnections = serverConnections },
	})
	return w
}

// env tells a program, by libpq's variables, how to reach the world, through Forebay or directly.
func (w *world) env() []string {
	host, port := w.db.Server.Host(), w.db.Server.Port()
	if w.f != nil {
		host, port = w.f.Host, w.f.Port
	}
	env := []string{
		"PGHOST=" + host, "PGPORT=" + strconv.Itoa(port), "PGUSER=" + w.db.User, "PGPASSWORD=" + w.db.Password,
		"PGDATABASE=" + w.db.Name, "PGSSLMODE=prefer", "PGPASSFILE=/dev/null", "PGCONNECT_TIMEOUT=20",
	}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PG") {
			env = append(env, e)
		}
	}
	return env
}

// run runs a program and returns what it printed; that it fails, fails the test.
func (w *world) run(stdin, name string, args ...string) string {
	w.t.Helper()
	out, err := w.try(stdin, name, args...)
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
	return out
}

func (w *world) try(stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = w.env()
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// client finds a program that comes with the server.
func (w *world) client(name string) string {
	w.t.Helper()
	if path := filepath.Join(w.db.Server.Version().BinDir, name); executable(path) {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		w.t.Skipf("needs %s: %v", name, err)
	}
	return path
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&0o111 != 0
}

// cache is where scripts/install-servers keeps what no package of the system brings.
func cache(t *testing.T) string {
	t.Helper()
	dir := localserver.CacheRoot()
	if dir == "" {
		t.Skip("needs a cache folder: set FOREBAY_CACHE or HOME")
	}
	return dir
}
