package app

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"forebay/internal/cluster/memory"
	"forebay/internal/config"
	"forebay/internal/controlplane"
)

// A Forebay whose key does not open what is in the store does not start: it would seal what no other one can open.
func TestAnotherSealingKey(t *testing.T) {
	t.Parallel()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	start := func() error {
		ring, err := controlplane.ParseKeys(controlplane.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		c := &control{log: slog.New(slog.DiscardHandler), cfg: config.API{DataDir: t.TempDir(), Region: "us-east-1"}, plane: plane, ring: ring}
		if err := c.ensureAccount(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.checkKeyring()
	}
	if err := start(); err != nil {
		t.Errorf("the first one: %v", err)
	}
	if err := start(); !errors.Is(err, controlplane.ErrSealed) {
		t.Errorf("with another key: got %v", err)
	}
}

// Without a data folder certificate authorities are in a folder that nobody else can have prepared.
func TestCAFileWithoutDataFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, other := &control{}, &control{}
	first, err := c.caFile("PEM")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.caFile("PEM"); err != nil || again != first {
		t.Errorf("the same bundle is at %s, then at %s (%v)", first, again, err)
	}
	if elsewhere, err := other.caFile("PEM"); err != nil || filepath.Dir(elsewhere) == filepath.Dir(first) {
		t.Errorf("two processes have one folder: %s (%v)", elsewhere, err)
	}
	dir, err := os.Stat(filepath.Dir(first))
	if err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", dir, err)
	}
	// It is cleaned up meanwhile, and made again in another way.
	if err := os.RemoveAll(filepath.Dir(first)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(first), 0o755); err != nil {
		t.Fatal(err)
	}
	moved, err := c.caFile("PEM")
	if text, err2 := os.ReadFile(moved); err != nil || err2 != nil || string(text) != "PEM" || filepath.Dir(moved) == filepath.Dir(first) {
		t.Errorf("after that: %s, %q (%v, %v)", moved, text, err, err2)
	}
	c.close()
	other.close()
	if _, err := os.Stat(filepath.Dir(moved)); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

// TestDeclaredOnce: two members of a fleet whose files differ do not take back each other's databases again and again.
func TestDeclaredOnce(t *testing.T) {
	t.Parallel()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	if _, _, err := plane.EnsureAccount(t.Context(), "us-east-1", "", controlplane.AccessKey{}); err != nil {
		t.Fatal(err)
	}
	one := controlplane.DatabaseSpec{Identifier: "one", Engine: "mysql", Host: "one.test", FromFile: true}
	two := controlplane.DatabaseSpec{Identifier: "two", Engine: "mysql", Host: "two.test", FromFile: true}
	changed, unchanged := &control{plane: plane}, &control{plane: plane}
	for i, step := range []struct {
		who  *control
		file []controlplane.DatabaseSpec
		want int
	}{
		{changed, []controlplane.DatabaseSpec{one}, 1},
		{unchanged, []controlplane.DatabaseSpec{one}, 1},
		{changed, []controlplane.DatabaseSpec{one, two}, 2},
		{unchanged, []controlplane.DatabaseSpec{one}, 2}, // because the state has changed
		{changed, []controlplane.DatabaseSpec{one, two}, 2},
		{unchanged, []controlplane.DatabaseSpec{one, two}, 2},
		{unchanged, []controlplane.DatabaseSpec{two}, 1},
	} {
		if err := step.who.declare(t.Context(), step.file); err != nil {
			t.Fatal(err)
		}
		if n := plane.State().Databases.Len(); n != step.want {
			t.Errorf("step %d: %d databases, want %d", i, n, step.want)
		}
	}
}
