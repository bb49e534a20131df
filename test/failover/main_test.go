package failover_test

import (
	"testing"

	"forebay/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
