package secret_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"forebay/internal/secret"
)

// TestLease: server connections of a lease are not lent any more, and then closed, before its user ends; those of a user that
// has been replaced earlier, spread over a while.
func TestLease(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	l := secret.NewLease(now, now.Add(time.Hour))
	at := func(d time.Duration) time.Time { return now.Add(d) }
	check := func(of string, got, want time.Time) {
		t.Helper()
		if !got.Equal(want) {
			t.Errorf("%s: %v, want %v", of, got.Sub(now), want.Sub(now))
		}
	}
	check("retires", l.Retires(0.5), at(time.Hour-10*time.Second))
	check("ends", l.Ends(), at(time.Hour-5*time.Second))
	l.Extend(at(40*time.Minute), at(100*time.Minute))
	check("extended", l.Until(), at(100*time.Minute))
	check("extended, ends", l.Ends(), at(100*time.Minute-5*time.Second))
	l.Replace(at(50 * time.Minute))
	l.Replace(at(60 * time.Minute))
	check("replaced", l.Replaced(), at(50*time.Minute))
	check("replaced, the first", l.Retires(0), at(50*time.Minute))
	check("replaced, in the middle", l.Retires(0.5), at(50*time.Minute+30*time.Second))
	check("replaced, ends", l.Ends(), at(100*time.Minute-5*time.Second))

	short := secret.NewLease(now, at(10*time.Second))
	check("short, retires", short.Retires(0), at(9*time.Second))
	short.Replace(at(7 * time.Second))
	check("short, replaced, the last", short.Retires(1), at(8*time.Second))
	short.Replace(at(7 * time.Second))
	gone := secret.NewLease(now, at(-time.Second))
	gone.Replace(now)
	check("ended before", gone.Retires(1), now)

	l.Hold()
	l.Hold()
	l.Release()
	if l.Held() != 1 {
		t.Errorf("held %d", l.Held())
	}
}

func TestAtServer(t *testing.T) {
	t.Parallel()
	s := secret.Secret{Name: "n", Version: "2", Username: "app", Password: "two"}
	if l := s.AtServer(); l.Username != "app" || l.Password != "two" || l.Version != "2" || l.Lease != nil || l.Previous != nil {
		t.Errorf("without a previous one: %+v", l)
	}
	s.Previous = &secret.Previous{Version: "1", Username: "app", Password: "one"}
	if p := s.AtServer().Previous; p == nil || p.Password != "one" || p.Version != "1" {
		t.Errorf("previous: %+v", p)
	}
	versions := s.Versions()
	s.Login = &secret.Login{Version: "l", Username: "v-app-1", Password: "hunter2"}
	if l := s.AtServer(); l.Username != "v-app-1" || l.Password != "hunter2" || l.Previous != nil {
		t.Errorf("with a login: %+v", l)
	}
	if s.Versions() != versions {
		t.Error("what clients prove has another version with another login")
	}
	s.Previous.Username = "app_clone"
	for _, user := range []string{"app", "app_clone"} {
		if own, ok := s.For(user); !ok || own.Login != s.Login {
			t.Errorf("For(%s): login %+v", user, own.Login)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %+v", s, s, s, *s.Login); strings.Contains(text, "hunter2") {
		t.Errorf("a password shows in %s", text)
	}
}
