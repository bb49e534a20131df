package pool_test

import (
	"testing"
	"unique"

	"forebay/internal/pool"
)

// quiet is a loop that opens at once and does nothing else.
type quiet struct{ lent *pool.Conn }

func (q *quiet) Open(s *pool.Shard)                  { s.Opened(new(pool.Conn), 1) }
func (q *quiet) Serve(_ *pool.Waiter, c *pool.Conn)  { q.lent = c }
func (q *quiet) Fail(*pool.Waiter, error)            {}
func (q *quiet) Close(*pool.Conn, pool.Reason)       {}
func (q *quiet) Migrate(_ *pool.Conn, _ *pool.Shard) {}
func (q *quiet) Post(func(int64))                    {}

// newQuiet returns a shard with n idle connections.
func newQuiet(n int) (*quiet, *pool.Shard) {
	q := new(quiet)
	s := pool.NewShard(pool.NewBudget(pool.Limits{MaxOpen: n, MaxIdle: n}), pool.Key{}, pool.DefaultConfig, q)
	var lent []*pool.Conn
	for range n {
		s.Borrow(new(pool.Waiter), unique.Make(""), 1)
		lent = append(lent, q.lent)
	}
	for _, c := range lent {
		s.Return(c, 1)
	}
	return q, s
}

// borrower returns a function that borrows and returns once, and one in which every borrow waits.
func borrower() (direct, waiting func(now int64)) {
	_, s := newQuiet(8)
	var w pool.Waiter
	fit := unique.Make("")
	direct = func(now int64) { s.Return(s.Borrow(&w, fit, now), now) }

	q, full := newQuiet(1)
	var ws [2]pool.Waiter
	q.lent = full.Borrow(&ws[0], fit, 1)
	i := 1
	waiting = func(now int64) {
		full.Borrow(&ws[i], fit, now)
		full.Return(q.lent, now) // serves the waiter
		i = 1 - i
	}
	return direct, waiting
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	direct, waiting := borrower()
	now := int64(1)
	for name, f := range map[string]func(int64){"idle": direct, "waiting": waiting} {
		if n := testing.AllocsPerRun(1000, func() { now++; f(now) }); n != 0 {
			t.Errorf("%s: %v allocations for a borrow and a return", name, n)
		}
	}
}

func BenchmarkBorrowReturn(b *testing.B) {
	direct, waiting := borrower()
	for name, f := range map[string]func(int64){"idle": direct, "waiting": waiting} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				f(int64(i + 2))
			}
		})
	}
}
