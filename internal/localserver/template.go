package localserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// templateFormat changes when the options of initdb change, so that an older cached template is not used.
const templateFormat = "1"

// passwordFile lies beside the data directory of a template and holds the password of its superuser. Each instance
// replaces that password by one of its own before anybody hears of its port.
const passwordFile = "password"

// makeDataDir fills base with a data directory "data" as initdb makes it and returns the superuser's password. A
// cached copy is used where there is one, since initdb takes seconds of CPU time.
func makeDataDir(ctx context.Context, in Install, a account, chroot, base string) (password string, err error) {
	cache := cacheDir(in, chroot)
	data := filepath.Join(base, "data")
	if cache != "" {
		password, err := os.ReadFile(filepath.Join(cache, passwordFile))
		if err == nil {
			if err := copyTree(filepath.Join(cache, "data"), data); err != nil {
				return "", fmt.Errorf("copy the cached data directory %s: %w", cache, err)
			}
			return string(password), nil
		}
	}
	secret := RandomWord(24)
	if err := runInitdb(ctx, in, a, chroot, base, secret); err != nil {
		return "", err
	}
	if cache != "" {
		// Only speed is lost without the cache: a full disk or a read-only home is no reason to fail here.
		_ = saveTemplate(cache, data, secret)
	}
	return secret, nil
}

// cacheRoot is the folder for heavy things that can be made again, "" where there is no place for one. The Makefile and
// the scripts use the same.
func cacheRoot() string {
	if root := os.Getenv("FOREBAY_CACHE"); root != "" {
		return root
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "forebay")
}

// cacheDir is where the template for this installation belongs; "" where there is no place for one.
func cacheDir(in Install, chroot string) string {
	root := cacheRoot()
	if root == "" {
		return ""
	}
	kind := "system"
	if chroot != "" {
		kind = "chroot" // another libc may order text differently
	}
	return filepath.Join(root, fmt.Sprintf("postgres-template-%s-%s-%s", templateFormat, in.Version, kind))
}

// runInitdb makes base/data.
func runInitdb(ctx context.Context, in Install, a account, chroot, base, password string) error {
	pwfile := filepath.Join(base, "initdb.password")
	if err := os.WriteFile(pwfile, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(pwfile)
	if err := a.own(pwfile); err != nil {
		return err
	}
	inside := func(p string) string { return strings.TrimPrefix(p, chroot) }
	args := []string{
		"--pgdata=" + inside(filepath.Join(base, "data")),
		"--username=postgres", "--pwfile=" + inside(pwfile), "--auth=scram-sha-256",
		"--encoding=UTF8", "--no-locale", "--no-sync",
	}
	if in.Major >= 11 {
		args = append(args, "--wal-segsize=1") // MiB; a copy is then 15 MiB smaller
	}
	cmd := exec.CommandContext(ctx, filepath.Join(in.BinDir, "initdb"), args...)
	cmd.Env, cmd.Dir = serverEnv(), inside(base)
	cmd.SysProcAttr = serverAttr(a, chroot)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, tail(out))
	}
	return nil
}

// saveTemplate puts a copy of data into the cache. It appears there at once and complete, and the first of several
// processes that save the same template wins.
func saveTemplate(cache, data, password string) error {
	if err := os.MkdirAll(filepath.Dir(cache), 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(cache), "making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := copyTree(data, filepath.Join(tmp, "data")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, passwordFile), []byte(password), 0o600); err != nil {
		return err
	}
	if err := os.Rename(tmp, cache); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// copyTree copies folders and plain files with their permissions. There is nothing else in a new data directory.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.Mkdir(dst, st.Mode().Perm())
		case d.Type().IsRegular():
			return copyFile(p, dst, st.Mode().Perm())
		}
		return fmt.Errorf("%s is neither a folder nor a plain file", p)
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}

// serverEnv is a server's environment: ours has variables such as PGDATA and LC_ALL that would change what it does.
func serverEnv() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// tail returns the end of a program's output, for an error message.
func tail(b []byte) string {
	const most = 2000 // bytes
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return strings.TrimSpace(string(b))
}
