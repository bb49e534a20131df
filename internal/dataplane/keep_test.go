package dataplane_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/pool"
)

// A session keeps its server connection for its next request, while nobody else wants one.
func TestKeeps(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1})
	figures := func() (borrowed, idle int) {
		f := w.plane.Collect().Proxies[0].Target.Pool
		return f.Borrowed, f.Idle
	}
	a, b := w.login("app toys 0 0 true"), w.login("app toys 0")
	a.ask("who")
	if borrowed, _ := figures(); borrowed != 1 {
		t.Errorf("%d server connections are lent, want the kept one", borrowed)
	}
	if n := b.ask("who"); n != "1" { // there is no other: it is given up
		t.Errorf("server connection %s", n)
	}
	if borrowed, idle := figures(); borrowed != 0 || idle != 1 {
		t.Errorf("%d lent, %d idle; want 0, 1: nobody keeps it", borrowed, idle)
	}
	a.ask("who")
	w.plane.KeepingAfter(30 * time.Second)
	if borrowed, _ := figures(); borrowed != 1 {
		t.Errorf("%d server connections are lent, want the one kept for half a minute", borrowed)
	}
	w.plane.KeepingAfter(61 * time.Second)
	if borrowed, idle := figures(); borrowed != 0 || idle != 1 {
		t.Errorf("%d lent, %d idle after a minute; want 0, 1", borrowed, idle)
	}
	a.ask("who") // and then it keeps one again
	if borrowed, _ := figures(); borrowed != 1 {
		t.Errorf("%d server connections are lent, want the kept one", borrowed)
	}
	a.Close()
	w.eventually("the kept connection is given back", func() bool { _, idle := figures(); return idle == 1 })
}

// A server connection that is kept may have ended when the next request comes, with last words that the loop has not been told of yet: the
// request goes to another one, as it is.
func TestKeepsWhatEnds(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 1, pool: 1})
	c := w.login("app toys 0 0 true")
	if got := c.ask("who"); got != "1" {
		t.Fatalf("server connection %s", got)
	}
	time.Sleep(150 * time.Millisecond) // only then it is looked at before it is used again
	w.plane.Meanwhile(func() {
		c.say("who")
		w.db.say("shutting down\n")
	})
	c.hears("2")
}

// A server connection that is kept on another loop is given up as soon as somebody waits, not at some tick.
func TestKeepsOnAnotherLoop(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 3, pool: 2})
	clients := make([]*toyClient, 12)
	for i := range clients {
		clients[i] = w.login(fmt.Sprintf("app%d toys 0 0 true", i%4/3)) // every fourth is another user
	}
	for range 30 {
		for i, c := range clients {
			if i%4 != 3 {
				c.ask("who")
			}
		}
	}
	clients[3].ask("who")
}

// A session that has something to ask of its server connection asks when another one is to have that, and not before.
func TestInquires(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1})
	a, b := w.login("app toys 0 0 true true"), w.login("app toys 0")
	for range 3 {
		a.ask("who")
	}
	if n := w.eng.inquires.Load(); n != 0 {
		t.Errorf("it has asked %d times while nobody else wanted the server connection", n)
	}
	for range 2 {
		if got := b.ask("who"); got != "1" {
			t.Errorf("the next client is told %q", got)
		}
	}
	if n := w.eng.inquires.Load(); n != 1 {
		t.Errorf("it has asked %d times, want once", n)
	}
	a.ask("who")
	w.plane.KeepingAfter(61 * time.Second) // nobody has sent anything
	w.eventually("it asks, and gives the connection back", func() bool {
		return w.eng.inquires.Load() == 2 && w.plane.Collect().Proxies[0].Target.Pool.Idle == 1
	})
	// One that leaves has nothing more to ask.
	a.ask("who")
	a.Close()
	w.eventually("the kept connection is given back", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Idle == 1 })
	if n := w.eng.inquires.Load(); n != 2 {
		t.Errorf("a client that has left has asked %d times, want 2 of before", n)
	}
}

// A server that does not answer what a session asks before it gives its server connection back has that for so long, and no longer;
// the session goes on with another one, be its client there or not.
func TestInquiryUnanswered(t *testing.T) {
	t.Parallel()
	for _, leaves := range []bool{false, true} {
		w := newToyWorld(t, toyOptions{pool: 1})
		a, b := w.login("app toys 0 0 true true"), w.login("app toys 0")
		a.ask("who")
		release := w.db.hold()
		defer release()
		b.say("who")
		w.eventually("it asks", func() bool { return w.eng.inquires.Load() == 1 })
		if leaves {
			a.Close()
		}
		before := w.plane.Collect().Proxies[0].Target.Session.ServerBytesIn
		w.db.say("o") // the beginning of an answer is none
		w.eventually("it is read", func() bool { return w.plane.Collect().Proxies[0].Target.Session.ServerBytesIn > before })
		w.plane.SessionsAfter(9 * time.Second)
		if p := w.plane.Collect().Proxies[0].Target.Pool; p.Borrowed != 1 {
			t.Errorf("the server connection has gone too soon: %+v", p)
		}
		w.plane.SessionsAfter(20 * time.Second)
		if got := b.line(); got != "2" {
			t.Errorf("the client that waits has server connection %s, want another one", got)
		}
		if !leaves {
			if got := a.ask("who"); got != "2" {
				t.Errorf("the session has server connection %s, want the other one", got)
			}
		}
	}
}

// A client that hangs up while it is not read, since a server owes an answer first, does not keep its server connection for longer than
// making that clean may take.
func TestHangUpUnread(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1})
	a, b := w.login("app toys 0"), w.login("app toys 0")
	release := w.db.hold()
	defer release()
	figures := func() pool.Stats { return w.plane.Collect().Proxies[0].Target.Pool }
	a.say("recall")
	w.eventually("it is served", func() bool { return figures().Borrowed == 1 })
	b.say("who")
	w.eventually("the other one waits", func() bool { return figures().Waiting == 1 })
	w.plane.SessionsAfter(time.Minute) // its client is there
	a.Close()
	w.plane.SessionsAfter(time.Minute + 9*time.Second)
	if p := figures(); p.Borrowed != 1 {
		t.Errorf("the server connection has gone too soon: %+v", p)
	}
	after := time.Minute
	w.eventually("the server connection is closed", func() bool {
		after += 20 * time.Second
		w.plane.SessionsAfter(after)
		return figures().Waiting == 0
	})
	if got := b.line(); got != "2" {
		t.Errorf("the client that waits has server connection %s, want another one", got)
	}
}

// Many clients that have something to ask take turns at few server connections, on several loops, and each has the answers to its own
// requests.
func TestInquiriesInTurn(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 3, pool: 2})
	clients := make([]*toyClient, 12)
	for i := range clients {
		clients[i] = w.login("app toys 0 0 true true")
	}
	for round := range 50 {
		for i, c := range clients {
			c.say([]string{"who", "write", "where"}[(round+i)%3])
		}
		for i, c := range clients {
			got := c.line()
			_, err := strconv.Atoi(got)
			switch k := (round + i) % 3; {
			case k == 0 && err != nil, k == 1 && got != "ok", k == 2 && (err == nil || got == "ok"):
				t.Fatalf("round %d: client %d is answered %q", round, i, got)
			}
		}
	}
	if w.eng.inquires.Load() == 0 {
		t.Error("nobody has asked")
	}
}

// One client that waits has one server connection given up that is kept on another loop, however long that takes, and also after such a
// one has been lost meanwhile.
func TestInquiresForOne(t *testing.T) {
	t.Parallel()
	const kept = 3
	w := newToyWorld(t, toyOptions{loops: 2, pool: kept})
	on := func(loop int, as string) *toyClient {
		for {
			c := w.login(as)
			if dataplane.LoopOf(c.pid) == loop {
				return c
			}
			c.Close()
		}
	}
	var keepers []*toyClient
	for range kept {
		keepers = append(keepers, on(1, "app toys 0 0 true true"))
	}
	waits := on(0, "app toys 0")
	// given is how many server connections are about to be given up while the client waits; meanwhile happens then.
	given := func(meanwhile func()) int64 {
		w.eventually("all server connections are kept", func() bool {
			for _, c := range keepers {
				c.ask("who")
			}
			return w.plane.Collect().Proxies[0].Target.Pool.Borrowed == kept
		})
		before := w.eng.inquires.Load()
		release := w.db.hold()
		defer release()
		waits.say("who")
		w.eventually("a session asks", func() bool { return w.eng.inquires.Load() > before })
		for range 20 { // the loops have taken some turns
			w.plane.Collect()
		}
		n := w.eng.inquires.Load() - before
		meanwhile()
		release()
		waits.line()
		return n
	}
	// Every two seconds all that are kept are given up where anybody waits, which may fall into it.
	one := func(when string) {
		t.Helper()
		var n int64
		for range 8 {
			if n = given(func() {}); n == 1 {
				return
			}
		}
		t.Errorf("%s: %d server connections are given up for one client", when, n)
	}
	one("at first")
	given(w.db.drop)
	one("after a loss")
}
