package e2e

import (
	"testing"
)

// TestPlainCustomSetting checks that a custom setting made with a plain SET is known to be there, however the SET came, and
// so is no other client's.
func TestPlainCustomSetting(t *testing.T) {
	t.Parallel()
	const set = "SET app.plain = 'mine'"
	for how, send := range map[string]func(r *wire){
		"with a statement to look at": func(r *wire) {
			r.send(parse("", set), bind("", ""), execute("", 0), parse("", "SELECT set_config('work_mem', '5MB', false)"), bind("", ""), execute("", 0), syncNow)
		},
		"with BEGIN": func(r *wire) {
			r.send(parse("", "BEGIN"), bind("", ""), execute("", 0), parse("", set), bind("", ""), execute("", 0), parse("", "COMMIT"), bind("", ""), execute("", 0), syncNow)
		},
		"through a portal with a name": func(r *wire) {
			r.send(parse("", set), bind("p", ""), execute("p", 0), syncNow)
		},
		"after a statement to look at": func(r *wire) {
			r.send(query("SELECT set_config('work_mem', '5MB', false)"), query(set), query("SELECT 1"))
			r.ready(2)
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 1})
			r, other := w.wire(), w.open()
			send(r)
			r.ready(1)
			if got := other.must("SELECT current_setting('app.plain', true)"); got == "mine" {
				t.Error("another client sees the setting")
			}
			r.log = nil
			r.send(query("SELECT current_setting('app.plain', true)"))
			r.ready(1)
			if got := r.log[len(r.log)-3]; got != "row mine" {
				t.Errorf("the client itself sees %q", got)
			}
		})
	}
}
