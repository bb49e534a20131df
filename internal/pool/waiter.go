package pool

import "unique"

// Waiter is the pool's part of one client session; embed it. It is owned by the session's loop. The zero value is ready
// for [Shard.Borrow]; a waiter waits in one shard at a time.
type Waiter struct {
	// Owner is the session this is part of; set once.
	Owner any

	shard        *Shard // where it waits; nil if it does not
	older, newer *Waiter
	since        int64
	fit          unique.Handle[string]
}

// Waiting reports whether w waits for a connection.
func (w *Waiter) Waiting() bool { return w.shard != nil }

// Since returns when the last wait began; it stays after its end.
func (w *Waiter) Since() int64 { return w.since }

// Fit returns the settings the last borrow asked for.
func (w *Waiter) Fit() unique.Handle[string] { return w.fit }

// waitQueue holds a shard's waiters, oldest first.
type waitQueue struct {
	oldest, newest *Waiter
	n              int
}

func (q *waitQueue) push(w *Waiter) {
	w.older, w.newer = q.newest, nil
	if q.newest != nil {
		q.newest.newer = w
	} else {
		q.oldest = w
	}
	q.newest = w
	q.n++
}

// pushOldest puts w where it was before it was served.
func (q *waitQueue) pushOldest(w *Waiter) {
	w.older, w.newer = nil, q.oldest
	if q.oldest != nil {
		q.oldest.older = w
	} else {
		q.newest = w
	}
	q.oldest = w
	q.n++
}

// insert puts w where its time says, which is rarely far from the end.
func (q *waitQueue) insert(w *Waiter) {
	after := q.newest
	for after != nil && after.since > w.since {
		after = after.older
	}
	if after == nil {
		q.pushOldest(w)
		return
	}
	w.older, w.newer = after, after.newer
	if after.newer != nil {
		after.newer.older = w
	} else {
		q.newest = w
	}
	after.newer = w
	q.n++
}

func (q *waitQueue) remove(w *Waiter) {
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		q.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		q.newest = w.older
	}
	w.older, w.newer = nil, nil
	q.n--
}
