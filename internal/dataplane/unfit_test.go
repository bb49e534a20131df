package dataplane_test

import (
	"testing"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
)

// A server connection that a session does not take is closed, whether it was idle or waited for; those who wait keep their
// turns; and a session that takes none of the new ones either is told so, while others go on.
func TestUnfit(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1})
	unfit := func() uint64 { return w.plane.Collect().Proxies[0].Target.Session.Ended[session.EndUnfit] }
	w.db.gen.Store(1)
	any := w.login("app toys 0")
	if n := any.ask("who"); n != "1" {
		t.Fatalf("server connection %s", n)
	}
	w.db.gen.Store(2)
	second := w.login("app toys 0 2")
	if n := second.ask("who"); n != "2" || unfit() != 1 {
		t.Errorf("server connection %s, %d were unfit; want 2, 1", n, unfit())
	}

	any.ask("begin")
	w.db.gen.Store(3)
	third, last := w.login("app toys 0 3"), w.login("app toys 0")
	for i, c := range []*toyClient{third, last} {
		c.say("who")
		w.eventually("it waits", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Waiting == i+1 })
	}
	any.say("commit")
	any.hears("ok")
	third.hears("3")
	last.hears("3")
	if unfit() != 2 {
		t.Errorf("%d were unfit, want 2", unfit())
	}

	second.say("who")
	second.hears("refused: " + engine.ErrUnfit.Error())
	if unfit() != 2+1+3 {
		t.Errorf("%d were unfit, want 6", unfit())
	}
	w.db.gen.Store(2)
	if n := second.ask("who"); n != "7" {
		t.Errorf("server connection %s, want 7", n)
	}
	last.ask("who")
	if f := w.plane.Collect().Proxies[0].Target.Pool; f.Waiting != 0 || f.Borrowed != 0 || f.Open != 1 {
		t.Errorf("figures %+v", f)
	}
}

// What other sessions have made of server connections that were opened while a session waited says nothing of the next new one.
func TestUnfitByOthers(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 3})
	waiting := func(n int) {
		w.eventually("they wait", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Waiting == n })
	}
	w.db.gen.Store(1)
	var first, others []*toyClient
	for range 3 {
		c := w.login("app toys 0")
		c.ask("begin")
		first = append(first, c)
	}
	w.db.gen.Store(2)
	for i := range 3 {
		c := w.login("app toys 0 2")
		c.say("begin")
		waiting(i + 1)
		others = append(others, c)
	}
	last := w.login("app toys 0 3")
	last.say("who")
	waiting(4)
	for _, c := range first {
		c.say("commit")
	}
	for _, c := range others {
		c.hears("ok")
	}
	w.db.gen.Store(3)
	for _, c := range others {
		c.say("commit")
	}
	last.hears("7")
}
