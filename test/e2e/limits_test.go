package e2e

import (
	"strings"
	"testing"
)

// TestTinyTimeout checks that settings are carried to and from a client whose own time limits leave no time for that: its
// statements may fail, but it keeps its connection, and others do not notice.
func TestTinyTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	big := strings.Repeat("x", 400<<10)
	tiny, other := w.open("options", "-c lock_timeout=1"), w.open("timezone", "Asia/Tokyo")
	tiny.must("SET app.big = '" + big + "'")
	tiny.must("SET statement_timeout = 1")
	other.must("SET app.big = 'small" + big + "'")
	for range 50 {
		if got, err := tiny.exec("SHOW statement_timeout"); err == nil {
			if text(got[0]) != "1ms" {
				t.Fatalf("statement_timeout is %s", text(got[0]))
			}
		} else {
			failsWith(t, "under a statement_timeout of 1 ms", err, "57014")
		}
		if got := other.must("SELECT left(current_setting('app.big'), 5), current_setting('timezone'), current_setting('statement_timeout'), current_setting('lock_timeout')"); got != "small,Asia/Tokyo,0,0" {
			t.Fatalf("the other client sees %s", got)
		}
	}
}
