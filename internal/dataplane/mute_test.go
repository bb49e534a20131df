package dataplane_test

import (
	"strings"
	"testing"
	"time"

	"forebay/internal/resource"
)

// What has no answer ends when it is on its way, though neither side says anything more: then its server connection is there
// for the next client.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1})
	a, b := w.login("app toys 0"), w.login("app toys 0")
	piece := strings.Repeat("x", 32<<10-len("mute \n"))
	taken := func() uint64 { return w.plane.Collect().Proxies[0].Target.Session.ClientBytesIn }
	// At one of these lengths the last piece is the one that the server's socket has no more room for, so that it waits in
	// Forebay; a further one would wait in the client's.
	for n, beyond := 1, 0; beyond < 5; n++ {
		release := w.db.hold()
		want := taken()
		for range n {
			a.say("mute " + piece)
			want += 32 << 10
		}
		for end := time.Now().Add(200 * time.Millisecond); taken() < want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				beyond++
				break
			}
		}
		release()
		if got := b.ask("who"); got != "1" {
			t.Fatalf("server connection %s", got)
		}
	}
}

// A request that has been looked at while its session waits is refused when that has waited for too long, also behind one
// that has no answer.
func TestRefusedWhenLookedAt(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1, change: func(p *resource.Proxy) { p.Pool.ConnectionBorrowTimeout = 300 * time.Millisecond }})
	a, b, c := w.login("app toys 0"), w.login("app toys 0"), w.login("app toys 0")
	a.say("mute") // which has no answer
	b.ask("begin")
	c.say("who") // where nobody waits, the request is looked at before
	w.eventually("it waits", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Waiting == 1 })
	a.say("who")
	if got := a.line(); !strings.HasPrefix(got, "refused") {
		t.Errorf("the client that waits is told %q", got)
	}
}

// A session that has waited, and whose request has needed no server connection after all, goes on with what its client has sent
// meanwhile.
func TestGoesOnWhenLookedAt(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{})
	a, b := w.login("app toys 0"), w.login("app toys 0")
	a.say("sleep\nping") // the second in its turn
	w.eventually("it sleeps", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Borrowed == 1 })
	w.db.denies.Store(true)
	b.say("who")
	w.eventually("another waits", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Waiting == 1 })
	w.db.drop() // who begins to wait just behind another is not looked at before
	if got := a.line(); !strings.HasPrefix(got, "lost") {
		t.Fatalf("heard %q", got)
	}
	a.say("who")
	a.hears("pong")
	w.db.denies.Store(false)
	if a.line(); b.line() == "" {
		t.Error("no number")
	}
}
