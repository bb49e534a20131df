package pool

// grow gets more connections if waiters could use them. Without anything to be had it returns without taking the lock:
// at the limit it runs for every borrow that waits.
func (s *Shard) grow(now int64) {
	n := s.queue.n - s.opening
	if n <= 0 || s.closed {
		return
	}
	switch {
	case s.b.room.Load() && s.mayOpen(now) > 0:
	case s.needy(now) && (!s.starving || now >= s.nextAsk):
	case now >= s.nextAsk && (s.siblingIdle() || !s.b.room.Load()):
	default:
		return
	}
	s.request(n, s.queue.oldest.since, now)
}

// LookAround has a shard whose waiters could use a connection look at other shards at once: one has become idle there.
func (s *Shard) LookAround(now int64) {
	s.nextAsk = min(s.nextAsk, now)
	s.grow(now)
}

// growForNobody opens a connection, or gets one from elsewhere, for borrows to come.
func (s *Shard) growForNobody(now int64) {
	if s.mayOpen(now) == 0 {
		return
	}
	if s.b.room.Load() || now >= s.nextAsk && (s.needy(now) || s.siblingIdle()) {
		s.request(1, 0, now)
	}
}

// request asks the budget for n connections; since is that of the oldest waiter, 0 if there is none.
func (s *Shard) request(n int, since, now int64) {
	d := demand{
		n:       n,
		opens:   min(n, s.mayOpen(now)),
		needy:   s.needy(now),
		ask:     now >= s.nextAsk,
		empty:   s.open+s.opening == 0,
		blocked: now < s.retryAt,
		since:   since,
	}
	s.oldest.Store(since)
	opens, asked := s.b.need(s, d, now)
	if d.ask && !asked && opens == 0 {
		// Nothing is idle elsewhere, or not for long enough. Whoever returns a connection now sees whether this shard starves.
		s.nextAsk = now + recheckEvery
	}
	if since != 0 {
		s.wakeAt(now + recheckEvery)
	}
	s.opening += opens
	for range opens {
		s.hooks.Open(s)
	}
}

// mayOpen is how many more connections may be opened at once.
func (s *Shard) mayOpen(now int64) int {
	if now < s.retryAt || s.closed {
		return 0
	}
	n := s.cfg.MaxOpening
	if s.failures > 0 {
		n = 1
	}
	return max(max(n, 1)-s.opening, 0)
}

// needy reports whether the shard starves, unless it gets a connection now.
func (s *Shard) needy(now int64) bool {
	return s.open+s.opening == 0 || s.queue.oldest != nil && now-s.queue.oldest.since >= starveAfter
}

// siblingIdle reports whether a connection of the same key is idle on another loop.
func (s *Shard) siblingIdle() bool {
	for _, o := range s.family.load() {
		if o != s && o.coldest.Load() != 0 {
			return true
		}
	}
	return false
}

// give migrates up to n connections idle since notAfter or longer, which to asked for.
func (s *Shard) give(to *Shard, n int, notAfter, now int64) {
	for n > 0 && s.idle.coldest != nil && s.idle.coldest.idleSince <= notAfter {
		c := s.idle.coldest
		s.unidle(c)
		s.detach(c)
		s.migrate(c, to)
		n--
	}
	if n > 0 {
		to.hooks.Post(func(now int64) { to.arrived(0, n, now) })
	}
}

func (s *Shard) migrate(c *Conn, to *Shard) {
	s.stats.Migrated++
	s.hooks.Migrate(c, to)
}

// evictFor closes the coldest connection, if idle since notAfter or longer, so that to can open one in its slot.
func (s *Shard) evictFor(to *Shard, notAfter, now int64) {
	c := s.idle.coldest
	if c == nil || c.idleSince > notAfter {
		to.hooks.Post(func(now int64) { to.arrived(0, 1, now) })
		return
	}
	s.unidle(c)
	s.detach(c)
	s.shut(c, ReasonEvicted)
	s.b.evicted()
	to.hooks.Post(func(now int64) { to.arrived(1, 0, now) })
}

// arrived is what comes of promises: granted slots to open connections in, and denied promises.
func (s *Shard) arrived(granted, denied int, now int64) {
	s.b.received(s, granted, 0, denied)
	for ; granted > 0; granted-- {
		useful := s.queue.n > s.opening || s.cfg.BorrowTimeout <= 0
		if !useful || s.mayOpen(now) == 0 {
			s.b.refuse(s, granted, now)
			break
		}
		s.opening++
		s.hooks.Open(s)
	}
	if denied > 0 {
		s.nextAsk = now + askAgain
		s.wakeAt(s.nextAsk)
	}
	s.grow(now)
}

// Adopted answers Hooks.Migrate on the loop of the shard that c was handed to.
func (s *Shard) Adopted(c *Conn, now int64) {
	s.b.received(s, 0, 1, 0)
	s.open++
	s.stats.Adopted++
	c.shard, c.state = s, stateOut
	switch {
	case s.closed:
		s.discard(c, ReasonClosed, now)
	case c.opened <= s.retired || c.Due(now):
		s.discard(c, ReasonRetired, now)
	default:
		s.settle(c, now)
		s.grow(now)
	}
}

// AdoptFailed answers Hooks.Migrate in place of Adopted: c died on its way.
func (s *Shard) AdoptFailed(c *Conn, now int64) {
	s.b.received(s, 0, 1, 0)
	s.stats.Removed++
	s.b.release(1, now)
	s.grow(now)
}

// limitsChanged follows Budget.SetLimits.
func (s *Shard) limitsChanged(now int64) {
	for s.idle.coldest != nil && s.b.shed(now) {
		c := s.idle.coldest
		s.unidle(c)
		s.detach(c)
		s.shut(c, ReasonLimit)
	}
	s.wakeAt(now)
	s.Tick(now)
}
