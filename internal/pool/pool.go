package pool

import (
	"errors"
	"time"
)

// Key names what makes server connections interchangeable, apart from their session settings (contract 4.1).
type Key struct {
	Target   string
	User     string
	Database string
	Protocol uint64 // what else the engine's protocol fixes at log-in; 0 for most
	ReadOnly bool   // for sessions that are to have readers
}

// Config holds the settings of one shard (contract 3.3, 3.4). The limits are the budget's, see [Limits].
type Config struct {
	// BorrowTimeout is the longest wait for a connection. At 0 a borrow fails at once unless a connection is idle on
	// its loop; it still makes the pool grow in the background, so that a later borrow succeeds.
	BorrowTimeout time.Duration
	// MaxWaiting bounds the waiters of one shard: a borrow that would be one more fails at once. 0 is no bound.
	MaxWaiting int
	// IdleTimeout closes a connection idle for so long; 0 is never.
	IdleTimeout time.Duration
	// Lifetime closes a connection, once not in use, some time (up to a tenth more) after it was opened; 0 is never.
	Lifetime time.Duration
	// MaxOpening bounds the connections being opened at once by one shard; less than 1 means 1. After a failure one is
	// tried at a time until one succeeds.
	MaxOpening int
}

// DefaultConfig has the contract's values.
var DefaultConfig = Config{
	BorrowTimeout: 120 * time.Second,
	IdleTimeout:   5 * time.Minute,
	Lifetime:      24 * time.Hour,
	MaxOpening:    8,
}

// Conditions passed to [Hooks.Fail].
var (
	// ErrBorrowTimeout means that no connection came free in time. While connections cannot be opened the error is
	// a *TimeoutError, which also is ErrBorrowTimeout.
	ErrBorrowTimeout = errors.New("pool: timed out waiting for a server connection")
	// ErrTooManyWaiting means that Config.MaxWaiting others wait already.
	ErrTooManyWaiting = errors.New("pool: too many wait for a server connection")
	// ErrClosed means that the shard was closed.
	ErrClosed = errors.New("pool: closed")
)

// TimeoutError is ErrBorrowTimeout together with the reason why the last attempt to open a connection failed.
type TimeoutError struct{ Last error }

func (e *TimeoutError) Error() string { return ErrBorrowTimeout.Error() + ": " + e.Last.Error() }

// Is makes the error an ErrBorrowTimeout.
func (e *TimeoutError) Is(target error) bool { return target == ErrBorrowTimeout }

// Unwrap returns the error of the last attempt.
func (e *TimeoutError) Unwrap() error { return e.Last }

// PermanentError may be implemented by the error given to [Shard.OpenFailed]. If Permanent is true (wrong password,
// unknown database), waiting does not help, and all present waiters of the shard fail with the error, unless it still has
// connections that work: they outlive a changed password.
type PermanentError interface {
	error
	Permanent() bool
}

// TooManyError may be implemented by the error given to [Shard.OpenFailed]. If TooManyConnections is true, the server
// refused because its own limit is reached: the budget does not try to grow again for two seconds.
type TooManyError interface {
	error
	TooManyConnections() bool
}

func isPermanent(err error) bool {
	var e PermanentError
	return errors.As(err, &e) && e.Permanent()
}

func isTooMany(err error) bool {
	var e TooManyError
	return errors.As(err, &e) && e.TooManyConnections()
}

// Hooks are how a shard acts on the world. All are called on the shard's loop, except Post.
type Hooks interface {
	// Open starts to open one server connection for the shard, without blocking. It is answered, on this loop, by
	// s.Opened or s.OpenFailed, exactly once; also after s was closed.
	Open(s *Shard)
	// Serve ends w's wait: c is borrowed by it from now on, unless the hook calls s.Reject.
	Serve(w *Waiter, c *Conn)
	// Fail ends w's wait without a connection: ErrBorrowTimeout, ErrTooManyWaiting, ErrClosed, or the permanent error of a failed
	// open.
	Fail(w *Waiter, err error)
	// Close closes c, which is no longer part of the pool.
	Close(c *Conn, why Reason)
	// Migrate hands c, which is not in use, to another loop. It is answered on that loop by to.Adopted, or by
	// to.AdoptFailed if the connection died on its way, exactly once.
	Migrate(c *Conn, to *Shard)
	// Post has f run soon on this shard's loop, with the loop's time. It may be called from any goroutine, keeps the
	// order of calls, and does not run f itself.
	Post(f func(now int64))
}

// Reason says why the pool closed a connection.
type Reason uint8

const (
	ReasonIdle     Reason = iota // idle for too long
	ReasonLifetime               // open for too long
	ReasonSurplus                // more idle connections than the idle limit
	ReasonEvicted                // made room for another key
	ReasonLimit                  // the limit was lowered
	ReasonRetired                // out of date, see Shard.Retire
	ReasonClosed                 // the shard was closed
	NumReasons                   // how many reasons there are
)

var reasonNames = [NumReasons]string{"idle", "lifetime", "surplus", "evicted", "limit", "retired", "closed"}

// String returns one lower-case word, for logs and metrics.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Stats are one shard's gauges and counters.
type Stats struct {
	Open, Idle, Borrowed, Opening, Waiting int

	Borrows    uint64        // connections lent, with or without a wait
	Waits      uint64        // borrows that had to wait, whatever became of them
	WaitTime   time.Duration // sum over the waits that got a connection
	Timeouts   uint64        // waits that ended with ErrBorrowTimeout, borrow timeout 0 included
	Failed     uint64        // waits that ended with another error
	Opened     uint64
	OpenFailed uint64
	Removed    uint64 // connections lost or closed by their owner
	Adopted    uint64 // came from another loop
	Migrated   uint64 // went to another loop
	FitHits    uint64 // borrows without a wait that found their own settings
	Closed     [NumReasons]uint64
}

// Times that shape the behaviour, in nanoseconds. See the package comment.
const (
	starveAfter  = int64(100 * time.Millisecond) // a wait this long makes a shard starve
	boundSame    = int64(100 * time.Millisecond) // head start of the returning shard's waiters: same key
	boundEmpty   = int64(250 * time.Millisecond) // other key, and the starving shard has no connection
	boundOther   = int64(time.Second)            // other key
	evictRested  = int64(time.Second)            // idle connections this old are closed for another key that has waiters
	evictAge     = int64(50 * time.Millisecond)  // idle connections this old are closed for a key that starves
	recheckEvery = int64(50 * time.Millisecond)  // shards with waiters look again this often
	askAgain     = int64(10 * time.Millisecond)  // after another shard had nothing to give
	shareEvery   = int64(10 * time.Millisecond)  // between two comparisons by one shard with waiters
	stealAge     = int64(time.Second)            // below the limit, only idle connections this old migrate
	retireCheck  = int64(2 * time.Second)        // idle connections are asked this often whether they are out of date
	settleAge    = int64(5 * time.Second)        // idle connections count towards the idle limit from this age
	learnedFor   = int64(2 * time.Second)        // how long "too many connections" is remembered
	backoffMin   = int64(50 * time.Millisecond)
	backoffMax   = int64(2 * time.Second)

	fitDepth = 8 // newest idle connections looked at for equal settings
	never    = int64(1<<63 - 1)
)
