package dataplane_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/testkit/testlog"
)

func writer(term uint64) engine.Status {
	return engine.Status{Role: engine.Writer, Term: term, Position: toyPosition(0), LagBytes: -1}
}

func reader(at int) engine.Status {
	return engine.Status{Role: engine.Reader, Position: toyPosition(at), LagBytes: -1}
}

// at is a status with another position.
func at(s engine.Status, n int) engine.Status { s.Position = toyPosition(n); return s }

// of is a status with another database system.
func of(s engine.Status, system string) engine.Status { s.System = system; return s }

// reads has the client read in a transaction that declares it, and returns the name of the server that it was at.
func reads(s *toyClient) string {
	s.ask("read")
	defer s.ask("commit")
	return s.ask("where")
}

// toyCluster is a toyWorld in front of several servers, whose names are their numbers.
type toyCluster struct {
	*toyWorld
	dbs []*toyDB
}

// newToyCluster starts servers that say that of themselves, behind a proxy with a READ_WRITE and a READ_ONLY endpoint.
func newToyCluster(t *testing.T, change func(*resource.Proxy), says ...engine.Status) *toyCluster {
	t.Helper()
	return newToyClusterOn(t, 2, change, says...)
}

func newToyClusterOn(t *testing.T, loops int, change func(*resource.Proxy), says ...engine.Status) *toyCluster {
	t.Helper()
	return newToyClusterBy(t, toyOptions{loops: loops, change: change}, says...)
}

func newToyClusterBy(t *testing.T, o toyOptions, says ...engine.Status) *toyCluster {
	t.Helper()
	c := &toyCluster{}
	change := o.change
	eng := newToyEngine()
	for i, s := range says {
		db := startToyDB(t)
		db.name = fmt.Sprint(i)
		db.is(s)
		eng.servers.Store(db.l.Addr().String(), db)
		c.dbs = append(c.dbs, db)
	}
	o.eng, o.pool, o.change = eng, 20, func(p *resource.Proxy) {
		p.Target = resource.Target{Cluster: "toys"}
		for _, db := range c.dbs {
			p.Target.Members = append(p.Target.Members, db.member())
		}
		p.Endpoints = append(p.Endpoints, resource.Endpoint{Name: "readers", Listen: "127.0.0.1:0", Role: resource.ReadOnly})
		if change != nil {
			change(p)
		}
	}
	c.toyWorld = newToyWorld(t, o)
	return c
}

// reads logs a client of the READ_ONLY endpoint in.
func (c *toyCluster) reads() *toyClient {
	c.t.Helper()
	r := c.dial(c.plane.Addrs()["toy"]["readers"])
	r.hello()
	r.say("app toys 0")
	r.hears("welcome")
	return r
}

// answered waits until a member is what it is to be, as the data plane knows it.
func (c *toyCluster) role(i int, want engine.Role) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("member %d is %s", i, want), func() bool {
		for _, h := range c.plane.TargetHealth() {
			if h.Member.Name == fmt.Sprint(i) {
				return h.Role == want
			}
		}
		return false
	})
}

func (c *toyCluster) figures() dataplane.ProxyFigures { return c.plane.Collect().Proxies[0] }

// The writer dies and another member takes its place: idle clients and those that wait notice nothing.
func TestFailover(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(1), reader(0))
	idle := c.login("app toys 0")
	if got := idle.ask("where"); got != "0" {
		t.Fatalf("the writer is %s, want 0", got)
	}
	c.dbs[0].die()
	waits := c.login("app toys 0")
	waits.say("where")
	c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == 1 })
	c.dbs[1].is(writer(2))
	waits.hears("1")
	c.eventually("an idle client has come to the new writer", func() bool { return idle.ask("where") == "1" })
	if f := c.figures(); f.Target.Failovers != 1 || f.Members[0].Clients != 0 || f.Members[1].Clients != 2 {
		t.Errorf("%d failovers, %d and %d clients", f.Target.Failovers, f.Members[0].Clients, f.Members[1].Clients)
	}
}

// Those who wait for a writer are served in the order of their coming, on each loop.
func TestFailoverOldestFirst(t *testing.T) {
	t.Parallel()
	c := newToyClusterOn(t, 1, func(p *resource.Proxy) { p.Pool.MaxConnections = 1 }, engine.Status{}, engine.Status{})
	var waits []*toyClient
	for i := range 5 {
		w := c.login("app toys 0")
		w.say("begin")
		c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == i+1 })
		waits = append(waits, w)
	}
	c.dbs[1].is(writer(1))
	for _, w := range waits { // the one connection goes from one to the next
		w.hears("ok")
		w.say("commit")
		w.hears("ok")
	}
}

// A transaction at a member that is fenced gets one error; its client goes on at the new writer.
func TestFencedWriter(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(1), reader(0))
	in := c.login("app toys 0")
	in.say("sleep")
	c.eventually("it runs", func() bool { return c.figures().Target.Pool.Borrowed == 1 })
	c.dbs[1].is(writer(2)) // and the first one does not know
	if got := in.line(); !strings.HasPrefix(got, "lost: ") {
		t.Fatalf("heard %q, want the loss of the server connection", got)
	}
	if got := in.ask("where"); got != "1" {
		t.Errorf("goes on at %s, want 1", got)
	}
	for _, h := range c.plane.TargetHealth() {
		if h.Member.Name == "0" && (h.Err == nil || !strings.Contains(h.Err.Error(), "claim to be the writer beside 1 (term 2)")) {
			t.Errorf("the fenced member: %+v", h)
		}
	}
	// Alone, it still is not the writer: its term is old.
	c.dbs[1].die()
	c.role(1, engine.RoleUnknown)
	in.say("where")
	c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == 1 })
	c.dbs[0].is(writer(3))
	in.hears("0")
}

// In a planned switchover a transaction may end where it began; everybody else goes to the new writer.
func TestSwitchover(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(0), reader(0))
	in, idle := c.login("app toys 0"), c.login("app toys 0")
	if got := in.ask("begin"); got != "ok" {
		t.Fatal(got)
	}
	c.dbs[0].is(reader(0))
	c.role(0, engine.Reader)
	c.dbs[1].is(writer(0))
	c.role(1, engine.Writer)
	c.eventually("an idle client is at the new writer", func() bool { return idle.ask("where") == "1" })
	if got := in.ask("where"); got != "0" {
		t.Errorf("a transaction goes on at %s, want 0", got)
	}
	in.ask("commit")
	c.eventually("after its transaction the client is there, too", func() bool { return in.ask("where") == "1" })
	c.eventually("the old connections are closed", func() bool { return c.figures().Members[0].Pool.Open == 0 })
}

// Sessions of a READ_ONLY endpoint are spread over the readers, and stay where they are.
func TestReaders(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(1), reader(0), reader(0))
	c.role(1, engine.Reader)
	c.role(2, engine.Reader)
	at := map[string]int{}
	var all []*toyClient
	for range 10 {
		r := c.reads()
		all = append(all, r)
		where := r.ask("where")
		at[where]++
		if again := r.ask("where"); again != where {
			t.Errorf("a client went from %s to %s", where, again)
		}
	}
	if at["1"] != 5 || at["2"] != 5 {
		t.Errorf("sessions by member: %v", at)
	}
	c.dbs[2].die()
	for _, r := range all {
		if got := r.ask("where"); got != "1" {
			t.Errorf("after the loss of the other reader a client is at %s", got)
		}
	}
}

// A session that has read at a reader which is lost goes to another one only when that has come as far as the writer was then.
func TestReadersNeverGoBack(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(1), reader(7), engine.Status{Role: engine.Reader, Unusable: "not yet"})
	c.role(1, engine.Reader)
	was := writer(1)
	was.Position = toyPosition(9)
	c.dbs[0].is(was)
	r := c.reads()
	if got := r.ask("where"); got != "1" {
		t.Fatalf("at %s, want 1", got)
	}
	c.dbs[2].is(reader(8)) // less than the writer has written, though more than the reader had
	c.eventually("the other reader is usable", func() bool { return c.plane.TargetHealth()[2].Err == nil })
	c.dbs[1].die()
	r.say("where")
	c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == 1 })
	fresh := c.reads() // has seen nothing yet
	if got := fresh.ask("where"); got != "2" {
		t.Errorf("a new session is at %s, want 2", got)
	}
	if n := c.figures().Target.Pool.Waiting; n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	c.dbs[2].is(reader(9))
	r.hears("2")
}

// Without readers sessions that read get an error at once, wait, or have the writer.
func TestNoReaders(t *testing.T) {
	t.Parallel()
	t.Run("none at all", func(t *testing.T) {
		t.Parallel()
		c := newToyCluster(t, nil, writer(1))
		c.role(0, engine.Writer)
		r := c.reads()
		if got := r.ask("where"); !strings.Contains(got, engine.ErrNoReaders.Error()) {
			t.Errorf("heard %q", got)
		}
	})
	t.Run("none that can be used", func(t *testing.T) {
		t.Parallel()
		late := reader(0)
		late.Lag = time.Minute
		c := newToyCluster(t, func(p *resource.Proxy) {
			p.Target.MaxReplicaLag, p.Pool.ConnectionBorrowTimeout = time.Second, 100*time.Millisecond
		}, writer(1), late)
		c.role(1, engine.Reader)
		r := c.reads()
		if got := r.ask("where"); !strings.Contains(got, engine.ErrBorrowTimeout.Error()) {
			t.Errorf("heard %q", got)
		}
		c.dbs[1].is(reader(0))
		c.eventually("the reader serves", func() bool { return r.ask("where") == "1" })
	})
	t.Run("the writer instead", func(t *testing.T) {
		t.Parallel()
		c := newToyCluster(t, func(p *resource.Proxy) { p.Target.WriterReads = true }, writer(1), engine.Status{})
		c.role(0, engine.Writer)
		if got := c.reads().ask("where"); got != "0" {
			t.Errorf("at %s, want the writer", got)
		}
	})
}

// A paused proxy lets transactions end and takes no new ones; afterwards nobody has noticed.
func TestPause(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 2, pool: 4})
	in, idle := w.login("app toys 0"), w.login("app toys 0")
	in.ask("begin")
	idle.ask("who")
	w.proxy.Paused = true
	w.apply()
	w.eventually("idle connections are closed", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Open == 1 })
	if got := in.ask("who"); got == "" {
		t.Error("the transaction does not go on")
	}
	in.ask("commit")
	w.eventually("all connections are closed", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Open == 0 })
	idle.say("who")
	in.say("who")
	w.eventually("they wait", func() bool { return w.plane.Collect().Proxies[0].Target.Pool.Waiting == 2 })
	w.proxy.Paused = false
	w.apply()
	idle.line()
	in.line()
}

// A target that is replaced (a blue/green deployment, a new address) takes its clients along.
func TestTargetReplaced(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 2, pool: 4})
	w.db.name = "blue"
	green := startToyDB(t)
	green.name = "green"
	in, idle := w.login("app toys 0"), w.login("app toys 0")
	in.ask("begin")
	if got := idle.ask("where"); got != "blue" {
		t.Fatal(got)
	}
	w.proxy.Target.Members = []resource.Member{green.member()}
	w.apply()
	w.eventually("an idle client is at the new one", func() bool { return idle.ask("where") == "green" })
	if got := in.ask("where"); got != "blue" {
		t.Errorf("a transaction goes on at %s", got)
	}
	in.ask("commit")
	w.eventually("after its transaction a client is there, too", func() bool { return in.ask("where") == "green" })
}

// Members that others name are members, too, if that is asked for, but none twice.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) {
		p.Target.Discover = true
		p.Target.Members = p.Target.Members[:1]
	}, writer(1), reader(0))
	names := func() (all []string) {
		for _, h := range c.plane.TargetHealth() {
			all = append(all, h.Member.Name)
		}
		return all
	}
	says := writer(1)
	for _, db := range c.dbs {
		m := db.member()
		says.Peers = append(says.Peers, engine.Peer{Name: "peer" + m.Name, Host: m.Host, Port: m.Port})
	}
	c.dbs[0].is(says)
	c.eventually("the other one is found", func() bool { return slices.Equal(names(), []string{"0", "peer1"}) })
	r := c.reads()
	if got := r.ask("where"); got != "1" {
		t.Errorf("at %s, want the member that was found", got)
	}
	says.Peers = nil
	c.dbs[0].is(says)
	c.eventually("it is no member any more", func() bool { return slices.Equal(names(), []string{"0"}) })
}

// However many members a database names, no more than a bound are taken, and the log says so once.
func TestDiscoveryBounded(t *testing.T) {
	t.Parallel()
	var log testlog.Buffer
	c := newToyClusterBy(t, toyOptions{log: &log, change: func(p *resource.Proxy) { p.Target.Discover = true }}, writer(1))
	closed := startToyDB(t)
	closed.die()
	says := func(from int) engine.Status {
		st := writer(1)
		for i := range 40 {
			st.Peers = append(st.Peers, engine.Peer{Name: fmt.Sprint(from + i), Host: fmt.Sprintf("127.0.0.%d", 2+from+i), Port: closed.member().Port})
		}
		return st
	}
	const all = 1 + 4
	c.dbs[0].is(says(0))
	c.eventually("some are found", func() bool { return len(c.plane.TargetHealth()) == all })
	first := c.names()
	c.dbs[0].is(says(40))
	c.eventually("others take the places of those that are forgotten", func() bool {
		now := c.names()
		if len(now) > all {
			t.Errorf("members are %q, want no more than %d", now, all)
		}
		return len(now) == all && !slices.Equal(now, first)
	})
	if n := strings.Count(log.String(), "name more members than are taken"); n != 1 {
		t.Errorf("the log has it %d times, want once:\n%s", n, log.String())
	}
}

// Patroni's certificate is checked against the file that is named for it, and against another one when that is named.
func TestPatroniAuthority(t *testing.T) {
	t.Parallel()
	var answer atomic.Value
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer.Load().(string)) }))
	t.Cleanup(api.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	var log testlog.Buffer
	c := newToyClusterBy(t, toyOptions{log: &log, change: func(p *resource.Proxy) { p.Target.Members = p.Target.Members[:1] }}, writer(1), reader(0))
	of := c.dbs[1].member()
	answer.Store(fmt.Sprintf(`{"members":[{"name":"found","host":%q,"port":%d,"role":"replica","state":"streaming"}]}`, of.Host, of.Port))
	c.proxy.Target.Patroni = []string{api.URL}
	c.apply()
	c.eventually("it is not trusted", func() bool { return strings.Contains(log.String(), "Patroni does not answer") })
	c.proxy.Target.PatroniCAFile = ca
	c.apply()
	c.eventually("its member is found", func() bool { return slices.Equal(c.names(), []string{"0", "found"}) })
}

// A member that has Patroni's tag noloadbalance is not read at, until the tag is gone.
func TestPatroniTag(t *testing.T) {
	t.Parallel()
	var answer atomic.Value
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer.Load().(string)) }))
	t.Cleanup(api.Close)
	c := newToyCluster(t, nil, writer(1), reader(0), reader(0))
	c.role(1, engine.Reader)
	c.role(2, engine.Reader)
	r := c.reads()
	at, other := r.ask("where"), "2"
	of := c.dbs[1].member()
	if at == "2" {
		other, of = "1", c.dbs[2].member()
	}
	says := `{"members":[{"name":"tagged","host":%q,"port":%d,"role":"replica","state":"streaming","tags":{"noloadbalance":%t}}]}`
	answer.Store(fmt.Sprintf(says, of.Host, of.Port, true))
	c.proxy.Target.Patroni = []string{api.URL}
	c.apply()
	c.eventually("its session is moved", func() bool { return r.ask("where") == other })
	for range 2 {
		if got := c.reads().ask("where"); got != other {
			t.Errorf("at %s, which is not to be read at", got)
		}
	}
	answer.Store(fmt.Sprintf(says, of.Host, of.Port, false))
	c.eventually("it is read at again", func() bool { return c.reads().ask("where") == at })
}

// With split reads, a transaction that declares that it only reads goes to a reader, as soon as that has what the session has
// written, and never before.
func TestSplitReads(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) { p.SplitReads = true }, at(writer(1), 1), reader(1), reader(0))
	c.role(1, engine.Reader)
	c.role(2, engine.Reader)
	s := c.login("app toys 0")
	c.eventually("a reader serves", func() bool { return reads(s) == "1" })
	if got := s.ask("where"); got != "0" { // which may have written
		t.Errorf("a statement is at %s, want the writer", got)
	}
	c.dbs[0].is(at(writer(1), 2))
	for range 3 { // the reader does not have it
		if got := reads(s); got != "0" {
			t.Errorf("a transaction that reads is at %s, which may not have what has been written", got)
		}
		time.Sleep(300 * time.Millisecond)
	}
	c.dbs[1].is(reader(2))
	c.eventually("the reader serves again", func() bool { return reads(s) == "1" })
	if n := c.figures().Target.Session.SplitReads; n < 2 {
		t.Errorf("%d transactions counted", n)
	}
	// A reader that is lost: the next one may not be older than what has been read. Until then there is the writer.
	c.dbs[1].die()
	c.role(1, engine.RoleUnknown)
	if got := reads(s); got != "0" {
		t.Errorf("a transaction that reads is at %s, which is behind", got)
	}
	c.dbs[2].is(reader(2))
	c.eventually("the other reader serves", func() bool { return reads(s) == "2" })
}

// While there is no writer all members are looked at often, however seldom that is otherwise.
func TestFailoverLooksSoon(t *testing.T) {
	t.Parallel()
	var both []resource.Member
	c := newToyCluster(t, func(p *resource.Proxy) {
		p.Target.Monitor.Interval = time.Hour
		both = p.Target.Members
		p.Target.Members = both[:1]
	}, writer(1), reader(0))
	c.role(0, engine.Writer)
	c.proxy.Target.Members = both // it is looked at once, and then there is no haste
	c.apply()
	c.role(1, engine.Reader)
	c.dbs[0].die()
	waits := c.login("app toys 0")
	waits.say("where")
	c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == 1 })
	c.dbs[1].is(writer(2))
	waits.hears("1")
}

// While there is no writer the queue is bounded: whoever is one too many gets an error at once.
func TestMaxWaiting(t *testing.T) {
	t.Parallel()
	c := newToyClusterOn(t, 1, func(p *resource.Proxy) { p.Pool.MaxWaiting = 2 }, engine.Status{}, engine.Status{})
	var waits []*toyClient
	for i := range 2 {
		w := c.login("app toys 0")
		w.say("where")
		c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == i+1 })
		waits = append(waits, w)
	}
	if got := c.login("app toys 0").ask("where"); !strings.Contains(got, engine.ErrTooManyWaiting.Error()) {
		t.Errorf("heard %q", got)
	}
	c.dbs[0].is(writer(1))
	for _, w := range waits {
		w.hears("0")
	}
}

// A server that refuses a write since it takes none is looked at at once, however seldom that is otherwise: it has been made a
// replica.
func TestRefusedWrite(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) { p.Target.Monitor.Interval = time.Hour }, writer(0), reader(0))
	c.role(0, engine.Writer)
	s := c.login("app toys 0")
	s.ask("write")
	c.dbs[0].is(reader(0))
	c.dbs[1].is(writer(0))
	if got := s.ask("write"); got != "read-only" {
		t.Fatal(got)
	}
	c.eventually("its client is at the new writer", func() bool { return s.ask("where") == "1" })
}

// A transaction that was split off to a reader is told when that hangs, like a session of a READ_ONLY endpoint.
func TestSplitReadLost(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) { p.SplitReads = true }, writer(1), reader(0))
	c.role(1, engine.Reader)
	s := c.login("app toys 0")
	c.eventually("a reader serves", func() bool {
		s.ask("read")
		if s.ask("where") == "1" {
			return true
		}
		s.ask("commit")
		return false
	})
	s.say("sleep")
	c.eng.servers.Delete(c.dbs[1].l.Addr().String()) // it answers no monitor, and its connections stay
	if got := s.line(); !strings.HasPrefix(got, "lost: ") {
		t.Fatalf("heard %q, want the loss of the server connection", got)
	}
	if got := s.ask("where"); got != "0" {
		t.Errorf("goes on at %s, want the writer", got)
	}
}

// A failover while the proxy is paused: what is under way at the old writer, which is fenced, ends there and then.
func TestFencedWhilePaused(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(1), reader(0))
	in := c.login("app toys 0")
	in.say("sleep")
	c.eventually("it runs", func() bool { return c.figures().Target.Pool.Borrowed == 1 })
	c.proxy.Paused = true
	c.apply()
	c.dbs[1].is(writer(2))
	if got := in.line(); !strings.HasPrefix(got, "lost: ") {
		t.Fatalf("heard %q, want the loss of the server connection", got)
	}
	c.proxy.Paused = false
	c.apply()
	if got := in.ask("where"); got != "1" {
		t.Errorf("goes on at %s, want 1", got)
	}
}

// names are those of the members, as they are now.
func (c *toyCluster) names() (all []string) {
	for _, h := range c.plane.TargetHealth() {
		all = append(all, h.Member.Name)
	}
	return all
}

// naming has a server name others, besides what it says.
func (c *toyCluster) naming(s engine.Status, others ...int) engine.Status {
	s.Peers = nil
	for _, i := range others {
		m := c.dbs[i].member()
		s.Peers = append(s.Peers, engine.Peer{Name: m.Name, Host: m.Host, Port: m.Port})
	}
	return s
}

// A writer that has been discovered stays a member when the one that named it comes back as a writer of the past, which names
// nobody.
func TestDiscoveredWriterStays(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) {
		p.Target.Discover = true
		p.Target.Members = p.Target.Members[:1]
	}, writer(0), reader(0), reader(0))
	c.dbs[0].is(c.naming(writer(0), 1, 2))
	c.eventually("both are found", func() bool { return len(c.names()) == 3 })
	c.dbs[0].is(c.naming(engine.Status{}, 1, 2))
	c.dbs[1].is(writer(0))
	c.role(1, engine.Writer)
	c.dbs[0].is(writer(0))
	c.eventually("who is no writer is forgotten", func() bool { return !slices.Contains(c.names(), "2") })
	if got := c.login("app toys 0").ask("where"); got != "1" {
		t.Errorf("the writer is %s, want 1", got)
	}
}

// Members that were discovered and are gone are forgotten, also where they named one another.
func TestDiscoveredForgotten(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) {
		p.Target.Discover = true
		p.Target.Members = p.Target.Members[:1]
	}, writer(1), reader(0), reader(0))
	c.dbs[1].is(c.naming(reader(0), 0, 2))
	c.dbs[2].is(c.naming(reader(0), 0, 1))
	c.dbs[0].is(c.naming(writer(1), 1, 2))
	c.role(1, engine.Reader)
	c.role(2, engine.Reader)
	c.dbs[1].die()
	c.dbs[2].die()
	c.dbs[0].is(writer(1))
	c.eventually("they are forgotten", func() bool { return slices.Equal(c.names(), []string{"0"}) })
}

// A cluster whose members are all replaced is another one, whose terms have nothing to do with those of the old one.
func TestClusterReplaced(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(7), reader(0))
	idle := c.login("app toys 0")
	if got := idle.ask("where"); got != "0" {
		t.Fatal(got)
	}
	green := startToyDB(t)
	green.name = "green"
	green.is(writer(1))
	c.eng.servers.Store(green.l.Addr().String(), green)
	c.proxy.Target.Members = []resource.Member{green.member()}
	c.apply()
	c.eventually("its clients are at the new one", func() bool { return idle.ask("where") == "green" })
}

// What the last writer had and nobody else keeps no session from the readers of the next one.
func TestReadersAfterLoss(t *testing.T) {
	t.Parallel()
	was, next := writer(1), writer(2)
	was.Position, next.Position = toyPosition(9), toyPosition(5)
	c := newToyCluster(t, nil, was, reader(9), reader(5), engine.Status{})
	c.role(0, engine.Writer)
	c.role(1, engine.Reader)
	c.role(2, engine.Reader)
	var r *toyClient
	c.eventually("a session is at the reader that is to be lost", func() bool {
		r = c.reads()
		return r.ask("where") == "1"
	})
	c.dbs[1].die()
	r.say("where")
	c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == 1 })
	c.dbs[0].die()
	c.role(0, engine.RoleUnknown)
	c.dbs[3].is(next)
	r.hears("2")
}

// What a session has written on a server connection that it has kept counts also when that is lost: no reader serves it before it
// has that.
func TestSplitReadsAfterLoss(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) { p.SplitReads = true }, at(writer(1), 1), reader(1))
	c.role(1, engine.Reader)
	other := c.login("app toys 0")
	c.eventually("a reader serves", func() bool { return reads(other) == "1" })
	s := c.login("app toys 0 0 true") // keeps its server connection
	c.dbs[0].is(at(writer(1), 2))
	s.ask("write")
	c.eventually("it is kept", func() bool { return c.figures().Members[0].Pool.Borrowed == 1 })
	c.dbs[0].drop()
	c.eventually("it is lost", func() bool { return c.figures().Members[0].Pool.Open == 0 })
	if got := reads(s); got != "0" {
		t.Errorf("a transaction that reads is at %s, which does not have what has been written", got)
	}
	// The same, where it has been kept from a transaction that only read.
	c.dbs[1].is(reader(2))
	other.ask("where")
	c.eventually("the reader has caught up", func() bool { return reads(other) == "1" })
	c.dbs[0].is(at(writer(1), 3))
	s.ask("write")
	c.dbs[0].drop()
	c.eventually("it is lost", func() bool { return c.figures().Members[0].Pool.Borrowed == 0 })
	if got := reads(s); got != "0" {
		t.Errorf("then it is at %s, which does not have what has been written", got)
	}
}

// A member whose name comes to stand for another server is asked over a new connection: the old one would go on about the old
// server.
func TestMovedMember(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(1), reader(0))
	c.role(0, engine.Writer)
	c.role(1, engine.Reader)
	c.plane.MovedFrom("192.0.2.1")
	c.eventually("there are new monitors", func() bool { return c.eng.monitors.Load() == 4 && c.eng.closed.Load() == 2 })
	if got := c.login("app toys 0").ask("where"); got != "0" {
		t.Errorf("at %s, want the writer", got)
	}
}

// A reader that answers its monitor and lets no session in holds up no transaction that only reads: the writer serves it.
func TestSplitReadDenied(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) { p.SplitReads = true }, writer(1), reader(0))
	c.role(1, engine.Reader)
	s := c.login("app toys 0")
	c.eventually("the reader serves", func() bool { return reads(s) == "1" })
	c.dbs[1].denies.Store(true)
	c.dbs[1].drop()
	c.eventually("its connections are lost", func() bool { return c.figures().Members[1].Pool.Open == 0 })
	for range 5 {
		if got := reads(s); got != "0" {
			t.Fatalf("at %s, want the writer", got)
		}
	}
	c.dbs[1].denies.Store(false)
	c.eventually("the reader serves again", func() bool { return reads(s) == "1" })
}

// A member that has been demoted lets transactions end, until it claims to be the writer again: then they end at once.
func TestFencedLater(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, nil, writer(1), reader(0))
	in := c.login("app toys 0")
	in.say("sleep")
	c.eventually("it runs", func() bool { return c.figures().Target.Pool.Borrowed == 1 })
	c.dbs[0].is(engine.Status{}) // no reader either
	c.role(0, engine.RoleUnknown)
	c.dbs[1].is(writer(2))
	c.role(1, engine.Writer)
	c.dbs[0].is(writer(1))
	if got := in.line(); !strings.HasPrefix(got, "lost: ") {
		t.Fatalf("heard %q, want the loss of the server connection", got)
	}
}

// Whoever wants a reader waits while nobody could be asked yet who the members are.
func TestReadersUnknown(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	c := newToyCluster(t, func(p *resource.Proxy) {
		p.Target.Discover = true
		p.Target.Members[0].Port = gone.Addr().(*net.TCPAddr).Port
	}, writer(1))
	c.reads().say("where")
	c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == 1 })
}

// To a server that has just become the writer only so many connections are opened at once, however many wait.
func TestPromotedPace(t *testing.T) {
	t.Parallel()
	const clients = 30
	c := newToyClusterOn(t, 1, func(p *resource.Proxy) { p.Pool.MaxConnections = clients }, writer(1), reader(0))
	c.role(1, engine.Reader)
	c.role(0, engine.Writer) // a first writer's connections are opened as fast as they are wanted
	c.dbs[0].die()
	for range clients {
		c.login("app toys 0").say("begin")
	}
	c.eventually("they wait", func() bool { return c.figures().Target.Pool.Waiting == clients })
	c.dbs[1].is(writer(2))
	c.eventually("some are let in", func() bool { return c.figures().Members[1].Pool.Borrowed == 20 })
	if got := c.figures().Members[1].Pool; got.Open != 20 || got.Waiting != clients-20 {
		t.Errorf("%d connections, %d clients wait", got.Open, got.Waiting)
	}
}

// A member that is discovered and is of another database system is not used, whatever it says.
func TestDiscoveredStranger(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) {
		p.Target.Discover = true
		p.Target.Members = p.Target.Members[:1]
	}, of(writer(1), "ours"), of(writer(9), "another"), of(reader(0), "ours"))
	ours := of(writer(1), "ours")
	for _, db := range c.dbs[1:] {
		m := db.member()
		ours.Peers = append(ours.Peers, engine.Peer{Name: m.Name, Host: m.Host, Port: m.Port})
	}
	c.dbs[0].is(ours)
	c.role(2, engine.Reader)
	c.stranger(1)
	if got := c.login("app toys 0").ask("where"); got != "0" {
		t.Errorf("the writer is %s", got)
	}
	if got := c.reads().ask("where"); got != "2" {
		t.Errorf("the reader is %s", got)
	}
	c.dbs[0].die() // and does not take its place
	c.role(0, engine.RoleUnknown)
	waits := c.login("app toys 0")
	waits.say("where")
	c.eventually("it waits", func() bool { return c.figures().Target.Pool.Waiting == 1 })
	c.dbs[2].is(of(writer(2), "ours"))
	waits.hears("2")
}

// stranger waits until a member is one.
func (c *toyCluster) stranger(i int) {
	c.t.Helper()
	c.eventually("the stranger is one", func() bool {
		for _, h := range c.plane.TargetHealth() {
			if h.Member.Name == fmt.Sprint(i) {
				return h.Err != nil && strings.Contains(h.Err.Error(), "another database system")
			}
		}
		return false
	})
}

// Members of another database system are not found by way of one of it that was.
func TestStrangerNames(t *testing.T) {
	t.Parallel()
	c := newToyCluster(t, func(p *resource.Proxy) {
		p.Target.Discover = true
		p.Target.Members = p.Target.Members[:1]
	}, of(writer(1), "ours"), of(reader(0), "another"), of(reader(0), "another"))
	c.dbs[1].is(c.naming(of(reader(0), "another"), 2))
	c.dbs[0].is(c.naming(of(writer(1), "ours"), 1))
	c.stranger(1)
	looks := c.eng.asked.Load()
	c.eventually("the members are looked at again", func() bool { return c.eng.asked.Load() > looks+12 })
	if slices.Contains(c.names(), "2") {
		t.Errorf("members are %v", c.names())
	}
}

// What a member has come to that no session is sent to keeps none from moving to another reader while the writer does not answer.
func TestReadersMoveWithoutWriter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		third engine.Status
	}{
		{"a stranger", engine.Status{Role: engine.Reader, System: "another"}},
		{"one that is fenced", engine.Status{Role: engine.Writer, Term: 1, System: "ours"}},
		{"one that cannot be used", engine.Status{Role: engine.Reader, System: "ours", Unusable: "not synced"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ours := func(s engine.Status) engine.Status { s.System = "ours"; return s }
			tt.third.Position = toyPosition(9)
			c := newToyCluster(t, func(p *resource.Proxy) {
				p.Target.Discover = true
				p.Target.Members = p.Target.Members[:3]
			}, ours(writer(2)), ours(reader(0)), ours(reader(0)), tt.third)
			c.dbs[0].is(c.naming(ours(writer(2)), 3))
			c.role(1, engine.Reader)
			c.role(2, engine.Reader)
			c.eventually("the other one is not used", func() bool {
				for _, h := range c.plane.TargetHealth() {
					if h.Member.Name == "3" {
						var u *dataplane.UnusableError
						return errors.As(h.Err, &u)
					}
				}
				return false
			})
			var r *toyClient
			c.eventually("a session is at the reader that is to be lost", func() bool {
				r = c.reads()
				return r.ask("where") == "1"
			})
			c.dbs[0].die()
			c.role(0, engine.RoleUnknown)
			c.dbs[1].die()
			c.role(1, engine.RoleUnknown)
			r.say("where")
			r.hears("2")
		})
	}
}
