package dataplane

import (
	"time"

	"forebay/internal/evloop"
)

// arrivals are the clients of one loop that have connected and said nothing yet. They hold a descriptor and nothing else:
// no goroutine, and no place among the connection phases under way, which silent clients could otherwise fill. Owned by
// loop.
type arrivals struct {
	loop   *evloop.Loop
	silent map[*evloop.Conn]arrival
}

type arrival struct {
	px *proxy
	at int64 // by the loop's clock
}

// sweepArrivals is how often silent clients are looked at, while there are any.
const sweepArrivals = time.Second

// newArrivals begins to watch a loop that does not run yet.
func newArrivals(l *evloop.Loop) *arrivals {
	a := &arrivals{loop: l, silent: make(map[*evloop.Conn]arrival)}
	l.Every(sweepArrivals, func() bool { return len(a.silent) > 0 }, func(time.Time) { a.sweep() })
	return a
}

// wait has f called on the loop when the client has sent something or hung up, unless it stays silent for too long.
func (a *arrivals) wait(px *proxy, c *evloop.Conn, f func()) {
	a.silent[c] = arrival{px: px, at: a.loop.Nanos()}
	c.WhenReadable(func() {
		delete(a.silent, c)
		f()
	})
}

// sweep closes the clients that have been silent for as long as a log-in may take.
func (a *arrivals) sweep() {
	now := a.loop.Nanos()
	for c, e := range a.silent {
		if now-e.at >= int64(loginTimeout(e.px.cfg.Load())) {
			delete(a.silent, c)
			e.px.stats.failedOther.Add(1)
			e.px.gone()
			c.Close()
		}
	}
}
