package postgres

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// begun are conversations of a client that has given search_path at start-up, and whether a RESET in them is followed by
// the start-up value.
var begun = map[string]struct {
	b    []byte
	want string // the scope of the SET; empty: nothing follows
}{
	"no reset":       {send(&q{String: "BEGIN"}, &q{String: "SELECT 1"}, &q{String: "COMMIT"}), ""},
	"another":        {send(&q{String: "BEGIN"}, &q{String: "RESET work_mem"}, &q{String: "COMMIT"}), ""},
	"outside":        {send(&q{String: "RESET search_path"}, &q{String: "SELECT 1"}), ""},
	"outside, all":   {send(&q{String: "RESET ALL"}, &q{String: "SELECT 1"}), ""},
	"reset":          {send(&q{String: "BEGIN"}, &q{String: "RESET search_path -- why"}, &q{String: "SELECT 1"}, &q{String: "COMMIT"}), "SESSION"},
	"to default":     {send(&q{String: "BEGIN"}, &q{String: "SET search_path TO DEFAULT;"}, &q{String: "ROLLBACK"}), "SESSION"},
	"all":            {send(&q{String: "BEGIN"}, &q{String: "RESET ALL"}, &q{String: "COMMIT"}), "SESSION"},
	"local":          {send(&q{String: "BEGIN"}, &q{String: "SET LOCAL search_path TO DEFAULT"}, &q{String: "COMMIT"}), "LOCAL"},
	"several in one": {send(&q{String: "BEGIN; RESET search_path; SELECT 1"}, &q{String: "COMMIT"}), ""},
	"no longer open": {send(&q{String: "BEGIN; RESET search_path; SELECT 1; COMMIT"}, &q{String: "SELECT 1"}), ""},
	"failed":         {send(&q{String: "BEGIN"}, &q{String: "FAIL; RESET search_path"}, &q{String: "RESET search_path"}, &q{String: "ROLLBACK"}), "SESSION"},
	"extended": {send(join(&q{String: "BEGIN"}, &prs{Query: "RESET search_path"}, &dsc{ObjectType: 'S'}, call(""), synced,
		&q{String: "SELECT 1"}, &q{String: "COMMIT"})...), "SESSION"},
	"extended, named": {send(join(&prs{Name: "a", Query: "RESET ALL"}, synced, &q{String: "BEGIN"}, call("a"), synced, call("a"), synced, &q{String: "COMMIT"})...), "SESSION"},
	"extended, failed": {send(join(&q{String: "BEGIN"}, &prs{Query: "FAIL"}, call(""), &prs{Query: "RESET search_path"}, call(""), synced,
		&q{String: "ROLLBACK"})...), "SESSION"},
	"pipeline": {send(join(&prs{Query: "BEGIN"}, call(""), &prs{Query: "RESET search_path"}, call(""), &prs{Query: "SELECT 1"}, call(""), synced,
		&q{String: "COMMIT"})...), "SESSION"},
}

func TestRestore(t *testing.T) {
	t.Parallel()
	for name, tt := range begun {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := messages(direct(tt.b))
			for split := 1; split <= len(tt.b); split++ {
				w := newWorld(t, 2, 2)
				w.s.startup = settings{{name: "search_path", value: `"it's", Here`}}.fit()
				w.s.want = w.s.startup
				w.split = func() int { return split }
				sent := new(bytes.Buffer)
				w.sent = sent
				w.run(tt.b)
				if d := cmp.Diff(want, messages(w.client)); d != "" {
					t.Fatalf("%d bytes each (-want +got):\n%s", split, d)
				}
				if w.on != nil || w.lost > 0 || w.closed || len(w.in) > 0 {
					t.Fatalf("%d bytes each: on %v, %d servers lost, closed %v, %d bytes left", split, w.on != nil, w.lost, w.closed, len(w.in))
				}
				got := ""
				if before, _, ok := strings.Cut(sent.String(), ` "search_path" TO 'it''s','here'`); ok {
					got = before[strings.LastIndexByte(before, ' ')+1:]
				}
				if got != tt.want {
					t.Fatalf("%d bytes each: the start-up value follows with scope %q, want %q", split, got, tt.want)
				}
			}
		})
	}
}

// A server connection is lost after each byte: the client is answered as ever.
func TestRestoreLost(t *testing.T) {
	t.Parallel()
	b := slices.Concat(begun["reset"].b, begun["extended"].b)
	for cut := range len(b) {
		w := newWorld(t, 2, 2)
		w.s.startup = settings{{name: "search_path", value: "a"}}.fit()
		w.s.want = w.s.startup
		w.run(b[:cut])
		if w.on != nil {
			w.lose()
		}
		w.run(b[cut:])
		if got, want := readies(w.client), readies(direct(b)); got != want && !w.closed {
			t.Errorf("lost after %d of %d bytes: %d cycles answered, want %d", cut, len(b), got, want)
		}
	}
}

func TestSplitIdents(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"a": "a", "A, b": "a|b", ` "A b" ,c`: "A b|c", `"$user",public`: "$user|public", `"a""b"`: `a"b`, "": "", "$user": "$user",
		"a b": "no", "a,": "no", ",a": "no", `"a`: "no", " ": "no", `"a"b`: "no",
	} {
		idents, ok := splitIdents(list)
		got := strings.Join(idents, "|")
		if !ok {
			got = "no"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

// A few bytes of a client's that stand for many are not all turned into those at once.
func TestMuchBehindReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	var given settings
	for i := range 1000 {
		given = given.with(setting{name: fmt.Sprintf("app.a%d", i), value: "1"})
	}
	w.s.startup = given.fit()
	b := send(join(&q{String: "BEGIN"}, &prs{Query: "RESET ALL"}, call(""))...)
	for range 1000 {
		b = append(b, send(&exe{})...)
	}
	b = append(b, send(synced, &q{String: "ROLLBACK"})...)
	w.s.Attach(w.servers[0].v, &w.o)
	for calls := 1; len(b) > 0; calls++ {
		w.o.Reset()
		n := w.s.FromClient(b, &w.o)
		if n == 0 || w.o.More != (n < len(b)) || w.o.Server.Len() > maxAhead+200<<10 {
			t.Fatalf("call %d takes %d bytes of %d and makes %d, more %v", calls, n, len(b), w.o.Server.Len(), w.o.More)
		}
		b = b[n:]
	}
}
