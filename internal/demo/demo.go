// Package demo shows what Forebay is for: a private PostgreSQL and a private MariaDB of the size that a small machine has, a
// storm of short-lived clients straight at each, then the same storms through Forebay, and the results side by side; then the
// four steps by which RDS Proxy is set up and used, with the tools that people have for it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"forebay/internal/storm"
)

// What the demo's databases are like.
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
	Steps      bool          // go through the four steps, too
	Lambda     string        // folder of examples/lambda-node with its packages, for the burst of step 4; "" = a storm
}

// defaults are what the comparison is made with. Clients hold on for so long that even a slow machine, on which they
// come in over half a minute, has more of them at once than the database takes.
var defaults = Options{Clients: 2000, Window: time.Second, Hold: 3 * time.Second, Steps: true}

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
	all, err := startBackends(ctx, s)
	if err != nil {
		return err
	}
	defer stopBackends(all)

	results := make([]comparison, len(all))
	s.step("%s clients within %v, straight at the database; each runs a transaction and stays connected for %v",
		thousands(o.Clients), o.Window, o.Hold)
	for i, b := range all {
		results[i].name = b.name
		if results[i].direct, err = measure(ctx, errOut, b, b.Addr(), o); err != nil {
			return fmt.Errorf("straight at %s: %w", b.name, err)
		}
		s.step("%s: %s of %s succeeded", b.name, thousands(results[i].direct.Succeeded), thousands(o.Clients))
	}

	fb, err := startForebay(ctx, all, o)
	if err != nil {
		return fmt.Errorf("start Forebay: %w", err)
	}
	defer fb.stop()
	s.step("Forebay listens in front of both, with at most %d server connections to each", poolSize)
	s.step("The same %s clients through Forebay", thousands(o.Clients))
	for i, b := range all {
		if results[i].through, err = measure(ctx, errOut, b, fb.addrs[i], o); err != nil {
			return fmt.Errorf("%s through Forebay: %w", b.name, err)
		}
		s.step("%s: %s of %s succeeded", b.name, thousands(results[i].through.Succeeded), thousands(o.Clients))
	}

	s.compare(results)
	if err := failures(results, o.Clients); err != nil {
		return fmt.Errorf("%w; its log ends with:\n%s", err, fb.child.Log())
	}
	if o.Steps {
		for _, b := range all {
			if b.engine != storm.EngineMySQL {
				continue
			}
			if err := walk(ctx, s, fb, b, o); err != nil {
				return fmt.Errorf("%w\nForebay's log ends with:\n%s", err, fb.child.Log())
			}
		}
	}
	if o.Once {
		return nil
	}
	s.invite(fb, all)
	select {
	case <-ctx.Done():
		s.step("Stopping")
		return nil
	case <-fb.child.Done():
		return fmt.Errorf("the proxy ended by itself; its log ends with:\n%s", fb.child.Log())
	}
}

// comparison is what became of the storm at one database.
type comparison struct {
	name            string // of the database
	direct, through leg
}

// failures is an error if a client failed that went through Forebay.
func failures(results []comparison, clients int) error {
	var errs []error
	for _, c := range results {
		if n := clients - c.through.Succeeded; n > 0 {
			errs = append(errs, fmt.Errorf("%d of %d clients of %s failed through Forebay", n, clients, c.name))
		}
	}
	return errors.Join(errs...)
}

// leg is one half of a comparison.
type leg struct {
	*storm.Result
	serverConnections int // client connections that the database had open at most
}

// measure sends the storm to addr and watches the database meanwhile.
func measure(ctx context.Context, errOut io.Writer, b *backend, addr string, o Options) (leg, error) {
	proto, err := b.protocol(addr)
	if err != nil {
		return leg{}, err
	}
	w, err := startWatch(ctx, b)
	if err != nil {
		return leg{}, err
	}
	r, err := storm.RunWithBar(ctx, errOut, proto, storm.Options{
		Clients: o.Clients, Window: o.Window, Hold: o.Hold, Timeout: time.Minute,
		Statement: b.statement, Transaction: true,
	})
	most, watchErr := w.end()
	if err := errors.Join(err, watchErr, ctx.Err()); err != nil {
		return leg{}, err
	}
	return leg{Result: r, serverConnections: most}, nil
}
