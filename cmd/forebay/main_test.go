package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("log: {level: loud}\nloop: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args   []string
		code   int
		out    string // part of standard output
		errOut string // part of standard error
	}{
		{[]string{"check", "--config", "../../examples/forebay.yaml"}, 0, "ok\n", ""},
		{[]string{"check", "-c", broken}, 2, "", broken + ":1: log.level: expected one of debug, info, warn, error, got \"loud\"\n"},
		{[]string{"check", "-c", broken}, 2, "", broken + ":2: loop: unknown key (did you mean loops?)"},
		{[]string{"serve", "-c", broken}, 2, "", broken + ":1: log.level: "},
		{[]string{"serve", "-c", broken + ".none"}, 2, "", "can be read: no such file or directory"},
		{[]string{"check", "--confg", "x"}, 2, "", "unknown flag: --confg"},
		{[]string{"check", "superfluous"}, 2, "", "unknown command"},
		{[]string{"sreve"}, 2, "", "unknown command \"sreve\""},
		{[]string{"version"}, 0, "forebay ", ""},
		{[]string{"--help"}, 0, "serve", ""},
		{[]string{"storm", "--help"}, 0, "storm", ""},
		{[]string{"completion", "bash"}, 0, "bash completion", ""},
		{[]string{"completion", "zsh"}, 0, "#compdef forebay", ""},
		{[]string{"completion", "fish"}, 0, "fish completion", ""},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args[:1], " "), func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			code := run(t.Context(), tt.args, &out, &errOut)
			if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errOut.String(), tt.errOut) {
				t.Errorf("%q: exit code %d, output %q, error output %q; want %d, %q, %q",
					tt.args, code, out.String(), errOut.String(), tt.code, tt.out, tt.errOut)
			}
			if code != 0 && out.Len() > 0 || code == 0 && errOut.Len() > 0 {
				t.Errorf("%q: the wrong stream was used: output %q, error output %q", tt.args, out.String(), errOut.String())
			}
		})
	}
}
