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

// Add adds a reason that is not there yet, counts it and logs it. pid is the session's as its client knows it, server is the
// server connection's as the server knows it.
func (p *Pins[R]) Add(r R, digest, fix string, c *Counters, log *slog.Logger, pid uint32, server uint64) {
	if len(*p) == 0 {
		c.Pinned++
	}
	*p = append(*p, Pin{Reason: string(r), Digest: digest, Fix: fix, Since: time.Now().UnixNano()})
	c.Pins[string(r)]++
	log.Warn("session pinned to its server connection",
		slog.String("reason", string(r)), slog.String("digest", digest), slog.String("fix", fix),
		slog.Uint64("pid", uint64(pid)), slog.Uint64("server_pid", server))
}

// Remove ends one reason, and logs it if there was such.
func (p *Pins[R]) Remove(r R, c *Counters, log *slog.Logger, pid uint32) {
	if !p.For(r) {
		return
	}
	log.Info("session no longer pinned for this reason", slog.String("reason", string(r)), slog.Uint64("pid", uint64(pid)))
	if *p = slices.DeleteFunc(*p, func(pin Pin) bool { return pin.Reason == string(r) }); len(*p) == 0 {
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
