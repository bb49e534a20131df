package localserver_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
)

func TestMain(m *testing.M) {
	if engine := os.Getenv(orphanVariable); engine != "" {
		startOrphan(engine)
	}
	code := testkit.Run(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// ask runs one statement over a fresh connection and returns the first value.
func ask(t *testing.T, dsn, sql string) (string, error) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	r, err := conn.Exec(t.Context(), sql).ReadAll()
	if err != nil {
		return "", err
	}
	if len(r) == 0 || len(r[0].Rows) == 0 {
		return "", nil
	}
	return string(r[0].Rows[0][0]), nil
}

func TestPostgresLife(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	p := testkit.Postgres(t, localserver.PostgresOptions{
		Dir: dir, MaxConnections: 17, TLS: true,
		Settings: map[string]string{"application_name": `it's a \ test`},
		HBA:      []string{"host all by_md5 127.0.0.1/32 md5"},
	})
	ctx := t.Context()
	if err := p.CreateUser(ctx, localserver.User{Name: "by_md5", Password: `p'w\d`, MD5: true}); err != nil {
		t.Fatal(err)
	}
	dsn := p.DSN("by_md5", "postgres", `p'w\d`)
	for _, tt := range []struct{ name, dsn, sql, want string }{
		{"max_connections", p.SuperDSN("postgres"), "SHOW max_connections", "17"},
		{"a setting with quotes", p.SuperDSN("postgres"), "SHOW application_name", `it's a \ test`},
		{"MD5 log-in over TLS", dsn, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "t"},
	} {
		if got, err := ask(t, tt.dsn, tt.sql); err != nil || got != tt.want {
			t.Errorf("%s: got %q, err %v; want %q", tt.name, got, err, tt.want)
		}
	}
	if _, err := ask(t, p.DSN("postgres", "postgres", "wrong"), "SELECT 1"); err == nil {
		t.Error("a wrong password was accepted")
	}

	before := p.PID()
	if err := p.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if p.PID() == before {
		t.Error("Restart kept the process")
	}
	p.Kill()
	if _, err := ask(t, dsn, "SELECT 1"); err == nil {
		t.Error("a killed server answers")
	}
	if err := p.Restart(ctx); err != nil {
		t.Fatalf("Restart after Kill: %v", err)
	}
	if got, err := ask(t, dsn, "SELECT 1"); err != nil || got != "1" {
		t.Errorf("after Restart: got %q, err %v", got, err)
	}

	p.Stop()
	p.Stop()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("Stop left %v", left)
	}
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		c.Close()
		t.Error("the port still answers after Stop")
	}
	if err := p.Restart(ctx); err == nil {
		t.Error("Restart after Stop succeeded")
	}
}

func TestSharedDatabases(t *testing.T) {
	t.Parallel()
	p := testkit.SharedPostgres(t)
	a, b := testkit.Database(t, p), testkit.Database(t, p)
	if _, err := ask(t, a.DSN(), "CREATE TABLE here (x int)"); err != nil {
		t.Fatal(err)
	}
	var pgErr *pgconn.PgError
	if _, err := ask(t, b.DSN(), "SELECT * FROM here"); !errors.As(err, &pgErr) || pgErr.Code != "42P01" {
		t.Errorf("the other database knows the table, or: %v", err)
	}
	if testkit.SharedPostgres(t) != p {
		t.Error("a second server was started")
	}
}
