//go:build linux

// Command bench kills the primary of a replication set under clients that write, again and again, and measures how long each
// client is without an answer: directly, through HAProxy, through PgBouncer and through Forebay. scripts/bench-failover runs
// it; docs/benchmarks.md has what it measured, and docs/failover.md says how.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"forebay/test/failover/workload"
	"forebay/test/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-failover:", err)
		stop()
		os.Exit(1)
	}
}

// options are read from the environment, since `make bench-failover` passes that on.
type options struct {
	failovers, writers, idle int
	engines, peers           []string
	markdown                 string // file whose generated part is replaced; "" for none
	forebay                  string // the binary
	sidTree                  string // Debian sid tree with MySQL 9; "" if there is none
}

func readOptions() (options, error) {
	o := options{
		engines: list(os.Getenv("ENGINE")), peers: list(os.Getenv("PEERS")), markdown: os.Getenv("MARKDOWN"),
		forebay: os.Getenv("FOREBAY"), sidTree: os.Getenv("SID_TREE"),
	}
	if o.forebay == "" {
		o.forebay = "bin/forebay"
	}
	if len(o.peers) == 0 {
		o.peers = peerNames
	}
	if len(o.engines) == 0 {
		o.engines = engineNames
	}
	for _, w := range []struct {
		name       string
		got, known []string
	}{{"PEERS", o.peers, peerNames}, {"ENGINE", o.engines, engineNames}} {
		for _, s := range w.got {
			if !slices.Contains(w.known, s) {
				return o, fmt.Errorf("%s: %q: expected some of %s", w.name, s, strings.Join(w.known, ","))
			}
		}
	}
	for _, n := range []struct {
		name  string
		to    *int
		value int
	}{{"FAILOVERS", &o.failovers, 20}, {"CLIENTS", &o.writers, 200}, {"IDLE_CLIENTS", &o.idle, 50}} {
		*n.to = n.value
		s := os.Getenv(n.name)
		if s == "" {
			continue
		}
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 || v > 1000 {
			return o, fmt.Errorf("%s: %q: expected a number from 1 to 1000", n.name, s)
		}
		*n.to = v
	}
	if o.writers+o.idle > maxConnections-20 {
		return o, fmt.Errorf("CLIENTS and IDLE_CLIENTS: %d together: expected at most %d, which a database takes", o.writers+o.idle, maxConnections-20)
	}
	return o, nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func run(ctx context.Context) error {
	o, err := readOptions()
	if err != nil {
		return err
	}
	for _, name := range o.engines {
		err := runEngine(ctx, o, name)
		if errors.Is(err, errNoServer) && os.Getenv("ENGINE") == "" {
			fmt.Printf("%s is left out: %v\n", name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func runEngine(ctx context.Context, o options, name string) error {
	set, err := startSet(ctx, o, name)
	if err != nil {
		return err
	}
	defer set.stop()
	dir, err := os.MkdirTemp("", "forebay-bench-failover-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // for the accounts of proxies
		return err
	}
	w := &world{o: o, set: set, dir: dir}
	if w.health, err = startHealth(set); err != nil {
		return err
	}
	defer w.health.close()
	var all []result
	for _, peer := range peerNames {
		if !slices.Contains(o.peers, peer) || !set.fits(peer) {
			continue
		}
		r, err := w.measure(ctx, peer)
		if err != nil {
			return fmt.Errorf("%s: %w", peer, err)
		}
		all = append(all, r)
	}
	text := describe(o, set, all) + table(all)
	fmt.Printf("\n%s\n", text)
	if o.markdown == "" {
		return nil
	}
	mark := func(word string) string { return "<!-- made by make bench-failover, " + name + ": " + word + " -->\n" }
	return program.ReplaceGenerated(o.markdown, mark("begin"), mark("end"), text)
}

// world is a replication set, and what stands in front of it.
type world struct {
	o      options
	set    set
	dir    string
	health *health
}

const (
	// recoverLimit is how long clients may take to write again after a promotion.
	recoverLimit = 60 * time.Second
	// writeLimit is after how long a client gives a statement up.
	writeLimit = 90 * time.Second
)

// measure has clients write through one peer while the set fails over again and again.
func (w *world) measure(ctx context.Context, name string) (r result, err error) {
	if err := w.set.empty(ctx); err != nil {
		return r, err
	}
	p, err := w.newPeer(ctx, name)
	if err != nil {
		return r, err
	}
	defer p.stop()
	r = result{peer: name, version: p.version, loadLow: program.Load(), errors: map[string]int{}}
	connect := func(ctx context.Context) (workload.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return p.connect(ctx)
	}
	idle, err := workload.Connect(ctx, w.o.idle, connect)
	if err != nil {
		return r, err
	}
	defer func() { workload.CloseAll(idle) }()
	if lost, failed := w.visit(ctx, idle, connect); lost+failed > 0 {
		return r, fmt.Errorf("%d idle clients are lost before anything has happened, %d fail", lost, failed)
	}
	clients, err := workload.Start(ctx, workload.Options{Clients: w.o.writers, Connect: connect, Reconnect: true, Limit: writeLimit})
	if err != nil {
		return r, err
	}
	defer clients.Stop()
	for i := range w.o.failovers {
		if err := w.failover(ctx, p, clients, &r); err != nil {
			return r, fmt.Errorf("failover %d: %w", i+1, err)
		}
		lost, failed := w.visit(ctx, idle, connect)
		r.idleLost, r.idleErrors = r.idleLost+lost, r.idleErrors+failed
		if err := p.check(); err != nil {
			return r, err
		}
		release := clients.Hold() // the standby is to be there soon
		err := w.set.rejoin(ctx)
		release()
		if err != nil {
			return r, fmt.Errorf("failover %d: the old primary: %w", i+1, err)
		}
		fmt.Println(r.last(i+1, lost))
	}
	ledger, err := w.set.dial(ctx, w.set.port(w.set.primary()))
	if err != nil {
		return r, err
	}
	defer ledger.Close()
	r.truth, err = clients.End(ctx, ledger)
	for class, n := range r.truth.Errors {
		r.errors[tidy(class)] += n
	}
	return r, err
}

// failover kills the primary under load and promotes the standby.
func (w *world) failover(ctx context.Context, p *peer, clients *workload.Clients, r *result) error {
	steady, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	if err := clients.GoOn(steady, 3*w.o.writers); err != nil {
		return err
	}
	killed := time.Now()
	w.set.kill()
	if err := w.set.promote(ctx); err != nil {
		return err
	}
	promoted := time.Now()
	clients.Mark(promoted)
	if err := p.promoted(ctx); err != nil {
		return err
	}
	back, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	stalls, err := clients.Stalls(back)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	for range w.o.writers - len(stalls) {
		stalls = append(stalls, recoverLimit) // or more
		r.unrecovered++
	}
	r.stalls = append(r.stalls, stalls...)
	r.rounds = append(r.rounds, stalls)
	r.promotions = append(r.promotions, promoted.Sub(killed))
	load := program.Load()
	r.loadLow, r.loadHigh = min(r.loadLow, load), max(r.loadHigh, load)
	return nil
}

// visit has each idle client run a statement, and replaces those whose connection has ended. It counts these, and those that
// have an error and live on.
func (w *world) visit(ctx context.Context, idle []workload.Conn, connect func(context.Context) (workload.Conn, error)) (lost, failed int) {
	for i, c := range idle {
		ctx, cancel := context.WithTimeout(ctx, recoverLimit)
		if c != nil {
			if err := c.Ping(ctx); err != nil && !c.Closed() {
				failed++
			}
		}
		if c == nil || c.Closed() {
			lost++
			if c != nil {
				c.Close()
			}
			if idle[i], _ = connect(ctx); idle[i] == nil {
				fmt.Println("an idle client finds nobody")
			}
		}
		cancel()
	}
	return lost, failed
}
