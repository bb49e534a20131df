//go:build linux

package program

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime is the CPU time, user and system, that all threads of a process have used, those that ended included. It is
// the sum that /proc/PID/stat shows in ticks of 10 ms, without the rounding.
func CPUTime(pid int) (time.Duration, error) {
	const schedClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// ResidentKiB is the memory of a process that is in RAM.
func ResidentKiB(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid)) // exact, where status has per-processor leftovers
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "Rss:"); ok {
			return strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		}
	}
	return 0, fmt.Errorf("process %d: no Rss in smaps_rollup", pid)
}

// Load is the machine's load average over the last minute.
func Load() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(b), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return v
}

// CheckListeners makes sure that a process listens on a port, and that nobody else does: a proxy left over from another
// run would take half of the connections.
func CheckListeners(pid, port int) error {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return err
	}
	inodes := listeners(string(b), port)
	if len(inodes) == 0 {
		return fmt.Errorf("nobody listens on port %d", port)
	}
	own := map[string]bool{}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil {
			own[to] = true
		}
	}
	for _, i := range inodes {
		if !own["socket:["+i+"]"] {
			return fmt.Errorf("another process than %d listens on port %d too", pid, port)
		}
	}
	return nil
}

// listeners finds the inodes of the sockets that listen on a port in the text of /proc/net/tcp.
func listeners(table string, port int) (inodes []string) {
	const listening = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], suffix) {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}
