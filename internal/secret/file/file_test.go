package file_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"forebay/internal/secret/file"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

const one, two = `{"username":"app","password":"hunter2-1"}`, `{"username":"app","password":"hunter2-2"}`

// TestRotation goes through the ways in which a secret's file changes. All writes fall within one tick of many file
// systems' clocks, and the contents are equally long.
func TestRotation(t *testing.T) {
	t.Parallel()
	path, log := filepath.Join(t.TempDir(), "s.json"), &logged{}
	store := file.New(path, slog.New(slog.NewTextHandler(log, nil)))
	want := func(password string) string {
		t.Helper()
		s, err := store.Get(t.Context(), "s")
		if err != nil || s.Password.Reveal() != password || s.Username != "app" {
			t.Fatalf("Get = %v (%s), %v; want %s", s, s.Password.Reveal(), err, password)
		}
		return s.Version
	}

	if _, err := store.Get(t.Context(), "s"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v, want fs.ErrNotExist", err)
	}
	write(t, path, one, 0o600)
	first := want("hunter2-1")
	write(t, path, two, 0o600)
	if second := want("hunter2-2"); second == first {
		t.Error("the version did not change with the content")
	}

	write(t, path, two[:20], 0o600) // half of a write in place
	want("hunter2-2")
	want("hunter2-2")
	if n := log.count("previous one stays"); n != 1 {
		t.Errorf("a broken content was reported %d times, want 1", n)
	}

	next := path + ".next"
	write(t, next, one, 0o600)
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	if again := want("hunter2-1"); again != first {
		t.Error("the first content has another version than before")
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), "s"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("file taken away: got %v, want fs.ErrNotExist", err)
	}
	if log.count("hunter2") > 0 {
		t.Error("a password is in the log")
	}
}

func TestLoosePermissionsAreSaidOnce(t *testing.T) {
	t.Parallel()
	path, log := filepath.Join(t.TempDir(), "s.json"), &logged{}
	store := file.New(path, slog.New(slog.NewTextHandler(log, nil)))
	write(t, path, one, 0o640)
	for range 3 {
		if _, err := store.Get(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
	}
	if n := log.count("open to other users"); n != 1 {
		t.Errorf("said %d times, want once", n)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	write(t, broken, "hunter2", 0o600)
	pipe := filepath.Join(dir, "pipe") // which nobody writes to
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, broken, pipe} {
		_, err := file.New(path, slog.New(slog.DiscardHandler)).Get(t.Context(), "s")
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got error %v, want one that names the file and not its content", path, err)
		}
	}
}
