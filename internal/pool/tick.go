package pool

// Due returns when the shard next needs a Tick, 0 for not before its next event. Any other call may make it earlier.
func (s *Shard) Due() int64 {
	if s.due == never {
		return 0
	}
	return s.due
}

// Tick does what time demands: it ends waits, oldest first, closes connections idle or open for too long and those over
// the idle limit, and tries again to open. Before Due it costs one comparison. It returns Due.
func (s *Shard) Tick(now int64) int64 {
	if now < s.due {
		return s.Due()
	}
	s.due = never
	s.expireWaiters(now)
	s.sweepIdle(now)
	if n := s.queue.n - s.opening; n > 0 && !s.closed {
		s.request(n, s.queue.oldest.since, now) // not grow: this also sees a learned limit end, or the starving
	} else if s.starving {
		s.b.calm(s, now)
	}
	s.plan(now)
	return s.Due()
}

// wakeAt makes the next Tick no later than t.
func (s *Shard) wakeAt(t int64) { s.due = min(s.due, t) }

func (s *Shard) expireWaiters(now int64) {
	for n := s.queue.n; n > 0; n-- {
		w := s.queue.oldest
		if w == nil || now-w.since < int64(s.cfg.BorrowTimeout) {
			return
		}
		s.fail(w, s.timeoutError(), now)
	}
}

// sweepIdle closes idle connections for age and surplus, and plans the next time.
func (s *Shard) sweepIdle(now int64) {
	if s.cfg.IdleTimeout > 0 {
		for c := s.idle.coldest; c != nil && now-c.idleSince >= int64(s.cfg.IdleTimeout); c = s.idle.coldest {
			s.closeIdle(c, ReasonIdle, now)
		}
	}
	settled := int32(0)
	for c := s.idle.coldest; c != nil; {
		warmer := c.warmer
		switch {
		case s.expired(c, now):
			s.closeIdle(c, ReasonLifetime, now)
		case c.Due(now):
			s.closeIdle(c, ReasonRetired, now)
		case now-c.idleSince >= settleAge:
			settled++
		}
		c = warmer
	}
	s.settled.Store(settled)
	if settled == 0 {
		return
	}
	for n := min(s.b.surplus(), int(settled)); n > 0; n-- {
		s.closeIdle(s.idle.coldest, ReasonSurplus, now)
		settled--
		s.settled.Store(settled)
	}
}

// plan sets the time of the next Tick.
func (s *Shard) plan(now int64) {
	if w := s.queue.oldest; w != nil {
		s.wakeAt(w.since + int64(s.cfg.BorrowTimeout))
		s.wakeAt(now + recheckEvery)
		for _, t := range [...]int64{w.since + starveAfter, s.retryAt, s.nextAsk} {
			if t > now {
				s.wakeAt(t)
			}
		}
	}
	for c := s.idle.warmest; c != nil; c = c.colder {
		if at := c.idleSince + settleAge; at > now {
			s.wakeAt(at)
		}
		if s.cfg.IdleTimeout > 0 {
			s.wakeAt(c.idleSince + int64(s.cfg.IdleTimeout))
		}
		if s.cfg.Lifetime > 0 {
			s.wakeAt(s.expiry(c))
		}
		if c.Retires != nil {
			s.wakeAt(min(c.Retires(c.jitter), now+retireCheck))
		}
	}
}

// idleCheck is how soon after becoming idle a connection may need a Tick, its lifetime aside: that was checked when it
// was returned, and is checked again at the Tick.
func (s *Shard) idleCheck(c *Conn) int64 {
	t := settleAge
	if c.Retires != nil {
		t = min(t, retireCheck)
	}
	if i := int64(s.cfg.IdleTimeout); i > 0 {
		t = min(t, i)
	}
	return t
}
