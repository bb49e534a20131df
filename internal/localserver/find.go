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

// The products that this package can start.
const (
	ProductPostgres = "PostgreSQL"
	ProductMariaDB  = "MariaDB"
	ProductMySQL    = "MySQL"
	ProductPatroni  = "Patroni" // which runs PostgreSQL servers
)

// Install is one installed release of a database server.
type Install struct {
	Product string // such as ProductPostgres
	Version string // as the server prints it, such as "15.14", "18beta1" or "10.11.19"
	Major   int
	Minor   int    // MySQL and MariaDB: the second number of a release series, such as 11 of 10.11; PostgreSQL: 0
	BinDir  string // holds the server program; inside Chroot, if that is set
	Chroot  string // root of the tree that the programs run in (SidTree); "": this system
}

// String returns product and version, such as "MariaDB 10.11.19".
func (in Install) String() string { return in.Product + " " + in.Version }

// Series returns the release series: "15" for PostgreSQL, "10.11" for MariaDB and MySQL.
func (in Install) Series() string {
	if in.Product == ProductPostgres {
		return strconv.Itoa(in.Major)
	}
	return fmt.Sprintf("%d.%d", in.Major, in.Minor)
}

// AtLeast reports whether the release series is this one or newer.
func (in Install) AtLeast(major, minor int) bool {
	return in.Major > major || in.Major == major && in.Minor >= minor
}

// kind is what this package knows of servers that are found and started in the same way.
type kind struct {
	name       string // for errors
	variable   string // the environment variable that names a folder
	places     []string
	treePlaces []string // in the sid tree
	programs   []string // to look for on the PATH
	install    string   // what a person can do who has none
	probe      func(dir, chroot string) (Install, error)
	habits
}

func (in Install) kind() *kind {
	switch in.Product {
	case ProductPostgres:
		return &postgresKind
	case ProductPatroni:
		return &patroniKind
	}
	return &mysqlKind
}

func (in Install) habits() *habits { return &in.kind().habits }

// FindPostgres lists the installed PostgreSQL servers, the newest first; one named by the environment variable
// FOREBAY_POSTGRES_BIN (a folder) goes before all others, and may lie in the sid tree. With none found the error wraps
// ErrNotInstalled.
func FindPostgres() ([]Install, error) { return postgresKind.find() }

// FindMySQL lists the installed MariaDB and MySQL servers like FindPostgres. The variable is FOREBAY_MYSQL_BIN.
func FindMySQL() ([]Install, error) { return mysqlKind.find() }

func (k *kind) find() ([]Install, error) {
	var found []Install
	seen := map[string]bool{}
	add := func(dir string) {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || seen[real] {
			return
		}
		seen[real] = true
		if in, err := k.probe(dir, ""); err == nil {
			found = append(found, in)
		}
	}
	for _, pattern := range k.places {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			add(dir)
		}
	}
	for _, program := range k.programs {
		if p, err := exec.LookPath(program); err == nil {
			add(filepath.Dir(p))
		}
	}
	sortNewestFirst(found)

	if dir := os.Getenv(k.variable); dir != "" {
		chroot := ""
		if tree, err := SidTree(); err == nil && strings.HasPrefix(dir, tree+"/") {
			dir, chroot = strings.TrimPrefix(dir, tree), tree
		}
		in, err := k.probe(dir, chroot)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.variable, err)
		}
		found = slices.DeleteFunc(found, func(i Install) bool { return i.BinDir == in.BinDir && i.Chroot == in.Chroot })
		found = slices.Insert(found, 0, in)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w: %s, or name its folder in %s", k.name, ErrNotInstalled, k.install, k.variable)
	}
	return found, nil
}

// choose finds the release to start: the one in a folder, or else the newest, of a tree if chroot is set.
func (k *kind) choose(binDir, chroot string) (Install, error) {
	if chroot != "" {
		var err error
		if chroot, err = filepath.Abs(chroot); err != nil {
			return Install{}, err
		}
	}
	if binDir != "" {
		return k.probe(binDir, chroot)
	}
	find := k.find
	if chroot != "" {
		find = func() ([]Install, error) { return k.findInTree(chroot) }
	}
	all, err := find()
	if err != nil {
		return Install{}, err
	}
	return all[0], nil
}

// askVersion runs a server program with --version and takes the answer apart by pattern, whose first group is the version.
func askVersion(program, chroot string, pattern *regexp.Regexp) ([]string, error) {
	cmd := exec.Command(program, "--version")
	if chroot != "" {
		cmd.Dir, cmd.SysProcAttr = "/", chrootAttr(chroot)
		cmd.Err = nil // the program is looked up inside the chroot, not here
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	m := pattern.FindStringSubmatch(string(out))
	if m == nil {
		return nil, fmt.Errorf("%s --version answers %q", program, strings.TrimSpace(string(out)))
	}
	return m, nil
}

// sortNewestFirst sorts by product, MariaDB first, and by version.
func sortNewestFirst(in []Install) {
	slices.SortStableFunc(in, func(a, b Install) int {
		if a.Product != b.Product {
			return strings.Compare(a.Product, b.Product)
		}
		return compareVersions(b.Version, a.Version)
	})
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
