package dataplane_test

import "testing"

// What the engine answers itself does not wait for a server connection, whoever waits for one.
func TestNeedsNoServer(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 2, pool: 1})
	holder := w.login("app toys 0")
	holder.ask("begin")
	clients := make([]*toyClient, 4) // on both loops
	for i := range clients {
		clients[i] = w.login("app toys 0")
	}
	for _, c := range clients {
		if got := c.ask("ping"); got != "pong" {
			t.Errorf("%q, want pong", got)
		}
	}
	w.waiting(0)
	waiter := w.login("app toys 0")
	waiter.say("who")
	w.waiting(1)
	for range 3 { // at once, or a moment later
		for _, c := range clients {
			if got := c.ask("ping"); got != "pong" {
				t.Errorf("behind one that waits: %q, want pong", got)
			}
		}
	}
	clients[0].kills("killquery", holder.pid, true)
	clients[1].kills("kill", clients[0].pid, true)
	clients[0].killed()
	clients[1].say("quit")
	clients[1].ends()
	w.eventually("those who have left are not counted", func() bool { return w.clients().Open == 4 })
	w.waiting(1)
	clients[2].say("ping\nwho\nping") // the second is answered in its turn
	clients[2].hears("pong")
	w.waiting(2)
	clients[3].say("who")
	w.waiting(3)
	clients[3].Close()
	w.waiting(2)
	holder.say("commit")
	holder.line()
	waiter.hears("1")
	clients[2].hears("1")
	clients[2].hears("pong")
}

// Of many that wait each is looked at.
func TestManyWait(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1})
	holder := w.login("app toys 0")
	holder.ask("begin")
	waiters := make([]*toyClient, 50)
	for i := range waiters {
		waiters[i] = w.login("app toys 0")
		waiters[i].say([]string{"who", "ping\nwho"}[i%2])
	}
	for i := 1; i < len(waiters); i += 2 {
		waiters[i].hears("pong")
	}
	w.waiting(len(waiters))
	holder.ask("commit")
	for _, c := range waiters {
		c.hears("1")
	}
}
