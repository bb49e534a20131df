package localserver

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user a server runs as. The zero account means: the user we are.
type account struct {
	credential *syscall.Credential // nil: do not switch
}

// serverAccount picks the account for a server: ourselves, unless we are root, which database servers refuse. Then it
// is the first of the named users that the password file under chroot knows.
func serverAccount(chroot string, names []string) (account, error) {
	if os.Geteuid() != 0 {
		if chroot != "" {
			return account{}, errors.New("a server inside a chroot can only be started by root")
		}
		return account{}, nil
	}
	users, err := readPasswd(filepath.Join(chroot, "/etc/passwd"))
	if err != nil {
		return account{}, err
	}
	for _, name := range names {
		if c, ok := users[name]; ok && c.Uid != 0 {
			return account{credential: &c}, nil
		}
	}
	return account{}, fmt.Errorf("running as root, and there is no user %s to run the server as", strings.Join(names, " or "))
}

// readPasswd reads user and group identifiers. The file is read directly because os/user looks only at the
// system's own, not at the one inside a chroot.
func readPasswd(path string) (map[string]syscall.Credential, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("look for an unprivileged account: %w", err)
	}
	defer f.Close()
	users := map[string]syscall.Credential{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		field := strings.Split(sc.Text(), ":")
		if len(field) < 4 {
			continue
		}
		uid, err1 := strconv.ParseUint(field[2], 10, 32)
		gid, err2 := strconv.ParseUint(field[3], 10, 32)
		if err1 == nil && err2 == nil {
			users[field[0]] = syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return users, nil
}

// own hands path, and all that is in it, to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return filepath.WalkDir(path, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, int(a.credential.Uid), int(a.credential.Gid))
	})
}

// reaches reports whether the account can enter dir, which matters for root with a private TMPDIR.
func (a account) reaches(dir string) bool {
	if a.credential == nil {
		return true
	}
	for {
		st, err := os.Stat(dir)
		if err != nil || st.Mode().Perm()&0o001 == 0 {
			return false
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return true
	}
}
