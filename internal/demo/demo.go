// Package demo shows what Forebay is for: a private PostgreSQL of the size that a small machine has, a storm of
// short-lived clients straight at it, then the same storm through Forebay, and the two results side by side.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/storm"
)

// What the demo's database is like.
const (
	maxConnections = 85 // what a managed database gives a machine with 1 GiB of memory, about
	appUser        = "app"
	appDatabase    = "app"
)

// Options say what the demo does.
type Options struct {
	Clients    int
	Window     time.Duration // the clients arrive within this time
	Hold       time.Duration // each stays connected for so long, as an instance of a function does
	Once       bool          // stop after the comparison instead of waiting for Ctrl-C
	Executable string        // the forebay binary; "" = the one that runs
}

// defaults are what the comparison is made with. Clients hold on for so long that even a slow machine, on which they
// come in over half a minute, has more of them at once than the database takes.
var defaults = Options{Clients: 2000, Window: time.Second, Hold: 3 * time.Second}

// statement is what each client runs in its transaction: work of 5 ms, as far as the database is concerned.
const statement = "SELECT pg_sleep(0.005)"

// Run plays the demo and prints to out; errOut gets the progress. Without Once it returns after ctx ended. Its error
// says what went wrong, also if a client failed that went through Forebay. Nothing is left running, and no file.
func Run(ctx context.Context, out, errOut io.Writer, o Options) error {
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the forebay binary: %w", err)
		}
		o.Executable = exe
	}
	s := newScreen(out)
	s.step("Starting a private PostgreSQL with max_connections = %d", maxConnections)
	pg, err := localserver.StartPostgres(ctx, localserver.PostgresOptions{MaxConnections: maxConnections})
	if err != nil {
		return err
	}
	defer pg.Stop()
	password, err := makeApp(ctx, pg)
	if err != nil {
		return err
	}
	s.step("PostgreSQL %s listens on %s", pg.Version().Version, pg.Addr())

	s.step("%s clients within %v, straight at the database; each runs a transaction and stays connected for %v",
		thousands(o.Clients), o.Window, o.Hold)
	direct, err := measure(ctx, errOut, pg, pg.Addr(), password, o)
	if err != nil {
		return fmt.Errorf("straight at the database: %w", err)
	}
	s.step("%s of %s succeeded", thousands(direct.Succeeded), thousands(o.Clients))

	fb, err := startForebay(ctx, pg, password, o.Executable)
	if err != nil {
		return fmt.Errorf("start Forebay: %w", err)
	}
	defer fb.stop()
	s.step("Forebay listens on %s, with at most %d server connections", fb.addr, poolSize)
	s.step("The same %s clients through Forebay", thousands(o.Clients))
	through, err := measure(ctx, errOut, pg, fb.addr, password, o)
	if err != nil {
		return fmt.Errorf("through Forebay: %w", err)
	}
	s.step("%s of %s succeeded", thousands(through.Succeeded), thousands(o.Clients))

	s.compare(direct, through)
	if through.Succeeded != o.Clients {
		return fmt.Errorf("%d of %d clients failed through Forebay; its log ends with:\n%s",
			o.Clients-through.Succeeded, o.Clients, fb.child.Log())
	}
	if o.Once {
		return nil
	}
	s.invite(fb, pg, password)
	select {
	case <-ctx.Done():
		s.step("Stopping")
		return nil
	case <-fb.child.Done():
		return fmt.Errorf("the proxy ended by itself; its log ends with:\n%s", fb.child.Log())
	}
}

// makeApp makes the account and the database that the clients use, and returns the password.
func makeApp(ctx context.Context, pg *localserver.Postgres) (string, error) {
	password := localserver.RandomWord(16)
	if err := pg.CreateUser(ctx, localserver.User{Name: appUser, Password: password}); err != nil {
		return "", err
	}
	return password, pg.CreateDatabase(ctx, appDatabase, appUser)
}

// leg is one half of the comparison.
type leg struct {
	*storm.Result
	serverConnections int // client connections that PostgreSQL had open at most
}

// measure sends the storm to addr and watches the database meanwhile.
func measure(ctx context.Context, errOut io.Writer, pg *localserver.Postgres, addr, password string, o Options) (leg, error) {
	target := storm.Target{
		Addr: addr, User: appUser, Password: password, Database: appDatabase,
		Params: map[string]string{"application_name": "storm"},
	}
	proto, err := storm.NewPostgres(target)
	if err != nil {
		return leg{}, err
	}
	w, err := startWatch(ctx, pg)
	if err != nil {
		return leg{}, err
	}
	r, err := storm.RunWithBar(ctx, errOut, proto, storm.Options{
		Clients: o.Clients, Window: o.Window, Hold: o.Hold, Timeout: time.Minute,
		Statement: statement, Transaction: true,
	})
	most, watchErr := w.end()
	if err := errors.Join(err, watchErr, ctx.Err()); err != nil {
		return leg{}, err
	}
	return leg{Result: r, serverConnections: most}, nil
}
