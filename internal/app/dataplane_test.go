package app_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"forebay/internal/config"
	"forebay/internal/dataplane"
)

// TestMostLoops checks that the configuration allows as many event loops as the data plane can have, and no more.
func TestMostLoops(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for n, valid := range map[int]bool{dataplane.MaxLoops: true, dataplane.MaxLoops + 1: false} {
		f.write(t, "loops.yaml", fmt.Sprintf("loops: %d%s", n, base))
		if _, err := config.Load(filepath.Join(f.dir, "loops.yaml")); (err == nil) != valid {
			t.Errorf("loops: %d: err %v; want valid = %t", n, err, valid)
		}
	}
}
