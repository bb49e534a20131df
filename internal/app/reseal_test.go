package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
)

// TestReseal goes over to a new key: after that, the old one is needed for nothing.
func TestReseal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many = 2*resealRows + 10
	large := strings.Repeat("x", 60<<10)
	w.update(t, func(tx *controlplane.Tx) {
		for i := range many {
			s := &controlplane.Secret{ARN: fmt.Sprintf("arn:s%d", i), Name: fmt.Sprint(i)}
			text := "small"
			if i%10 == 0 {
				text = large
			}
			s = w.version(s, "v1", text, controlplane.StageCurrent)
			tx.Secrets.Put(s.ARN, w.version(s, "v2", text, controlplane.StageCurrent))
		}
	})
	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret {
		s.Versions = append(s.Versions, controlplane.SecretVersion{ID: "lost", Sealed: []byte("nonsense")})
		return s
	})
	ring := func(keys string) *controlplane.Keyring {
		r, err := controlplane.ParseKeys(keys)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	reseal := func(keys string) string {
		var said bytes.Buffer
		c := &control{log: slog.New(slog.NewTextHandler(&said, nil)), plane: w.plane, ring: ring(keys)}
		c.cfg.KeyFile = "the-keys"
		if err := c.reseal(t.Context()); err != nil {
			t.Fatal(err)
		}
		return said.String()
	}
	const lost = "are sealed with a key that is not there\" count=1 file=the-keys"
	revision := w.plane.State().Revision
	if said := reseal(w.keys); strings.Contains(said, "sealed anew") || !strings.Contains(said, lost) || w.plane.State().Revision != revision {
		t.Errorf("with the same key: revision %d and then %d; the log says\n%s", revision, w.plane.State().Revision, said)
	}
	fresh := controlplane.NewKey()
	said := reseal(fresh + w.keys)
	// The key of root, that of a user, one version of the proxy's secret, two of the others.
	if want := fmt.Sprintf("count=%d\n", 3+2*many); !strings.Contains(said, want) || !strings.Contains(said, lost) {
		t.Errorf("with a new key in front, the log says\n%s\nwant %s", said, want)
	}
	if n := w.plane.State().Revision - revision; n < 3 {
		t.Errorf("all was sealed anew in %d transactions", n)
	}
	now := ring(fresh)
	st := w.plane.State()
	for _, k := range append(st.Account().RootKeys, st.Users.Get("ann").Keys...) {
		if text, err := now.Open(k.Sealed, identity.KeyBelongs(k.ID)); err != nil || len(text) == 0 {
			t.Errorf("access key %s: %v", k.ID, err)
		}
	}
	for _, s := range st.Secrets.All() {
		for i := range s.Versions {
			if v := &s.Versions[i]; v.ID != "lost" {
				if text, err := s.OpenVersion(now, v); err != nil || len(text) < 5 {
					t.Errorf("secret %s, version %s: %v", s.ARN, v.ID, err)
				}
			}
		}
	}
}
