package postgres

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// A client that has as many prepared statements as it may is refused another, in the words of its protocol, and goes on.
func TestTooManyStatements(t *testing.T) {
	t.Parallel()
	for how, tt := range map[string]struct {
		n    int
		text string
	}{
		"number": {maxNamed, "SELECT 1"},
		"bytes":  {maxNamedBytes / 1_000_000, "SELECT " + strings.Repeat("x", 1_000_000-len("SELECT a10"))},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2, 100)
			prepare := func(i int) []byte { return send(&prs{Name: fmt.Sprintf("a%02d", i), Query: tt.text}, synced) }
			said := func(b []byte) []string {
				w.client = nil
				w.run(b)
				var types []string
				for _, m := range messages(w.client) {
					types = append(types, m[1:2])
				}
				return types
			}
			is := func(what string, b []byte, want string) {
				t.Helper()
				if got := strings.Join(said(b), ""); got != want || w.closed || w.lost > 0 {
					t.Fatalf("%s: told %s, want %s; closed %v, %d servers lost", what, got, want, w.closed, w.lost)
				}
			}
			for i := range tt.n {
				is(fmt.Sprint(i), prepare(i), "1Z")
			}
			more := send(join(&prs{Query: "SELECT 2"}, &prs{Name: "more", Query: tt.text}, call("more"), synced)...)
			is("one more", more, "1EZ")
			if !bytes.Contains(w.client, []byte("C54000\x00Mtoo many prepared statements\x00")) || bytes.Contains(w.client, []byte("forebay")) {
				t.Errorf("told %q", messages(w.client))
			}
			is("use of it", send(join(call("more"), synced)...), "EZ")
			is("a name that is taken", send(join(&prs{Name: "a01", Query: "SELECT 3"}, synced)...), "EZ")
			is("the unnamed one", send(join(&prs{Query: "SELECT 3"}, call(""), synced)...), "12DCZ")
			is("the last", send(join(call(fmt.Sprintf("a%02d", tt.n-1)), synced)...), "2DCZ")
			is("in a transaction", bytes.Join([][]byte{send(&q{String: "BEGIN"}), more, send(&q{String: "ROLLBACK"})}, nil), "CZ1EZCZ")
			is("a failed DEALLOCATE ALL", send(&q{String: "BEGIN"}, &q{String: "FAIL"}, &q{String: "DEALLOCATE ALL"}, &q{String: "ROLLBACK"}), "CZEZEZCZ")
			is("one more", more, "1EZ")
			is("Close", send(join(&cls{ObjectType: 'S', Name: "a01"}, synced)...), "3Z")
			is("in its place", send(join(&prs{Name: "more", Query: tt.text}, call("more"), synced)...), "12DCZ")
			is("one more", more, "1EZ")
			is("DEALLOCATE ALL", send(&q{String: "DEALLOCATE ALL"}), "CZ")
			is("anew", more, "112DCZ")
		})
	}
}
