package postgres

import (
	"testing"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
)

// cycle is one transaction of a client in the steady state, without the fake server's work.
type cycle struct {
	name            string
	prepare         []byte
	request, answer []byte
}

func cycles() []cycle {
	prepare := send(&prs{Name: "a", Query: "SELECT 1"}, synced)
	call := send(join(call("a"), synced)...)
	return []cycle{
		{"simple", nil, send(&q{String: "SELECT 1"}), direct(send(&q{String: "SELECT 1"}))},
		{"prepared", prepare, call, direct(append(prepare, call...))[len(direct(prepare)):]},
	}
}

// steady brings a session to where it runs the cycle for the n-th time.
func (c cycle) steady(t testing.TB) (run func()) {
	w := newWorld(t, 1, 100)
	w.s.l.db.routines.Store(sqltext.NewRoutines(sqltext.Catalog{}))
	w.run(c.prepare)
	w.run(c.request)
	v := w.servers[0].v
	o := new(engine.Output)
	return func() {
		o.Reset()
		w.s.Attach(v, o)
		o.Reset()
		if n := w.s.FromClient(c.request, o); n != len(c.request) || o.Server.Len() == 0 {
			t.Fatalf("%d of %d bytes taken, %d bytes for the server", n, len(c.request), o.Server.Len())
		}
		o.Reset()
		if n := w.s.FromServer(c.answer, o); n != len(c.answer) || o.Client.Len() != n || o.Server.Len() > 0 {
			t.Fatalf("%d of %d bytes taken, %d bytes for the client, %d for the server", n, len(c.answer), o.Client.Len(), o.Server.Len())
		}
		if !w.s.Done() {
			t.Fatal("not done after a transaction")
		}
		w.s.Detach()
	}
}

func TestNoAllocations(t *testing.T) {
	for _, c := range cycles() {
		run := c.steady(t)
		if n := testing.AllocsPerRun(1000, run); n != 0 {
			t.Errorf("%s: %v allocations for a transaction, want none", c.name, n)
		}
	}
}

func BenchmarkTransaction(b *testing.B) {
	for _, c := range cycles() {
		b.Run(c.name, func(b *testing.B) {
			run := c.steady(b)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
