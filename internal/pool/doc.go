// Package pool lends server connections to clients: borrow, return, waiters, lifetimes and limits. It knows no
// protocol, opens no socket, starts no goroutine and reads no clock.
//
// # Shards and budgets
//
// Every event loop has one [Shard] for each [Key]. A shard belongs to its loop: all its methods run there, so that
// borrowing and returning takes no lock and allocates nothing. All shards of one target, of every key and loop, share
// one [Budget], which holds the target's limit behind a mutex. The mutex is taken only when a connection opens or
// closes, moves between loops, or when a shard begins or ends to starve; never while a system call or a hook runs.
//
// A shard acts on the world through its [Hooks]. Hooks run on the shard's loop, after the shard's own state is
// consistent again, and may call back into the shard.
//
// Times are int64 nanoseconds on one monotonic clock that all loops share; they are greater than zero.
//
// # Invariants
//
//   - open = idle + borrowed.
//   - A waiter exists in a shard only while nothing is idle there.
//   - The sum of open and opening connections over all shards, plus those on their way between loops, is the budget's
//     used count. It is at most the limit, except while a lowered limit drains.
//   - Idle connections are lent last in, first out; waiters are served first in, first out.
//   - A starving shard (see below) is never overlooked: it registers before it looks for idle connections elsewhere, and
//     every other shard makes a connection visible as idle before it looks for starving shards.
//
// # When the limit is reached
//
// A shard with waiters first looks at the shards of the same key on other loops: an idle connection there migrates. Then
// connections of other keys that nobody has needed for a second are closed to make room for it, least recently used first.
// It starves when it has no connection at all, or when its oldest waiter has waited for 100 ms; then it registers with the
// budget, and 50 ms of idleness are enough.
// If there are none, the shards that return connections compare: one gives up its connection, though it has waiters of
// its own, when the starving shard's oldest waiter is older than its own oldest by more than a bound. That bound is 100 ms
// for the same key, where the connection migrates. For another key, which costs closing and opening a connection, it is
// 250 ms if the starving shard has no connection, else 1 s. A returning shard without waiters gives a connection to one
// of the same key at once, and to one of another key that has waited for that bound. So no waiter starves, and two busy
// users at the limit do not make each other reconnect for each transaction, but a few times a second at most. A
// comparison takes the mutex, at most once in 10 ms for each shard with waiters.
//
// # Idle connections
//
// The idle limit of a target counts connections that have been idle for at least 5 s: what a burst leaves behind may be
// wanted again by the next one. Surplus is closed, longest idle first, by the shards' Tick.
package pool
