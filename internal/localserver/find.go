package localserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Install is one installed PostgreSQL release.
type Install struct {
	Version string // as the server prints it, such as "15.14" or "18beta1"
	Major   int
	BinDir  string // holds postgres and initdb; inside Chroot, if that is set
	Chroot  string // root of the tree that the programs run in (SidTree); "": this system
}

// postgresPlaces are the folders in which packages put PostgreSQL's server programs.
var postgresPlaces = []string{
	"/usr/lib/postgresql/*/bin",            // Debian, Ubuntu
	"/usr/pgsql-*/bin",                     // PostgreSQL's own packages for Fedora, RHEL
	"/opt/homebrew/opt/postgresql*/bin",    // Homebrew, Apple silicon
	"/usr/local/opt/postgresql*/bin",       // Homebrew, Intel
	"/usr/local/pgsql/bin",                 // from source
	"/usr/libexec/postgresql*",             // Alpine
	"/Library/PostgreSQL/*/bin",            // EDB's installer
	"/Applications/Postgres.app/*/*/*/bin", // Postgres.app
}

// FindPostgres lists the installed PostgreSQL servers, the newest first; one named by the environment variable
// FOREBAY_POSTGRES_BIN (a folder) goes before all others, and may lie in the sid tree. With none found the error wraps
// ErrNotInstalled.
func FindPostgres() ([]Install, error) {
	var found []Install
	seen := map[string]bool{}
	add := func(dir string) {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || seen[real] {
			return
		}
		seen[real] = true
		if in, err := probePostgres(dir, ""); err == nil {
			found = append(found, in)
		}
	}
	for _, pattern := range postgresPlaces {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			add(dir)
		}
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		add(filepath.Dir(p))
	}
	sortNewestFirst(found)

	if dir := os.Getenv("FOREBAY_POSTGRES_BIN"); dir != "" {
		chroot := ""
		if tree, err := SidTree(); err == nil && strings.HasPrefix(dir, tree+"/") {
			dir, chroot = strings.TrimPrefix(dir, tree), tree
		}
		in, err := probePostgres(dir, chroot)
		if err != nil {
			return nil, fmt.Errorf("FOREBAY_POSTGRES_BIN: %w", err)
		}
		found = slices.DeleteFunc(found, func(i Install) bool { return i.BinDir == in.BinDir && i.Chroot == in.Chroot })
		found = slices.Insert(found, 0, in)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("PostgreSQL: %w: run scripts/install-servers postgresql, or install the package yourself "+
			"(Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; "+
			"macOS: brew install postgresql), or name its folder in FOREBAY_POSTGRES_BIN", ErrNotInstalled)
	}
	return found, nil
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// probePostgres asks the server program in dir, seen from inside chroot if that is set, for its version.
func probePostgres(dir, chroot string) (Install, error) {
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(chroot, dir, name)); err != nil {
			return Install{}, fmt.Errorf("PostgreSQL: %w: %w", ErrNotInstalled, err)
		}
	}
	cmd := exec.Command(filepath.Join(dir, "postgres"), "--version")
	if chroot != "" {
		cmd.Dir, cmd.SysProcAttr = "/", chrootAttr(chroot)
		cmd.Err = nil // the program is looked up inside the chroot, not here
	}
	out, err := cmd.Output()
	if err != nil {
		return Install{}, fmt.Errorf("ask %s for its version: %w", cmd.Path, err)
	}
	m := versionPattern.FindStringSubmatch(string(out))
	if m == nil {
		return Install{}, fmt.Errorf("%s --version answers %q", cmd.Path, strings.TrimSpace(string(out)))
	}
	major, err := strconv.Atoi(m[2])
	if err != nil {
		return Install{}, fmt.Errorf("%s --version: %w", cmd.Path, err)
	}
	return Install{Version: m[1], Major: major, BinDir: dir, Chroot: chroot}, nil
}

var numberPattern = regexp.MustCompile(`\d+`)

// compareVersions orders two versions by their numbers, so that 9.6 comes before 15.1 and 15.9 before 15.14.
func compareVersions(a, b string) int {
	an, bn := numberPattern.FindAllString(a, -1), numberPattern.FindAllString(b, -1)
	for i := range min(len(an), len(bn)) {
		x, _ := strconv.Atoi(an[i])
		y, _ := strconv.Atoi(bn[i])
		if x != y {
			return x - y
		}
	}
	return len(an) - len(bn)
}
