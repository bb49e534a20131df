package engine

import (
	"testing"
	"time"
)

// A member that refuses a user for good says nothing of the others: neither that they do, nor, when they let the user in, that it
// will.
func TestRotationOfMembers(t *testing.T) {
	t.Parallel()
	var r Rotation
	if r.RefusedAt("a") {
		t.Error("a password that nobody has ever taken may pass")
	}
	r.SucceededAt("b")
	r.refused["a"] = time.Now().Add(-passwordGrace)
	if r.RefusedAt("a") {
		t.Error("a member that has refused the user for long")
	}
	if !r.RefusedAt("b") {
		t.Error("a member that has let the user in until now is given no time")
	}
	r.SucceededAt("b")
	if r.RefusedAt("a") {
		t.Error("the other one has let the user in, and that counts for the one that has not")
	}
	if r.SucceededAt("a"); !r.RefusedAt("a") {
		t.Error("a member that has let the user in until now is given no time")
	}
}
