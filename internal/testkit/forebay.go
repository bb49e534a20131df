package testkit

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/engine/mysql"
	"forebay/internal/engine/postgres"
	"forebay/internal/engine/sqlserver"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// ForebayOptions say what a test's Forebay is like. The zero value does for most.
type ForebayOptions struct {
	Users      map[string]string // password by user; nil: only the server's superuser, postgres
	TLS        *tls.Config       // nil: clients are not offered TLS
	Loops      int               // 0 = 1
	Handshakes int               // 0 = the default
	Tokens     engine.Tokens     // nil: no user logs in with a token
	Change     func(p *resource.Proxy)
	Log        slog.Handler // nil: t.Log at level Warn and above
}

// Forebay is a data plane in this process, in front of a real server.
type Forebay struct {
	Plane *dataplane.Plane
	Proxy resource.Proxy
	Host  string
	Port  int
	users *users
}

// PoolSize is how many server connections a test's Forebay has, unless the test says otherwise.
const PoolSize = 5

// StartForebay puts a Forebay in front of pg, and closes it with the test.
func StartForebay(t testing.TB, pg *localserver.Postgres, o ForebayOptions) *Forebay {
	t.Helper()
	if o.Users == nil {
		o.Users = map[string]string{"postgres": pg.Password()}
	}
	return start(t, resource.PostgreSQL, resource.PostgresSCRAM, pg.Host(), pg.Port(), o)
}

// StartForebayPatroni puts a Forebay in front of the first node of p, which finds the others by asking Patroni, and closes it with the
// test.
func StartForebayPatroni(t testing.TB, p *localserver.Patroni, o ForebayOptions) *Forebay {
	t.Helper()
	if o.Users == nil {
		o.Users = map[string]string{"postgres": p.Password()}
	}
	change := o.Change
	o.Change = func(px *resource.Proxy) {
		px.Target.Patroni, px.Target.PatroniCAFile = p.URLs(), p.CAFile()
		if change != nil {
			change(px)
		}
	}
	return start(t, resource.PostgreSQL, resource.PostgresSCRAM, p.Nodes[0].Host(), p.Nodes[0].Port(), o)
}

// StartForebayMySQL puts a Forebay in front of m, and closes it with the test.
func StartForebayMySQL(t testing.TB, m *localserver.MySQL, o ForebayOptions) *Forebay {
	t.Helper()
	if o.Users == nil {
		o.Users = map[string]string{"root": m.Password()}
	}
	return start(t, resource.MySQL, resource.MySQLCachingSHA2, m.Host(), m.Port(), o)
}

// StartForebaySQLServer puts a Forebay in front of a server that speaks TDS, and closes it with the test. o.Users is needed.
func StartForebaySQLServer(t testing.TB, host string, port int, o ForebayOptions) *Forebay {
	t.Helper()
	return start(t, resource.SQLServer, resource.SQLServerAuthentication, host, port, o)
}

func start(t testing.TB, family resource.EngineFamily, auth resource.ClientPasswordAuthType, targetHost string, targetPort int, o ForebayOptions) *Forebay {
	t.Helper()
	f := &Forebay{users: &users{passwords: maps.Clone(o.Users)}}
	h := o.Log
	if h == nil {
		h = slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})
	}
	log := slog.New(h)
	opts := dataplane.Options{
		Log: log, Secrets: f.users, Loops: max(1, o.Loops), Handshakes: o.Handshakes, Tokens: o.Tokens,
		Engines: map[resource.EngineFamily]engine.Engine{
			resource.PostgreSQL: postgres.New(log, f.users), resource.MySQL: mysql.New(log), resource.SQLServer: sqlserver.New(log),
		},
	}
	if o.TLS != nil {
		opts.Certificates = func(*resource.Proxy) (*tls.Config, error) { return o.TLS, nil }
	}
	plane, err := dataplane.New(opts)
	if err != nil {
		t.Fatalf("start Forebay: %v", err)
	}
	t.Cleanup(plane.Close)
	f.Plane = plane
	f.Proxy = resource.Proxy{
		Name: "test", EngineFamily: family,
		Endpoints:         []resource.Endpoint{{Name: "default", Listen: "127.0.0.1:0"}},
		IdleClientTimeout: 30 * time.Minute,
		Target:            resource.Target{Members: []resource.Member{{Host: targetHost, Port: targetPort, TLSMode: resource.TLSDisable, ConnectTimeout: 5 * time.Second}}},
		Pool: resource.ConnectionPoolConfig{
			MaxConnectionsPercent: 100, MaxIdleConnectionsPercent: 50, ConnectionBorrowTimeout: 30 * time.Second,
			MaxConnections: PoolSize, IdleTimeout: 5 * time.Minute, Lifetime: 24 * time.Hour,
			MaxPreparedStatements: 200, RoutineScanInterval: 30 * time.Second,
		},
	}
	for _, name := range slices.Sorted(maps.Keys(f.users.passwords)) {
		f.Proxy.Auth = append(f.Proxy.Auth, resource.AuthEntry{Secret: name, ClientPasswordAuthType: auth})
	}
	if o.Change != nil {
		o.Change(&f.Proxy)
	}
	f.Apply(t)
	host, port, _ := net.SplitHostPort(plane.Addrs()["test"]["default"])
	f.Host = host
	f.Port, _ = strconv.Atoi(port)
	return f
}

// Apply applies f.Proxy as it is now.
func (f *Forebay) Apply(t testing.TB) {
	t.Helper()
	if err := f.Plane.Apply(t.Context(), resource.Snapshot{Proxies: []resource.Proxy{f.Proxy}}); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// DSN is a connection string for a user of f, plain unless more says otherwise ("sslmode=require").
func (f *Forebay) DSN(user, database, more string) string {
	if more == "" {
		more = "sslmode=disable"
	}
	return "host=" + f.Host + " port=" + strconv.Itoa(f.Port) + " user=" + user + " password=" + f.users.password(user) + " dbname=" + database + " " + more
}

// MySQLDSN is a connection string of go-sql-driver's for a user of f.
func (f *Forebay) MySQLDSN(user, database, params string) string {
	return user + ":" + f.users.password(user) + "@tcp(" + net.JoinHostPort(f.Host, strconv.Itoa(f.Port)) + ")/" + database + "?" + params
}

// SetPassword changes a user's secret, which then has no previous version.
func (f *Forebay) SetPassword(user, password string) {
	f.users.mu.Lock()
	defer f.users.mu.Unlock()
	f.users.passwords[user] = password
	delete(f.users.previous, user)
}

// Rotate changes a user's secret. What it was becomes the previous version.
func (f *Forebay) Rotate(user, password string) {
	f.users.mu.Lock()
	defer f.users.mu.Unlock()
	if f.users.previous == nil {
		f.users.previous = make(map[string]string)
	}
	f.users.previous[user], f.users.passwords[user] = f.users.passwords[user], password
}

// users is a secret store with one secret for each user, under the user's name.
type users struct {
	mu        sync.Mutex
	passwords map[string]string
	previous  map[string]string // of users that have been rotated
}

func (u *users) password(user string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.passwords[user]
}

// Get implements secret.Store.
func (u *users) Get(_ context.Context, name string) (secret.Secret, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p, ok := u.passwords[name]
	if !ok {
		return secret.Secret{}, secret.ErrNotFound
	}
	s := secret.Secret{Name: name, Version: p, Username: name, Password: secret.Password(p)}
	if p, ok := u.previous[name]; ok {
		s.Previous = &secret.Previous{Version: p, Username: name, Password: secret.Password(p)}
	}
	return s, nil
}

// logWriter logs with the test's output.
type logWriter struct{ t testing.TB }

func (w logWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b[:max(0, len(b)-1)])
	return len(b), nil
}
