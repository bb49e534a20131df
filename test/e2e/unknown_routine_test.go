package e2e

import "testing"

// TestRoutineFromOutside calls a function that was made behind Forebay's back and sets a custom setting whose name no
// text shows: another client, on the same server connection, must not see it.
func TestRoutineFromOutside(t *testing.T) {
	t.Parallel()
	db, f := oneConnection(t, nil)
	one, two := connect(t, f.DSN(db.User, db.Name, "")), connect(t, f.DSN(db.User, db.Name, ""))
	exec(t, two, "SELECT 1")
	exec(t, connect(t, db.DSN()), `CREATE FUNCTION tenant(v text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('hidden.tenant', v, false) $$`)
	exec(t, one, "SELECT tenant('one')")
	var got string
	if err := two.QueryRow(t.Context(), "SELECT coalesce(current_setting('hidden.tenant', true), '')").Scan(&got); err != nil || got != "" {
		t.Errorf("the other client sees %q, err %v", got, err)
	}
}
