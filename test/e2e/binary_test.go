package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestProgram runs the program itself as an operator would: SIGHUP with a changed and with a broken configuration, SIGTERM
// with a transaction open.
func TestProgram(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	p := startProgram(t, db)
	c, err := pgconn.Connect(t.Context(), p.dsn)
	if err != nil {
		t.Fatal(err)
	}
	run := func(sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	run("CREATE TABLE t (a int)")
	run("BEGIN")
	run("INSERT INTO t VALUES (1)")

	// A broken file changes nothing and says why; a good one is applied; the transaction notices neither.
	p.configure("max_connections: -5")
	p.signal(syscall.SIGHUP)
	p.waitFor("forebay.yaml:", "max_connections")
	p.configure("max_connections: 2")
	p.signal(syscall.SIGHUP)
	p.waitFor("limits of the target", "max_database_connections_allowed=2")
	run("INSERT INTO t VALUES (2)")

	// Draining: new clients are refused, the transaction ends in peace, and so does the program.
	p.signal(syscall.SIGTERM)
	p.waitFor("draining")
	for {
		late, err := pgconn.Connect(t.Context(), p.dsn)
		if err != nil {
			break
		}
		late.Close(t.Context())
		p.pause()
	}
	run("COMMIT")
	if err := p.wait(); err != nil {
		t.Errorf("the program ended with %v\n%s", err, p.log())
	}
	if rows, err := db.Server.Query(t.Context(), db.Name, "SELECT count(*) FROM t"); err != nil || rows[0][0] != "2" {
		t.Errorf("rows after the drain: %v, %v", rows, err)
	}
	if strings.Contains(p.log(), db.Password) {
		t.Error("the log holds a password")
	}
}

// program is a forebay of its own process.
type program struct {
	t        *testing.T
	db       testkit.DB
	dir, dsn string
	port     int
	admin    string
	cmd      *osexec.Cmd
	ended    chan error
	deadline time.Time // for everything that is waited for

	mu     sync.Mutex
	output bytes.Buffer // guarded by mu
}

// Write takes the program's log.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *program) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

func startProgram(t *testing.T, db testkit.DB) *program {
	t.Helper()
	p := &program{t: t, db: db, dir: t.TempDir(), ended: make(chan error, 1), deadline: time.Now().Add(2 * watchdog)}
	binary := filepath.Join(p.dir, "forebay")
	if out, err := osexec.Command("go", "build", "-pgo=off", "-o", binary, "forebay/cmd/forebay").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var err error
	if p.port, err = localserver.FreePort(); err != nil {
		t.Fatal(err)
	}
	adminPort, err := localserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p.admin = fmt.Sprintf("127.0.0.1:%d", adminPort)
	p.dsn = fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=require", p.port, db.User, db.Password, db.Name)
	secret, err := json.Marshal(map[string]string{"username": db.User, "password": db.Password})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "app.json"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	p.configure("max_connections: 3")
	p.cmd = osexec.Command(binary, "serve", "--config", filepath.Join(p.dir, "forebay.yaml"))
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		select {
		case <-p.ended:
		case <-time.After(watchdog):
		}
	})
	p.waitFor("msg=ready")
	return p
}

// configure writes the configuration, with one setting of the pool.
func (p *program) configure(pool string) {
	p.t.Helper()
	text := fmt.Sprintf(`admin: {listen: "%s"}
drain_timeout: 30s
secrets:
  - {name: app, file: app.json}
proxies:
  - name: test
    engine_family: POSTGRESQL
    endpoints: [{listen: "127.0.0.1:%d"}]
    auth: [{secret: app}]
    target: {host: "%s", port: %d, tls: {mode: disable}}
    connection_pool:
      %s
`, p.admin, p.port, p.db.Server.Host(), p.db.Server.Port(), pool)
	if err := os.WriteFile(filepath.Join(p.dir, "forebay.yaml"), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// pause lets the program get on with what is waited for, unless it has ended.
func (p *program) pause() {
	p.t.Helper()
	if time.Now().After(p.deadline) {
		p.t.Fatalf("waited in vain\n%s", p.log())
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		p.t.Fatalf("the program has ended: %v\n%s", err, p.log())
	case <-p.t.Context().Done():
		p.t.Fatalf("out of time\n%s", p.log())
	case <-time.After(10 * time.Millisecond):
	}
}

// waitFor waits until a line of the log holds all the words.
func (p *program) waitFor(words ...string) {
	p.t.Helper()
	for {
		for line := range strings.Lines(p.log()) {
			missing := false
			for _, w := range words {
				missing = missing || !strings.Contains(line, w)
			}
			if !missing {
				return
			}
		}
		p.pause()
	}
}

func (p *program) wait() error {
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-time.After(watchdog):
		return errors.New("still running")
	}
}
