// Package vault has Forebay read secrets from a real OpenBao or Vault, and have its users made by one. Without such a program, which
// FOREBAY_TEST_VAULT may name, the tests are skipped.
package vault

import (
	"testing"

	"forebay/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
