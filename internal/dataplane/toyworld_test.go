package dataplane_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// toyLimit ends a test that hangs.
const toyLimit = 60 * time.Second

// toyDB is a server of the toy protocol. Its connections are numbered from 1. Its requests are:
//
//	who              the connection's number
//	where            the server's name
//	write            ok, or read-only at a reader
//	begin, commit    ok
//	read             ok: begins a transaction that only reads
//	sleep            canceled, when another connection says "cancel NUMBER"
//	mute ANYTHING    no answer
//	recall           ok
//	big NUMBER       so many bytes
type toyDB struct {
	l       net.Listener
	gen     atomic.Int64 // of the connections to come
	denies  atomic.Bool  // it lets nobody in
	blind   atomic.Bool  // it lets no monitor in: the password is wrong
	running sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	sleeps map[int]chan struct{} // by number
	last   int
	held   chan struct{} // not nil: cancel requests, mute and recall are not heard before it is closed
	asked  int           // cancel requests that have come
	status engine.Status // what it says to monitors
	name   string        // answers "where"
}

func startToyDB(t *testing.T) *toyDB {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	db := &toyDB{l: l, conns: make(map[net.Conn]bool), sleeps: make(map[int]chan struct{})}
	db.running.Go(db.accept)
	t.Cleanup(func() {
		db.die()
		db.running.Wait()
	})
	return db
}

func (db *toyDB) accept() {
	for {
		c, err := db.l.Accept()
		if err != nil {
			return
		}
		db.mu.Lock()
		db.conns[c] = true
		db.mu.Unlock()
		db.running.Go(func() { db.serve(c) })
	}
}

// die ends the server and its connections.
func (db *toyDB) die() {
	db.l.Close()
	db.mu.Lock()
	defer db.mu.Unlock()
	for c := range db.conns {
		c.Close()
	}
	for _, wake := range db.sleeps {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// drop ends the server's connections.
func (db *toyDB) drop() {
	db.mu.Lock()
	defer db.mu.Unlock()
	for c := range db.conns {
		c.Close()
	}
}

// say has the server say something of itself on all its connections.
func (db *toyDB) say(text string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for c := range db.conns {
		_, _ = io.WriteString(c, text)
	}
}

// is has the server say that of itself.
func (db *toyDB) is(s engine.Status) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.status = s
}

// member is the server as a member of a target.
func (db *toyDB) member() resource.Member {
	host, port, _ := net.SplitHostPort(db.l.Addr().String())
	number, _ := strconv.Atoi(port)
	return resource.Member{Name: db.name, Host: host, Port: number}
}

func (db *toyDB) serve(c net.Conn) {
	id := 0
	wake := make(chan struct{}, 1)
	defer func() {
		c.Close()
		db.mu.Lock()
		delete(db.conns, c)
		delete(db.sleeps, id)
		db.mu.Unlock()
	}()
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		answer := "ok"
		switch verb {
		case "login":
			db.mu.Lock()
			db.last++
			id = db.last
			db.sleeps[id] = wake
			db.mu.Unlock()
			answer = fmt.Sprintf("ok %d %d", id, db.gen.Load())
			if db.denies.Load() {
				answer = "no"
			}
		case "cancel":
			n, _ := strconv.Atoi(rest)
			db.mu.Lock()
			db.asked++
			db.mu.Unlock()
			db.wait()
			db.mu.Lock()
			select {
			case db.sleeps[n] <- struct{}{}:
			default:
			}
			db.mu.Unlock()
		case "who":
			answer = strconv.Itoa(id)
		case "where":
			answer = db.name
		case "write":
			db.mu.Lock()
			if db.status.Role == engine.Reader {
				answer = "read-only"
			}
			db.mu.Unlock()
		case "sleep":
			select {
			case <-wake:
				answer = "canceled"
			case <-time.After(toyLimit):
				answer = "slept"
			}
		case "big":
			n, _ := strconv.Atoi(rest)
			answer = strings.Repeat("b", n)
		case "mute":
			db.wait()
			continue
		case "recall":
			db.wait()
		case "quit":
			return
		}
		if _, err := io.WriteString(c, answer+"\n"); err != nil {
			return
		}
	}
}

// cancels is how many cancel requests have come.
func (db *toyDB) cancels() int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.asked
}

// wait waits for the end of a hold.
func (db *toyDB) wait() {
	db.mu.Lock()
	held := db.held
	db.mu.Unlock()
	if held != nil {
		<-held
	}
}

// hold leaves cancel requests, what has no answer, and what inquirers ask unheard until release is called.
func (db *toyDB) hold() (release func()) {
	db.mu.Lock()
	defer db.mu.Unlock()
	held := make(chan struct{})
	db.held = held
	return func() {
		db.mu.Lock()
		defer db.mu.Unlock()
		if db.held == held {
			db.held = nil
			close(held)
		}
	}
}

// toyWorld is a data plane that speaks the toy protocol, in front of a toyDB.
type toyWorld struct {
	t     *testing.T
	eng   *toyEngine
	db    *toyDB
	plane *dataplane.Plane
	proxy resource.Proxy
	other *resource.Proxy // another proxy to the same target
	addr  string
	tls   *tls.Config // for clients
}

type toyOptions struct {
	loops, pool  int // 0 = 1
	eng          *toyEngine
	tokens       engine.Tokens       // nil: none are checked
	serverTokens engine.ServerTokens // nil: none are made
	change       func(p *resource.Proxy)
	secrets      secret.Store // nil: toySecrets
	log          io.Writer    // nil: the test's output
}

func newToyWorld(t *testing.T, o toyOptions) *toyWorld {
	t.Helper()
	https := httptest.NewTLSServer(nil) // for its certificate
	https.Close()
	if o.eng == nil {
		o.eng = newToyEngine()
	}
	if o.secrets == nil {
		o.secrets = toySecrets{}
	}
	if o.log == nil {
		o.log = toyLog{t}
	}
	w := &toyWorld{t: t, eng: o.eng, db: startToyDB(t), tls: &tls.Config{InsecureSkipVerify: true}}
	plane, err := dataplane.New(dataplane.Options{
		Log: slog.New(slog.NewTextHandler(o.log, nil)), Secrets: o.secrets, Loops: max(1, o.loops),
		Tokens: o.tokens, ServerTokens: o.serverTokens, ForgetPeers: time.Second,
		Engines: map[resource.EngineFamily]engine.Engine{resource.MySQL: w.eng},
		Certificates: func(*resource.Proxy) (*tls.Config, error) {
			return &tls.Config{Certificates: https.TLS.Certificates}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Close)
	w.plane = plane
	w.proxy = resource.Proxy{
		Name: "toy", EngineFamily: resource.MySQL, Auth: []resource.AuthEntry{{Secret: "toy"}},
		Endpoints:          []resource.Endpoint{{Name: "default", Listen: "127.0.0.1:0"}},
		IdleClientTimeout:  time.Hour,
		ClientLoginTimeout: toyLimit,
		Target:             resource.Target{Members: []resource.Member{w.db.member()}},
		Pool: resource.ConnectionPoolConfig{
			MaxConnectionsPercent: 100, MaxIdleConnectionsPercent: 100, MaxConnections: max(1, o.pool), ConnectionBorrowTimeout: toyLimit,
		},
	}
	if o.change != nil {
		o.change(&w.proxy)
	}
	w.apply()
	w.addr = plane.Addrs()["toy"]["default"]
	return w
}

func (w *toyWorld) apply() {
	w.t.Helper()
	all := []resource.Proxy{w.proxy}
	if w.other != nil {
		all = append(all, *w.other)
	}
	if err := w.plane.Apply(w.t.Context(), resource.Snapshot{Proxies: all}); err != nil {
		w.t.Fatal(err)
	}
}

// clients are the figures of the proxy's clients.
func (w *toyWorld) clients() dataplane.ClientFigures { return w.plane.Collect().Proxies[0].Clients }

// eventually waits until something is so.
func (w *toyWorld) eventually(what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(toyLimit); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not so: %s", what)
		}
	}
}

// toyLog logs with the test's output.
type toyLog struct{ t testing.TB }

func (w toyLog) Write(b []byte) (int, error) {
	w.t.Logf("%s", b[:max(0, len(b)-1)])
	return len(b), nil
}

// toySecrets has a secret for everybody.
type toySecrets struct{}

func (toySecrets) Get(_ context.Context, name string) (secret.Secret, error) {
	return secret.Secret{Name: name, Username: name}, nil
}

// toyClient is a client of the toy protocol.
type toyClient struct {
	t *testing.T
	net.Conn
	r   *bufio.Reader
	pid uint32 // as it was greeted
}

// connect connects a client that has said nothing yet.
func (w *toyWorld) connect() *toyClient {
	w.t.Helper()
	return w.dial(w.addr)
}

func (w *toyWorld) dial(addr string) *toyClient {
	w.t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(toyLimit))
	return &toyClient{w.t, nc, bufio.NewReader(nc), 0}
}

// login connects a client and logs it in, as "USER DATABASE PROTOCOL".
func (w *toyWorld) login(as string) *toyClient {
	w.t.Helper()
	c := w.connect()
	c.hello()
	c.say(as)
	c.hears("welcome")
	return c
}

// hello waits for the greeting and returns the client's id.
func (c *toyClient) hello() uint32 {
	c.t.Helper()
	line := c.line()
	if _, err := fmt.Sscanf(line, "hello %d", &c.pid); err != nil {
		c.t.Fatalf("greeted with %q", line)
	}
	return c.pid
}

// startTLS goes on encrypted.
func (c *toyClient) startTLS(cfg *tls.Config) {
	c.t.Helper()
	c.say("tls")
	c.hears("go")
	enc := tls.Client(c.Conn, cfg)
	if err := enc.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.r = enc, bufio.NewReader(enc)
}

func (c *toyClient) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *toyClient) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (c *toyClient) hears(want string) {
	c.t.Helper()
	if got := c.line(); got != want {
		c.t.Fatalf("heard %q, want %q", got, want)
	}
}

// ask says something and returns the answer.
func (c *toyClient) ask(line string) string {
	c.t.Helper()
	c.say(line)
	return c.line()
}

// ends waits for the end of the connection.
func (c *toyClient) ends() {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err == nil || line != "" || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("read %q, %v; want the end", line, err)
	}
}
