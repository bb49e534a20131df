package dataplane_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5"
)

// TestSilentClients connects clients that say nothing, or half of what they should: the former take no place of those who
// log in, and all are closed when the time for a log-in is over.
func TestSilentClients(t *testing.T) {
	t.Parallel()
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	f := testkit.StartForebay(t, pg, testkit.ForebayOptions{
		Users:      map[string]string{db.User: db.Password},
		Handshakes: 2,
		Change:     func(p *resource.Proxy) { p.ClientLoginTimeout = time.Second },
	})
	connect := func(n int, say []byte) (all []net.Conn) {
		for range n {
			c, err := net.Dial("tcp", net.JoinHostPort(f.Host, strconv.Itoa(f.Port)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			if _, err := c.Write(say); err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		return all
	}
	login := func(beside string) {
		c, err := pgx.Connect(t.Context(), f.DSN(db.User, db.Name, ""))
		if err != nil {
			t.Fatalf("log-in beside %s clients: %v", beside, err)
		}
		c.Close(t.Context())
	}
	waiting := connect(10, nil)
	login("silent")
	waiting = append(waiting, connect(10, []byte{0, 0, 0, 50, 0, 3})...) // they queue, two at a time
	for i, c := range waiting {
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		// Closed with unread bytes, a connection may be reset.
		if _, err := c.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("client %d reads %v, want the end", i, err)
		}
	}
	login("no more")
}

// hearsLater is a connection on which something happens when the first answer has come, and before it is told.
type hearsLater struct {
	net.Conn
	meanwhile func() error
}

func (c *hearsLater) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		err = c.meanwhile()
	}
	return n, err
}

// TestRemovedMeanwhile removes a proxy while a client is about to log in: the client is told, not left with nothing behind
// its connection.
func TestRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	f := testkit.StartForebay(t, pg, testkit.ForebayOptions{Users: map[string]string{db.User: db.Password}})
	before, err := pgx.Connect(t.Context(), f.DSN(db.User, db.Name, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close(context.Background())
	cfg, err := pgx.ParseConfig(f.DSN(db.User, db.Name, ""))
	if err != nil {
		t.Fatal(err)
	}
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return &hearsLater{Conn: c, meanwhile: sync.OnceValue(func() error { return f.Plane.Apply(ctx, resource.Snapshot{}) })}, err
	}
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err == nil {
		c.Close(t.Context())
		t.Fatal("a client has logged in to a proxy that is no more")
	}
	if !strings.Contains(err.Error(), "57P01") {
		t.Errorf("the client is told %v", err)
	}
}
