package dataplane_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
)

// A client that sends many requests at once, none of which can have a server connection, is refused them one after the other: not
// each within the refusal of the one before, which would take as much of the stack as the client likes.
func TestManyRefused(t *testing.T) {
	t.Parallel()
	const requests = 20_000
	w := newToyWorld(t, toyOptions{change: func(p *resource.Proxy) { p.Pool.ConnectionBorrowTimeout = 0 }})
	w.db.denies.Store(true)
	c := w.login("app toys 0")
	go func() { _, _ = io.WriteString(c, strings.Repeat("who\n", requests)) }()
	for range requests {
		if got := c.line(); !strings.HasPrefix(got, "refused: ") {
			t.Fatalf("heard %q", got)
		}
	}
	if n := w.eng.deepest.Load(); n > 100 {
		t.Errorf("refused at a depth of %d calls", n)
	}
}

// A reader's pool that is first used when a wait elsewhere has just ended in vain is a pool like others: who waits there does not
// wait forever.
func TestPoolMadeMeanwhile(t *testing.T) {
	t.Parallel()
	c := newToyClusterOn(t, 1, func(p *resource.Proxy) {
		p.SplitReads = true
		p.Pool.MaxConnections, p.Pool.ConnectionBorrowTimeout = 1, time.Second
	}, writer(1), reader(0))
	c.role(1, engine.Reader)
	has := c.login("app toys 0")
	has.ask("begin")
	s := c.login("app toys 0")
	s.say("who")
	s.say("read")
	s.say("where")
	if got := s.line(); !strings.HasPrefix(got, "refused: ") {
		t.Fatalf("heard %q, want the end of the wait for the writer", got)
	}
	s.hears("ok")
	s.hears("1")
	c.eventually("the reader's pool shows", func() bool { return c.figures().Members[1].Pool.Borrowed == 1 })
	waits := c.login("app toys 0")
	waits.say("read")
	if got := waits.line(); !strings.HasPrefix(got, "refused: ") {
		t.Fatalf("heard %q, want the end of the wait", got)
	}
}

// A pinned session whose transaction may end at a member that is the writer no more loses its pin when it has ended: what it does
// next is for the new writer.
func TestPinnedTransactionEnds(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(1), reader(0))
	c.role(1, engine.Reader)
	s := c.login("app toys 0")
	s.ask("pin")
	s.ask("begin")
	c.dbs[0].is(reader(0))
	c.role(0, engine.Reader)
	c.dbs[1].is(writer(2))
	c.role(1, engine.Writer)
	c.eventually("new sessions are at the new writer", func() bool { return c.login("app toys 0").ask("where") == "1" })
	if got := s.ask("where"); got != "0" {
		t.Fatalf("the transaction is at %s", got)
	}
	s.ask("commit")
	if got := s.ask("where"); !strings.HasPrefix(got, "refused: ") {
		t.Errorf("heard %q, want the loss of what was pinned", got)
	}
	if got := s.ask("where"); got != "1" {
		t.Errorf("goes on at %s, want the new writer", got)
	}
}

// A client that logs in once more over its connection still sees what it has written.
func TestSplitReadsAfterRelogin(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) { p.SplitReads = true }, at(writer(1), 1), reader(1))
	c.role(1, engine.Reader)
	other := c.login("app toys 0")
	c.eventually("a reader serves", func() bool { return reads(other) == "1" })
	s := c.login("app toys 0")
	c.dbs[0].is(at(writer(1), 2))
	s.ask("write")
	s.say("again")
	s.say("app toys 0")
	s.hears("welcome")
	if got := reads(s); got != "0" {
		t.Errorf("a transaction that reads is at %s, which does not have what has been written", got)
	}
	c.dbs[1].is(reader(2))
	c.eventually("the reader serves again", func() bool { return reads(s) == "1" })
}

// A transaction that has declared that it only reads, and writes all the same, counts as one that writes.
func TestSplitReadStrays(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) { p.SplitReads = true }, at(writer(1), 1), reader(1))
	c.role(1, engine.Reader)
	other, s := c.login("app toys 0"), c.login("app toys 0")
	c.eventually("a reader serves", func() bool { return reads(other) == "1" })
	c.dbs[0].is(at(writer(1), 2))
	s.ask("write")
	s.ask("read")
	if got := s.ask("where"); got != "0" {
		t.Fatalf("the transaction is at %s", got)
	}
	other.ask("write")
	c.dbs[1].is(reader(2))
	c.eventually("the reader has caught up", func() bool { return reads(other) == "1" })
	c.dbs[0].is(at(writer(1), 3))
	s.ask("write")
	s.ask("commit")
	if got := reads(s); got != "0" {
		t.Errorf("a transaction that reads is at %s, which does not have what has been written", got)
	}
	c.dbs[1].is(reader(3))
	c.eventually("the reader serves again", func() bool { return reads(s) == "1" })
}

// An engine is told that readers have what has been changed when all have it that are used. One that is not used then is not
// before it has it, too.
func TestSettled(t *testing.T) {
	t.Parallel()
	late := reader(1)
	late.Lag = time.Minute
	c := newToyCluster(t, func(p *resource.Proxy) { p.Target.MaxReplicaLag = time.Second }, at(writer(1), 1), reader(1), late)
	c.role(1, engine.Reader)
	c.role(2, engine.Reader)
	if got := c.reads().ask("where"); got != "1" {
		t.Fatalf("the reader is %s", got)
	}
	c.dbs[0].is(at(writer(1), 2))
	changed := time.Now().UnixNano()
	c.eng.changed.Store(changed)
	looks := c.eng.asked.Load()
	c.eventually("the members are looked at", func() bool { return c.eng.asked.Load() > looks+12 })
	if c.eng.settled.Load() != 0 {
		t.Error("it is told before the reader has it")
	}
	c.dbs[1].is(reader(2))
	c.eventually("it is told", func() bool { return c.eng.settled.Load() == changed })
	c.dbs[2].is(reader(1))
	looks = c.eng.asked.Load()
	c.eventually("the members are looked at again", func() bool { return c.eng.asked.Load() > looks+12 })
	c.dbs[1].die()
	c.role(1, engine.RoleUnknown)
	r := c.reads()
	r.say("where")
	c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == 1 })
	c.dbs[2].is(reader(2))
	r.hears("2")
}
