package etcd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDiskFull fills the disk below a member: it refuses changes with the reason, and the process lives. A start on the full
// disk says why it cannot be, be there a state or none. Once there is room
// again, a restart has everything that was said to be written. Each start is a process of its own, as what a member that has
// failed has locked stays so until its process ends.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=150m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	startIn := func(as, dir string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), as+"="+dir)
		cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGQUIT) } // it says where it hangs
		cmd.WaitDelay = 5 * time.Second
		out, err := cmd.CombinedOutput()
		if ctx.Err() != nil {
			t.Fatalf("%s: %v\n%s", as, err, out)
		}
		return string(out)
	}

	start := func(as string) string { t.Helper(); return startIn(as, dir) }
	said := start(filled)
	var written int
	_, report, _ := strings.Cut(said, "WRITTEN ")
	if _, err := fmt.Sscanf(report, "%d", &written); err != nil || written == 0 {
		t.Fatalf("the member that fills the disk says\n%s", said)
	}
	for _, want := range []string{"the change: ErrFailed", "a change after that: ErrFailed", "a read after that: ErrFailed", "Writable: ErrFailed", "Close: ErrFailed"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}
	if want := "the state takes no changes any more until Forebay is started again"; strings.Count(said, want) != 1 || !strings.Contains(said, "no space left on device") {
		t.Errorf("the log does not say once %q, and why:\n%s", want, said)
	}
	// To the last byte. What a state has set aside before may have room for a start, and even for a change.
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	for err == nil {
		_, err = f.Write(make([]byte, 1<<16))
	}
	f.Close()
	reason := func(said string) bool {
		lines := strings.Split(strings.TrimSpace(said), "\n")
		last := strings.TrimPrefix(lines[len(lines)-1], "COUNTED 0 ") // it may be there for a moment, before its first change fails
		return strings.HasPrefix(last, "etcd: ") && strings.HasSuffix(last, "no space left on device")
	}
	said = start(counted)
	var there int
	if _, report, _ := strings.Cut(said, "COUNTED "); report != "" {
		fmt.Sscanf(report, "%d", &there)
	}
	if !reason(said) && there < written {
		t.Errorf("a start on the full disk says\n%s", said)
	}
	if said := startIn(counted, filepath.Join(dir, "first")); !reason(said) {
		t.Errorf("a first start on the full disk says\n%s", said)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=600m"); err != nil {
		t.Fatal(err)
	}
	said = start(counted)
	there = 0
	_, report, _ = strings.Cut(said, "COUNTED ")
	if _, err := fmt.Sscanf(report, "%d", &there); err != nil || there < written {
		t.Errorf("with room again: %d of %d changes are there:\n%s", there, written, said)
	}
}
