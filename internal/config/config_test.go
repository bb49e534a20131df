package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/config"
	"forebay/internal/resource"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// environment is what the samples may refer to.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"REPORTS_SECRET": `{"username": "reports", "password": "from-the-environment", "host": "ignored"}`,
		"BROKEN_SECRET":  `username=reports`,
		"UPPER_SECRET":   `{"USERNAME": "reports", "password": "x"}`,
	}[name]
	return v, ok
}

func samples(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples %s: %v", pattern, err)
	}
	return files
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it anew):\n%s", path, diff)
	}
}

// TestValid checks what each valid sample means, defaults included.
func TestValid(t *testing.T) {
	t.Parallel()
	for _, path := range samples(t, "testdata/valid/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			cfg, err := config.LoadEnv(path, environment)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(cfg, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".json", string(got)+"\n")
		})
	}
}

// TestBroken checks that each broken sample is refused with the messages that stand beside it.
func TestBroken(t *testing.T) {
	t.Parallel()
	for _, path := range samples(t, "testdata/broken/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			cfg, err := config.LoadEnv(path, environment)
			if err == nil {
				t.Fatalf("no error; got %+v", cfg)
			}
			var all config.Errors
			if !errors.Is(err, config.ErrInvalid) || !errors.As(err, &all) {
				t.Errorf("got a %T, want Errors", err)
			}
			for _, e := range all {
				if e.Line < 1 || e.File != path {
					t.Errorf("error without a place: %+v", e)
				}
			}
			for _, secret := range []string{"hunter2", "from-the-environment", "username=reports"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("an error quotes a secret: %v", err)
				}
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"testdata/none.yaml", "testdata"} {
		_, err := config.Load(path)
		if !errors.Is(err, config.ErrInvalid) || !strings.HasPrefix(err.Error(), path+": expected a configuration file that can be read: ") {
			t.Errorf("Load(%q): got %v", path, err)
		}
	}
}

// TestExample checks the file that people start from.
func TestExample(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load("../../examples/forebay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Snapshot.Proxies[0].Pool.MaxConnectionsPercent; got != 80 {
		t.Errorf("max_connections_percent = %d, want 80", got)
	}
}

// TestDefaults checks the contract's defaults (its sections 3.1 to 3.4) in plain numbers.
func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := config.LoadEnv("testdata/valid/minimal.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Snapshot.Proxies[0]
	want := resource.ConnectionPoolConfig{
		MaxConnectionsPercent:     100,
		MaxIdleConnectionsPercent: 50,
		ConnectionBorrowTimeout:   120 * time.Second,
		ReservedConnections:       3,
		IdleTimeout:               5 * time.Minute,
		Lifetime:                  24 * time.Hour,
		MaxPreparedStatements:     200,
		MaxWaiting:                10000,
		RoutineScanInterval:       30 * time.Second,
	}
	if diff := cmp.Diff(want, p.Pool); diff != "" {
		t.Errorf("pool (-want +got):\n%s", diff)
	}
	if p.IdleClientTimeout != 1800*time.Second || p.ClientLifetime != 24*time.Hour || p.RequireTLS ||
		p.Auth[0].ClientPasswordAuthType != resource.PostgresSCRAM || cfg.Log.Level != slog.LevelInfo {
		t.Errorf("defaults differ from the contract's: %+v", p)
	}
}

// FuzzLoad checks that no file makes Load panic, and that what it refuses has a message.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/valid/*.yaml", "testdata/broken/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	path := filepath.Join(f.TempDir(), "f.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.LoadEnv(path, environment); err != nil && err.Error() == "" {
			t.Errorf("%q: an error without a message", data)
		}
	})
}
