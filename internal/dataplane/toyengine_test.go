package dataplane_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// The toy protocol has one line for each message. A client is greeted with "hello PID", says "USER DATABASE PROTOCOL", or
// "tls" before that (answered with "go"), and is answered "welcome". Then each request is a line, and so is each answer. A client that says
// "USER DATABASE PROTOCOL GENERATION" takes only server connections of that generation. Requests that the engine answers
// itself are "quit", "ping", answered with "pong", and "kill PID" and "killquery PID", answered with "killed: true" or "killed: false".
// After "pin" a session keeps its server connection, until it says "unpin". After "again" a client logs in once more.

// toyEngine speaks the toy protocol, whose server speaks first. Tests change its behaviour before clients come.
type toyEngine struct {
	knows    atomic.Bool // enough of the target to greet
	greeted  atomic.Int64
	accepts  atomic.Int64 // Accept calls
	looks    atomic.Int64 // Maintain calls
	inquires atomic.Int64 // what inquirers have asked
	learned  chan struct{}
	servers  sync.Map                     // the toyDBs of a cluster, by address
	lease    atomic.Pointer[secret.Lease] // of the users of new server connections; nil: they do not end

	monitors, closed atomic.Int64 // NewMonitor calls, and Close calls of what they made
	asked            atomic.Int64 // Look calls
	changed, settled atomic.Int64 // of the databases of readers, in Unix nanoseconds: see engine.Follower
	deepest          atomic.Int64 // stack, in calls, that a session has been refused something on
}

func newToyEngine() *toyEngine {
	e := &toyEngine{learned: make(chan struct{})}
	e.learn()
	return e
}

// learn has the engine know enough to greet at once.
func (e *toyEngine) learn() { e.knows.Store(true) }

type toyGreeting struct{ pid uint32 }

func toyHello(id engine.SessionID) []byte { return fmt.Appendf(nil, "hello %d\n", id.PID) }

// Greet implements engine.Greeter.
func (e *toyEngine) Greet(o engine.AcceptOptions) ([]byte, any, bool) {
	if o.Full || !e.knows.Load() {
		return nil, nil, false
	}
	e.greeted.Add(1)
	return toyHello(o.ID), toyGreeting{o.ID.PID}, true
}

// toyRefusal is a client that is not let in.
type toyRefusal struct{}

func (toyRefusal) Error() string     { return "toy: not let in" }
func (toyRefusal) AuthFailure() bool { return true }

var errToyFull = errors.New("toy: full")

// Accept implements engine.Engine.
func (e *toyEngine) Accept(ctx context.Context, nc net.Conn, o engine.AcceptOptions) (*engine.Login, error) {
	e.accepts.Add(1)
	if o.Full {
		_, _ = io.WriteString(nc, "full\n")
		return nil, errToyFull
	}
	if o.Greeting == nil {
		var err error
		o.Block(func() {
			select {
			case <-e.learned:
			case <-ctx.Done():
				err = ctx.Err()
			}
		})
		if err == nil {
			_, err = nc.Write(toyHello(o.ID))
		}
		if err != nil {
			return nil, err
		}
	} else if g := o.Greeting.(toyGreeting); g.pid != o.ID.PID {
		return nil, fmt.Errorf("toy: greeted as %d, accepted as %d", g.pid, o.ID.PID)
	}
	r := &toyReader{Conn: nc, rest: o.Early}
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	if line == "tls" {
		if _, err := io.WriteString(nc, "go\n"); err != nil {
			return nil, err
		}
		t := tls.Server(nc, o.TLS)
		o.Block(func() { err = t.Handshake() })
		if err != nil {
			return nil, err
		}
		r = &toyReader{Conn: t}
		if line, err = r.line(); err != nil {
			return nil, err
		}
	}
	return e.login(r, line)
}

// toyReader reads lines.
type toyReader struct {
	net.Conn
	rest []byte // read, and not part of a line yet
}

func (r *toyReader) line() (string, error) {
	for {
		if line, rest, ok := bytes.Cut(r.rest, []byte("\n")); ok {
			r.rest = rest
			return string(line), nil
		}
		b := make([]byte, 4096)
		n, err := r.Read(b)
		if err != nil {
			return "", err
		}
		r.rest = append(r.rest, b[:n]...)
	}
}

// login reads what a client says of itself.
func (e *toyEngine) login(r *toyReader, line string) (*engine.Login, error) {
	var k engine.Key
	gen, keeps, inquires := 0, false, false
	n, err := fmt.Sscanf(line, "%s %s %d %d %t %t", &k.User, &k.Database, &k.Protocol, &gen, &keeps, &inquires)
	if n < 3 && err != nil || k.User == "nobody" {
		_, _ = io.WriteString(r, "denied\n")
		return nil, toyRefusal{}
	}
	_, encrypted := r.Conn.(*tls.Conn)
	return &engine.Login{
		Conn: r.Conn, TLS: encrypted, Key: k, Buffered: r.rest,
		NewSession: func(_ engine.Local, id engine.SessionID) engine.Session {
			s := &toySession{eng: e, id: id, gen: gen, keeps: keeps}
			if inquires {
				return &toyInquirer{toySession: s, inquires: &e.inquires}
			}
			return s
		},
	}, nil
}

// DefaultDatabase implements engine.Engine.
func (e *toyEngine) DefaultDatabase() string { return "toys" }

// Open implements engine.Engine.
func (e *toyEngine) Open(_ *resource.Proxy, k engine.Key, _ engine.Credentials) engine.Database {
	return &toyDatabase{e, k, make(chan struct{})}
}

// toyDatabase is what sessions of one key share.
type toyDatabase struct {
	eng   *toyEngine
	key   engine.Key
	stale chan struct{}
}

// toyCapacity is how many connections a toy server says that it allows.
const toyCapacity = 100

// Dial implements engine.Database.
func (d *toyDatabase) Dial(ctx context.Context, _ resource.Member, transport func(context.Context) (net.Conn, error)) (engine.Dialed, error) {
	nc, err := transport(ctx)
	if err != nil {
		return engine.Dialed{}, err
	}
	if _, err = fmt.Fprintf(nc, "login %s %s %d\n", d.key.User, d.key.Database, d.key.Protocol); err != nil {
		return engine.Dialed{}, err
	}
	line, err := (&toyReader{Conn: nc}).line()
	if err != nil {
		return engine.Dialed{}, err
	}
	sv := &toyServer{}
	if _, err := fmt.Sscanf(line, "ok %d %d", &sv.id, &sv.gen); err != nil {
		return engine.Dialed{}, fmt.Errorf("toy: %s", line)
	}
	return engine.Dialed{Conn: nc, Server: sv, Limits: engine.Capacity{MaxConnections: toyCapacity}, Lease: d.eng.lease.Load()}, nil
}

// NewLocal implements engine.Database.
func (d *toyDatabase) NewLocal(*engine.Counters) engine.Local { return nil }

// Apply implements engine.Database.
func (d *toyDatabase) Apply(*resource.Proxy) {}

// Maintain implements engine.Database. The server has no database named none.
func (d *toyDatabase) Maintain(ctx context.Context, t engine.Member) (engine.Capacity, error) {
	d.eng.looks.Add(1)
	if d.key.Database == "none" {
		return engine.Capacity{}, &engine.AnswerError{Err: errors.New("toy: no such database")}
	}
	nc, err := t.Dial(ctx)
	if err != nil {
		return engine.Capacity{}, err
	}
	return engine.Capacity{MaxConnections: toyCapacity}, nc.Close()
}

// Changed implements engine.Follower.
func (d *toyDatabase) Changed() time.Time {
	if at := d.eng.changed.Load(); at != 0 && d.key.ReadOnly {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Settled implements engine.Follower.
func (d *toyDatabase) Settled(at time.Time) { d.eng.settled.Store(at.UnixNano()) }

// Stale implements engine.Database.
func (d *toyDatabase) Stale() <-chan struct{} { return d.stale }

// toyServer is a server connection.
type toyServer struct{ id, gen int }

// toyFit is every connection's: there are no settings.
var toyFit = unique.Make("")

// Fit implements engine.Server.
func (sv *toyServer) Fit() engine.Fit { return toyFit }

// Idle implements engine.Server: a toy server never speaks first.
func (sv *toyServer) Idle([]byte) (int, bool) { return 0, false }

// Cancel implements engine.Server.
func (sv *toyServer) Cancel(ctx context.Context, t engine.Member) error {
	nc, err := t.Dial(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	if d, ok := ctx.Deadline(); ok {
		_ = nc.SetDeadline(d)
	}
	if _, err := fmt.Fprintf(nc, "cancel %d\n", sv.id); err != nil {
		return err
	}
	_, err = (&toyReader{Conn: nc}).line()
	return err
}

// Bye implements engine.Server.
func (sv *toyServer) Bye() []byte { return []byte("quit\n") }

// toySession is a client in the query phase.
type toySession struct {
	eng     *toyEngine
	id      engine.SessionID
	gen     int // of server connections that it takes; 0: any
	keeps   bool
	srv     *toyServer
	due     int  // answers of the server
	open    bool // a transaction
	reading bool // it has said that it only reads
	pinned  bool
	shut    bool // it is not to be given more of the client before it has had its answers
	refused error
}

// Start implements engine.Session.
func (s *toySession) Start(o *engine.Output) bool {
	s.say(o, "welcome")
	return false
}

func (s *toySession) say(o *engine.Output, format string, args ...any) {
	o.Client.Set(append(fmt.Appendf(o.Client.Grow(), format, args...), '\n'))
}

// Fit implements engine.Session.
func (s *toySession) Fit() engine.Fit { return toyFit }

// Takes implements engine.Session.
func (s *toySession) Takes(sv engine.Server) bool {
	return s.gen == 0 || s.gen == sv.(*toyServer).gen
}

// Attach implements engine.Session.
func (s *toySession) Attach(sv engine.Server, _ *engine.Output) { s.srv = sv.(*toyServer) }

// Detach implements engine.Session.
func (s *toySession) Detach() { s.srv, s.due, s.open, s.pinned, s.shut = nil, 0, false, false, false }

// FromClient implements engine.Session.
func (s *toySession) FromClient(b []byte, o *engine.Output) int {
	n := 0
	for {
		end := bytes.IndexByte(b[n:], '\n')
		if end < 0 {
			return n
		}
		whole := b[n : n+end+1]
		line := string(whole[:end])
		verb, rest, _ := strings.Cut(line, " ")
		switch {
		case verb == "quit":
			o.CloseClient = true
			return n + len(whole)
		case s.refused != nil:
			s.say(o, "refused: %v", s.refused)
			s.refused = nil
		case s.due > 0 && (verb == "ping" || strings.HasPrefix(verb, "kill")): // in its turn
			return n
		case verb == "ping":
			s.say(o, "pong")
		case verb == "kill" || verb == "killquery":
			pid, _ := strconv.ParseUint(rest, 10, 32)
			o.Kill = &engine.Kill{PID: uint32(pid), Connection: verb == "kill"}
			return n + len(whole)
		case verb == "again":
			o.Relogin = func(_ context.Context, nc net.Conn, ao engine.AcceptOptions) (*engine.Login, error) {
				r := &toyReader{Conn: nc, rest: ao.Early}
				line, err := r.line()
				if err != nil {
					return nil, err
				}
				return s.eng.login(r, line)
			}
			return n + len(whole)
		case s.srv == nil:
			return n
		default:
			switch verb {
			case "pin", "unpin":
				s.pinned = verb == "pin"
			case "begin", "read":
				s.open, s.reading = true, verb == "read"
			case "write":
				o.Writes = s.reading
			case "recall":
				s.shut = true
			case "commit":
				s.open, s.reading = false, false
			}
			if verb != "mute" {
				s.due++
			}
			o.Server.Pass(whole)
		}
		n += len(whole)
	}
}

// FromServer implements engine.Session.
func (s *toySession) FromServer(b []byte, o *engine.Output) int {
	n := bytes.LastIndexByte(b, '\n') + 1
	s.due -= bytes.Count(b[:n], []byte("\n"))
	o.ReadOnly = bytes.Contains(b[:n], []byte("read-only"))
	o.Client.Pass(b[:n])
	return n
}

// ReadsOnly implements engine.Session.
func (s *toySession) ReadsOnly(b []byte) bool { return bytes.HasPrefix(b, []byte("read\n")) }

// Open implements engine.Session.
func (s *toySession) Open() bool { return !s.shut || s.due == 0 }

// Done implements engine.Session.
func (s *toySession) Done() bool { return s.srv != nil && !s.Busy() && !s.pinned }

// Keeps implements engine.Session.
func (s *toySession) Keeps() bool { return s.keeps }

// Busy implements engine.Session.
func (s *toySession) Busy() bool { return s.due > 0 || s.open }

// Pinned implements engine.Session.
func (s *toySession) Pinned() string {
	if s.pinned {
		return "pin"
	}
	return ""
}

// Refuse implements engine.Session.
func (s *toySession) Refuse(err error, _ *engine.Output) {
	s.refused = err
	var calls [1000]uintptr
	if n := int64(runtime.Callers(0, calls[:])); n > s.eng.deepest.Load() {
		s.eng.deepest.Store(n)
	}
}

// Refusing implements engine.Session.
func (s *toySession) Refusing() bool { return s.refused != nil }

// ServerLost implements engine.Session.
func (s *toySession) ServerLost(err error, o *engine.Output) {
	for range s.due {
		s.say(o, "lost: %v", err)
	}
	if s.due == 0 && s.pinned {
		s.refused = err // with the next request
	}
}

// ClientGone implements engine.Session.
func (s *toySession) ClientGone(*engine.Output) bool { return s.srv != nil && !s.Busy() && !s.pinned }

// Killed implements engine.Session.
func (s *toySession) Killed(found bool, o *engine.Output) { s.say(o, "killed: %t", found) }

// End implements engine.Session.
func (s *toySession) End(err error, o *engine.Output) {
	s.say(o, "ended: %v", err)
	o.CloseClient = true
}

// Retire implements engine.Session.
func (s *toySession) Retire() bool { return false }

// Interrupt implements engine.Session: what a transaction waits for is its client.
func (s *toySession) Interrupt() bool { return s.due > 0 }

// Matches implements engine.Session: there are no cancel requests.
func (s *toySession) Matches(*engine.Cancel) bool { return false }

// Describe implements engine.Session.
func (s *toySession) Describe() engine.SessionInfo {
	return engine.SessionInfo{PID: s.id.PID, State: "idle"}
}

// toyInquirer is a client that has something to ask before another one has its server connection.
type toyInquirer struct {
	*toySession
	inquires *atomic.Int64
	owes     bool
	asks     bool
}

// FromClient implements engine.Session.
func (s *toyInquirer) FromClient(b []byte, o *engine.Output) int {
	n := s.toySession.FromClient(b, o)
	s.owes = s.owes || s.due > 0
	return n
}

// Inquire implements engine.Inquirer.
func (s *toyInquirer) Inquire(o *engine.Output) bool {
	if !s.owes {
		return false
	}
	s.owes, s.asks = false, true
	s.inquires.Add(1)
	s.due++
	o.Server.Pass([]byte("recall\n"))
	return true
}

// Open implements engine.Session.
func (s *toyInquirer) Open() bool { return !s.asks }

// FromServer implements engine.Session.
func (s *toyInquirer) FromServer(b []byte, o *engine.Output) int {
	if !s.asks {
		return s.toySession.FromServer(b, o)
	}
	n := bytes.IndexByte(b, '\n') + 1
	if n > 0 {
		s.asks = false
		s.due--
	}
	return n
}

// ServerLost implements engine.Session: what it asks itself is answered to nobody.
func (s *toyInquirer) ServerLost(err error, o *engine.Output) {
	if s.asks {
		s.due--
	}
	s.toySession.ServerLost(err, o)
}

// Detach implements engine.Session.
func (s *toyInquirer) Detach() {
	s.toySession.Detach()
	s.asks, s.owes = false, false
}

// NewMonitor implements engine.Engine.
func (e *toyEngine) NewMonitor(o engine.MonitorOptions) engine.Monitor {
	e.monitors.Add(1)
	return &toyMonitor{e, o.Member, o}
}

// toyMonitor asks the toyDB itself, if it can be reached.
type toyMonitor struct {
	eng    *toyEngine
	member engine.Member
	o      engine.MonitorOptions
}

// Look implements engine.Monitor.
func (m *toyMonitor) Look(ctx context.Context) (engine.Status, error) {
	m.eng.asked.Add(1)
	nc, err := m.member.Dial(ctx)
	if err != nil {
		return engine.Status{}, err
	}
	nc.Close()
	cfg := m.member.Config()
	db, ok := m.eng.servers.Load(cfg.Address())
	if !ok {
		return engine.Status{}, fmt.Errorf("toy: no server at %s", cfg.Address())
	}
	if db.(*toyDB).blind.Load() {
		s, err := m.o.Secret(ctx)
		if err == nil {
			m.o.Refuse(s)
			err = errors.New("toy: denied")
		}
		return engine.Status{}, &engine.AnswerError{Err: err}
	}
	db.(*toyDB).mu.Lock()
	defer db.(*toyDB).mu.Unlock()
	return db.(*toyDB).status, nil
}

// Close implements engine.Monitor.
func (m *toyMonitor) Close() { m.eng.closed.Add(1) }

// toyPosition is a number of changes.
type toyPosition int

// Covers implements engine.Position.
func (p toyPosition) Covers(q engine.Position) bool { return p >= q.(toyPosition) }

// String implements engine.Position.
func (p toyPosition) String() string { return strconv.Itoa(int(p)) }
