package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/app"
	"forebay/internal/client"
	"forebay/internal/config"
	"forebay/internal/controlplane"
	"forebay/internal/resource"
	"forebay/internal/sigv4"
)

// anyPlane takes every snapshot.
type anyPlane struct{ applied chan resource.Snapshot }

func (p *anyPlane) Apply(_ context.Context, s resource.Snapshot) error {
	for { // the newest one stays
		select {
		case p.applied <- s:
			return nil
		case <-p.applied:
		}
	}
}

func (*anyPlane) Addrs() map[string]map[string]string { return nil }
func (*anyPlane) Drain(context.Context) error         { return nil }
func (*anyPlane) Close()                              {}

// controlled is a Forebay with a control plane and no data plane.
type controlled struct {
	dir     string // of the configuration file; the state is in its folder state
	log     *log
	plane   *anyPlane
	options app.Options
	told    []string // what FirstStart was told
}

func newControlled(t *testing.T, more string) *controlled {
	t.Helper()
	c := &controlled{dir: t.TempDir(), log: &log{}, plane: &anyPlane{applied: make(chan resource.Snapshot, 1)}}
	file := filepath.Join(c.dir, "forebay.yaml")
	if err := os.WriteFile(file, []byte("admin: {listen: \"\"}\napi: {listen: \"127.0.0.1:0\", data_dir: state, region: eu-west-1}\n"+more), 0o600); err != nil {
		t.Fatal(err)
	}
	c.options = app.Options{
		ConfigPath: file, Log: c.log,
		NewPlane: func(app.PlaneOptions) (app.Plane, app.View, error) { return c.plane, app.View{}, nil },
		FirstStart: func(id, secret, path string) {
			c.told = append(c.told, id, secret, path)
		},
	}
	return c
}

func (c *controlled) path(name string) string { return filepath.Join(c.dir, "state", name) }

func (c *controlled) open(t *testing.T) *app.App {
	t.Helper()
	a, err := app.Open(t.Context(), c.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func (c *controlled) client(t *testing.T, a *app.App) *client.Client {
	t.Helper()
	of, err := client.FromEnvironment(func(name string) string {
		return map[string]string{"AWS_SHARED_CREDENTIALS_FILE": c.path("root-credentials")}[name]
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if of.Region != "eu-west-1" {
		t.Errorf("the file of the root's key says region %q", of.Region)
	}
	cl, err := client.New(client.Options{Endpoint: "http://" + a.APIAddr(), Region: of.Region, Credentials: of.Credentials})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// TestStateWritable checks that the metrics say whether the state takes changes.
func TestStateWritable(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "")
	if err := os.WriteFile(c.options.ConfigPath, []byte("admin: {listen: \"127.0.0.1:0\"}\napi: {listen: \"127.0.0.1:0\", data_dir: state, region: eu-west-1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := c.open(t)
	if _, body := get(t, "http://"+a.AdminAddr()+"/metrics"); !strings.Contains(body, "forebay_state_writable 1\n") {
		t.Error("the metrics do not say that the state takes changes")
	}
}

// TestFirstStart checks that the root's key is made once, told once, and in a file that is for this user alone.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "")
	a := c.open(t)
	if len(c.told) != 3 || c.told[2] != c.path("root-credentials") {
		t.Fatalf("the first start told %d things, want the key and its file", len(c.told))
	}
	for _, name := range []string{"root-credentials", "sealing.key"} {
		if info, err := os.Stat(c.path(name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v; want it for its owner alone", name, info, err)
		}
	}
	if info, err := os.Stat(filepath.Join(c.dir, "state")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data folder: %v, %v; want it for its owner alone", info, err)
	}
	text, err := os.ReadFile(c.path("root-credentials"))
	if err != nil || !strings.Contains(string(text), c.told[0]) || !strings.Contains(string(text), c.told[1]) {
		t.Errorf("the file does not have the key that was told: %v", err)
	}
	if strings.Contains(c.log.String(), c.told[1]) {
		t.Error("the log has the secret key")
	}
	if err := c.client(t, a).Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); err != nil {
		t.Errorf("with the root's key: %v", err)
	}

	// While it runs, nobody else has the folder.
	if _, err := app.Open(t.Context(), c.options); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second one on the same folder: got %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = c.open(t)
	after, err := os.ReadFile(c.path("root-credentials"))
	if len(c.told) != 3 || !bytes.Equal(after, text) {
		t.Errorf("the second start told of a key, or changed its file: %v", err)
	}
	if err := c.client(t, a).Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	var refused *client.Error
	cl, err := client.New(client.Options{Endpoint: "http://" + a.APIAddr(), Region: "eu-west-1", Credentials: sigv4.Credentials{AccessKeyID: c.told[0], SecretKey: "guessed"}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); !errors.As(err, &refused) || refused.Code != "InvalidSignatureException" {
		t.Errorf("with another secret key: got %v", err)
	}
}

// TestFirstStartAgain checks that a key of an account that was never made, as after a crash, is in nobody's way.
func TestFirstStartAgain(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "")
	if err := os.MkdirAll(filepath.Join(c.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("root-credentials"), []byte("[default]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := c.open(t)
	if err := c.client(t, a).Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); err != nil {
		t.Error(err)
	}
}

func TestSealingKey(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "no base64": "hunter2hunter2", "too short": "aHVudGVyMg=="} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newControlled(t, "")
			if err := os.MkdirAll(filepath.Join(c.dir, "state"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.path("sealing.key"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			a, err := app.Open(t.Context(), c.options)
			if err == nil {
				a.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.path("sealing.key")) || !strings.Contains(err.Error(), "32 bytes in base64") || text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(c.path("root-credentials")); !errors.Is(err, fs.ErrNotExist) || c.told != nil {
				t.Errorf("an account was made: %v", err)
			}
			if err := os.Remove(c.path("sealing.key")); err != nil {
				t.Fatal(err)
			}
			c.open(t) // nothing has kept the folder
		})
	}
}

// TestSameName checks that a proxy of the file is served, and one of the API with its name is not, and the log says so.
func TestSameName(t *testing.T) {
	t.Parallel()
	c := newControlled(t, `
secrets: [{name: app, file: app.json}]
proxies:
  - {name: orders, engine_family: POSTGRESQL, endpoints: [{listen: "127.0.0.1:6432"}], auth: [{secret: app}], target: {host: db.test}}
`)
	if err := os.WriteFile(filepath.Join(c.dir, "app.json"), []byte(`{"username":"one","password":"hunter2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	a := c.open(t)
	<-c.plane.applied
	said := c.log.next("one of the configuration file has its name")
	app.ChangeState(t, a, func(tx *controlplane.Tx) {
		for _, name := range []string{"orders", "reports"} {
			tx.Proxies.Put("prx-"+name, &controlplane.Proxy{ID: "prx-" + name, Name: name, EngineFamily: resource.PostgreSQL, IdleClientTimeout: 60})
		}
	})
	<-said
	for {
		s := <-c.plane.applied
		if len(s.Proxies) < 2 {
			continue
		}
		if s.Proxies[0].Name != "orders" || s.Proxies[0].ResourceID != "" || s.Proxies[1].Name != "reports" || len(s.Proxies) != 2 {
			t.Errorf("served: %+v", s.Proxies)
		}
		break
	}
	if l := c.log.String(); !strings.Contains(l, `has its name" proxy=orders`) || strings.Contains(l, `has its name" proxy=reports`) {
		t.Errorf("the log:\n%s", l)
	}
}

// TestDeclared checks that the databases of the file are those of the API, and cannot be changed there.
func TestDeclared(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "databases: [{name: main, engine: mariadb, host: db.test}]\n")
	a := c.open(t)
	var out struct {
		Databases []struct {
			Identifier string
			Port       int
			FromFile   bool
		}
	}
	cl := c.client(t, a)
	if err := cl.Call(t.Context(), "ListDatabases", struct{}{}, &out); err != nil || len(out.Databases) != 1 || !out.Databases[0].FromFile || out.Databases[0].Port != 3306 {
		t.Errorf("got %+v, %v", out, err)
	}
	var refused *client.Error
	err := cl.Call(t.Context(), "RemoveDatabase", map[string]any{"Identifier": "main", "Force": true}, &struct{}{})
	if !errors.As(err, &refused) || refused.Code != "InvalidDBInstanceState" || !strings.Contains(refused.Message, "configuration file") {
		t.Errorf("removed by the API: %v", err)
	}
}

func TestAPICertificate(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "")
	for _, name := range []string{"server.crt", "server.key"} {
		data, err := os.ReadFile("../config/testdata/valid/files/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(c.options.ConfigPath, []byte("admin: {listen: \"\"}\napi: {listen: \"127.0.0.1:0\", data_dir: state, tls: {cert_file: server.crt, key_file: server.key}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := c.open(t)
	conn, err := tls.Dial("tcp", a.APIAddr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestRestore(t *testing.T) {
	t.Parallel()
	from := newControlled(t, "")
	a := from.open(t)
	cl := from.client(t, a)
	if err := cl.Call(t.Context(), "AddDatabase", map[string]any{"Identifier": "main", "Engine": "postgres", "Host": "db.test"}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(from.dir, "backup")
	info, err := cl.Backup(t.Context(), file)
	if err != nil || info.Entries != 3 {
		t.Fatalf("backup: %+v, %v; want the head, the account and a database", info, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	to := newControlled(t, "")
	restore := func(text string) error {
		_, err := app.Restore(t.Context(), to.options, strings.NewReader(text))
		return err
	}
	refused := func(step, part string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: got %v; want %q", step, err, part)
		}
		if _, err := os.Stat(to.path("etcd")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: there is a store: %v", step, err)
		}
	}
	refused("without a sealing key", "expected the sealing key that the backup was made with", restore(string(text)))
	refused("no backup", "expected a file that begins with", restore("{}"))
	refused("torn", "the file ends", restore(string(text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1])))
	if err := os.MkdirAll(filepath.Join(to.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to.path("sealing.key"), []byte(controlplane.NewKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("another sealing key", "does not open this backup", restore(string(text)))
	for _, name := range []string{"sealing.key", "root-credentials"} {
		data, err := os.ReadFile(from.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to.path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := restore(string(text)); err != nil {
		t.Fatal(err)
	}
	if err := restore(string(text)); err == nil || !strings.Contains(err.Error(), "empty store") {
		t.Errorf("a second time: got %v", err)
	}
	b := to.open(t)
	var out struct{ Databases []struct{ Identifier string } }
	if err := to.client(t, b).Call(t.Context(), "ListDatabases", struct{}{}, &out); err != nil || len(out.Databases) != 1 || to.told != nil {
		t.Errorf("after the restore: %+v, %v", out, err)
	}
	if err := restore(string(text)); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("while it runs: got %v", err)
	}
	nowhere := to.options
	nowhere.ConfigPath = filepath.Join(to.dir, "none.yaml")
	if _, err := app.Restore(t.Context(), nowhere, strings.NewReader(string(text))); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("to nowhere: got %v", err)
	}
}
