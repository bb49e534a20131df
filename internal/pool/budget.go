package pool

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Limits are the limits of one target, over all its keys and loops, as absolute numbers.
type Limits struct {
	MaxOpen int // open connections, those being opened included; less than 1 means 1
	MaxIdle int // connections idle for longer than a few seconds; less than 0 means 0
}

// Bits of Budget.pressure.
const (
	pressureStarving uint32 = 1 << iota // a shard starves
	pressureOver                        // more slots are used than the limit allows
)

// Budget holds the limits of one target and arranges that its shards share them. It is safe for concurrent use.
type Budget struct {
	// Read on every borrow or return; written under mu when they change.
	pressure atomic.Uint32
	room     atomic.Bool // a slot is free
	_        [64]byte    // keeps the lock's traffic off that cache line

	mu       sync.Mutex
	limits   Limits
	used     int      // slots: open, opening, on their way
	granted  int      // those of the used slots that are on their way to a shard that will open
	shards   []*Shard // not closed
	starvers []*Shard // those of the shards that starve
	families map[Key]*family
	learned  int   // limit learned from the server's refusal,
	until    int64 // in force until then
}

// family is the set of shards with the same key, one for each loop.
type family struct {
	members atomic.Pointer[[]*Shard] // replaced, never changed, under Budget.mu
}

// NewBudget returns a budget without shards.
func NewBudget(l Limits) *Budget {
	b := &Budget{families: make(map[Key]*family)}
	b.setLimitsLocked(l)
	return b
}

// SetLimits changes the limits. If fewer connections are allowed than are open, idle ones close soon and borrowed ones
// when they are returned.
func (b *Budget) SetLimits(l Limits) {
	b.mu.Lock()
	b.setLimitsLocked(l)
	shards := slices.Clone(b.shards)
	b.mu.Unlock()
	for _, s := range shards {
		s.hooks.Post(s.limitsChanged)
	}
}

func (b *Budget) setLimitsLocked(l Limits) {
	b.limits = Limits{MaxOpen: max(l.MaxOpen, 1), MaxIdle: max(l.MaxIdle, 0)}
	b.until = 0
	b.publishLocked(0)
}

// BudgetStats are a budget's gauges.
type BudgetStats struct {
	Limits   Limits
	Used     int // open and opening connections, and those on their way between loops
	Starving int // shards that starve
}

// Stats returns the present figures.
func (b *Budget) Stats() BudgetStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BudgetStats{Limits: b.limits, Used: b.used, Starving: len(b.starvers)}
}

// message is something to run on a shard's loop, posted after the mutex is released.
type message struct {
	to  *Shard
	run func(now int64)
}

func deliver(out []message) {
	for _, m := range out {
		m.to.hooks.Post(m.run)
	}
}

// limitLocked is the number of slots that may be used now.
func (b *Budget) limitLocked(now int64) int {
	if now < b.until {
		return min(b.limits.MaxOpen, b.learned)
	}
	return b.limits.MaxOpen
}

// publishLocked ends every change.
func (b *Budget) publishLocked(now int64) {
	var p uint32
	if len(b.starvers) > 0 {
		p |= pressureStarving
	}
	if b.used > b.limits.MaxOpen {
		p |= pressureOver
	}
	if p != b.pressure.Load() {
		b.pressure.Store(p)
	}
	if room := b.used < b.limitLocked(now); room != b.room.Load() {
		b.room.Store(room)
	}
}

// join adds a new shard.
func (b *Budget) join(s *Shard) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shards = append(b.shards, s)
	f := b.families[s.key]
	if f == nil {
		f = new(family)
		b.families[s.key] = f
	}
	s.family = f
	f.add(s)
}

// part removes a closed shard. Its slots are released one by one as its connections close.
func (b *Budget) part(s *Shard, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calmLocked(s)
	b.shards = without(b.shards, s)
	if s.family.drop(s) == 0 {
		delete(b.families, s.key)
	}
	b.publishLocked(now)
}

// release gives back n slots, and grants those that are free to starving shards.
func (b *Budget) release(n int, now int64) {
	b.mu.Lock()
	b.used -= n
	out := b.grantLocked(now)
	b.mu.Unlock()
	deliver(out)
}

// openFailed gives back the slot of a failed attempt by s, which will not try again for a while.
func (b *Budget) openFailed(s *Shard, tooMany bool, now int64) {
	b.mu.Lock()
	b.used--
	s.blocked = true
	if tooMany {
		// What is open now is about what the server admits. Attempts still under way count, and lower this
		// further when they fail.
		b.learned, b.until = max(b.used, 1), now+learnedFor
	}
	out := b.grantLocked(now)
	b.mu.Unlock()
	deliver(out)
}

// grantLocked gives free slots to starving shards, longest starving first.
func (b *Budget) grantLocked(now int64) (out []message) {
	for b.used < b.limitLocked(now) {
		var to *Shard
		for _, s := range b.starvers {
			if s.hungryLocked() && !s.blocked && (to == nil || s.oldest.Load() < to.oldest.Load()) {
				to = s
			}
		}
		if to == nil {
			break
		}
		to.promised++
		b.used++
		b.granted++
		out = append(out, message{to, func(now int64) { to.arrived(1, 0, now) }})
	}
	b.publishLocked(now)
	return out
}

// refuse gives back n granted slots that s has no use for after all.
func (b *Budget) refuse(s *Shard, n int, now int64) {
	b.mu.Lock()
	s.want = 0 // until it asks again; else the slots would come straight back
	b.used -= n
	out := b.grantLocked(now)
	b.mu.Unlock()
	deliver(out)
}

// received notes that of what was promised to s, slots were granted, conns came as connections, and denied will not come.
func (b *Budget) received(s *Shard, slots, conns, denied int) {
	b.mu.Lock()
	b.granted -= slots
	s.promised -= slots + conns + denied
	if slots+conns > 0 {
		s.empty = false
	}
	b.mu.Unlock()
}

// shed reports whether the caller is to close one idle connection because of the limit; its slot is then released.
func (b *Budget) shed(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used <= b.limits.MaxOpen {
		return false
	}
	b.used--
	b.publishLocked(now)
	return true
}

// surplus returns how many connections idle for some time are over the idle limit.
func (b *Budget) surplus() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := -b.limits.MaxIdle
	for _, s := range b.shards {
		n += int(s.settled.Load())
	}
	return max(n, 0)
}

func (f *family) load() []*Shard {
	if p := f.members.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *family) add(s *Shard) {
	m := append(slices.Clone(f.load()), s)
	f.members.Store(&m)
}

func (f *family) drop(s *Shard) (left int) {
	m := without(slices.Clone(f.load()), s)
	f.members.Store(&m)
	return len(m)
}

func without(l []*Shard, s *Shard) []*Shard {
	if i := slices.Index(l, s); i >= 0 {
		return slices.Delete(l, i, i+1)
	}
	return l
}
