package dataplane_test

import (
	"fmt"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
)

// waiting waits until n sessions wait for a server connection.
func (w *toyWorld) waiting(n int) {
	w.t.Helper()
	w.eventually(fmt.Sprint(n, " wait"), func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Waiting == n })
}

// borrowed waits until n server connections are lent.
func (w *toyWorld) borrowed(n int) {
	w.t.Helper()
	w.eventually(fmt.Sprint(n, " are lent"), func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Borrowed == n })
}

// kills has the client kill another, and wants that to be found.
func (c *toyClient) kills(verb string, pid uint32, found bool) {
	c.t.Helper()
	if got, want := c.ask(fmt.Sprint(verb, " ", pid)), fmt.Sprintf("killed: %t", found); got != want {
		c.t.Errorf("%s %d: %q, want %q", verb, pid, got, want)
	}
}

const toldKilled = "ended: killed by another client of the same user"

// killed waits for the client's end by being killed.
func (c *toyClient) killed() {
	c.t.Helper()
	c.hears(toldKilled)
	c.ends()
}

// killedAtWork does so where the end of the statement may have been answered before.
func (c *toyClient) killedAtWork() {
	c.t.Helper()
	line := c.line()
	if line == "canceled" {
		line = c.line()
	}
	if line != toldKilled {
		c.t.Errorf("heard %q, want %q", line, toldKilled)
	}
	c.ends()
}

// What another session of the same user runs, or waits to run, ends when it is killed, and it goes on.
func TestKillQuery(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 2, pool: 2})
	victim, asker := w.login("app toys 0"), w.login("app toys 0")
	victim.say("sleep")
	w.borrowed(1)
	for { // the statement may not have begun
		asker.kills("killquery", victim.pid, true)
		if w.db.cancels() > 0 {
			break
		}
	}
	victim.hears("canceled")
	victim.ask("who")
	asker.kills("killquery", victim.pid, true) // it runs nothing
	victim.ask("who")
	asker.kills("killquery", asker.pid, true)
	asked := w.db.cancels()
	victim.ask("begin")
	asker.kills("killquery", victim.pid, true) // its engine says that the database runs nothing of the client's
	if n := w.db.cancels(); n != asked {
		t.Errorf("%d cancel requests, want none", n-asked)
	}
	victim.ask("commit")

	other := w.login("app toys 0")
	other.ask("begin")
	asker.ask("begin")
	victim.say("who")
	w.waiting(1)
	asker.kills("killquery", victim.pid, true)
	victim.hears("refused: " + engine.ErrCanceled.Error())
	other.ask("commit")
	victim.ask("who")
	asker.ask("commit")
	if f := w.clients(); f.Open != 3 || f.Cancels != 0 {
		t.Errorf("figures %+v", f)
	}
}

// A session that is killed as a whole is told and ends, whatever it does.
func TestKillConnection(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 2, pool: 2})
	asker := w.login("app toys 0")
	idle := w.login("app toys 0")
	asker.kills("kill", idle.pid, true)
	idle.killed()
	asker.kills("kill", idle.pid, false)

	busy := w.login("app toys 0")
	busy.say("sleep")
	w.borrowed(1)
	asker.kills("kill", busy.pid, true)
	busy.killedAtWork()
	w.borrowed(0)

	asker.ask("begin")
	holder, waiter := w.login("app toys 0"), w.login("app toys 0")
	holder.ask("begin")
	waiter.say("who")
	w.waiting(1)
	asker.kills("kill", waiter.pid, true)
	waiter.killed()
	w.waiting(0)

	asker.say(fmt.Sprint("kill ", asker.pid))
	asker.killed()
	holder.ask("commit")
	w.eventually("one is left", func() bool { return w.clients().Open == 1 && w.plane.Slots() == 1 })
}

// Nobody can kill another user's sessions, nor those of another proxy; and what is no session is not found.
func TestKillOthers(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 2, pool: 2})
	other := w.proxy
	other.Name = "toy2"
	w.other = &other
	w.apply()
	asker := w.login("app toys 0")
	stranger := w.login("another toys 0")
	neighbour := w.dial(w.plane.Addrs()["toy2"]["default"])
	neighbour.hello()
	neighbour.say("app toys 0")
	neighbour.hears("welcome")
	logsIn := w.connect()
	logsIn.hello()
	for _, verb := range []string{"kill", "killquery"} {
		for _, pid := range []uint32{stranger.pid, neighbour.pid, logsIn.pid, 0, 1, 1<<32 - 1, asker.pid &^ (1 << 30), asker.pid | 1<<31} {
			asker.kills(verb, pid, false)
		}
	}
	stranger.ask("who")
	neighbour.ask("who")
	logsIn.say("app toys 0")
	logsIn.hears("welcome")
	asker.kills("kill", logsIn.pid, true)
	logsIn.killed()
}

// Whoever kills may leave before it is known what became of that.
func TestKillerLeaves(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 2, pool: 2})
	release := w.db.hold()
	defer release()
	victim, asker, bystander := w.login("app toys 0"), w.login("app toys 0"), w.login("app toys 0")
	victim.say("sleep")
	w.borrowed(1)
	asker.say(fmt.Sprint("kill ", victim.pid))
	w.eventually("the database is asked", func() bool { return w.db.cancels() == 1 })
	bystander.kills("kill", asker.pid, true)
	asker.killed()
	release()
	victim.killedAtWork()
	bystander.ask("who")
	w.eventually("one is left", func() bool { return w.clients().Open == 1 })
}

// A kill that does not arrive in time keeps nobody waiting for longer than a log-in may take.
func TestKillTakesLong(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 2, change: func(p *resource.Proxy) { p.ClientLoginTimeout = time.Second }})
	release := w.db.hold()
	defer release()
	victim, asker := w.login("app toys 0"), w.login("app toys 0")
	victim.say("sleep")
	w.borrowed(1)
	asker.kills("killquery", victim.pid, true)
	asker.ask("who")
	release()
	victim.hears("canceled")
	victim.ask("who")
}

// A cancel request goes to where the server connection is: its number is another client's on the server that the member's name
// has come to stand for.
func TestKillReachesItsServer(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 2})
	victim, asker := w.login("app toys 0"), w.login("app toys 0")
	victim.say("sleep")
	w.borrowed(1)
	other := startToyDB(t)
	at := other.member()
	w.plane.Renamed(at.Host, at.Port)
	for w.db.cancels() == 0 && other.cancels() == 0 { // the statement may not have begun
		asker.kills("killquery", victim.pid, true)
	}
	if n := other.cancels(); n != 0 {
		t.Fatalf("%d cancel requests have come to another server", n)
	}
	victim.hears("canceled")
}
