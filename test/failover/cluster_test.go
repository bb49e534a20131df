package failover_test

import (
	"slices"
	"strings"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/test/failover/workload"
)

// behindCluster puts a Forebay in front of one member of a cluster, which names the others.
func behindCluster(t *testing.T, c *localserver.MySQLCluster, engineClause string) *mySet {
	t.Helper()
	first := c.Members[0]
	if err := first.CreateDatabase(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	table := strings.Replace(workload.Table, "(id bigint NOT NULL)", "(n bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, id bigint NOT NULL)", 1)
	if table == workload.Table {
		t.Fatalf("the ledger %q is not as it was", table)
	}
	if err := first.ExecIn(t.Context(), "app", table+engineClause); err != nil {
		t.Fatal(err)
	}
	s := &mySet{}
	s.fb = testkit.StartForebayMySQL(t, first, testkit.ForebayOptions{Loops: 2, Change: func(p *resource.Proxy) {
		p.Target.Cluster, p.Target.Discover = "set", true
		p.Pool.MaxConnections = 10
	}})
	s.dsn = s.fb.MySQLDSN("root", "app", "")
	return s
}

// lost kills the member that Forebay writes to, under clients that write, and holds the ledger of the next one against what they
// were told.
func (s *mySet) lost(t *testing.T, c *localserver.MySQLCluster) {
	t.Helper()
	w := startWriting(t, 10, s.dial)
	w.goesOn(100)
	s.writer(t, c).Kill()
	w.all()
	w.goesOn(100)
	// What others have they may still have to apply.
	w.end(s.direct(t, s.writer(t, c)))
}

// writer is the member that Forebay writes to.
func (s *mySet) writer(t *testing.T, c *localserver.MySQLCluster) *localserver.MySQL {
	t.Helper()
	for _, h := range s.fb.Plane.TargetHealth() {
		i := slices.IndexFunc(c.Members, func(m *localserver.MySQL) bool { return m.Port() == h.Member.Port })
		if h.Role == engine.Writer && i >= 0 {
			return c.Members[i]
		}
	}
	t.Fatalf("Forebay knows no writer: %+v", s.fb.Plane.TargetHealth())
	return nil
}

// A Galera cluster of which one member is declared: the others are found, one is the writer, and when it is killed another one is.
func TestGalera(t *testing.T) {
	t.Parallel()
	c := testkit.Galera(t, localserver.MySQLOptions{}, 3)
	s := behindCluster(t, c, " ENGINE=InnoDB")
	s.allKnown(t)
	s.lost(t, c)
}

// The same for a group of MySQL's Group Replication, which elects its own primary.
func TestGroupReplication(t *testing.T) {
	t.Parallel()
	all, err := localserver.MySQLReleases()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(in localserver.Install) bool { return in.Product == localserver.ProductMySQL })
	if i < 0 {
		t.Skip("MySQL is not installed (make servers prepares it)")
	}
	c := testkit.GroupReplication(t, localserver.MySQLOptions{BinDir: all[i].BinDir, Chroot: all[i].Chroot}, 3)
	s := behindCluster(t, c, "")
	s.allKnown(t)
	s.lost(t, c)
}

// allKnown waits until Forebay knows three members.
func (s *mySet) allKnown(t *testing.T) {
	t.Helper()
	eventually(t, "three members", func() error {
		n := 0
		for _, h := range s.fb.Plane.TargetHealth() {
			if h.Role != engine.RoleUnknown {
				n++
			}
		}
		if n != 3 {
			return errMembers(n)
		}
		return nil
	})
}

type errMembers int

func (e errMembers) Error() string { return "there are " + string('0'+rune(e)) }
