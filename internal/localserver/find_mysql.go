package localserver

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

var mysqlKind = kind{
	name:     "MariaDB or MySQL",
	variable: "FOREBAY_MYSQL_BIN",
	places: []string{
		"/usr/sbin",                      // Debian, Ubuntu, MySQL's own packages
		"/usr/libexec",                   // Fedora, RHEL
		"/usr/bin",                       // Alpine, Arch
		"/opt/homebrew/opt/mariadb*/bin", // Homebrew, Apple silicon
		"/opt/homebrew/opt/mysql*/bin",
		"/usr/local/opt/mariadb*/bin", // Homebrew, Intel
		"/usr/local/opt/mysql*/bin",
		"/usr/local/mysql*/bin", // archives, MySQL's installer for macOS
		"/opt/mysql*/bin",
		"/opt/mariadb*/bin",
	},
	treePlaces: []string{"usr/sbin", "opt/*/usr/sbin"},
	programs:   mysqlPrograms,
	install: "run scripts/install-servers mariadb, or install the package yourself (Debian, Ubuntu: apt-get install " +
		"mariadb-server; Fedora: dnf install mariadb-server; macOS: brew install mariadb)",
	probe: probeMySQL,
	habits: habits{
		folder:  "forebay-my-",
		socket:  mysqlSocket,
		pidFile: mysqlPIDFile,
		users:   []string{"mysql", "nobody"},
		stop:    []syscall.Signal{syscall.SIGTERM},
		orphan:  syscall.SIGKILL, // the server is one process, and has no other word for "at once"
	},
}

// mysqlPrograms are the names of the server, the newer first. MariaDB has the second as a link, or alone.
var mysqlPrograms = []string{"mariadbd", "mysqld"}

// mysqlVersion fits "mariadbd  Ver 11.8.9-MariaDB-4 from Debian for ..." and "mysqld  Ver 9.7.4-2 for Linux on ...".
var mysqlVersion = regexp.MustCompile(`Ver ((\d+)\.(\d+)\.\d+)(\S*-MariaDB)?`)

// probeMySQL asks the server program in dir, seen from inside chroot if that is set, for its version.
func probeMySQL(dir, chroot string) (Install, error) {
	program, err := mysqlProgram(dir, chroot)
	if err != nil {
		return Install{}, err
	}
	m, err := askVersion(program, chroot, mysqlVersion)
	if err != nil {
		return Install{}, err
	}
	in := Install{Product: ProductMySQL, Version: m[1], BinDir: dir, Chroot: chroot}
	if m[4] != "" {
		in.Product = ProductMariaDB
	}
	var err1, err2 error
	in.Major, err1 = strconv.Atoi(m[2])
	in.Minor, err2 = strconv.Atoi(m[3])
	if err1 != nil || err2 != nil {
		return Install{}, fmt.Errorf("%s --version answers the version %s", program, m[1])
	}
	return in, nil
}

// mysqlProgram returns the path of the server program in dir, as seen from inside chroot.
func mysqlProgram(dir, chroot string) (string, error) {
	var missing error
	for _, name := range mysqlPrograms {
		if _, missing = os.Stat(filepath.Join(chroot, dir, name)); missing == nil {
			return filepath.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("MariaDB or MySQL: %w: %w", ErrNotInstalled, missing)
}
