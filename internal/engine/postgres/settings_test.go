package postgres

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Time limits are lifted before other settings are changed, and set after them.
func TestLimitsLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	l := w.servers[0]
	l.v.fit = settings{{name: "app.a", value: "1"}, {name: "lock_timeout", value: "1"}, {name: "statement_timeout", value: "1"}}.fit()
	w.s.want = settings{{name: "app.b", value: "2"}, {name: "role", value: "r"}, {name: "statement_timeout", value: "2"}, {name: "work_mem", value: "1"}}.fit()
	w.run(send(&q{String: "SHOW work_mem"}))
	want := []string{
		"SET lock_timeout=0;SET statement_timeout=0;",
		`RESET "app"."a";SELECT pg_catalog.set_config('app.b','2',false);SELECT pg_catalog.set_config('work_mem','1',false);SET ROLE 'r';` +
			`RESET "lock_timeout";SELECT pg_catalog.set_config('statement_timeout','2',false);`,
		"SHOW work_mem",
	}
	if d := cmp.Diff(want, l.f.queries); d != "" {
		t.Errorf("queries (-want +got):\n%s", d)
	}
	if l.v.fit != w.s.want {
		t.Errorf("the connection has %q", l.v.fit.Value())
	}
}

// A change of settings that fails is made again, as long as no statement of the client's has run without it.
func TestApplyAgain(t *testing.T) {
	t.Parallel()
	unsafe := settings{{name: "role", value: "r"}, {name: "work_mem", value: "1"}}.fit()
	safe := settings{{name: "work_mem", value: "1"}}.fit()
	b := send(join(&prs{Query: "SELECT 1"}, call(""), synced, &q{String: "SELECT 2"})...)
	for name, tt := range map[string]struct {
		code   string
		refuse int
		want   string // the code that ends the client's connection; empty: it goes on
	}{
		"once":           {"57014", 1, ""},
		"lock":           {"55P03", 3, ""},
		"as often as is": {"57014", maxApplyTries, ""},
		"too often":      {"57014", maxApplyTries + 1, "57014"},
		"for good":       {"42501", 1, "42501"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, 1)
			w.s.want = unsafe
			f := w.servers[0].f
			f.refuse, f.code = tt.refuse, tt.code
			w.run(b)
			if tt.want != "" {
				if !w.closed || !bytes.Contains(w.client, []byte("SFATAL\x00")) || !bytes.Contains(w.client, []byte("C"+tt.want+"\x00")) || f.refuse > 0 {
					t.Errorf("closed %v, %d refusals left, told %q", w.closed, f.refuse, messages(w.client))
				}
				if slices.Contains(f.queries, "SELECT 2") {
					t.Error("a statement has run with other settings")
				}
				return
			}
			if d := cmp.Diff(messages(direct(b)), messages(w.client)); d != "" || w.closed || w.lost > 0 {
				t.Errorf("closed %v, %d servers lost (-want +got):\n%s", w.closed, w.lost, d)
			}
		})
	}
	t.Run("not waited for", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1, 1)
		w.s.want = safe
		w.servers[0].f.refuse, w.servers[0].f.code = 1, "57014"
		w.run(b)
		if !w.closed || w.lost != 1 {
			t.Errorf("closed %v, %d servers lost, told %q", w.closed, w.lost, messages(w.client))
		}
	})
}

// A server that closes each time that settings are changed is not asked for ever.
func TestApplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	w.s.want = settings{{name: "transaction_timeout", value: "1"}}.fit()
	n := 0
	for ; !w.closed && n < 100; n++ {
		l := w.servers[0]
		w.o.Reset()
		w.s.Attach(l.v, &w.o)
		if !strings.Contains(string(w.o.Server.Bytes()), "transaction_timeout") {
			t.Fatalf("sent %q", w.o.Server.Bytes())
		}
		w.on = l
		w.lose()
	}
	if n != maxApplyTries+1 {
		t.Errorf("closed %v after %d tries", w.closed, n)
	}
}

// What a pipeline of SETs has Forebay keep is bounded; the server is asked instead.
func TestManySets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	set := &prs{Query: "SET app.a = '" + strings.Repeat("x", maxSettingsBytes/4) + "'"}
	for range 20 {
		w.run(send(join(set, call(""), &pgproto3.Flush{})...))
	}
	v, n := w.servers[0].v, 0
	for _, e := range v.sets {
		n += len(e.value)
	}
	if n > maxSettingsBytes {
		t.Errorf("%d bytes are kept of a cycle's settings", n)
	}
	probes := w.s.l.counters.Probes
	w.run(send(synced))
	if w.s.l.counters.Probes == probes || w.closed || w.lost > 0 {
		t.Errorf("%d probes, closed %v, %d servers lost", w.s.l.counters.Probes-probes, w.closed, w.lost)
	}
}

// A request behind a change that nobody has seen waits until the session has its start-up values again, also where the look
// at the session has to be made twice.
func TestLookTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	w.s.startup = settings{{name: "work_mem", value: "5"}}.fit()
	w.s.want = w.s.startup
	f := w.servers[0].f
	f.busy = 2
	change := send(&q{String: "DO x"}) // the fake has no settings: it looks like a RESET
	first := true
	w.split = func() int {
		if first {
			first = false
			return len(change)
		}
		return 1 << 20
	}
	w.run(append(change, send(&q{String: "SELECT 1"})...))
	const apply = "SELECT pg_catalog.set_config('work_mem','5',false);"
	if d := cmp.Diff([]string{apply, "DISCARD SEQUENCES", "DO x", apply, "SELECT 1"}, f.queries[:5]); d != "" || f.busy > 0 {
		t.Errorf("%d looks left, queries (-want +got):\n%s", f.busy, d)
	}
}
