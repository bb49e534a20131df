// Package workload has clients that write to a ledger while its database fails over, and holds what they were told against
// what is there in the end. The tests and the benchmark of failovers use it.
package workload

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Table makes the ledger. It takes an id twice, so that a row that is written twice is seen.
const Table = "CREATE TABLE ledger (id bigint NOT NULL)"

// Conn is a client's connection, whatever its database.
type Conn interface {
	// Write inserts a row with that id into ledger, in a transaction of its own.
	Write(ctx context.Context, id int64) error
	// IDs are those in ledger, each as often as it is there.
	IDs(ctx context.Context) ([]int64, error)
	// Ping runs a statement.
	Ping(ctx context.Context) error
	// Closed reports whether the connection is no more.
	Closed() bool
	Close()
}

// Options say how clients write.
type Options struct {
	Clients int
	Connect func(ctx context.Context) (Conn, error)
	// Reconnect has a client whose connection has ended make a new one, as a driver's pool would. Else it stops.
	Reconnect bool
	// Limit is how long a write may take before its client gives it up; 0: for ever.
	Limit time.Duration
}

// retryPause is between two attempts of a client to connect, and after a write that has failed.
const retryPause = 20 * time.Millisecond

// Clients write rows, each with an id of its own, as fast as they are answered.
type Clients struct {
	o       Options
	next    atomic.Int64
	running sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc

	mu       sync.Mutex
	acked    []int64        // guarded by mu; answered with success
	failed   map[int64]bool // guarded by mu; answered with an error: it may be there, or not
	errs     map[string]int // guarded by mu; by their class
	first    []error        // guarded by mu; some of the errors
	since    time.Time      // guarded by mu; see Mark
	stalls   map[int]time.Duration
	perished int           // guarded by mu; connections that have ended
	held     chan struct{} // guarded by mu; closed when the clients may go on; nil: they may
}

// Start connects all clients, then has them write.
func Start(ctx context.Context, o Options) (*Clients, error) {
	c := &Clients{o: o, failed: map[int64]bool{}, errs: map[string]int{}, stalls: map[int]time.Duration{}}
	conns, err := Connect(ctx, o.Clients, o.Connect)
	if err != nil {
		return nil, err
	}
	c.ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	for i, conn := range conns {
		c.running.Go(func() { c.run(i, conn) })
	}
	return c, nil
}

// Connect makes some connections, a few at a time.
func Connect(ctx context.Context, n int, connect func(context.Context) (Conn, error)) ([]Conn, error) {
	conns, errs := make([]Conn, n), make([]error, n)
	var all sync.WaitGroup
	few := make(chan struct{}, 8)
	for i := range n {
		all.Go(func() {
			few <- struct{}{}
			defer func() { <-few }()
			conns[i], errs[i] = connect(ctx)
		})
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			CloseAll(conns)
			return nil, fmt.Errorf("client %d: %w", i, err)
		}
	}
	return conns, nil
}

// CloseAll closes those connections that there are.
func CloseAll(conns []Conn) {
	for _, conn := range conns {
		if conn != nil {
			conn.Close()
		}
	}
}

func (c *Clients) run(i int, conn Conn) {
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for c.goOn() {
		if conn == nil {
			var err error
			if conn, err = c.o.Connect(c.ctx); err != nil {
				conn = nil
				c.fail(err, "connect: ")
				c.pause()
				continue
			}
		}
		id := c.next.Add(1)
		err := c.write(conn, id)
		c.mu.Lock()
		if err == nil {
			c.acked = append(c.acked, id)
			if _, done := c.stalls[i]; !done && !c.since.IsZero() {
				c.stalls[i] = time.Since(c.since)
			}
		} else {
			c.failed[id] = true
		}
		c.mu.Unlock()
		if err != nil {
			c.fail(err, "")
			c.pause()
		}
		if !conn.Closed() {
			continue
		}
		c.mu.Lock()
		c.perished++
		c.mu.Unlock()
		conn.Close()
		conn = nil
		if !c.o.Reconnect {
			return
		}
	}
}

// goOn waits while the clients are held. It reports false when they are to stop.
func (c *Clients) goOn() bool {
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-c.ctx.Done():
		}
	}
	return c.ctx.Err() == nil
}

// Hold has the clients write nothing, once each has been answered, until release is called.
func (c *Clients) Hold() (release func()) {
	held := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = held
	return func() { close(held) }
}

// write is not cut short when the clients are to stop: what it says is part of the truth.
func (c *Clients) write(conn Conn, id int64) error {
	ctx := context.WithoutCancel(c.ctx)
	if c.o.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.o.Limit)
		defer cancel()
	}
	return conn.Write(ctx, id)
}

func (c *Clients) fail(err error, what string) {
	if c.ctx.Err() != nil && what != "" {
		return // it was told to stop while it connected
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs[what+Class(err)]++
	if len(c.first) < 20 {
		c.first = append(c.first, err)
	}
}

func (c *Clients) pause() {
	wait := time.NewTimer(retryPause)
	defer wait.Stop()
	select {
	case <-c.ctx.Done():
	case <-wait.C:
	}
}

// Successes is how many rows have been acknowledged.
func (c *Clients) Successes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acked)
}

// Sent is the last id that has been sent: later ones are greater.
func (c *Clients) Sent() int64 { return c.next.Load() }

// Errors are how often there was an error of each class.
func (c *Clients) Errors() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.errs)
}

// Mark begins to measure stalls: of each client, the time from since to the end of its first success from now on.
func (c *Clients) Mark(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = since
	clear(c.stalls)
}

// Stalls are those that have been measured since Mark, one for each client that has had a success. The error is that of
// ctx, if it ends before each client has had one.
func (c *Clients) Stalls(ctx context.Context) ([]time.Duration, error) {
	for {
		c.mu.Lock()
		stalls := slices.Collect(maps.Values(c.stalls))
		c.mu.Unlock()
		if len(stalls) == c.o.Clients {
			return stalls, nil
		}
		select {
		case <-ctx.Done():
			return stalls, fmt.Errorf("%d of %d clients have written since: %w", len(stalls), c.o.Clients, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// GoOn returns when another n rows have been acknowledged.
func (c *Clients) GoOn(ctx context.Context, n int) error {
	for from := c.Successes(); c.Successes() < from+n; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d rows, want %d: %w; errors %v", c.Successes()-from, n, ctx.Err(), c.Errors())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// Stop ends the clients, once each has been answered.
func (c *Clients) Stop() {
	c.stop()
	c.running.Wait()
}

// Truth is what the clients were told, held against the ledger.
type Truth struct {
	Acked    int
	Missing  []int64 // acknowledged, and not there
	Doubled  []int64 // there twice or more
	Unknown  []int64 // there, and never sent
	Perished int     // connections that have ended
	Errors   map[string]int
	Some     []error // of the errors
}

// End stops the clients and holds the ledger against what they were told.
func (c *Clients) End(ctx context.Context, ledger Conn) (Truth, error) {
	c.Stop()
	there, err := ledger.IDs(ctx)
	if err != nil {
		return Truth{}, fmt.Errorf("ledger: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hold(there), nil
}

// hold compares. mu is held.
func (c *Clients) hold(there []int64) Truth {
	t := Truth{Acked: len(c.acked), Perished: c.perished, Errors: maps.Clone(c.errs), Some: c.first}
	count := make(map[int64]int, len(there))
	for _, id := range there {
		count[id]++
	}
	known := make(map[int64]bool, len(c.acked))
	for _, id := range c.acked {
		known[id] = true
		if count[id] == 0 {
			t.Missing = append(t.Missing, id)
		}
	}
	for id, n := range count {
		if n > 1 {
			t.Doubled = append(t.Doubled, id)
		}
		if !known[id] && !c.failed[id] {
			t.Unknown = append(t.Unknown, id)
		}
	}
	slices.Sort(t.Doubled)
	slices.Sort(t.Unknown)
	return t
}
