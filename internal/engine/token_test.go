package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

func TestTokenCheck(t *testing.T) {
	t.Parallel()
	const good, bad, down = "h:1/?Action=connect&good", "h:1/?Action=connect&bad", "h:1/?Action=connect&down"
	errDown := errors.New("down")
	refused := &engine.TokenError{Reason: engine.TokenExpired, Err: errors.New("too old")}
	verify := func(_ context.Context, user string, p secret.Password) error {
		switch {
		case user != "u":
			return errors.New("another user")
		case p == good:
			return nil
		case p == down:
			return errDown
		}
		return refused
	}
	password := func(p secret.Password) bool { return p == "pw" }
	for _, tt := range []struct {
		name    string
		iam     resource.IAMAuth
		sent    secret.Password
		unknown bool
		want    error
		byToken bool
	}{
		{"token", resource.IAMRequired, good, false, nil, true},
		{"bad token", resource.IAMRequired, bad, false, refused, false},
		{"password in its place", resource.IAMRequired, "pw", false, refused, false},
		{"cannot be told", resource.IAMRequired, down, false, errDown, false},
		{"either: token", resource.IAMEnabled, good, false, nil, true},
		{"either: bad token", resource.IAMEnabled, bad, false, refused, false},
		{"either: password", resource.IAMEnabled, "pw", false, nil, false},
		{"either: wrong password", resource.IAMEnabled, "pv", false, engine.ErrWrongPassword, false},
		{"either: unknown user", resource.IAMEnabled, "pw", true, engine.ErrWrongPassword, false},
		{"an unknown value", "required", "pw", false, refused, false},
	} {
		c := engine.TokenCheck{Verify: verify, IAMAuth: tt.iam, User: "u", Password: password, Unknown: tt.unknown}
		if err := c.Check(t.Context(), tt.sent); !errors.Is(err, tt.want) || c.ByToken != tt.byToken {
			t.Errorf("%s: %v, by a token: %t; want %v, %t", tt.name, err, c.ByToken, tt.want, tt.byToken)
		}
	}
	reason := func(c engine.TokenCheck) engine.TokenReason {
		var e *engine.TokenError
		if err := c.Check(t.Context(), good); !errors.As(err, &e) || c.ByToken {
			t.Fatalf("%v, by a token: %t", err, c.ByToken)
		}
		return e.Reason
	}
	if r := reason(engine.TokenCheck{Verify: verify, IAMAuth: resource.IAMRequired, User: "u", Unknown: true}); r != engine.TokenUnknownUser {
		t.Errorf("a good token of an unknown user: %s", r)
	}
	if r := reason(engine.TokenCheck{IAMAuth: resource.IAMRequired, User: "u"}); r != engine.TokenUnavailable {
		t.Errorf("nothing to check tokens with: %s", r)
	}
}

func TestTokenError(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for r := range engine.NumTokenReasons {
		err := error(&engine.TokenError{Reason: r, Err: context.Canceled})
		label := r.String()
		if seen[label] || label == "" || !strings.Contains(err.Error(), label) || !errors.Is(err, context.Canceled) {
			t.Errorf("reason %d: %q, %v", r, label, err)
		}
		seen[label] = true
		if engine.TokenInvalid(err) == (r == engine.TokenUnavailable) {
			t.Errorf("%v: invalid %t", err, engine.TokenInvalid(err))
		}
	}
	if engine.TokenInvalid(nil) || engine.TokenInvalid(context.Canceled) {
		t.Error("an error of another kind is an invalid token")
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r engine.Rotation
		if r.RefusedAt("a") {
			t.Error("who was never let in is to wait")
		}
		time.Sleep(time.Hour)
		r.SucceededAt("a")
		for i := range 2 {
			if !r.RefusedAt("a") {
				t.Errorf("%d: refused at once after a success", i)
			}
			time.Sleep(14 * time.Second)
			if !r.RefusedAt("a") {
				t.Errorf("%d: refused within the grace", i)
			}
			time.Sleep(2 * time.Second)
			for range 2 {
				if r.RefusedAt("a") {
					t.Errorf("%d: still to wait", i)
				}
			}
			r.SucceededAt("a")
		}
		if !r.Say("1") || r.Say("1") || !r.Say("2") {
			t.Error("Say: not once for each")
		}
	})
}

func TestIsJWT(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2ln":  true,
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhcHAifQ.":       true, // refused as one
		"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhcHAifQ":       false,
		"eyJhbGciOiJFUzI1NiJ9.eyJzdWIi.T0.x":            false,
		"eyJhbGci OiJFUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2ln": false,
		"db:5432/?Action=connect&X-Amz-Signature=0123":  false,
		"hunter2": false,
		"":        false,
	} {
		if got := engine.IsJWT(secret.Password(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
		if (want || text != "" && text[0] == 'd') != engine.IsToken(secret.Password(text)) {
			t.Errorf("%q: is it a token?", text)
		}
	}
}
