package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// placed notes what one server connection after the other is sent.
type placed struct {
	w   *world
	at  int
	got []string
}

func (p *placed) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(p.got) == 0 || p.at != p.w.at {
		p.at = p.w.at
		p.got = append(p.got, "")
	}
	p.got[len(p.got)-1] += string(b)
	return len(b), nil
}

// What a client sends behind a transaction that only reads, before it has heard of its end, goes elsewhere: to a reader it
// would be an error.
func TestBehindReadOnly(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"simple":   send(&q{String: "BEGIN READ ONLY"}, &q{String: "SELECT 1"}, &q{String: "COMMIT"}, &q{String: "INSERT x"}),
		"extended": send(join(&prs{Query: "BEGIN READ ONLY"}, call(""), synced, &prs{Query: "SELECT 1"}, call(""), synced, &prs{Query: "COMMIT"}, call(""), synced, &prs{Query: "INSERT x"}, call(""), synced)...),
	} {
		for _, size := range []int{1, 7, 1 << 20} {
			w := newWorld(t, 2, 100)
			p := &placed{w: w}
			w.sent = p
			w.split = func() int { return size }
			w.run(b)
			if len(p.got) != 2 || strings.Contains(p.got[0], "INSERT") || !strings.Contains(p.got[0], "COMMIT") || !strings.Contains(p.got[1], "INSERT") {
				t.Errorf("%s, %d bytes at a time: the servers are sent %q", name, size, p.got)
			}
		}
	}
}

// A standby has no SERIALIZABLE transactions: those that are so by default are none for it.
func TestSerializableByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	begin, repeatable := send(&q{String: "BEGIN READ ONLY"}), send(&q{String: "BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ"})
	if !w.s.ReadsOnly(begin) {
		t.Error("none at all")
	}
	w.s.l.db.sayDefault(serverFacts{standby: true, serializable: true})
	w.s.l.db.sayDefault(serverFacts{})
	if w.s.ReadsOnly(begin) || !w.s.ReadsOnly(repeatable) {
		t.Error("the default of a standby is not heeded, or is where it does not count")
	}
	w.s.want = settings{{name: "default_transaction_isolation", value: "read committed"}}.fit()
	if !w.s.ReadsOnly(begin) {
		t.Error("the session's own setting is not heeded")
	}
	w.s.l.db.sayDefault(serverFacts{standby: true})
	w.s.want = settings{{name: "default_transaction_isolation", value: "Serializable"}}.fit()
	if w.s.ReadsOnly(begin) || !w.s.ReadsOnly(repeatable) {
		t.Error("the session's own setting is not heeded, or is where it does not count")
	}
}

// What is sent in a transaction that has been declared READ ONLY, and may write all the same, is told.
func TestWritesInReadOnly(t *testing.T) {
	t.Parallel()
	exec := func(sql string) []pgproto3.FrontendMessage { return join(&prs{Query: sql}, call("")) }
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"reads":           {send(&q{String: "SELECT 1"}), false},
		"ends":            {send(&q{String: "COMMIT"}), false},
		"read write":      {send(&q{String: "SET TRANSACTION READ WRITE"}), true},
		"ends and writes": {send(&q{String: "COMMIT; INSERT x"}), true},
		"prepared":        {send(join(exec("SELECT 1"), synced)...), false},
		"one cycle":       {send(join(exec("COMMIT"), exec("INSERT x"), synced)...), true},
		"set in a cycle":  {send(join(exec("SET TRANSACTION READ WRITE"), synced)...), true},
		"too large":       {send(&q{String: "SELECT '" + strings.Repeat("x", maxInspected) + "'"})[:maxInspected], true},
	} {
		w := newWorld(t, 1, 100)
		w.s.ReadsOnly(send(&q{String: "BEGIN READ ONLY"}))
		w.s.Attach(w.servers[0].v, &w.o)
		w.o.Reset()
		w.s.FromClient(c.b, &w.o)
		if w.o.Writes != c.want {
			t.Errorf("%s: %t", name, w.o.Writes)
		}
	}
}
