package failover_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"

	"forebay/internal/cluster/etcd/etcdtest"
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/test/failover/workload"
)

// patroniSet is a cluster under Patroni, behind a Forebay that knows one member and the REST APIs.
type patroniSet struct {
	*localserver.Patroni
	fb *testkit.Forebay
	t  *testing.T
}

func startPatroniSet(t *testing.T) *patroniSet {
	t.Helper()
	etcd, _ := etcdtest.Start(t, nil)
	s := &patroniSet{Patroni: testkit.Patroni(t, etcd, 3), t: t}
	if _, err := connectPG(t, s.leader().DSN("postgres")).Exec(t.Context(), workload.Table); err != nil {
		t.Fatal(err)
	}
	s.syncStandby()
	s.fb = testkit.StartForebayPatroni(t, s.Patroni, testkit.ForebayOptions{Loops: 2, Change: func(p *resource.Proxy) {
		p.Endpoints = append(p.Endpoints, resource.Endpoint{Name: "readers", Listen: "127.0.0.1:0", Role: resource.ReadOnly})
		p.Pool.MaxConnections = 10
	}})
	return s
}

func (s *patroniSet) leader() *localserver.PatroniNode {
	s.t.Helper()
	n, err := s.Leader(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *patroniSet) syncStandby() *localserver.PatroniNode {
	s.t.Helper()
	n, err := s.SyncStandby(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// connect logs a client in at an endpoint, and gives it a session of its own.
func (s *patroniSet) connect(endpoint string) workload.Postgres {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.fb.Plane.Addrs()["test"][endpoint])
	if err != nil {
		s.t.Fatal(err)
	}
	c := connectPG(s.t, fmt.Sprintf("host=%s port=%s user=postgres password=%s dbname=postgres sslmode=disable", host, port, s.Password()))
	if _, err := c.Exec(s.t.Context(), "SET application_name = 'idle'"); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// served is the port of the server that serves a client, which has its session still.
func (s *patroniSet) served(c workload.Postgres) (port int) {
	s.t.Helper()
	var name string
	if err := c.QueryRow(s.t.Context(), "SELECT inet_server_port(), current_setting('application_name')").Scan(&port, &name); err != nil || name != "idle" {
		s.t.Errorf("an idle client hears %q, %v", name, err)
	}
	return port
}

// known waits until Forebay knows all nodes that run, by their ports, and what they are.
func (s *patroniSet) known(leader *localserver.PatroniNode) {
	s.t.Helper()
	eventually(s.t, "all members are known", func() error {
		health := s.fb.Plane.TargetHealth()
		for _, n := range s.Nodes {
			if n.PID() == 0 {
				continue
			}
			want := engine.Reader
			if n == leader {
				want = engine.Writer
			}
			if !slices.ContainsFunc(health, func(h dataplane.TargetHealth) bool {
				return h.Member.Port == n.Port() && h.Role == want && h.Err == nil
			}) {
				return fmt.Errorf("%s, port %d, is none of %+v", n.Name, n.Port(), health)
			}
		}
		return nil
	})
}

// leads waits until another node leads than the one that was lost, and Forebay knows.
func (s *patroniSet) leads(lost *localserver.PatroniNode) *localserver.PatroniNode {
	s.t.Helper()
	var n *localserver.PatroniNode
	eventually(s.t, "another node leads", func() error {
		n = s.leader()
		if w := s.writer(); n == lost || w != n.Port() {
			return fmt.Errorf("%s leads, Forebay writes to port %d", n.Name, w)
		}
		return nil
	})
	return n
}

// writer is the port of the member that Forebay takes for the writer.
func (s *patroniSet) writer() int {
	for _, h := range s.fb.Plane.TargetHealth() {
		if h.Role == engine.Writer {
			return h.Member.Port
		}
	}
	return 0
}

// Patroni alone tells Forebay of the members, over https. The leader is switched over; then its Patroni hangs, so that another node
// is promoted beside its PostgreSQL, which goes on; then Patroni and PostgreSQL of the leader are killed: no client loses its connection, no row that was
// acknowledged is missing, none is there twice, clients that were idle notice nothing, and a member that comes back is read at.
func TestPatroni(t *testing.T) {
	t.Parallel()
	s := startPatroniSet(t)
	leader := s.leader()
	s.known(leader)
	idle, reader := s.connect("default"), s.connect("readers")
	w := startWriting(t, 20, func(ctx context.Context) (workload.Conn, error) {
		return workload.DialPostgres(ctx, s.fb.DSN("postgres", "postgres", ""), 0)
	})
	w.goesOn(200)

	if err := s.Switchover(t.Context(), leader, s.syncStandby()); err != nil {
		t.Fatal(err)
	}
	leader = s.leads(leader)
	w.all()
	s.known(leader)

	s.syncStandby()
	hung := leader
	if err := hung.Freeze(); err != nil {
		t.Fatal(err)
	}
	leader = s.leads(hung)
	w.all()
	hung.Kill()

	s.syncStandby()
	killed := leader
	killed.Kill()
	if err := hung.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	leader = s.leads(killed)
	w.all()
	if err := killed.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.known(leader)

	eventually(t, "the member that has come back serves readers", func() error {
		if port := s.served(s.connect("readers")); port != killed.Port() { // which has no more of them than the other one, soon
			return fmt.Errorf("a new one is served by port %d, want %d", port, killed.Port())
		}
		return nil
	})
	if port := s.served(idle); port != leader.Port() {
		t.Errorf("the idle client is served by port %d, want the leader's, %d", port, leader.Port())
	}
	if port := s.served(reader); port == leader.Port() {
		t.Error("the idle reader is served by the leader")
	}
	w.end(connectPG(t, leader.DSN("postgres")))
}
