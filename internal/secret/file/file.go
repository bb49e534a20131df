// Package file keeps a secret in a file: the JSON object of AWS Secrets Manager, {"username": ..., "password": ...}.
package file

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"forebay/internal/secret"
)

// Store is the secret in one file. A change of the file is noticed at the next Get, so that a rotation needs no
// restart. It is safe for concurrent use.
type Store struct {
	// Static after New.
	path string
	log  *slog.Logger

	mu      sync.Mutex
	seen    os.FileInfo // of the content below; nil before the first read
	read    time.Time   // when it was read
	current secret.Secret
	broken  os.FileInfo // of a newer content that was refused and reported; nil: none
	warned  bool        // about who may read the file
}

// New returns the store of the file at path. It does not read the file: Get does.
func New(path string, log *slog.Logger) *Store { return &Store{path: path, log: log} }

// settled is how old a file's last change must be before an equal timestamp proves equal content: two writes within
// one tick of a file system's clock cannot be told apart.
const settled = 2 * time.Second

// Get implements secret.Store. While the file is unchanged it costs one stat. A file that has gone is an error at once. A
// content that cannot be used does not replace an earlier one, since it may be half of what is being written; that is
// said in the log, once for each such content.
func (s *Store) Get(_ context.Context, name string) (secret.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("secret %s: %w", name, err)
	}
	if s.seen == nil || s.current.Name != name || !unchanged(s.seen, info) || s.read.Sub(info.ModTime()) < settled {
		if err := s.readLocked(name); err != nil {
			return secret.Secret{}, fmt.Errorf("secret %s: %s: %w", name, s.path, err)
		}
	}
	return s.current, nil
}

// unchanged compares all that a writer cannot keep equal by accident: a rename in place gives another inode.
func unchanged(a, b os.FileInfo) bool {
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
}

func (s *Store) readLocked(name string) error {
	now := time.Now()
	f, err := os.OpenFile(s.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would keep us waiting for its writer
	if err != nil {
		return err
	}
	defer f.Close()
	// Of the file that was opened: the one that was looked at may have been replaced since.
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("expected a regular file, got %s", info.Mode().Type())
	}
	text, err := io.ReadAll(io.LimitReader(f, secret.MaxLen+1))
	if err != nil {
		return err
	}
	parsed, err := secret.Parse(name, text)
	if err != nil && s.seen != nil && s.current.Name == name {
		if s.broken == nil || !unchanged(s.broken, info) {
			s.broken = info
			s.log.Error("a secret's new content cannot be used; the previous one stays", "secret", name, "file", s.path, "err", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	s.broken = nil
	if s.seen != nil && s.current.Version != parsed.Version {
		s.log.Info("a secret has changed", "secret", name, "user", parsed.Username)
	}
	s.current, s.seen, s.read = parsed, info, now
	if open := info.Mode().Perm() & 0o077; open != 0 && !s.warned {
		s.warned = true
		s.log.Warn("a secret's file is open to other users of this machine", "secret", name, "file", s.path,
			"mode", info.Mode().Perm().String(), "fix", "chmod 600")
	}
	return nil
}
