package engine

import (
	"log/slog"
	"slices"
	"time"
)

// Pins are the reasons, of an engine's type R, for which a session keeps its server connection beyond the transaction, in
// the order in which they came. The zero value is none. Owned by loop.
type Pins[R ~string] []Pin

// For reports whether r is one of the reasons.
func (p Pins[R]) For(r R) bool {
	return slices.ContainsFunc(p, func(pin Pin) bool { return pin.Reason == string(r) })
}

// Add adds a reason that is not there yet. It counts from now on, but nobody is told before it is known to last: see Tell.
func (p *Pins[R]) Add(r R, digest, fix string, c *Counters) {
	if len(*p) == 0 {
		c.Pinned++
	}
	*p = append(*p, Pin{Reason: string(r), Digest: digest, Fix: fix, Since: time.Now().UnixNano()})
}

// Tell counts and logs the reasons that were added since. pid is the session's as its client knows it, server is the server
// connection's as the server knows it.
func (p Pins[R]) Tell(c *Counters, log *slog.Logger, pid uint32, server uint64) {
	for i := range p {
		pin := &p[i]
		if pin.told {
			continue
		}
		pin.told = true
		c.Pins[pin.Reason]++
		log.Warn("session pinned to its server connection",
			slog.String("reason", pin.Reason), slog.String("digest", pin.Digest), slog.String("fix", pin.Fix),
			slog.Uint64("pid", uint64(pid)), slog.Uint64("server_pid", server))
	}
}

// Remove ends one reason, and logs it if its beginning was told.
func (p *Pins[R]) Remove(r R, c *Counters, log *slog.Logger, pid uint32) {
	i := slices.IndexFunc(*p, func(pin Pin) bool { return pin.Reason == string(r) })
	if i < 0 {
		return
	}
	if (*p)[i].told {
		log.Info("session no longer pinned for this reason", slog.String("reason", string(r)), slog.Uint64("pid", uint64(pid)))
	}
	if *p = slices.Delete(*p, i, i+1); len(*p) == 0 {
		p.Clear(c)
	}
}

// Clear ends all reasons: the state is gone, or the server connection will be made clean or closed.
func (p *Pins[R]) Clear(c *Counters) {
	if *p != nil {
		*p = nil
		c.Pinned--
	}
}
