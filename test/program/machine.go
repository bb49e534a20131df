//go:build linux

package program

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Machine says when and on what this is measured.
func Machine() string {
	return fmt.Sprintf("%s, %d processors (%s), %s", time.Now().UTC().Format("2006-01-02 15:04 MST"), runtime.NumCPU(), processor(), kernel())
}

func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "Linux"
	}
	return "Linux " + strings.TrimSpace(string(b))
}

// Look finds a program, in the folders of services too.
func Look(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: run scripts/install-servers %s", name, name)
}

// FirstLine runs a program for its version.
func FirstLine(cmd *exec.Cmd) string {
	out, err := cmd.Output()
	if err != nil {
		return "version unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// ReplaceGenerated puts text between two marks in a markdown file.
func ReplaceGenerated(path, begin, end, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(old, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("%s: the marks of the generated part are missing: %s", path, strings.TrimSpace(begin))
	}
	return os.WriteFile(path, slices.Concat(head, []byte(begin), []byte("\n"+text+"\n"), []byte(end), tail), 0o644)
}
