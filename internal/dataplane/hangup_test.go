package dataplane_test

import (
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5/pgconn"
)

// cutConn is a connection that breaks after so many bytes have been written.
type cutConn struct {
	net.Conn
	left  int
	reset bool
}

func (c *cutConn) Write(b []byte) (int, error) {
	if len(b) <= c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:c.left])
	c.left = 0
	if c.reset {
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
	}
	c.Conn.Close()
	return n, io.ErrClosedPipe
}

// TestHangUpAnywhere has clients hang up in the midst of their log-in, while others log in and the configuration is
// applied anew: none is counted for ever, and none keeps a place among the connection phases.
func TestHangUpAnywhere(t *testing.T) {
	t.Parallel()
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	https := httptest.NewTLSServer(nil) // for its certificate
	https.Close()
	f := testkit.StartForebay(t, pg, testkit.ForebayOptions{
		TLS:   &tls.Config{Certificates: https.TLS.Certificates},
		Users: map[string]string{db.User: db.Password}, Loops: 2, Handshakes: 4,
		Change: func(p *resource.Proxy) { p.ClientLoginTimeout = 20 * time.Second },
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 30 {
				more := []string{"sslmode=disable", "sslmode=require"}[rand.IntN(2)]
				cfg, err := pgconn.ParseConfig(f.DSN(db.User, db.Name, more))
				if err != nil {
					t.Error(err)
					return
				}
				dial := cfg.DialFunc
				cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := dial(ctx, network, addr)
					if err != nil {
						return nil, err
					}
					return &cutConn{Conn: c, left: rand.IntN(1000), reset: rand.IntN(2) == 0}, nil
				}
				c, err := pgconn.ConnectConfig(t.Context(), cfg)
				if err == nil {
					c.Conn().Close()
				}
			}
		})
	}
	for range 20 {
		f.Apply(t)
		time.Sleep(5 * time.Millisecond)
	}
	all.Wait()
	for range 2 * 4 {
		c, err := pgconn.Connect(t.Context(), f.DSN(db.User, db.Name, ""))
		if err != nil {
			t.Fatalf("log-in afterwards: %v", err)
		}
		c.Close(t.Context())
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		n := f.Plane.Pools()[0].Clients
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d clients are counted", n)
		}
	}
}
