package e2e

import (
	"context"
	"testing"
)

// TestExecutePrepared checks that a client which prepares an EXECUTE is answered for its own SQL-level statement, not for
// another client's of the same name.
func TestExecutePrepared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	one, two, none := w.open(), w.open(), w.open()
	one.must("PREPARE q AS SELECT 1, 2")
	two.must("PREPARE q AS SELECT 'text'")
	for range 2 {
		for c, want := range map[*client]string{one: "1,2", two: "text"} {
			if err := c.prepare("x", "EXECUTE q"); err != nil {
				t.Fatal(err)
			}
			if got, err := c.run("x"); err != nil || got != want {
				t.Errorf("EXECUTE q: %q, %v; want %s", got, err, want)
			}
			if got := text(c.params("EXECUTE q")); got != want {
				t.Errorf("EXECUTE q, unnamed: %q, want %s", got, want)
			}
			if err := c.Deallocate(context.Background(), "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := none.prepare("x", "EXECUTE q"); err != nil {
		t.Errorf("a client without the statement: %v", err)
	}
	_, err := none.run("x")
	failsWith(t, "EXECUTE q", err, "26000")
}
