package secret_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"forebay/internal/secret"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     string // part of the error; empty: none
	}{
		{"as in Secrets Manager", `{"username":"app","password":"p w","engine":"postgres","port":5432}`, ""},
		{"keys in another case", `{"Username":"app","password":"p w"}`, `"username"`},
		{"no password", `{"username":"app"}`, `"password"`},
		{"null", `{"username":"app","password":null}`, `"password"`},
		{"empty", `{"username":"","password":"p w"}`, `"username"`},
		{"number", `{"username":"app","password":12345}`, `"password"`},
		{"NUL", `{"username":"a\u0000b","password":"p w"}`, `"username"`},
		{"not an object", `["app","p w"]`, "JSON object"},
		{"null document", `null`, "JSON object"},
		{"torn", `{"username":"app","pass`, "breaks off at byte 23"},
		{"nothing", ``, "JSON object"},
		{"too long", strings.Repeat(" ", secret.MaxLen+1), "at most 65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := secret.Parse("s", []byte(tt.in))
			if tt.want == "" {
				if err != nil || got.Name != "s" || got.Username != "app" || got.Password.Reveal() != "p w" || got.Version == "" {
					t.Errorf("Parse(%q) = %v, %v", tt.in, got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%q): got error %v, want one with %q", tt.in, err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "p w") || strings.Contains(err.Error(), "12345")) {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	a := secret.Version("app", "one")
	if a != secret.Version("app", "one") {
		t.Error("equal content has two versions")
	}
	for _, other := range []string{secret.Version("app", "two"), secret.Version("appo", "ne"), secret.Version("ap", "pone")} {
		if other == a {
			t.Error("different content has one version")
		}
	}
}

func TestPasswordHides(t *testing.T) {
	t.Parallel()
	s := secret.Secret{Name: "n", Password: "hunter2", Previous: &secret.Previous{Password: "hunter2"}}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "secret", s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "secret", s)
	if all := log.String() + fmt.Sprintf("%v %+v %#v %s %q %+v %#v", s, s, s, s.Password, s.Password, s.Previous, s.Previous); strings.Contains(all, "hunter2") {
		t.Errorf("a password shows in %s", all)
	}
}

func TestPrevious(t *testing.T) {
	t.Parallel()
	s := secret.Secret{Name: "n", Version: "2", Username: "app", Password: "two"}
	if s.Versions() != "2" {
		t.Errorf("versions without a previous one: %q", s.Versions())
	}
	s.Previous = &secret.Previous{Version: "1", Username: "app", Password: "one"}
	other := s
	other.Previous = &secret.Previous{Version: "0", Username: "app", Password: "none"}
	if s.Versions() == "2" || s.Versions() == other.Versions() {
		t.Errorf("the previous version does not show in %q, %q", s.Versions(), other.Versions())
	}
	if own, ok := s.For("app"); !ok || own != s {
		t.Errorf("For the user of both: %+v, %t", own, ok)
	}
	if own, ok := s.For("other"); ok || own != (secret.Secret{}) {
		t.Errorf("For somebody else: %+v, %t", own, ok)
	}
	s.Previous = &secret.Previous{Version: "1", Username: "app_clone", Password: "one"}
	if own, ok := s.For("app"); !ok || own.Previous != nil || own.Password != "two" {
		t.Errorf("For the current one of two users: %+v, %t", own, ok)
	}
	if own, ok := s.For("app_clone"); !ok || own != (secret.Secret{Name: "n", Version: "1", Username: "app_clone", Password: "one"}) {
		t.Errorf("For the former one of two users: %+v, %t", own, ok)
	}
	// The limit is for former passwords. The former user of two has no other one, and the database takes it: neither is locked out.
	ended := *s.Previous
	ended.ClientsUntil = time.Unix(1, 0)
	s.Previous = &ended
	for user, password := range map[string]secret.Password{"app": "two", "app_clone": "one"} {
		if own, ok := s.For(user); !ok || own.Previous != nil || own.Password != password {
			t.Errorf("after the limit, for %s: %+v, %t", user, own, ok)
		}
	}
}

func TestMux(t *testing.T) {
	t.Parallel()
	var m secret.Mux
	if _, err := m.Get(t.Context(), "a"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("empty Mux: got %v, want ErrNotFound", err)
	}
	if old := m.Swap(map[string]secret.Store{"a": store("x")}); old != nil {
		t.Errorf("first Swap returned %v", old)
	}
	if s, err := m.Get(t.Context(), "a"); err != nil || s.Username != "x" || s.Name != "a" {
		t.Errorf("Get = %v, %v", s, err)
	}
	if old := m.Swap(map[string]secret.Store{"b": store("y")}); len(old) != 1 {
		t.Errorf("Swap returned %v, want what was there", old)
	}
	if _, err := m.Get(t.Context(), "a"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("a secret that was taken away: got %v, want ErrNotFound", err)
	}
}

// TestLimitPrevious: the limit counts from when the version became the previous one, and a change of it is another version.
func TestLimitPrevious(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	known := secret.Secret{Name: "s", Version: "2", Username: "app", Previous: &secret.Previous{Version: "1", Username: "app", Since: since}}
	unknown := known
	unknown.Previous = &secret.Previous{Version: "1", Username: "app"}
	var m secret.Mux
	m.Swap(map[string]secret.Store{"known": fixed(known), "unknown": fixed(unknown), "none": store("x")})
	seen := map[string]bool{}
	for _, limit := range []time.Duration{-1, 0, time.Hour, 24 * time.Hour} {
		if limit >= 0 {
			m.LimitPrevious(limit)
		}
		s, err := m.Get(t.Context(), "known")
		if err != nil || seen[s.Versions()] {
			t.Errorf("limit %v: versions %q again, or %v", limit, s.Versions(), err)
		}
		seen[s.Versions()] = true
		for after, want := range map[time.Duration]bool{0: limit != 0, time.Hour - 1: limit != 0, time.Hour: limit != 0 && limit != time.Hour, 24*time.Hour - 1: limit != 0 && limit != time.Hour, 24 * time.Hour: limit < 0} {
			if got := s.Previous.LetsIn(since.Add(after)); got != want {
				t.Errorf("limit %v, after %v: lets in %t, want %t", limit, after, got, want)
			}
		}
		if s, err := m.Get(t.Context(), "unknown"); err != nil || !s.Previous.LetsIn(since.Add(1000*time.Hour)) {
			t.Errorf("limit %v: a previous one of nobody knows when: %+v, %v", limit, s.Previous, err)
		}
		if s, err := m.Get(t.Context(), "none"); err != nil || s.Previous != nil {
			t.Errorf("limit %v: %+v, %v", limit, s, err)
		}
	}
	if !known.Previous.ClientsUntil.IsZero() {
		t.Error("the store's own has been changed")
	}
}

// fixed gives out one secret.
type fixed secret.Secret

func (s fixed) Get(context.Context, string) (secret.Secret, error) { return secret.Secret(s), nil }

// store knows every name; the text is its user.
type store string

func (s store) Get(_ context.Context, name string) (secret.Secret, error) {
	return secret.Secret{Name: name, Username: string(s)}, nil
}
