package evloop

// Turns is how often l's poller has returned.
func Turns(l *Loop) (n uint64) {
	l.Call(func() { n = l.turns })
	return n
}

// Deliver hands l an event of the slot and generation that c had when the result of Deliver was made.
func Deliver(l *Loop, c *Conn) (event func()) {
	slot, gen := c.slot, l.gens[c.slot]
	return func() { l.event(slot, gen, true, true, true) }
}

// Slot is c's place in its loop's table.
func Slot(c *Conn) uint32 { return c.slot }

// AcceptFailed has the listener behave as after a failed accept call. Call it on the listener's first loop.
func AcceptFailed(l *Listener) { l.pause() }
