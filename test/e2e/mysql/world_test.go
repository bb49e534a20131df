package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/wire/mysqlwire"
)

// world is a database of the test's own and a way to it: through a Forebay of the test's own, or directly.
type world struct {
	t     *testing.T
	m     *localserver.MySQL
	db    testkit.MySQLDB
	other string           // a second database
	f     *testkit.Forebay // nil: directly
	maria bool
	role  string // that the user may have
}

// options of a world.
type options struct {
	loops, pool int
	direct      bool
	change      func(p *resource.Proxy)
}

func newWorld(t *testing.T, m *localserver.MySQL, o options) *world {
	t.Helper()
	w := &world{t: t, m: m, db: testkit.MySQLDatabase(t, m), maria: m.Version().Product == localserver.ProductMariaDB}
	w.other = w.db.Name + "_b"
	w.super("CREATE DATABASE `" + w.other + "`")
	w.super("GRANT ALL ON `" + strings.ReplaceAll(w.other, "_", "\\_") + "`.* TO `" + w.db.User + "`@'%'")
	t.Cleanup(func() { w.super("DROP DATABASE `" + w.other + "`") })
	if o.direct {
		return w
	}
	w.f = testkit.StartForebayMySQL(t, m, testkit.ForebayOptions{
		Users: map[string]string{w.db.User: w.db.Password}, Loops: o.loops,
		Change: func(p *resource.Proxy) {
			p.Pool.MaxConnections = o.pool
			if o.change != nil {
				o.change(p)
			}
		},
	})
	return w
}

// super runs a statement as root, past Forebay.
func (w *world) super(sql string) {
	w.t.Helper()
	if err := w.m.Exec(context.Background(), sql); err != nil {
		w.t.Fatalf("root: %s: %v", sql, err)
	}
}

// usual are the capabilities of a client like most.
const usual = mysqlwire.ClientMultiStatements | mysqlwire.ClientMultiResults | mysqlwire.ClientPSMultiResults |
	mysqlwire.ClientDeprecateEOF | mysqlwire.ClientSessionTrack

// dial logs a client in, through Forebay if the world has one.
func (w *world) dial(caps mysqlwire.Capability) (*client, error) {
	if w.f == nil {
		return w.dialDirect(caps)
	}
	return dial(net.JoinHostPort(w.f.Host, strconv.Itoa(w.f.Port)), w.db.User, w.db.Password, w.db.Name, caps)
}

// dialDirect logs a client in to the server itself.
func (w *world) dialDirect(caps mysqlwire.Capability) (*client, error) {
	return dial(net.JoinHostPort(w.m.Host(), strconv.Itoa(w.m.Port())), w.db.User, w.db.Password, w.db.Name, caps)
}

// open is dial for a client that must get in, and leaves with the test.
func (w *world) open(caps mysqlwire.Capability) *client {
	w.t.Helper()
	c, err := w.dial(caps)
	if err != nil {
		w.t.Fatalf("log in: %v", err)
	}
	w.t.Cleanup(c.leave)
	return c
}

// text makes a result readable: its values with commas between, its rows with semicolons; of an error the code.
func text(all []result, err error) string {
	var rows []string
	if len(all) > 0 {
		for _, row := range all[len(all)-1].rows {
			rows = append(rows, strings.Join(row, ","))
		}
	}
	if err != nil {
		rows = append(rows, "error "+codeOf(err))
	}
	return strings.Join(rows, ";")
}

// codeOf is the code of a server's error, or else its text.
func codeOf(err error) string {
	var e *mysqlwire.Error
	if errors.As(err, &e) {
		return strconv.Itoa(int(e.Code))
	}
	var refused *login.ServerError
	if errors.As(err, &refused) {
		return strconv.Itoa(int(refused.Code))
	}
	return fmt.Sprint(err)
}

const deprecateEOF = mysqlwire.ClientDeprecateEOF

func itoa(n int) string { return strconv.Itoa(n) }

// waitForRoutines waits until Forebay has read what routines there are: one of which it knows pins no longer.
func (w *world) waitForRoutines() {
	w.t.Helper()
	c := w.open(usual)
	if _, err := c.query("CREATE FUNCTION clean() RETURNS INT NO SQL RETURN 1"); err != nil {
		w.t.Fatal(err)
	}
	c.leave()
	testkit.Eventually(w.t, "routines are known", func() bool {
		c := w.open(usual)
		defer c.leave()
		if got := text(c.query("SELECT clean()")); got != "1" {
			w.t.Fatalf("a function gives %q", got)
		}
		return !w.pinned()
	})
}
