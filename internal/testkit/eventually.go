package testkit

import (
	"testing"
	"time"
)

// patience is how long Eventually waits. On a machine with much else to do, little happens soon, and a real Vault has leases of minutes.
const patience = 5 * time.Minute

// Eventually waits until something is so; that it never is fails the test.
func Eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}
