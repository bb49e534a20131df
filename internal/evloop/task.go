package evloop

import "iter"

// Task is the connection phase of one connection as straight-line code on its loop: where a read or a write would block,
// the loop goes on with other connections. It is a coroutine, so that no thread is put to sleep or woken for a message of
// a log-in; a goroutine beside the loop costs 20 to 40 microseconds of CPU each time. Owned by loop.
type Task struct {
	loop   *Loop
	phase  *phase // while f runs; not the connection's any more once that was handed over
	f      func(*Task)
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
}

// maxSpareTasks is how many coroutines a loop keeps for the next connections: their stacks have grown already.
const maxSpareTasks = 64

// Begin runs f, which talks through the net.Conn of c's connection phase, as a task. Call it on the loop, at the beginning
// of the connection phase. f must come to its end before the loop is stopped.
func (c *Conn) Begin(f func(*Task)) {
	l := c.loop
	var t *Task
	if n := len(l.tasks); n > 0 {
		t = l.tasks[n-1]
		l.tasks[n-1] = nil
		l.tasks = l.tasks[:n-1]
	} else {
		t = newTask(l)
	}
	t.phase, t.f = c.phase, f
	c.phase.task, c.phase.tasked = t, true
	t.resume()
}

// newTask makes a coroutine that runs one f after another.
func newTask(l *Loop) *Task {
	t := &Task{loop: l}
	t.resume, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		for {
			t.f(t)
			t.phase.task = nil
			t.phase, t.f = nil, nil
			if len(l.tasks) >= maxSpareTasks {
				return
			}
			l.tasks = append(l.tasks, t)
			if !yield(struct{}{}) {
				return // the loop ends
			}
		}
	})
	return t
}

// Block runs f, which may block or take long, on a goroutine of its own, and returns when it has ended; the loop goes on
// meanwhile. f may use the connection. Call it in the task.
func (t *Task) Block(f func()) {
	p := t.phase
	p.task = nil // p waits as for any goroutine
	ended := false
	go func() {
		f()
		t.loop.Post(func() {
			ended = true
			t.resume()
		})
	}()
	for !ended {
		t.yield(struct{}{})
	}
	p.task = t
}

// wait lets the loop go on until something happens to the connection.
func (t *Task) wait() { t.yield(struct{}{}) }
