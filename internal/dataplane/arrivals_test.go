package dataplane_test

import (
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5"
)

// TestSilentClients connects clients that say nothing: they take no place of those who log in, and are closed when the
// time for a log-in is over.
func TestSilentClients(t *testing.T) {
	t.Parallel()
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	f := testkit.StartForebay(t, pg, testkit.ForebayOptions{
		Users:      map[string]string{db.User: db.Password},
		Handshakes: 2,
		Change:     func(p *resource.Proxy) { p.ClientLoginTimeout = time.Second },
	})
	var silent []net.Conn
	for range 10 {
		c, err := net.Dial("tcp", net.JoinHostPort(f.Host, strconv.Itoa(f.Port)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	c, err := pgx.Connect(t.Context(), f.DSN(db.User, db.Name, ""))
	if err != nil {
		t.Fatalf("log-in beside silent clients: %v", err)
	}
	c.Close(t.Context())
	for _, c := range silent {
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a silent client reads %v, want the end", err)
		}
	}
}
