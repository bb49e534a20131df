package pool

import (
	"cmp"
	"slices"
)

// This file decides who gets what when the limit is reached; the rules are in the package comment.

// demand is what a shard with waiters asks of the budget.
type demand struct {
	n       int   // connections wanted beyond those being opened
	opens   int   // how many of them the shard may open itself now
	needy   bool  // it starves, unless it gets them
	ask     bool  // ask other shards for idle connections
	empty   bool  // it has no connection
	blocked bool  // it cannot open any now
	since   int64 // since when its oldest waiter waits; 0 without waiters, then it is not registered
}

// need takes slots for s to open connections in, and asks others for what the limit does not admit. It returns the
// number of slots taken and whether anybody was asked.
func (b *Budget) need(s *Shard, d demand, now int64) (opens int, asked bool) {
	b.mu.Lock()
	s.blocked, s.empty = d.blocked, d.empty
	n := d.n - s.promised
	var out []message
	if d.ask && d.opens > 0 && b.used < b.limitLocked(now) {
		out = b.askSiblingsLocked(s, 1, now-stealAge, &n)
	}
	for n > 0 && opens < d.opens && b.used < b.limitLocked(now) {
		b.used++
		opens++
		n--
	}
	s.want = d.n - opens
	if d.needy && d.since != 0 && s.want > 0 {
		b.starveLocked(s)
	} else {
		b.calmLocked(s)
	}
	// Published before the search for idle connections: see the last invariant of the package comment.
	b.publishLocked(now)
	full := b.used >= b.limitLocked(now)
	if d.ask && (full || d.blocked) {
		out = append(out, b.askSiblingsLocked(s, n, now, &n)...)
	}
	if d.ask && full {
		// What others have not needed for a while goes to whoever has waiters; what they may want again in a moment, only
		// to a shard that starves.
		idleSince := now - evictRested
		if d.needy {
			idleSince = now - evictAge
		}
		if d.needy && d.since != 0 && d.since+s.boundLocked() <= now {
			idleSince = now // it waited long enough
		}
		out = append(out, b.askVictimsLocked(s, min(n, d.opens-opens), idleSince)...)
	}
	b.mu.Unlock()
	deliver(out)
	return opens, len(out) > 0
}

// askSiblingsLocked asks the shards of the same key for up to left connections idle since notAfter or longer, evenly, and
// at most each from one. What was asked for is subtracted from left.
func (b *Budget) askSiblingsLocked(s *Shard, each int, notAfter int64, left *int) (out []message) {
	var from []*Shard
	for _, o := range s.family.load() {
		if at := o.coldest.Load(); o != s && at != 0 && at <= notAfter {
			from = append(from, o)
		}
	}
	for i, o := range from {
		if *left <= 0 {
			break
		}
		rest := len(from) - i
		k := min((*left+rest-1)/rest, each)
		s.promised += k
		*left -= k
		out = append(out, message{o, func(now int64) { o.give(s, k, notAfter, now) }})
	}
	return out
}

// askVictimsLocked asks n shards of other keys, least recently used first, to close one connection each for s, idle since
// notAfter or longer.
func (b *Budget) askVictimsLocked(s *Shard, n int, notAfter int64) (out []message) {
	if n <= 0 {
		return nil
	}
	type victim struct {
		shard *Shard
		since int64
	}
	var victims []victim
	for _, o := range b.shards {
		if at := o.coldest.Load(); o.family != s.family && at != 0 && at <= notAfter {
			victims = append(victims, victim{o, at})
		}
	}
	slices.SortFunc(victims, func(a, b victim) int { return cmp.Compare(a.since, b.since) })
	for _, v := range victims[:min(n, len(victims))] {
		s.promised++
		out = append(out, message{v.shard, func(now int64) { v.shard.evictFor(s, notAfter, now) }})
	}
	return out
}

// verdict says what becomes of a connection that its shard has no more urgent use for.
type verdict uint8

const (
	keep       verdict = iota
	giveAway           // migrate it to the starving shard
	closeFor           // close it; the starving shard has the slot
	closeLimit         // close it; its slot is gone
)

// share decides about a connection that was returned to s, whose own oldest waiter waits since oldest (never: it has
// none). Without waiters, a shard of the same key may have it at once; a shard of another key must have waited for its
// bound, because the users of s may want it again in a moment. For giveAway and closeFor the shard to favour is returned, with the promise already made.
func (b *Budget) share(s *Shard, oldest, now int64) (verdict, *Shard) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > b.limits.MaxOpen {
		b.used--
		b.publishLocked(now)
		return closeLimit, nil
	}
	var to *Shard
	best := oldest
	for _, o := range b.starvers {
		since := o.oldest.Load()
		if o == s || since == 0 || !o.hungryLocked() {
			continue
		}
		if o.family == s.family {
			since += boundSame
		} else if since += o.boundLocked(); o.blocked || since > now {
			continue
		}
		if since < best {
			best, to = since, o
		}
	}
	switch {
	case to == nil:
		return keep, nil
	case to.family == s.family:
		to.promised++
		return giveAway, to
	default:
		to.promised++
		b.granted++
		return closeFor, to
	}
}

// starveLocked registers s as starving.
func (b *Budget) starveLocked(s *Shard) {
	if !s.starving {
		s.starving = true
		b.starvers = append(b.starvers, s)
	}
}

// calmLocked ends that.
func (b *Budget) calmLocked(s *Shard) {
	if s.starving {
		s.starving = false
		b.starvers = without(b.starvers, s)
	}
}

// calm ends the starving of s.
func (b *Budget) calm(s *Shard, now int64) {
	b.mu.Lock()
	b.calmLocked(s)
	b.publishLocked(now)
	b.mu.Unlock()
}

// evicted notes that a shard closed a connection so that another can open one in its slot.
func (b *Budget) evicted() {
	b.mu.Lock()
	b.granted++
	b.mu.Unlock()
}

// hungryLocked reports whether s could use more than it has been promised.
func (s *Shard) hungryLocked() bool { return s.want > s.promised }

// boundLocked is how much longer than others s must have waited to get the connection of another key.
func (s *Shard) boundLocked() int64 {
	if s.empty && s.promised == 0 {
		return boundEmpty
	}
	return boundOther
}
