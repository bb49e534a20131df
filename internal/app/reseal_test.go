package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/cluster"
	"forebay/internal/cluster/memory"
	"forebay/internal/config"
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
	const lost = "put it back, on a line of its own, and start again\" count=1 file=the-keys which=[" + secretARN + "]"
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

// narrow is a store that takes no more in one transaction than an etcd where nobody has said otherwise, and fails from the
// transaction on that it is told.
type narrow struct {
	cluster.Store
	fail int // the number of transactions that it still takes; negative: all
}

var errCut = errors.New("no connection")

func (s *narrow) Commit(ctx context.Context, txn cluster.Txn) (int64, error) {
	size := 0
	for _, op := range txn.Ops {
		size += len(op.Key) + len(op.Value)
	}
	switch {
	case len(txn.Ops) > 128:
		return 0, fmt.Errorf("too many operations in txn request: %d", len(txn.Ops))
	case size > 3<<19:
		return 0, fmt.Errorf("request is too large: %d bytes", size)
	case s.fail == 0:
		return 0, errCut
	}
	s.fail--
	return s.Store.Commit(ctx, txn)
}

// TestResealLargeRows: rows that are large because of something else than what is sealed in them fit the transactions, too.
func TestResealLargeRows(t *testing.T) {
	t.Parallel()
	store := &narrow{Store: memory.New(), fail: -1}
	plane, err := controlplane.Open(t.Context(), store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	old := controlplane.NewKey()
	w := &world{plane: plane, keys: old}
	if w.ring, err = controlplane.ParseKeys(old); err != nil {
		t.Fatal(err)
	}
	if _, _, err := plane.EnsureAccount(t.Context(), testRegion, testAccount, w.key("AKIAROOT", "root-secret")); err != nil {
		t.Fatal(err)
	}
	const many = 2 * resealRows
	for i := range many {
		s := &controlplane.Secret{ARN: fmt.Sprintf("arn:s%03d", i), Name: fmt.Sprint(i), ResourcePolicy: strings.Repeat(`"`, 20480)}
		w.update(t, func(tx *controlplane.Tx) {
			tx.Secrets.Put(s.ARN, w.version(s, "v1", "small", controlplane.StageCurrent))
		})
	}
	// One that has next to no room for another beside it.
	big := &controlplane.Secret{ARN: "arn:s100", Name: "big"}
	for i := range 15 {
		big = w.version(big, fmt.Sprint(i), strings.Repeat("x", 65536))
	}
	w.update(t, func(tx *controlplane.Tx) { tx.Secrets.Put(big.ARN, big) })
	c := &control{log: slog.New(slog.DiscardHandler), plane: plane}
	if c.ring, err = controlplane.ParseKeys(controlplane.NewKey() + old); err != nil {
		t.Fatal(err)
	}
	if err := c.reseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range plane.State().Secrets.All() {
		for _, v := range s.Versions {
			if !c.ring.Current(v.Sealed) {
				t.Errorf("%s is left as it was", s.ARN)
			}
		}
	}
}

// TestResealCutOff ends a reseal after each of its transactions: whatever was sealed anew and what was not can be read with both
// keys, the next start does the rest, and who has taken the old key away too early is told what to do.
func TestResealCutOff(t *testing.T) {
	t.Parallel()
	const many = 3 * resealRows
	for after := range 5 {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			t.Parallel()
			store := &narrow{Store: memory.New(), fail: -1}
			var said bytes.Buffer
			start := func(keys string) *control { // a process of its own: it reads everything from the store
				t.Helper()
				plane, err := controlplane.Open(t.Context(), store, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(plane.Close)
				said.Reset()
				c := &control{log: slog.New(slog.NewTextHandler(&said, nil)), plane: plane, cfg: config.API{KeyFile: "the-keys"}}
				if c.ring, err = controlplane.ParseKeys(keys); err != nil {
					t.Fatal(err)
				}
				return c
			}
			old, fresh := controlplane.NewKey(), controlplane.NewKey()
			c := start(old)
			w := &world{plane: c.plane, ring: c.ring}
			if _, _, err := c.plane.EnsureAccount(t.Context(), testRegion, testAccount, w.key("AKIAROOT", "root-secret")); err != nil {
				t.Fatal(err)
			}
			for i := range many {
				s := &controlplane.Secret{ARN: fmt.Sprintf("arn:s%03d", i), Name: fmt.Sprint(i)}
				w.update(t, func(tx *controlplane.Tx) {
					tx.Secrets.Put(s.ARN, w.version(s, "v1", "text of "+s.Name, controlplane.StageCurrent))
				})
			}
			readable := func(c *control) (n int) {
				for _, s := range c.plane.State().Secrets.All() {
					if text, err := s.OpenVersion(c.ring, &s.Versions[0]); err == nil && string(text) == "text of "+s.Name {
						n++
					}
				}
				return n
			}

			c = start(fresh + old)
			store.fail = after
			if err := c.reseal(t.Context()); after < 4 && (!errors.Is(err, errCut) || !strings.Contains(err.Error(), "the-keys; keep the others")) || after == 4 && err != nil {
				t.Fatalf("cut off after %d transactions: %v", after, err)
			}
			store.fail = -1
			c = start(fresh + old)
			if n := readable(c); n != many {
				t.Errorf("with both keys %d of %d can be read", n, many)
			}
			c = start(fresh) // too early
			lost := many - readable(c)
			if after > 0 {
				if err := c.checkKeyring(); err != nil {
					t.Errorf("root's key has been sealed anew: %v", err)
				}
				if err := c.reseal(t.Context()); err != nil {
					t.Error(err)
				}
				if want := fmt.Sprintf("put it back, on a line of its own, and start again\" count=%d file=the-keys", lost); lost > 0 != strings.Contains(said.String(), want) {
					t.Errorf("%d cannot be read; the log says\n%s", lost, said.String())
				}
			} else if err := c.checkKeyring(); !errors.Is(err, controlplane.ErrSealed) {
				t.Errorf("nothing has been sealed anew: %v", err)
			}
			c = start(fresh + old)
			if err := c.reseal(t.Context()); err != nil {
				t.Error(err)
			}
			c = start(fresh)
			if n := readable(c); n != many || c.checkKeyring() != nil {
				t.Errorf("after another start %d of %d can be read with the new key", n, many)
			}
		})
	}
}

// TestResealBeside has another member write with the old key at every transaction of a reseal: nothing is lost, and what it wrote
// last, its own next start seals anew.
func TestResealBeside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 2 * resealRows {
		s := &controlplane.Secret{ARN: fmt.Sprintf("arn:s%03d", i), Name: fmt.Sprint(i)}
		w.update(t, func(tx *controlplane.Tx) {
			tx.Secrets.Put(s.ARN, w.version(s, "v1", "before", controlplane.StageCurrent))
		})
	}
	fresh := controlplane.NewKey()
	both, err := controlplane.ParseKeys(fresh + w.keys)
	if err != nil {
		t.Fatal(err)
	}
	c := &control{log: slog.New(slog.DiscardHandler), plane: w.plane, ring: both}
	wrote := map[string]string{}
	for i := 0; ; i++ {
		r := &resealing{ring: both}
		tries := 0
		_, err := w.plane.Update(t.Context(), func(tx *controlplane.Tx) error {
			if tries++; tries == 1 && i < 3 { // while this transaction is under way
				arn, text := fmt.Sprintf("arn:s%03d", i*40), fmt.Sprintf("written %d", i)
				wrote[arn] = text
				w.update(t, func(tx *controlplane.Tx) {
					tx.Secrets.Put(arn, w.version(tx.Secrets.Get(arn), fmt.Sprint("w", i), text, controlplane.StageCurrent))
				})
			}
			return r.some(tx)
		})
		if err != nil {
			t.Fatal(err)
		}
		if i < 3 && tries != 2 {
			t.Errorf("transaction %d ran %d times, want twice: it has not seen the other one's change", i, tries)
		}
		if r.sealed == 0 {
			break
		}
	}
	w.update(t, func(tx *controlplane.Tx) { // after the end of it
		tx.Secrets.Put("arn:late", w.version(&controlplane.Secret{ARN: "arn:late", Name: "late"}, "v1", "late", controlplane.StageCurrent))
	})
	wrote["arn:late"] = "late"
	if err := c.reseal(t.Context()); err != nil { // the start of the other one
		t.Fatal(err)
	}
	now, err := controlplane.ParseKeys(fresh)
	if err != nil {
		t.Fatal(err)
	}
	for arn, want := range wrote {
		s := w.plane.State().Secrets.Get(arn)
		if text, err := s.OpenVersion(now, s.Staged(controlplane.StageCurrent)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v; want %q", arn, text, err, want)
		}
	}
}

// hooked is a store that does something before its first transaction.
type hooked struct {
	cluster.Store
	before func()
}

func (s *hooked) Commit(ctx context.Context, txn cluster.Txn) (int64, error) {
	if do := s.before; do != nil {
		s.before = nil
		do()
	}
	return s.Store.Commit(ctx, txn)
}

// firstStart makes a member that has a store and the path of root's key in common with others.
func firstStart(t *testing.T, store cluster.Store, dir, keys string) *control {
	t.Helper()
	plane, err := controlplane.Open(t.Context(), store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Close)
	ring, err := controlplane.ParseKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	return &control{log: slog.New(slog.DiscardHandler), cfg: config.API{KeyFile: filepath.Join(dir, "keys"), Region: testRegion}, plane: plane, ring: ring}
}

// rootFileHas checks that the file of root's key has the one that counts, and is alone.
func rootFileHas(t *testing.T, dir string, c *control) {
	t.Helper()
	id := c.plane.State().Account().RootKeys[0].ID
	secret, err := c.ring.Open(c.plane.State().Account().RootKeys[0].Sealed, identity.KeyBelongs(id))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(rootFile(c.cfg))
	if err != nil || string(text) != credentialsFile(id, string(secret), testRegion) {
		t.Errorf("the file of root's key does not have the key that counts: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("files beside it: %v, %v", entries, err)
	}
}

// TestTwoFirstStarts has two members of a fleet start for the first time at once, with one path for root's key: the key that
// counts is in the file in the end.
func TestTwoFirstStarts(t *testing.T) {
	t.Parallel()
	dir, keys, store := t.TempDir(), controlplane.NewKey(), memory.New()
	one, between := firstStart(t, store, dir, keys), &hooked{Store: store}
	two := firstStart(t, between, dir, keys)
	between.before = func() {
		if err := one.ensureAccount(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := two.ensureAccount(t.Context()); err != nil {
		t.Fatal(err)
	}
	rootFileHas(t, dir, two)
}

// TestFirstStartCutOff ends a first start between the making of the account and the last step, and a later one just before it: the
// next start finds the key that counts, and removes the other.
func TestFirstStartCutOff(t *testing.T) {
	t.Parallel()
	dir, keys := t.TempDir(), controlplane.NewKey()
	store := &lateStore{Store: memory.New()}
	store.lost.Store(true)
	one := firstStart(t, store, dir, keys)
	var first []string
	one.first = func(id, _, _ string) { first = append(first, id) }
	if err := one.ensureAccount(t.Context()); !errors.Is(err, errLate) || !strings.Contains(err.Error(), dir) || first != nil {
		t.Fatalf("got %v, and told of %v", err, first)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys."+rootKeyFile+firstRootKey+"AKIATOOLATE"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store.lost.Store(false)
	again := firstStart(t, store, dir, keys)
	if err := again.ensureAccount(t.Context()); err != nil {
		t.Fatal(err)
	}
	rootFileHas(t, dir, again)
}
