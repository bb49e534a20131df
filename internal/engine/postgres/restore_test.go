package postgres

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// begun are conversations of a client that has given search_path at start-up, and whether a RESET in them is followed by
// the start-up value.
var begun = map[string]struct {
	b    []byte
	want string // the setting's scope as set_config has it; empty: nothing follows
}{
	"no reset":       {send(&q{String: "BEGIN"}, &q{String: "SELECT 1"}, &q{String: "COMMIT"}), ""},
	"another":        {send(&q{String: "BEGIN"}, &q{String: "RESET work_mem"}, &q{String: "COMMIT"}), ""},
	"outside":        {send(&q{String: "RESET search_path"}, &q{String: "SELECT 1"}), ""},
	"outside, all":   {send(&q{String: "RESET ALL"}, &q{String: "SELECT 1"}), ""},
	"reset":          {send(&q{String: "BEGIN"}, &q{String: "RESET search_path -- why"}, &q{String: "SELECT 1"}, &q{String: "COMMIT"}), "false"},
	"to default":     {send(&q{String: "BEGIN"}, &q{String: "SET search_path TO DEFAULT;"}, &q{String: "ROLLBACK"}), "false"},
	"all":            {send(&q{String: "BEGIN"}, &q{String: "RESET ALL"}, &q{String: "COMMIT"}), "false"},
	"local":          {send(&q{String: "BEGIN"}, &q{String: "SET LOCAL search_path TO DEFAULT"}, &q{String: "COMMIT"}), "true"},
	"several in one": {send(&q{String: "BEGIN; RESET search_path; SELECT 1"}, &q{String: "COMMIT"}), "false"},
	"no longer open": {send(&q{String: "BEGIN; RESET search_path; SELECT 1; COMMIT"}, &q{String: "SELECT 1"}), "false"},
	"failed":         {send(&q{String: "BEGIN"}, &q{String: "FAIL; RESET search_path"}, &q{String: "RESET search_path"}, &q{String: "ROLLBACK"}), "false"},
	"extended": {send(join(&q{String: "BEGIN"}, &prs{Query: "RESET search_path"}, &dsc{ObjectType: 'S'}, call(""), synced,
		&q{String: "SELECT 1"}, &q{String: "COMMIT"})...), "false"},
	"extended, named": {send(join(&prs{Name: "a", Query: "RESET ALL"}, synced, &q{String: "BEGIN"}, call("a"), synced, call("a"), synced, &q{String: "COMMIT"})...), "false"},
	"extended, failed": {send(join(&q{String: "BEGIN"}, &prs{Query: "FAIL"}, call(""), &prs{Query: "RESET search_path"}, call(""), synced,
		&q{String: "ROLLBACK"})...), "false"},
	"pipeline": {send(join(&prs{Query: "BEGIN"}, call(""), &prs{Query: "RESET search_path"}, call(""), &prs{Query: "SELECT 1"}, call(""), synced,
		&q{String: "COMMIT"})...), "false"},
}

func TestRestore(t *testing.T) {
	t.Parallel()
	for name, tt := range begun {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := messages(direct(tt.b))
			for split := 1; split <= len(tt.b); split++ {
				w := newWorld(t, 2, 2)
				w.s.startup = settings{{name: "search_path", value: `it's "here"; -- or`}}.fit()
				w.s.want = w.s.startup
				for _, l := range w.servers {
					l.v.probeName = newProbeName()
				}
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
				if _, after, ok := strings.Cut(sent.String(), "set_config(w.name, w.value, "); ok {
					got, _, _ = strings.Cut(after, ")")
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
