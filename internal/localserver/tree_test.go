package localserver_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
)

// TestPostgresInTree runs a server by chroot, with all that StartPostgres promises.
func TestPostgresInTree(t *testing.T) {
	t.Parallel()
	tree, err := localserver.SidTree()
	if err != nil {
		t.Skip(err)
	}
	p := testkit.Postgres(t, localserver.PostgresOptions{Chroot: tree, TLS: true, MaxConnections: 13})
	if v := p.Version(); v.Chroot != tree || v.Major < 18 {
		t.Errorf("version %+v, want one of %s", v, tree)
	}
	for sql, want := range map[string]string{
		"SHOW max_connections": "13",
		"SELECT split_part(current_setting('server_version'), '.', 1)": strconv.Itoa(p.Version().Major),
		"SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()":     "t",
		"SELECT count(*) > 0 FROM pg_available_extensions":             "t",
	} {
		if got, err := ask(t, p.SuperDSN("postgres"), sql); err != nil || got != want {
			t.Errorf("%s: got %q, err %v; want %q", sql, got, err, want)
		}
	}
	// Parallel workers need shared memory.
	rows, err := p.Query(t.Context(), "postgres", "SET debug_parallel_query = on; SELECT sum(reltuples) > 0 FROM pg_class")
	if err != nil || len(rows) != 1 || rows[0][0] != "t" {
		t.Errorf("a parallel query: %v, %v", rows, err)
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if err := p.Restart(t.Context()); err != nil {
		t.Fatalf("Restart after Kill: %v", err)
	}
	p.Stop()
	if _, err := os.Stat(p.SocketDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stop left the folder: %v", err)
	}
}

// TestPostgresReleases checks that a major version is listed once, the newest first, and that the tree's is among them.
func TestPostgresReleases(t *testing.T) {
	t.Parallel()
	all, err := localserver.PostgresReleases()
	if errors.Is(err, localserver.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	trees := 0
	for i, in := range all {
		if i > 0 && all[i-1].Major <= in.Major {
			t.Errorf("%s comes before %s", all[i-1].Version, in.Version)
		}
		if in.Chroot != "" {
			trees++
		}
	}
	if _, err := localserver.SidTree(); err == nil && trees == 0 && all[0].Major < 18 {
		t.Errorf("the tree's PostgreSQL is not in %+v", all)
	}
}

// TestFindPostgresInTree checks that FOREBAY_POSTGRES_BIN may name a folder of the tree, and what a tree must be.
func TestFindPostgresInTree(t *testing.T) {
	tree, err := localserver.SidTree()
	if err != nil {
		t.Skip(err)
	}
	bins, _ := filepath.Glob(filepath.Join(tree, "usr/lib/postgresql/*/bin"))
	if len(bins) == 0 {
		t.Fatalf("no PostgreSQL in %s", tree)
	}
	t.Setenv("FOREBAY_POSTGRES_BIN", bins[0])
	all, err := localserver.FindPostgres()
	if err != nil || all[0].Chroot != tree || filepath.Join(tree, all[0].BinDir) != bins[0] {
		t.Errorf("got %+v, err %v; want that of %s first", all, err, bins[0])
	}
	t.Setenv("FOREBAY_SID_TREE", t.TempDir())
	if _, err := localserver.StartPostgres(t.Context(), localserver.PostgresOptions{Chroot: os.Getenv("FOREBAY_SID_TREE")}); !errors.Is(err, localserver.ErrNotInstalled) {
		t.Errorf("an empty tree: err %v", err)
	}
	t.Setenv("FOREBAY_SID_TREE", "")
	t.Setenv("FOREBAY_CACHE", t.TempDir())
	if got, err := localserver.SidTree(); !errors.Is(err, localserver.ErrNotInstalled) {
		t.Errorf("no tree: got %q, err %v", got, err)
	}
}
