package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/config"
)

// TestReadme feeds the README's configuration to the loader: the first file that a person writes must be right.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```yaml\n")
	sample, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("the README has no YAML sample")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"forebay.yaml":    sample,
		"orders-app.json": `{"username": "orders", "password": "not-a-real-one"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "forebay.yaml"))
	if err != nil {
		t.Fatalf("the README's sample:\n%s\n%v", sample, err)
	}
	if got := c.Snapshot.Proxies[0].Pool.MaxConnectionsPercent; got != 80 {
		t.Errorf("max_connections_percent = %d, want 80", got)
	}
}
