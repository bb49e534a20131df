package localserver

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

var postgresKind = kind{
	name:     "PostgreSQL",
	variable: "FOREBAY_POSTGRES_BIN",
	places: []string{
		"/usr/lib/postgresql/*/bin",            // Debian, Ubuntu
		"/usr/pgsql-*/bin",                     // PostgreSQL's own packages for Fedora, RHEL
		"/opt/homebrew/opt/postgresql*/bin",    // Homebrew, Apple silicon
		"/usr/local/opt/postgresql*/bin",       // Homebrew, Intel
		"/usr/local/pgsql/bin",                 // from source
		"/usr/libexec/postgresql*",             // Alpine
		"/Library/PostgreSQL/*/bin",            // EDB's installer
		"/Applications/Postgres.app/*/*/*/bin", // Postgres.app
	},
	treePlaces: []string{"usr/lib/postgresql/*/bin"},
	programs:   []string{"postgres"},
	install: "run scripts/install-servers postgresql, or install the package yourself (Debian, Ubuntu: apt-get install " +
		"postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql)",
	probe: probePostgres,
	habits: habits{
		folder:  "forebay-pg-",
		socket:  ".s.PGSQL.65535",
		pidFile: "data/postmaster.pid",
		users:   []string{"postgres", "nobody"},
		stop:    []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT},
		orphan:  syscall.SIGQUIT, // the children end too
	},
}

var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// probePostgres asks the server program in dir, seen from inside chroot if that is set, for its version.
func probePostgres(dir, chroot string) (Install, error) {
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(chroot, dir, name)); err != nil {
			return Install{}, fmt.Errorf("PostgreSQL: %w: %w", ErrNotInstalled, err)
		}
	}
	m, err := askVersion(filepath.Join(dir, "postgres"), chroot, postgresVersion)
	if err != nil {
		return Install{}, err
	}
	major, err := strconv.Atoi(m[2])
	if err != nil {
		return Install{}, fmt.Errorf("PostgreSQL %s: %w", m[1], err)
	}
	return Install{Product: ProductPostgres, Version: m[1], Major: major, BinDir: dir, Chroot: chroot}, nil
}
