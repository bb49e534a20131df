package dataplane_test

import (
	"testing"
	"time"

	"forebay/internal/resource"
)

// doubtedSecrets has a secret for everybody, and says which are doubted.
type doubtedSecrets struct {
	toySecrets
	doubted chan string
}

// Doubt implements secret.Doubter.
func (s doubtedSecrets) Doubt(name, _ string) {
	select {
	case s.doubted <- name:
	default:
	}
}

// TestMonitorSecretDoubted checks that a monitor whose password is refused has the secret looked at anew: where nobody else uses it,
// nobody else would.
func TestMonitorSecretDoubted(t *testing.T) {
	t.Parallel()
	secrets := doubtedSecrets{doubted: make(chan string, 1)}
	c := newToyClusterBy(t, toyOptions{secrets: secrets, change: func(p *resource.Proxy) { p.Target.Monitor.Secret = "watcher" }}, writer(1))
	c.dbs[0].blind.Store(true)
	select {
	case name := <-secrets.doubted:
		if name != "watcher" {
			t.Errorf("the secret %s is doubted", name)
		}
	case <-time.After(toyLimit):
		t.Fatal("no secret is doubted")
	}
}
