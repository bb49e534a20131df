package controlplane_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
)

// TestStateOfTx: what a transaction has said of itself stays as it was while the transaction goes on.
func TestStateOfTx(t *testing.T) {
	t.Parallel()
	p := open(t, memory.New())
	_, err := p.Update(t.Context(), func(tx *controlplane.Tx) error {
		for _, name := range []string{"a", "b", "c", "d"} {
			tx.Users.Put(name, &controlplane.User{Name: name})
		}
		s := tx.State()
		var seen []string
		for key, u := range s.Users.All() {
			seen = append(seen, u.Name)
			tx.Users.Delete(key)
		}
		if !slices.Equal(seen, []string{"a", "b", "c", "d"}) || s.Users.Len() != 4 || s.Users.Get("b") == nil || tx.Users.Len() != 0 {
			t.Errorf("saw %v; %d users in the state, %d in the transaction", seen, s.Users.Len(), tx.Users.Len())
		}
		return errors.New("enough")
	})
	if err == nil || p.State().Users.Len() != 0 {
		t.Errorf("%v, and %d users", err, p.State().Users.Len())
	}
}

// TestDeclareOthers: one database comes and several go, in one configuration.
func TestDeclareOthers(t *testing.T) {
	t.Parallel()
	p := open(t, memory.New())
	declare := func(names ...string) {
		t.Helper()
		var specs []controlplane.DatabaseSpec
		for _, name := range names {
			specs = append(specs, controlplane.DatabaseSpec{Identifier: name, Engine: "postgres", Host: "h"})
		}
		s := update(t, p, func(tx *controlplane.Tx) error {
			_, err := tx.DeclareDatabases(time.Now(), "m", specs)
			return err
		})
		var got []string
		for key := range s.Databases.All() {
			got = append(got, key)
		}
		if !slices.Equal(got, names) {
			t.Errorf("declared %v, there is %v", names, got)
		}
	}
	declare("a", "b", "c")
	declare("d")
}
