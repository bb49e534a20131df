package memory_test

import (
	"testing"

	"forebay/internal/cluster"
	"forebay/internal/cluster/memory"
	"forebay/internal/cluster/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) cluster.Store { return memory.New() })
}
