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

// templateFormat changes when the way in which data directories are made does, so that an older cached template is not used.
const templateFormat = "1"

// passwordFile lies beside the data directory of a template and holds the password of its superuser. Each instance
// replaces that password by one of its own before anybody hears of its port.
const passwordFile = "password"

// makeDataDir fills the instance's folder "data" and returns the superuser's password. A cached copy is used where there
// is one, since initialise, which makes the folder, takes seconds of CPU time.
func (i *instance) makeDataDir(initialise func(password string) error) (password string, err error) {
	cache, data := templateDir(i.install), i.path("data")
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
	if err := initialise(secret); err != nil {
		return "", err
	}
	if cache != "" {
		// Only speed is lost without the cache: a full disk or a read-only home is no reason to fail here.
		_ = saveTemplate(cache, data, secret)
	}
	return secret, nil
}

// runTool runs a program that makes the data directory, as the server's account.
func (i *instance) runTool(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = serverEnv(), i.inside(i.base)
	cmd.SysProcAttr = serverAttr(i.account, i.install)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, tail(out))
	}
	return nil
}

// CacheRoot is the folder for heavy things that can be made again, "" where there is no place for one. The Makefile and
// the scripts use the same.
func CacheRoot() string {
	if root := os.Getenv("FOREBAY_CACHE"); root != "" {
		return root
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "forebay")
}

// templateDir is where the template for this installation belongs; "" where there is no place for one.
func templateDir(in Install) string {
	root := CacheRoot()
	if root == "" {
		return ""
	}
	kind := "system"
	if in.Chroot != "" {
		kind = "chroot" // another libc may order text differently
	}
	return filepath.Join(root, fmt.Sprintf("%s-template-%s-%s-%s", strings.ToLower(in.Product), templateFormat, in.Version, kind))
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
