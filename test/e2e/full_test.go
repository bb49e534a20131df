package e2e

import (
	"context"
	"strings"
	"testing"

	"forebay/internal/resource"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestTooManyClients has one client more than there may be: it is told, the others do not notice, cancel requests still
// pass, and the place of one that leaves is free again.
func TestTooManyClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{change: func(p *resource.Proxy) { p.MaxClients = 2 }})
	dsn := w.f.DSN(w.db.User, w.db.Name, "")
	connect := func() *pgconn.PgConn {
		c, err := pgconn.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(context.WithoutCancel(t.Context())) })
		return c
	}
	first, second := connect(), connect()
	for range 3 {
		c, err := pgconn.Connect(t.Context(), dsn)
		if err == nil {
			c.Close(t.Context())
			t.Fatal("a third client was let in")
		}
		e, ok := pgError(err)
		if !ok || e.Code != "53300" || e.Severity != "FATAL" || !strings.HasSuffix(e.Message, "client connections to the proxy exceeded 2.") {
			t.Fatalf("a third client is told %v", err)
		}
	}
	running := make(chan error, 1)
	go func() { running <- second.Exec(context.WithoutCancel(t.Context()), "SELECT pg_sleep(30)").Close() }()
	for {
		if err := second.CancelRequest(t.Context()); err != nil {
			t.Fatalf("cancel request: %v", err)
		}
		select {
		case err := <-running:
			if e, ok := pgError(err); !ok || e.Code != "57014" {
				t.Fatalf("cancelled statement: %v", err)
			}
		default:
			continue
		}
		break
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := pgconn.Connect(t.Context(), dsn)
		if err == nil {
			c.Close(t.Context())
			return
		}
		if e, ok := pgError(err); !ok || e.Code != "53300" { // the one that left may still be counted
			t.Fatal(err)
		}
	}
}
