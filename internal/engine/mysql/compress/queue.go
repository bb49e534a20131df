package compress

import "sync"

// queue is plain bytes that wait. Its memory is borrowed: an empty one has none.
type queue struct {
	mem  *memory // nil: empty
	from int     // where the bytes begin in mem
}

type memory struct{ b []byte }

var memories = sync.Pool{New: func() any { return new(memory) }}

// keepMemory is the most bytes that one piece of memory may have to be used again.
const keepMemory = 256 << 10

func (q *queue) len() int {
	if q.mem == nil {
		return 0
	}
	return len(q.mem.b) - q.from
}

// bytes is the content. It lasts until the next change.
func (q *queue) bytes() []byte {
	if q.mem == nil {
		return nil
	}
	return q.mem.b[q.from:]
}

// grow returns the content as a slice to append to; give the result to set.
func (q *queue) grow() []byte {
	if q.mem == nil {
		q.mem = memories.Get().(*memory)
	} else if q.from > 0 {
		q.mem.b = q.mem.b[:copy(q.mem.b, q.mem.b[q.from:])]
		q.from = 0
	}
	return q.mem.b
}

// set replaces the content with b, which was made from grow.
func (q *queue) set(b []byte) {
	q.mem.b = b
	q.consume(0)
}

// consume takes the first n bytes away.
func (q *queue) consume(n int) {
	if q.mem == nil {
		return
	}
	if q.from += n; q.from < len(q.mem.b) {
		return
	}
	if cap(q.mem.b) <= keepMemory {
		q.mem.b = q.mem.b[:0]
		memories.Put(q.mem)
	}
	q.mem, q.from = nil, 0
}

// clear takes all away.
func (q *queue) clear() { q.consume(q.len()) }
