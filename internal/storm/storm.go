// Package storm sends a crowd of short-lived clients at a database server or at Forebay, as functions and autoscaled
// containers do: each connects, runs a statement or a transaction, stays a moment and leaves. It counts what became of
// them. It spends little CPU time on a client, since it mostly runs on the machine of the server that it measures.
package storm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what the clients do.
type Options struct {
	Clients     int           // how many come
	Window      time.Duration // they arrive evenly spread over this time; 0 = all at once
	Concurrency int           // clients at work at once, the others wait their turn; 0 = no limit
	Statement   string
	Transaction bool          // BEGIN and COMMIT around the statement
	Hold        time.Duration // stay connected, idle, for so long after the statement
	Timeout     time.Duration // for one client, from dial to its last answer, Hold not counted; 0 = none
}

// begin begins a transaction.
const begin = "BEGIN"

// Validate returns an error that names the first option that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Clients < 1:
		return errors.New("clients: must be at least 1")
	case o.Window < 0, o.Hold < 0, o.Timeout < 0:
		return errors.New("window, hold and timeout: must not be negative")
	case o.Concurrency < 0:
		return errors.New("concurrency: must not be negative")
	case o.Statement == "":
		return errors.New("statement: must not be empty")
	}
	return nil
}

// Protocol is one database protocol's client.
type Protocol interface {
	// Connect dials and logs in. The context's deadline bounds it.
	Connect(ctx context.Context) (Session, error)
	// Describe sorts an error of Connect or of a Session: a short code and a short text, without anything secret.
	// A code of "" means an error that is not the database's own.
	Describe(err error) (code, text string)
}

// Session is one client that has logged in. It is used by one goroutine.
type Session interface {
	// Run runs one statement and reads its whole answer. The context's deadline bounds it.
	Run(ctx context.Context, statement string) error
	// Close says goodbye, if the protocol has a word for that, and closes the connection.
	Close()
}

// Progress counts while a storm is under way. It may be read at any time.
type Progress struct {
	Arrived   atomic.Int64 // clients that began
	Connected atomic.Int64 // clients logged in now
	Succeeded atomic.Int64
	Failed    atomic.Int64
	peak      atomic.Int64
}

// connected counts a client that logged in, or with -1 one that leaves.
func (p *Progress) connected(n int64) {
	now := p.Connected.Add(n)
	for {
		old := p.peak.Load()
		if now <= old || p.peak.CompareAndSwap(old, now) {
			return
		}
	}
}

// Run sends the storm and returns once its last client has left. If ctx ends first, no more clients come, those under
// way fail, and the result covers the clients that arrived. p may be nil.
func Run(ctx context.Context, proto Protocol, o Options, p *Progress) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if p == nil {
		p = new(Progress)
	}
	var turns chan struct{} // nil: no limit
	if o.Concurrency > 0 {
		turns = make(chan struct{}, o.Concurrency)
	}
	outcomes := make([]outcome, o.Clients)
	start := time.Now()
	var wg sync.WaitGroup
	arrived := 0
	for ; arrived < o.Clients; arrived++ {
		due := start.Add(o.Window * time.Duration(arrived) / time.Duration(o.Clients))
		if !waitUntil(ctx, due) || !takeTurn(ctx, turns) {
			break
		}
		p.Arrived.Add(1)
		out := &outcomes[arrived]
		wg.Go(func() {
			out.visit(ctx, proto, o, p)
			if turns != nil {
				<-turns
			}
		})
	}
	wg.Wait()
	return summarize(proto, outcomes[:arrived], time.Since(start), int(p.peak.Load())), nil
}

// waitUntil waits for a moment and reports whether it came before ctx ended.
func waitUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	// A timer is not finer than this, and a crowd that arrives in small groups saves the machine's time.
	if wait < time.Millisecond {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// takeTurn waits until fewer clients than the limit are at work.
func takeTurn(ctx context.Context, turns chan struct{}) bool {
	if turns == nil {
		return true
	}
	select {
	case turns <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// outcome is what became of one client.
type outcome struct {
	connect time.Duration // from dial to ready; 0 if that failed
	query   time.Duration // the statement or the transaction; 0 if that failed
	err     error
}

// visit is one client's life.
func (out *outcome) visit(ctx context.Context, proto Protocol, o Options, p *Progress) {
	out.err = out.work(ctx, proto, o, p)
	if out.err != nil {
		p.Failed.Add(1)
		return
	}
	p.Succeeded.Add(1)
}

func (out *outcome) work(ctx context.Context, proto Protocol, o Options, p *Progress) error {
	limited, cancel := ctx, func() {}
	if o.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, o.Timeout)
	}
	defer cancel()
	start := time.Now()
	s, err := proto.Connect(limited)
	if err != nil {
		return err
	}
	defer s.Close()
	p.connected(1)
	defer p.connected(-1)
	ready := time.Now()
	out.connect = ready.Sub(start)
	statements := []string{o.Statement}
	if o.Transaction {
		statements = []string{begin, o.Statement, "COMMIT"}
	}
	for _, sql := range statements {
		if err := s.Run(limited, sql); err != nil {
			return err
		}
	}
	done := time.Now()
	out.query = done.Sub(ready)
	if o.Hold > 0 && !waitUntil(ctx, done.Add(o.Hold)) {
		return ctx.Err()
	}
	return nil
}
