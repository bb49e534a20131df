package sqlserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit/tdsserver"
)

// oneSecret is a store of one user's.
type oneSecret struct{ secret.Secret }

func (s oneSecret) Lookup(context.Context, string) (secret.Secret, resource.AuthEntry, error) {
	return s.Secret, resource.AuthEntry{}, nil
}

func (s oneSecret) Recent(string) (secret.Secret, resource.AuthEntry, bool, error) {
	return s.Secret, resource.AuthEntry{}, true, nil
}

func (oneSecret) Token(context.Context, *resource.Proxy, resource.Member, string) (secret.Password, error) {
	return "", errors.New("none")
}

// A replica of an availability group that refuses the user for good is not taken for one where a rotation is under way, however often
// the others let the user in.
func TestRotationOfReplicas(t *testing.T) {
	t.Parallel()
	good := tdsserver.Start(t, tdsserver.Options{})
	bad := tdsserver.Start(t, tdsserver.Options{Users: map[string]string{tdsserver.DefaultUser: "another"}})
	synctest.Test(t, func(t *testing.T) {
		e := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
		sec := oneSecret{secret.Secret{Name: "s", Version: "1", Username: tdsserver.DefaultUser, Password: tdsserver.DefaultPassword}}
		d := e.Open(&resource.Proxy{Name: "p"}, engine.Key{User: tdsserver.DefaultUser, Database: "app", Protocol: keyClient}, sec)
		dial := func(s *tdsserver.Server) error {
			m := resource.Member{Host: s.Host, Port: s.Port, TLSMode: resource.TLSDisable}
			got, err := d.Dial(t.Context(), m, func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
			})
			if err == nil {
				got.Conn.Close()
			}
			return err
		}
		for i, permanent := range []bool{false, true} {
			if err := dial(good); err != nil {
				t.Fatal(err)
			}
			var refused *loginError
			if err := dial(bad); !errors.As(err, &refused) || refused.Permanent() != permanent {
				t.Errorf("%d: refused with %v, want permanent %t", i, err, permanent)
			}
			time.Sleep(time.Minute)
		}
	})
}
