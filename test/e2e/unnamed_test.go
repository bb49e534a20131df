package e2e

import (
	"context"
	"testing"
)

// Settings are carried by a simple query of Forebay's own, which destroys the unnamed statement on the server connection:
// the session's own is made anew, although the connection last had one with the same text.
func TestUnnamedStatementOutlivesCarriedSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	a, b := w.open("application_name", "a"), w.open("application_name", "b")
	const sql = "SELECT current_setting('application_name')"
	for _, c := range []*client{a, b} {
		if err := c.prepare("", sql); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for want, c := range map[string]*client{"a": a, "b": b} {
			if got, err := c.run(""); err != nil || got != want {
				t.Errorf("the unnamed statement of %s: got %q, err %v; want %q", want, got, err, want)
			}
		}
	}
}

// A Parse that the server skips after an error leaves another session's unnamed statement in place, which nobody else
// may run.
func TestSkippedParseOfUnnamedStatement(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 1}, func(t *testing.T, w *world) {
		a, b := w.open(), w.open()
		if err := b.prepare("", "SELECT 'another''s'"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), watchdog)
		defer cancel()
		p := a.StartPipeline(ctx)
		p.SendQueryPrepared("nobody", nil, nil, nil)
		p.SendPrepare("", "SELECT 'own'", nil)
		if err := p.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err == nil {
			t.Error("a statement that does not exist was run")
		}
		got, err := a.run("")
		if e, ok := pgError(err); !ok || e.Code != "26000" {
			t.Errorf("run the unnamed statement: got %q, err %v; want SQLSTATE 26000", got, err)
		}
	})
}
