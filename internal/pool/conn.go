package pool

import "unique"

type connState uint8

const (
	stateOut      connState = iota // not part of a shard: new, on its way to another loop, or gone
	stateIdle                      // on its shard's idle stack
	stateBorrowed                  // lent to a client
)

// Conn is the pool's part of one server connection; embed it. The zero value is ready for [Shard.Opened]. It is owned by
// the loop of its shard, and while it migrates by nobody.
type Conn struct {
	// Owner is the server connection this is part of; set once, before Opened.
	Owner any
	// Fit stands for the session settings the connection has; the borrower sets it before Return.
	Fit unique.Handle[string]
	// Retires, if set before Opened, returns the time from which on the connection is out of date. That may change. share
	// differs between connections that were opened together.
	Retires func(share uint8) int64

	shard          *Shard
	warmer, colder *Conn // neighbours on the idle stack
	opened         int64
	idleSince      int64
	state          connState
	jitter         uint8 // of the lifetime, and the share given to Retires
}

// Shard returns the shard c belongs to, nil while it belongs to none.
func (c *Conn) Shard() *Shard { return c.shard }

// Idle reports whether c is idle in its shard.
func (c *Conn) Idle() bool { return c.state == stateIdle }

// Due reports whether c is out of date by its own account, so that it is closed when it is returned.
func (c *Conn) Due(now int64) bool { return c.Retires != nil && now >= c.Retires(c.jitter) }

// idleStack holds a shard's idle connections, linked from the warmest, lent next, to the coldest.
type idleStack struct {
	warmest, coldest *Conn
	n                int
}

func (l *idleStack) push(c *Conn) {
	c.warmer, c.colder = nil, l.warmest
	if l.warmest != nil {
		l.warmest.warmer = c
	} else {
		l.coldest = c
	}
	l.warmest = c
	l.n++
}

func (l *idleStack) remove(c *Conn) {
	if c.warmer != nil {
		c.warmer.colder = c.colder
	} else {
		l.warmest = c.colder
	}
	if c.colder != nil {
		c.colder.warmer = c.warmer
	} else {
		l.coldest = c.warmer
	}
	c.warmer, c.colder = nil, nil
	l.n--
}

// pick returns the connection to lend: among the warmest few one with equal settings, else the warmest.
func (l *idleStack) pick(fit unique.Handle[string]) (c *Conn, fits bool) {
	c = l.warmest
	for i := 0; c != nil && i < fitDepth; i++ {
		if c.Fit == fit {
			return c, true
		}
		c = c.colder
	}
	return l.warmest, false
}
