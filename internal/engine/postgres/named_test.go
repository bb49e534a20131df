package postgres

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"forebay/internal/engine/postgres/sqltext"

	"github.com/google/go-cmp/cmp"
)

// randomly is a step of a client that prepares statements in every way, under few names.
func randomly(r *rand.Rand) []byte {
	name, text := string("abcd"[r.IntN(4)]), fmt.Sprint("SELECT ", r.IntN(3))
	here, there := string("ab"[r.IntN(2)]), string("cd"[r.IntN(2)]) // that a name is taken by a PREPARE is not known in its transaction
	switch r.IntN(16) {
	case 0, 1:
		return send(&q{String: "PREPARE " + there + " AS " + text})
	case 2, 3:
		return send(&q{String: "EXECUTE " + name})
	case 4:
		return send(&q{String: "DEALLOCATE " + name})
	case 5:
		return send(&q{String: "EXECUTE " + name + "; DEALLOCATE " + name})
	case 6:
		return send(&q{String: []string{"DEALLOCATE ALL", "FAIL"}[r.IntN(2)]})
	case 7:
		return send(&q{String: "BEGIN"})
	case 8:
		return send(&q{String: []string{"ROLLBACK", "COMMIT"}[r.IntN(2)]})
	case 9:
		return send(join(&cls{ObjectType: 'S', Name: []string{name, "x"}[r.IntN(2)]}, synced)...)
	case 10:
		return send(join(&prs{Query: []string{"EXECUTE ", "DEALLOCATE "}[r.IntN(2)] + name}, call(""), synced)...)
	case 11:
		return send(join(&prs{Name: "x", Query: []string{"EXECUTE ", "DEALLOCATE "}[r.IntN(2)] + name}, synced)...)
	case 12:
		return send(join(call("x"), synced)...)
	case 13:
		return send(join(call(here), synced)...)
	default:
		return send(join(&prs{Name: here, Query: text}, synced)...)
	}
}

// What a client is answered that prepares statements in every way is what the server alone would answer.
func TestNamesRandomly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(t, 1+r.IntN(3), 1+r.IntN(3))
		f := newFake()
		var said [][]byte
		for range 15 {
			b := randomly(r)
			said = append(said, b)
			f.feed(b)
			w.run(b)
			if d := cmp.Diff(messages(f.out), messages(w.client)); d != "" || w.lost > 0 || w.closed {
				t.Fatalf("seed %d, %d lost (-want +got):\n%s\nof %q", seed, w.lost, d, said)
			}
			f.out, w.client = nil, nil
		}
	}
}

// A client that sends a simple query amid messages of the extended protocol has it answered, also where what it executes cannot be made.
func TestQueryAmid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 100)
	w.s.sql = []sqlStmt{{name: "q", text: "PREPARE q AS BROKEN"}}
	w.s.l.db.routines.Store(sqltext.NewRoutines(sqltext.Catalog{}))
	w.run(send(join(&prs{Query: "SELECT 1"}, call(""), &q{String: "EXECUTE q"})...))
	if n := readies(w.client); n != 1 {
		t.Errorf("%d cycles answered: %q", n, messages(w.client))
	}
}

// A statement that a function has made while the client's own of that name was on its way is not left for others.
func TestPreparedMeanwhile(t *testing.T) {
	t.Parallel()
	for how, execute := range map[string][]byte{
		"simple":   send(&q{String: "EXECUTE c"}),
		"extended": send(join(&prs{Query: "SELECT 2"}, call(""), &prs{Query: "EXECUTE c"}, call(""), synced)...),
	} {
		w := newWorld(t, 1, 100)
		w.s.sql = []sqlStmt{{name: "c", text: "PREPARE c AS SELECT 1"}}
		w.o.Reset()
		w.on = w.servers[0]
		w.s.Attach(w.on.v, &w.o)
		w.took()
		w.o.Reset()
		w.s.FromClient(send(&q{String: "DO 'PERFORM PREPARE c AS SELECT 3'"}), &w.o)
		w.took()
		answer := w.on.f.out
		w.on.f.out = nil
		w.o.Reset()
		w.s.FromServer(answer, &w.o) // which has it looked at
		w.took()
		l := w.on
		w.s.l.db.routines.Store(sqltext.NewRoutines(sqltext.Catalog{})) // EXECUTE leaves nothing
		w.run(execute)
		if l.f.sql["c"] != "PREPARE c AS SELECT 3" || w.on != nil {
			t.Fatalf("%s: the server has %q", how, l.f.sql)
		}
		if !l.v.retire && (len(l.v.sqlNames) != 1 || l.v.sqlOwner != w.s) {
			t.Errorf("%s: known to be there are %q", how, l.v.sqlNames)
		}
	}
}

// A statement under a client's own name is found by the look, and its server connection is nobody else's; one that has been
// dropped again costs none.
func TestNamedIsNobodyElses(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{"EXECUTE a": true, "DEALLOCATE a": false, "EXECUTE a; DEALLOCATE a": false, "FAIL; DEALLOCATE a": true} {
		w := newWorld(t, 1, 100)
		v := w.servers[0].v
		w.run(send(join(&prs{Name: "a", Query: "SELECT 1"}, synced)...))
		w.run(send(&q{String: sql}))
		if v.retire != want {
			t.Errorf("%s: retired %v, want %v", sql, v.retire, want)
		}
	}
}
