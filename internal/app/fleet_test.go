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
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/cluster"
	"forebay/internal/cluster/memory"
	"forebay/internal/config"
	"forebay/internal/controlplane"
)

// A Forebay whose key does not open what is in the store does not start: it would seal what no other one can open.
func TestAnotherSealingKey(t *testing.T) {
	t.Parallel()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	start := func() error {
		ring, err := controlplane.ParseKeys(controlplane.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		c := &control{log: slog.New(slog.DiscardHandler), cfg: config.API{DataDir: t.TempDir(), Region: "us-east-1"}, plane: plane, ring: ring}
		if err := c.ensureAccount(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.checkKeyring()
	}
	if err := start(); err != nil {
		t.Errorf("the first one: %v", err)
	}
	if err := start(); !errors.Is(err, controlplane.ErrSealed) {
		t.Errorf("with another key: got %v", err)
	}
}

// lateStore does what it is asked, and says that it does not know.
type lateStore struct {
	cluster.Store
	lost atomic.Bool
}

var errLate = errors.New("no answer")

func (s *lateStore) Commit(ctx context.Context, txn cluster.Txn) (int64, error) {
	rev, err := s.Store.Commit(ctx, txn)
	if s.lost.Load() {
		return 0, errLate
	}
	return rev, err
}

// A key of root's that may be in force stays in its file, since nobody else has it.
func TestRootKeyThatMayCount(t *testing.T) {
	t.Parallel()
	store := &lateStore{Store: memory.New()}
	plane, err := controlplane.Open(t.Context(), store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	ring, err := controlplane.ParseKeys(controlplane.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	c := &control{log: slog.New(slog.DiscardHandler), cfg: config.API{DataDir: t.TempDir(), Region: "us-east-1"}, plane: plane, ring: ring}
	if err := c.ensureAccount(t.Context()); err != nil {
		t.Fatal(err)
	}
	store.lost.Store(true)
	fresh := rootFile(c.cfg) + ".new"
	if _, _, err := c.replaceRootKey(t.Context()); !errors.Is(err, errLate) || !strings.Contains(err.Error(), fresh) {
		t.Errorf("got %v, want the store's error, and the file", err)
	}
	text, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	changed := plane.Changed()
	for id := plane.State().Account().RootKeys[0].ID; !strings.Contains(string(text), id); id = plane.State().Account().RootKeys[0].ID {
		select {
		case <-changed:
			changed = plane.Changed()
		case <-t.Context().Done():
			t.Fatal("the key in force is in no file")
		}
	}
	store.lost.Store(false)
	if _, path, err := c.replaceRootKey(t.Context()); err != nil || path != rootFile(c.cfg) {
		t.Errorf("once more: %s, %v", path, err)
	}
}

func TestOfAccount(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]bool{
		"arn:aws:iam::123456789012:role/a":        true,
		"arn:aws-cn:iam::123456789012:role/a":     true,
		"arn:aws-us-gov:iam::123456789012:role/a": true,
		"arn:aws:iam::123456789013:role/a":        false,
		"arn:aws:sts::123456789012:role/a":        false,
		"arn:aws:iam::123456789012":               false,
		"":                                        false,
	} {
		if got := ofAccount(role, "123456789012"); got != want {
			t.Errorf("%q: %t", role, got)
		}
	}
}

// Without a data folder certificate authorities are in a folder that nobody else can have prepared.
func TestCAFileWithoutDataFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, other := &control{}, &control{}
	first, err := c.caFile("PEM")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.caFile("PEM"); err != nil || again != first {
		t.Errorf("the same bundle is at %s, then at %s (%v)", first, again, err)
	}
	if elsewhere, err := other.caFile("PEM"); err != nil || filepath.Dir(elsewhere) == filepath.Dir(first) {
		t.Errorf("two processes have one folder: %s (%v)", elsewhere, err)
	}
	dir, err := os.Stat(filepath.Dir(first))
	if err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", dir, err)
	}
	// It is cleaned up meanwhile, and made again in another way.
	if err := os.RemoveAll(filepath.Dir(first)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(first), 0o755); err != nil {
		t.Fatal(err)
	}
	moved, err := c.caFile("PEM")
	if text, err2 := os.ReadFile(moved); err != nil || err2 != nil || string(text) != "PEM" || filepath.Dir(moved) == filepath.Dir(first) {
		t.Errorf("after that: %s, %q (%v, %v)", moved, text, err, err2)
	}
	c.close()
	other.close()
	if _, err := os.Stat(filepath.Dir(moved)); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

// fleetWorld is a store and its members, on a clock of their own.
type fleetWorld struct {
	t     *testing.T
	store *memory.Store
	now   time.Time
	log   bytes.Buffer
}

// member is a Forebay on the store. A second one of the same name is the first after a restart.
func (w *fleetWorld) member(name string) *control {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	plane, err := controlplane.Open(w.t.Context(), w.store, log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(plane.Close)
	return &control{plane: plane, log: log, member: name, now: func() time.Time { return w.now }}
}

// has checks what is declared: names with their hosts, those of the API in brackets.
func (w *fleetWorld) has(c *control, want string) {
	w.t.Helper()
	plane, err := controlplane.Open(w.t.Context(), w.store, slog.New(slog.DiscardHandler)) // the newest state, whoever has made it
	if err != nil {
		w.t.Fatal(err)
	}
	defer plane.Close()
	var all []string
	for _, d := range plane.State().Databases.All() {
		text := d.Identifier + "@" + d.Host
		if !d.FromFile {
			text = "(" + text + ")"
		}
		all = append(all, text)
	}
	if got := strings.Join(all, " "); got != want {
		w.t.Errorf("declared: %s, want %s", got, want)
	}
}

// said checks that the log has said something of a database, and forgets what it has said.
func (w *fleetWorld) said(what controlplane.DeclareOutcome, database, by string) {
	w.t.Helper()
	if want := fmt.Sprintf("msg=%q database=%s by=%s", string(what), database, by); !strings.Contains(w.log.String(), want) {
		w.t.Errorf("the log does not say %s:\n%s", want, w.log.String())
	}
	w.log.Reset()
}

func (w *fleetWorld) declares(c *control, all ...string) {
	w.t.Helper()
	var specs []controlplane.DatabaseSpec
	for _, text := range all {
		name, rest, _ := strings.Cut(text, "@")
		host, cluster, _ := strings.Cut(rest, "/")
		specs = append(specs, controlplane.DatabaseSpec{Identifier: name, Engine: "mysql", Host: host, Cluster: cluster, FromFile: true})
	}
	if err := c.declare(w.t.Context(), specs); err != nil {
		w.t.Fatal(err)
	}
}

func newFleet(t *testing.T) *fleetWorld {
	w := &fleetWorld{t: t, store: memory.New(), now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	c := w.member("setup")
	if _, _, err := c.plane.EnsureAccount(t.Context(), "us-east-1", "", controlplane.AccessKey{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *fleetWorld) proxy(c *control, name string, g controlplane.TargetGroup) {
	w.t.Helper()
	_, err := c.plane.Update(w.t.Context(), func(tx *controlplane.Tx) error {
		tx.Proxies.Put("prx-"+name, &controlplane.Proxy{ID: "prx-" + name, Name: name, Group: g})
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestFleetOlderFile: a member that starts with an older file takes back nothing of a newer one.
func TestFleetOlderFile(t *testing.T) {
	t.Parallel()
	w := newFleet(t)
	one, two := w.member("one"), w.member("two")
	w.declares(one, "a@h1")
	w.declares(two, "a@h1")
	w.declares(one, "a@h2", "b@h") // the newer file
	w.said(controlplane.DeclareChanged, "a", "two")
	w.proxy(one, "orders", controlplane.TargetGroup{Instance: "b"})
	two = w.member("two") // starts again, with the older file
	w.declares(two, "a@h1")
	w.said(controlplane.DeclareOlder, "a", "one")
	w.has(two, "a@h2 b@h")
	w.declares(w.member("three"), "c@h") // a file with others altogether
	w.has(two, "a@h2 b@h c@h")
	w.declares(two, "a@h2", "b@h")
	if err := two.declareAgain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.declares(one, "a@h2") // b is gone from one of the two files
	w.said(controlplane.DeclareShared, "b", "two")
	w.has(two, "a@h2 b@h c@h")
	w.declares(two, "a@h2") // and from the other, but a proxy has it
	w.said(controlplane.DeclareKept, "b", "orders")
	w.has(two, "a@h2 (b@h) c@h")
	if g := two.plane.State().Proxies.Get("prx-orders").Group; g.Instance != "b" {
		t.Errorf("the proxy has lost its target: %+v", g)
	}
	w.declares(one)
	w.declares(two)
	w.said(controlplane.DeclareRemoved, "a", `""`)
	w.has(two, "(b@h) c@h")
	w.declares(two, "a@h1") // going back is no older file where nobody says otherwise
	w.declares(two, "a@h2")
	w.declares(two, "a@h1", "b@h")
	w.has(two, "a@h1 b@h c@h")
}

// TestFleetGone: what a member declared that is gone counts for a day.
func TestFleetGone(t *testing.T) {
	t.Parallel()
	w := newFleet(t)
	one, two := w.member("one"), w.member("two")
	w.declares(one, "a@h1", "b@h")
	w.declares(two, "a@h1")
	for range 24 { // hours in which only two is there
		w.has(two, "a@h1 b@h")
		w.now = w.now.Add(time.Hour)
		if err := two.declareAgain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.said(controlplane.DeclareRemoved, "b", `""`)
	w.has(two, "a@h1")
	if n := two.plane.State().Fleet.Len(); n != 1 {
		t.Errorf("%d members, want one", n)
	}
	revision := two.plane.State().Revision
	if err := two.declareAgain(t.Context()); err != nil || two.plane.State().Revision != revision {
		t.Errorf("saying the same at once is a change (%v)", err)
	}
	w.declares(one, "a@h1", "b@h", "c@h") // it is back
	w.has(two, "a@h1 b@h c@h")
}

// TestFleetCluster: no file leaves a proxy's cluster empty, or takes a proxy's instance from it by moving it.
func TestFleetCluster(t *testing.T) {
	t.Parallel()
	w := newFleet(t)
	one := w.member("one")
	w.declares(one, "a@h/c", "b@h/c", "d@h")
	w.proxy(one, "orders", controlplane.TargetGroup{Cluster: "c"})
	w.proxy(one, "reports", controlplane.TargetGroup{Instance: "a"})
	target := func(id, want string) {
		t.Helper()
		if g := one.plane.State().Proxies.Get(id).Group; g.Cluster+g.Instance != want {
			t.Errorf("%s: %+v, want %s", id, g, want)
		}
	}
	w.declares(one, "a@h/x", "b@h/c", "d@h/c")
	w.declares(one, "a@h/x", "b@h/x", "d@h/x")
	w.said(controlplane.DeclareStays, "d", "orders")
	st := one.plane.State()
	if got := st.Database("a").Cluster + st.Database("b").Cluster + st.Database("d").Cluster; got != "xxc" {
		t.Errorf("clusters %s", got)
	}
	target("prx-orders", "c")
	target("prx-reports", "a")
	w.declares(one)
	w.has(one, "(a@h) (d@h)")
	if c := one.plane.State().Cluster("c"); c == nil || c.FromFile {
		t.Errorf("the cluster is %+v, want it the API's", c)
	}
	target("prx-orders", "c")
	target("prx-reports", "a")
}

// TestMemberName: members of an etcd are told apart, and know themselves again.
func TestMemberName(t *testing.T) {
	t.Parallel()
	etcd := config.API{Etcd: config.Etcd{Endpoints: []string{"e:2379"}}}
	one, two := memberName(etcd, "one.yaml"), memberName(etcd, "two.yaml")
	if one == two || one != memberName(etcd, "one.yaml") || !strings.HasSuffix(one, "/one.yaml") {
		t.Errorf("%s and %s", one, two)
	}
	if name := memberName(config.API{DataDir: "x"}, "one.yaml"); name != "local" {
		t.Errorf("with a data folder: %s", name)
	}
}
