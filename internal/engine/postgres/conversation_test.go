package postgres

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/wire/pgwire"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// send encodes a client's messages.
func send(messages ...pgproto3.FrontendMessage) []byte {
	var b []byte
	for _, m := range messages {
		var err error
		if b, err = m.Encode(b); err != nil {
			panic(err)
		}
	}
	return b
}

type (
	q   = pgproto3.Query
	prs = pgproto3.Parse
	bnd = pgproto3.Bind
	dsc = pgproto3.Describe
	exe = pgproto3.Execute
	cls = pgproto3.Close
)

var synced = &pgproto3.Sync{}

// call binds and executes a statement.
func call(name string) []pgproto3.FrontendMessage {
	return []pgproto3.FrontendMessage{&bnd{PreparedStatement: name}, &exe{}}
}

func join(groups ...any) (all []pgproto3.FrontendMessage) {
	for _, g := range groups {
		switch g := g.(type) {
		case pgproto3.FrontendMessage:
			all = append(all, g)
		case []pgproto3.FrontendMessage:
			all = append(all, g...)
		}
	}
	return all
}

// conversations are what clients say. What they are answered through Forebay must be what the server alone would answer.
var conversations = map[string][]byte{
	"simple":      send(&q{String: "SELECT 1"}, &q{String: "SELECT 2"}, &q{String: ""}),
	"transaction": send(&q{String: "BEGIN"}, &q{String: "SELECT 1"}, &q{String: "COMMIT"}, &q{String: "SELECT 2"}),
	"failed transaction": send(&q{String: "BEGIN"}, &q{String: "FAIL"}, &q{String: "SELECT 1"}, &q{String: "ROLLBACK"},
		&q{String: "SELECT 2"}),
	"several in one": send(&q{String: "SELECT 1;SELECT 2;FAIL;SELECT 3"}, &q{String: "SELECT 4"}),
	"unnamed":        send(join(&prs{Query: "SELECT 1"}, &dsc{ObjectType: 'S'}, call(""), synced, call(""), synced)...),
	"named": send(join(&prs{Name: "a", Query: "SELECT 1"}, &dsc{ObjectType: 'S', Name: "a"}, synced, call("a"), synced, call("a"), call("a"), synced,
		&cls{ObjectType: 'S', Name: "a"}, synced, &prs{Name: "a", Query: "SELECT 2"}, call("a"), synced)...),
	"named, many": send(join(&prs{Name: "a", Query: "SELECT 1"}, &prs{Name: "b", Query: "SELECT 2"}, &prs{Name: "c", Query: "SELECT 3"}, synced,
		call("a"), call("b"), call("c"), synced, call("c"), call("b"), call("a"), synced)...),
	"same text twice":  send(join(&prs{Name: "a", Query: "SELECT 1"}, &prs{Name: "b", Query: "SELECT 1"}, call("a"), call("b"), synced, &cls{ObjectType: 'S', Name: "a"}, call("b"), synced)...),
	"name taken":       send(join(&prs{Name: "a", Query: "SELECT 1"}, synced, &prs{Name: "a", Query: "SELECT 2"}, call("a"), synced, call("a"), synced)...),
	"unknown name":     send(join(call("none"), synced, &dsc{ObjectType: 'S', Name: "none"}, synced, &cls{ObjectType: 'S', Name: "none"}, synced)...),
	"skipped by error": send(join(&prs{Query: "FAIL"}, call(""), &prs{Name: "a", Query: "SELECT 1"}, call("a"), synced, call("a"), synced)...),
	"pipeline":         send(join(&prs{Query: "BEGIN"}, call(""), &prs{Query: "SELECT 1"}, call(""), &prs{Query: "COMMIT"}, call(""), synced, &q{String: "SELECT 2"})...),
	"pipeline of syncs": send(join(&prs{Name: "a", Query: "SELECT 1"}, call("a"), synced, &prs{Query: "FAIL"}, call(""), synced, call("a"), synced, &q{String: "FAIL"},
		call("a"), synced)...),
	"flush":               send(join(&prs{Name: "a", Query: "SELECT 1"}, &pgproto3.Flush{}, call("a"), &pgproto3.Flush{}, synced)...),
	"deallocate all":      send(join(&prs{Name: "a", Query: "SELECT 1"}, synced, &q{String: "DEALLOCATE ALL"}, call("a"), synced, &prs{Name: "a", Query: "SELECT 2"}, call("a"), synced)...),
	"copy out":            send(&q{String: "COPY t TO STDOUT"}, &q{String: "SELECT 1"}),
	"copy in":             send(&q{String: "COPY t FROM STDIN"}, &pgproto3.CopyData{Data: []byte("abc\n")}, &pgproto3.CopyData{Data: []byte("d\n")}, &pgproto3.CopyDone{}, &q{String: "SELECT 1"}),
	"copy in failed":      send(&q{String: "COPY t FROM STDIN"}, &pgproto3.CopyData{Data: []byte("abc\n")}, &pgproto3.CopyFail{Message: "no"}, &q{String: "SELECT 1"}),
	"copy in, extended":   send(join(&prs{Query: "COPY t FROM STDIN"}, call(""), &pgproto3.CopyData{Data: []byte("abc\n")}, &pgproto3.CopyDone{}, synced, &q{String: "SELECT 1"})...),
	"copy in, early sync": send(join(&prs{Query: "COPY t FROM STDIN"}, call(""), synced, &pgproto3.CopyData{Data: []byte("abc\n")}, &pgproto3.CopyDone{}, synced, &q{String: "SELECT 1"})...),
	"copy in refused":     send(&q{String: "FAIL"}, &pgproto3.CopyData{Data: []byte("abc\n")}, &pgproto3.CopyDone{}, &q{String: "SELECT 1"}),
	"set":                 send(&q{String: "SET work_mem = '8MB'"}, &q{String: "SELECT 1"}, &q{String: "RESET work_mem"}, &q{String: "SELECT 1"}),
	"probe":               send(&q{String: "SELECT pg_catalog.set_my_state()"}, &q{String: "SELECT 1"}, &q{String: "SELECT unknown_function()"}, &q{String: "SELECT 2"}),
	"function call":       send(&pgproto3.FunctionCall{Function: 952}, &q{String: "SELECT 1"}),
}

// stepwise are conversations whose client waits for the answers before it goes on: a name means what it means when it is
// sent, so that a client which goes on past a Sync without waiting, and then uses a name that an error in the cycle before
// has given its old meaning back, is answered otherwise than by the server alone.
var stepwise = map[string][][]byte{
	"close undone": {
		send(&prs{Name: "a", Query: "SELECT 1"}, synced),
		send(join(&prs{Query: "FAIL"}, call(""), &cls{ObjectType: 'S', Name: "a"}, &prs{Name: "a", Query: "SELECT 2"}, synced)...),
		send(join(call("a"), synced)...),
	},
	"skipped by error": {
		send(join(&prs{Query: "FAIL"}, call(""), &prs{Name: "a", Query: "SELECT 1"}, call("a"), synced)...),
		send(join(&prs{Name: "a", Query: "SELECT 2"}, call("a"), synced)...),
	},
	"broken statement": {
		send(join(&prs{Name: "a", Query: "BROKEN"}, call("a"), synced)...),
		send(join(&prs{Name: "a", Query: "SELECT 2"}, call("a"), synced)...),
	},
	"deallocate all failed": {
		send(&prs{Name: "a", Query: "SELECT 1"}, synced),
		send(&q{String: "BEGIN"}), send(&q{String: "FAIL"}), send(&q{String: "DEALLOCATE ALL"}), send(&q{String: "ROLLBACK"}),
		send(join(call("a"), synced)...),
	},
	"deallocate all skipped by an error": {
		send(join(&prs{Name: "all", Query: "DEALLOCATE ALL"}, &prs{Name: "b", Query: "SELECT 1"}, synced)...),
		send(join(&prs{Name: "a", Query: "BROKEN"}, call("all"), synced)...),
		send(join(call("a"), synced)...),
		send(join(call("b"), synced)...),
		send(join(&prs{Name: "a", Query: "SELECT 2"}, call("a"), synced)...),
	},
	"named by SQL": {
		send(join(&prs{Name: "a", Query: "SELECT 1"}, &prs{Name: "b", Query: "SELECT 2"}, synced)...),
		send(&q{String: "EXECUTE a"}), send(&q{String: "BEGIN"}), send(&q{String: "EXECUTE b"}), send(&q{String: "DEALLOCATE a"}),
		send(&q{String: "COMMIT"}), send(join(call("a"), synced)...), send(join(call("b"), synced)...),
		send(join(&prs{Query: "EXECUTE b"}, call(""), synced)...), send(&q{String: "EXECUTE none"}),
	},
	"named by SQL in a failed transaction": {
		send(join(&prs{Name: "a", Query: "SELECT 1"}, synced)...),
		send(&q{String: "BEGIN"}), send(&q{String: "FAIL"}), send(&q{String: "EXECUTE a"}), send(&q{String: "DEALLOCATE a"}), send(&q{String: "ROLLBACK"}),
		send(join(call("a"), synced)...), send(&q{String: "EXECUTE a"}),
	},
	"named by SQL behind what fails": {
		send(join(&prs{Name: "a", Query: "SELECT 1"}, synced)...),
		send(&q{String: "BEGIN"}, &q{String: "FAIL"}, &q{String: "EXECUTE a"}, &q{String: "ROLLBACK"}, &q{String: "EXECUTE a"}),
	},
	"named by SQL, executed and dropped at once": {
		send(join(&prs{Name: "a", Query: "SELECT 1"}, &prs{Name: "b", Query: "SELECT 2"}, synced)...),
		send(&q{String: "EXECUTE a; DEALLOCATE a"}), send(&q{String: "DEALLOCATE b; EXECUTE b"}), send(join(call("b"), synced)...),
	},
	"named by SQL, prepared to be dropped": {
		send(join(&prs{Name: "a", Query: "SELECT 1"}, &prs{Name: "b", Query: "SELECT 2"}, synced)...),
		send(join(&prs{Name: "d", Query: "DEALLOCATE a"}, &dsc{ObjectType: 'S', Name: "d"}, synced)...), send(join(call("a"), synced)...),
		send(join(call("d"), synced)...), send(join(call("a"), synced)...), send(join(call("d"), synced)...),
		send(join(&prs{Query: "DEALLOCATE b"}, call(""), synced)...), send(join(call("b"), synced)...),
	},
	"named by SQL, and closed or taken": {
		send(join(&prs{Name: "a", Query: "SELECT 1"}, &prs{Name: "b", Query: "SELECT 2"}, synced)...),
		send(&q{String: "BEGIN"}), send(&q{String: "EXECUTE a"}), send(join(&cls{ObjectType: 'S', Name: "a"}, synced)...),
		send(&q{String: "PREPARE a AS SELECT 3"}), send(&q{String: "EXECUTE a"}), send(&q{String: "COMMIT"}), send(&q{String: "PREPARE b AS SELECT 4"}),
		send(&q{String: "EXECUTE b"}), send(&q{String: "EXECUTE a"}),
	},
	"named by SQL behind the end of a failed transaction": {
		send(join(&prs{Name: "a", Query: "SELECT 1"}, &prs{Name: "b", Query: "SELECT 2"}, synced)...), send(&q{String: "PREPARE c AS SELECT 3"}),
		send(&q{String: "BEGIN"}), send(&q{String: "FAIL"}),
		send(&q{String: "ROLLBACK"}, &q{String: "EXECUTE a"}, &q{String: "EXECUTE c"}, &q{String: "DEALLOCATE b"}), send(join(call("b"), synced)...),
	},
	"deallocated in vain": {
		send(join(&prs{Name: "a", Query: "SELECT 1"}, &prs{Name: "b", Query: "SELECT 2"}, synced)...),
		send(&q{String: "BEGIN"}, &q{String: "FAIL"}, &q{String: "DEALLOCATE a"}, &q{String: "ROLLBACK"}), send(join(call("a"), synced)...),
		send(join(&prs{Query: "BROKEN"}, &prs{Query: "DEALLOCATE b"}, call(""), synced)...), send(join(call("b"), synced)...),
	},
	"executed behind a deallocate all": {
		send(&q{String: "PREPARE a AS SELECT 1"}), send(&q{String: "SELECT 2"}), send(&q{String: "DEALLOCATE ALL"}, &q{String: "EXECUTE a"}), send(&q{String: "EXECUTE a"}),
	},
	"deallocate all failed, behind an error": {
		send(&q{String: "BEGIN"}), send(&q{String: "FAIL"}),
		send(join(&prs{Name: "a", Query: "BROKEN"}, synced, &q{String: "DEALLOCATE ALL"})...),
		send(&q{String: "ROLLBACK"}),
		send(join(call("a"), synced)...),
	},
}

func TestStepwise(t *testing.T) {
	t.Parallel()
	for name, steps := range stepwise {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := messages(direct(bytes.Join(steps, nil)))
			for servers := 1; servers <= 3; servers++ {
				for _, prepared := range []int{1, 2, 100} {
					for n := 1; n < 60; n++ {
						w := newWorld(t, servers, prepared)
						w.split = func() int { return n }
						for _, b := range steps {
							w.run(b)
						}
						if d := cmp.Diff(want, messages(w.client)); d != "" || w.lost > 0 || w.closed {
							t.Fatalf("%d bytes each, %d servers, %d prepared, %d lost (-want +got):\n%s", n, servers, prepared, w.lost, d)
						}
					}
				}
			}
		})
	}
}

// Parse and Flush: the answer has come, nothing is outstanding, and still the server is in the middle of a cycle.
func TestNotDoneBeforeSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 100)
	w.run(send(&prs{Query: "SELECT 1"}, &bnd{}, &pgproto3.Flush{}))
	if w.on == nil || w.s.Done() || !w.s.Busy() {
		t.Fatalf("after Flush: server connection %v, done %v, busy %v", w.on != nil, w.s.Done(), w.s.Busy())
	}
	var o engine.Output
	if w.s.ClientGone(&o) {
		t.Error("the server connection of a client that left before Sync is kept")
	}
}

func direct(b []byte) []byte {
	f := newFake()
	f.feed(b)
	return f.out
}

func TestConversations(t *testing.T) {
	t.Parallel()
	for name, b := range conversations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := messages(direct(b))
			for servers := 1; servers <= 3; servers++ {
				for _, prepared := range []int{1, 2, 100} {
					check := func(how string, split func() int) {
						t.Helper()
						w := newWorld(t, servers, prepared)
						w.split = split
						w.run(b)
						if d := cmp.Diff(want, messages(w.client)); d != "" {
							t.Fatalf("%s, %d servers, %d prepared statements each (-want +got):\n%s", how, servers, prepared, d)
						}
						if w.on != nil || w.lost > 0 || w.closed || len(w.in) > 0 {
							t.Fatalf("%s, %d servers, %d prepared: on %v, %d servers lost, closed %v, %d bytes left", how, servers, prepared, w.on != nil, w.lost, w.closed, len(w.in))
						}
					}
					check("whole", func() int { return 1 << 20 })
					check("byte by byte", func() int { return 1 })
					for n := 2; n < min(len(b), 60); n++ {
						check(fmt.Sprintf("%d bytes each", n), func() int { return n })
					}
					for seed := range uint64(20) {
						r := rand.New(rand.NewPCG(seed, 1))
						check(fmt.Sprintf("random %d", seed), func() int { return r.IntN(1+r.IntN(40)) + 1 })
					}
				}
			}
		})
	}
}

// messages splits a stream for comparison.
func messages(b []byte) []string {
	var m []string
	for len(b) >= pgwire.HeaderLen {
		n, err := pgwire.Size(b)
		if err != nil || n > len(b) {
			break
		}
		m = append(m, fmt.Sprintf("%q", b[:n]))
		b = b[n:]
	}
	if len(b) > 0 {
		m = append(m, fmt.Sprintf("rest %q", b))
	}
	return m
}
