package vault

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"forebay/internal/testkit"
)

// TestStatic: a static role's password is rotated by Vault, and Forebay and its clients follow.
func TestStatic(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		v := engine(t, p)
		v.Do(http.MethodPost, "database/static-roles/app", map[string]any{"db_name": "db", "username": p.static, "rotation_period": "1h"})
		a, l := serve(t, p, fmt.Sprintf("refresh: 1s, vault: {address: %q, ca_file: %q, path: database/static-creds/app, token_file: %q}", v.URL, v.CAFile, v.TokenFile("reader", time.Hour)))
		t.Cleanup(func() { a.Close() })
		var c asker
		for range 2 {
			password := v.Field("database/static-creds/app", "password", nil)
			testkit.Eventually(t, "a client with the password of now", func() bool {
				got, err := p.open(a.Addrs()["test"]["default"], p.static, password)
				c = got
				return err == nil
			})
			if user, err := c(p.who); err != nil || user != p.static {
				t.Errorf("works as %q, %v; want %s", user, err, p.static)
			}
			v.Do(http.MethodPost, "database/rotate-role/app", map[string]any{})
			if v.Field("database/static-creds/app", "password", nil) == password {
				t.Fatal("the password was not rotated")
			}
			l.keeps(t, password)
		}
		if _, err := c(p.who); err != nil {
			t.Errorf("a client that was there before the rotation: %v", err)
		}
	})
}
