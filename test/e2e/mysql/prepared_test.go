package mysql

import (
	"fmt"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
)

// Statements that clients have closed, and that stay prepared, do not use max_prepared_stmt_count up.
func TestPreparedStatementsLimit(t *testing.T) {
	t.Parallel()
	m := testkit.MySQL(t, localserver.MySQLOptions{Settings: map[string]string{"max_prepared_stmt_count": "40"}})
	w := newWorld(t, m, options{loops: 1, pool: 2})
	c := w.open(usual)
	for i := range 100 {
		st, err := c.prepare(fmt.Sprintf("SELECT %d", i))
		if err != nil {
			t.Fatalf("statement %d: %v", i, err)
		}
		if err := c.close(st); err != nil {
			t.Fatal(err)
		}
	}
}
