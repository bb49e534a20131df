package api

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/sigv4"
)

// cli is the AWS CLI with somebody's key, pointed at a world.
type cli struct {
	t    *testing.T
	path string
	env  []string
}

func (w *world) cli(key sigv4.Credentials) cli {
	w.t.Helper()
	path, err := exec.LookPath("aws")
	if err != nil {
		w.t.Skip("needs the AWS CLI (aws): scripts/install-servers awscli")
	}
	return cli{w.t, path, w.env(key)}
}

// env has a tool of AWS's use Forebay with a key, and nothing of the machine's own settings.
func (w *world) env(key sigv4.Credentials) []string {
	env := []string{
		"AWS_ENDPOINT_URL=" + w.url(), "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretKey,
		"AWS_CONFIG_FILE=" + filepath.Join(w.dir, "no-config"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(w.dir, "no-credentials"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "NO_PROXY=*",
	}
	if key.SessionToken != "" {
		env = append(env, "AWS_SESSION_TOKEN="+key.SessionToken)
	}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") {
			env = append(env, e)
		}
	}
	return env
}

// text runs a command and returns what it prints.
func (c cli) text(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("aws %s: %v\n%s", strings.Join(args[:2], " "), err, out)
	}
	return strings.TrimSpace(out)
}

// json runs a command and reads its answer.
func (c cli) json(out any, args ...string) {
	c.t.Helper()
	text := c.text(append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(text), out); err != nil {
		c.t.Fatalf("aws %s: %v\n%s", strings.Join(args[:2], " "), err, text)
	}
}

// fails runs a command that must be refused with a code.
func (c cli) fails(code string, args ...string) {
	c.t.Helper()
	out, err := c.try(args...)
	if err == nil || !strings.Contains(out, "("+code+")") {
		c.t.Errorf("aws %s: %v, want %s\n%s", strings.Join(args[:2], " "), err, code, out)
	}
}

// try runs a command and returns what it printed: standard error only if it failed.
func (c cli) try(args ...string) (string, error) {
	return run(c.path, c.env, "", args...)
}

// run runs a program to its end, in a folder if there is one, and returns what it printed: on success, its standard
// output alone.
func run(path string, env []string, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, dir, time.Second
	var out, both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &both
	if err := cmd.Run(); err != nil {
		return out.String() + both.String(), err
	}
	return out.String(), nil
}
