package dataplane

import (
	"errors"
	"strings"
	"testing"

	"forebay/internal/engine"
)

func TestUserHealth(t *testing.T) {
	t.Parallel()
	wrong, full := errors.New("wrong password"), errors.New("too many connections")
	key := func(user string, protocol uint64) engine.Key {
		return engine.Key{User: user, Database: "shop", Protocol: protocol}
	}
	for _, tt := range []struct {
		name string
		h    userHealth
		want string
	}{
		{"nobody was asked", userHealth{}, ""},
		{"one is let in", userHealth{key("app", 0): nil, key("old", 0): wrong}, ""},
		{"one is refused", userHealth{key("app", 0): wrong}, "user app, database shop: wrong password"},
		{"two are", userHealth{key("old", 0): full, key("app", 0): wrong}, "user app, database shop: wrong password; user old, database shop: too many connections"},
		{"once for all variants of the protocol", userHealth{key("app", 1): wrong, key("app", 2): wrong}, "user app, database shop: wrong password"},
	} {
		err := tt.h.refused()
		switch {
		case err == nil && tt.want != "", err != nil && err.Error() != tt.want:
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		case strings.Contains(tt.want, "password") && !errors.Is(err, wrong), strings.Contains(tt.want, "many") && !errors.Is(err, full):
			t.Errorf("%s: %v does not match its causes", tt.name, err)
		}
	}
	h := userHealth{key("app", 0): wrong, key("gone", 0): nil}
	h.keep(map[engine.Key]engine.Database{key("app", 0): struct{ engine.Database }{}})
	if len(h) != 1 || h.refused() == nil {
		t.Errorf("kept %v", h)
	}
}
