package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// suite is a copy of the module's sources with its tests.
type suite struct {
	skip    string
	alone   bool // subject.alone
	version string
	dir     string // all files of ours
	src     string // the module
	certs   string // its certificates, decoded; readable by the server's account
}

// copySuite copies the sources from the module cache, where they cannot be written to.
func copySuite(ctx context.Context, module string) (*suite, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
	if err != nil {
		return nil, fmt.Errorf("find the sources of %s: %w", module, err)
	}
	var m struct{ Version, Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, fmt.Errorf("find the sources of %s: %w", module, err)
	}
	dir, err := os.MkdirTemp("", "forebay-conformance-")
	if err != nil {
		return nil, err
	}
	s := &suite{version: m.Version, dir: dir, src: filepath.Join(dir, "src"), certs: filepath.Join(dir, "certs")}
	if err := s.fill(m.Dir); err != nil {
		s.remove()
		return nil, fmt.Errorf("copy the sources of %s: %w", module, err)
	}
	return s, nil
}

// fill copies the sources.
func (s *suite) fill(from string) error {
	if err := os.Chmod(s.dir, 0o755); err != nil { // the server's account reads the CA certificate
		return err
	}
	if err := os.CopyFS(s.src, os.DirFS(from)); err != nil {
		return err
	}
	if err := filepath.WalkDir(s.src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	}); err != nil {
		return err
	}
	return nil
}

// decodeCertificates decodes those of pgx's suite.
func (s *suite) decodeCertificates() error {
	if err := os.Mkdir(s.certs, 0o755); err != nil {
		return err
	}
	coded, err := filepath.Glob(filepath.Join(s.src, "testsetup", "certs", "*.b64"))
	if err != nil {
		return err
	}
	for _, name := range coded {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(b)), ""))
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		mode := os.FileMode(0o644)
		if strings.Contains(name, ".key.") {
			mode = 0o600
		}
		if err := os.WriteFile(filepath.Join(s.certs, strings.TrimSuffix(filepath.Base(name), ".b64")), plain, mode); err != nil {
			return err
		}
	}
	return nil
}

// cert names a file of the suite's certificates.
func (s *suite) cert(name string) string { return filepath.Join(s.certs, name) }

func (s *suite) remove() { os.RemoveAll(s.dir) }

// packageLimit is how long the tests of one package may take.
const packageLimit = "5m"

// test runs tests and collects their results. Tests that fail are no error.
func (s *suite) test(ctx context.Context, env []string, run string, packages []string) (*results, error) {
	if s.alone {
		return s.testAlone(ctx, env, run, packages)
	}
	args := []string{"test", "-json", "-count=1", "-vet=off", "-timeout=" + packageLimit}
	if run != "" {
		args = append(args, "-run="+run)
	}
	if s.skip != "" {
		args = append(args, "-skip="+s.skip)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = s.src
	// The suite has its own requirements; a workspace or a vendor folder of ours must not matter.
	cmd.Env = append(append(cleanEnv(), "GOWORK=off", "GOFLAGS="), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("go test: %w", err)
	}
	r, readErr := readResults(out)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case readErr != nil:
		return nil, fmt.Errorf("go test: read its output: %w", readErr)
	case len(r.tests) == 0:
		return nil, fmt.Errorf("go test: no test has run (%v): %s%s", err, stderr.String(), strings.Join(r.builds, ""))
	case len(r.builds) > 0:
		return nil, fmt.Errorf("go test: a package does not build: %s", strings.Join(r.builds, ""))
	}
	return r, nil
}

// testLimit is how long a test may take that has a process of its own.
const testLimit = "30s"

// testAlone is test with a process for each test.
func (s *suite) testAlone(ctx context.Context, env []string, run string, packages []string) (*results, error) {
	all := newResults()
	if run == "" {
		run = "."
	}
	for _, pkg := range packages {
		bin := filepath.Join(s.dir, "suite.test")
		command := func(name string, args ...string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.Dir = s.src
			cmd.Env = append(append(cleanEnv(), "GOWORK=off", "GOFLAGS="), env...)
			return cmd
		}
		if out, err := command("go", "test", "-c", "-vet=off", "-o", bin, pkg).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go test -c: %w: %s", err, out)
		}
		// A package is named by its folder, or by its import path where tests are tried again.
		found, err := command("go", "list", "-f", "{{.Dir}}\n{{.ImportPath}}", pkg).Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		dir, name, _ := strings.Cut(strings.TrimSpace(string(found)), "\n")
		list, err := command(bin, "-test.list", run).Output()
		if err != nil {
			return nil, fmt.Errorf("list the tests of %s: %w", pkg, err)
		}
		for _, test := range strings.Fields(string(list)) {
			if !strings.HasPrefix(test, "Test") {
				continue // examples have no server
			}
			// A test that fails is no error, nor is one that crashes: it is seen not to have ended.
			one := command("go", "tool", "test2json", "-p", name,
				bin, "-test.v=test2json", "-test.run=^"+test+"$", "-test.timeout="+testLimit)
			one.Dir = dir // as go test does it: tests read files
			out, _ := one.Output()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			r, err := readResults(bytes.NewReader(out))
			if err != nil {
				return nil, err
			}
			all.add(r)
		}
	}
	if len(all.tests) == 0 {
		return nil, errors.New("no test has run")
	}
	return all, nil
}

// cleanEnv is our environment without what would steer a client.
func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PG") && !strings.HasPrefix(e, "MYSQL") && !strings.HasPrefix(e, "SQLSERVER") && !strings.HasPrefix(e, "FOREBAY_TEST_SQLSERVER") {
			env = append(env, e)
		}
	}
	return env
}
