package env_test

import (
	"strings"
	"testing"

	"forebay/internal/secret/env"
)

func TestGet(t *testing.T) {
	t.Parallel()
	value := map[string]string{"GOOD": `{"username":"app","password":"hunter2"}`, "BAD": "hunter2"}
	lookup := func(name string) (string, bool) { v, ok := value[name]; return v, ok }
	if s, err := env.New("GOOD", lookup).Get(t.Context(), "s"); err != nil || s.Username != "app" || s.Password.Reveal() != "hunter2" {
		t.Errorf("GOOD: %v, %v", s, err)
	}
	for _, name := range []string{"BAD", "UNSET"} {
		_, err := env.New(name, lookup).Get(t.Context(), "s")
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got error %v, want one that names the variable and not its value", name, err)
		}
	}
}
