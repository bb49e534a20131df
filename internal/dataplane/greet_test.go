package dataplane_test

import (
	"testing"
	"time"

	"forebay/internal/resource"
)

// A client is greeted before it has said anything and without a coroutine for it, and has that identity from then on.
func TestGreeting(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 2})
	seen := make(map[uint32]bool)
	var silent []*toyClient
	for range 20 {
		c := w.connect()
		pid := c.hello()
		if seen[pid] {
			t.Errorf("two clients are %d", pid)
		}
		seen[pid] = true
		silent = append(silent, c)
	}
	if n := w.eng.accepts.Load(); n != 0 {
		t.Errorf("%d connection phases run for clients that have said nothing", n)
	}
	for i, c := range silent {
		if i%2 == 0 {
			c.startTLS(w.tls)
		}
		c.say("app toys 0")
		c.hears("welcome")
		c.ask("who")
	}
	if f := w.clients(); f.Open != 20 || f.Succeeded != 20 {
		t.Errorf("figures %+v", f)
	}
}

// While the engine knows too little to greet, it does so later, and no client waits for longer than a log-in may take.
func TestGreetingLater(t *testing.T) {
	t.Parallel()
	e := newToyEngine()
	e.knows.Store(false)
	w := newToyWorld(t, toyOptions{eng: e})
	c := w.connect()
	w.eventually("the connection phase has begun", func() bool { return e.accepts.Load() == 1 })
	close(e.learned)
	e.learn()
	pid := c.hello()
	c.say("app toys 0")
	c.hears("welcome")
	if other := w.connect().hello(); other == pid {
		t.Errorf("two clients are %d", pid)
	}

	e = newToyEngine()
	e.knows.Store(false)
	w = newToyWorld(t, toyOptions{eng: e, change: func(p *resource.Proxy) { p.ClientLoginTimeout = time.Second }})
	w.connect().ends()
	e.learn()
	silent := w.connect()
	silent.hello()
	silent.ends()
	w.eventually("both are counted as failed, and none is left", func() bool {
		f := w.clients()
		return f.Open == 0 && f.FailedOther == 2 && w.plane.Slots() == 0
	})
}

// A client that cannot be let in is told so at once, whatever it says; and whoever does not get in leaves its place.
func TestGreetingRefused(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{change: func(p *resource.Proxy) { p.MaxClients = 2 }})
	first, second := w.login("app toys 0"), w.connect()
	second.hello()
	third := w.connect()
	third.hears("full")
	third.ends()
	second.say("nobody toys 0")
	second.hears("denied")
	second.ends()
	w.eventually("one is left", func() bool { return w.clients().Open == 1 && w.plane.Slots() == 1 })
	fourth := w.connect()
	fourth.hello()
	fourth.Close()
	w.eventually("one is left", func() bool { return w.clients().Open == 1 && w.plane.Slots() == 1 })
	if f := w.clients(); f.Refused != 1 || f.FailedAuth != 1 || f.Succeeded != 1 || f.Received != 4 || f.Closed != 3 {
		t.Errorf("figures %+v", f)
	}
	first.say("quit")
	first.ends()
	w.eventually("none is left", func() bool { return w.clients().Open == 0 && w.plane.Slots() == 0 })
}
