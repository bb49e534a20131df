package etcd

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"forebay/internal/cluster"
	"forebay/internal/testkit/testlog"

	"go.uber.org/zap"
)

// TestQuiet: what etcd says of every member is for debugging, and the same from another cause is not.
func TestQuiet(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	lg := zap.New(quiet{zapTo(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))})
	young := errors.New("cannot detect storage schema version: missing term information")
	for _, say := range []func(){
		func() { lg.Warn("simple token is not cryptographically signed") },
		func() {
			lg.Warn("Running http and grpc server on single port. This is not recommended for production.")
		},
		func() {
			lg.Warn("8e9e cannot campaign at term 2 since there are still pending configuration changes to apply")
		},
		func() { lg.Warn("Failed to detect schema version", zap.Error(young)) },
		func() {
			lg.Named("x").With(zap.Int("n", 1)).Error("failed to update storage version", zap.Error(young))
		},
	} {
		out.Reset()
		if say(); !strings.Contains(out.String(), "level=DEBUG") || !strings.Contains(out.String(), "meaningless=") {
			t.Errorf("said as %s", out.String())
		}
	}
	for want, say := range map[string]func(){
		"level=ERROR": func() { lg.Error("failed to update storage version", zap.Error(errors.New("disk quota exceeded"))) },
		"level=WARN":  func() { lg.Warn("slow fdatasync") },
	} {
		out.Reset()
		if say(); !strings.Contains(out.String(), want) || strings.Contains(out.String(), "meaningless") {
			t.Errorf("said as %s, want %s", out.String(), want)
		}
	}
}

// TestFirstStartIsQuiet: nobody who starts Forebay for the first time is told of trouble that is none.
func TestFirstStartIsQuiet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		var out testlog.Buffer
		s, err := Embed(t.Context(), dir, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(t.Context(), cluster.Txn{Ops: []cluster.Op{{Key: "/k"}}}); err != nil {
			t.Error(err)
		}
		if said := out.String(); said != "" {
			t.Errorf("the log:\n%s", said)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFatal: where zap would end the process, a goroutine ends, and the Store knows why.
func TestFatal(t *testing.T) {
	t.Parallel()
	var out testlog.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	end := newFatal(log)
	lg := zap.New(quiet{zapTo(log)}, zap.WithFatalHook(end))
	cause := errors.New("no space left on device")
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			lg.Fatal("failed to save", zap.Error(cause))
			t.Error("it goes on")
		})
	}
	all.Wait()
	if err := end.failed(); !errors.Is(err, ErrFailed) || !errors.Is(err, cause) || !strings.Contains(err.Error(), "failed to save") {
		t.Errorf("got %v", err)
	}
	if n := strings.Count(out.String(), "takes no changes any more"); n != 1 {
		t.Errorf("said %d times:\n%s", n, out.String())
	}
	if err := (*fatal)(nil).failed(); err != nil {
		t.Errorf("a member elsewhere: %v", err)
	}
}
