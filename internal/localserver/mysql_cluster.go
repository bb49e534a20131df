package localserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// MySQLCluster is a set of servers that agree on what is written: a Galera cluster, or a group of Group Replication.
type MySQLCluster struct {
	Members []*MySQL // the first has begun it
}

// Stop ends all members.
func (c *MySQLCluster) Stop() { stopAll(c.Members) }

// galeraPlaces are where the library of Galera may be.
var galeraPlaces = []string{
	"/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so", "/usr/lib64/galera/libgalera_smm.so",
}

// StartGalera makes a Galera cluster of n empty MariaDB servers, each of which takes writes, and returns once all are synced.
// The caller must Stop it. A node that joins, again or for the first time, gets all from another one by rsync. Errors are those of StartMySQL; without MariaDB, the library or rsync they wrap ErrNotInstalled.
func StartGalera(ctx context.Context, o MySQLOptions, n int) (*MySQLCluster, error) {
	in, err := mysqlKind.choose(o.BinDir, o.Chroot)
	if err != nil {
		return nil, err
	}
	if in.Product != ProductMariaDB {
		return nil, fmt.Errorf("galera: %w: it needs MariaDB, not %s", ErrNotInstalled, in)
	}
	library := ""
	for _, place := range galeraPlaces {
		if _, err := os.Stat(filepath.Join(in.Chroot, place)); err == nil {
			library = place
			break
		}
	}
	if library == "" {
		return nil, fmt.Errorf("galera: %w: the library of Galera is missing: run scripts/install-servers galera, or install the "+
			"package galera-4", ErrNotInstalled)
	}
	// The script that copies looks for its own processes.
	if _, err := os.Stat(filepath.Join(in.Chroot, "/proc/self")); err != nil {
		return nil, fmt.Errorf("galera: %w: no /proc in %s", ErrNotInstalled, in.Chroot)
	}
	if _, err := os.Stat(filepath.Join(in.Chroot, "/usr/bin/rsync")); err != nil {
		return nil, fmt.Errorf("galera: %w: rsync is missing", ErrNotInstalled)
	}
	const tries = 5 // somebody may take a port that was free
	for try := 1; ; try++ {
		c, err := startGalera(ctx, in, library, o, n)
		if err == nil || try == tries || !strings.Contains(err.Error(), "Address already in use") {
			return c, err
		}
	}
}

func startGalera(ctx context.Context, in Install, library string, o MySQLOptions, n int) (*MySQLCluster, error) {
	ports, err := freePorts(3 * n) // of the group, of transfers of single write-sets, and of all
	if err != nil {
		return nil, err
	}
	all := make([]string, n)
	for i := range n {
		all[i] = "127.0.0.1:" + strconv.Itoa(ports[i])
	}
	first := make(chan struct{}) // closed when the first node is there, or is not to come
	founded := false             // written before first is closed
	var complete atomic.Bool
	plan := memberPlan{
		before: func(i int) error {
			if i == 0 {
				return nil
			}
			<-first
			if !founded {
				return errors.New("the first node did not start")
			}
			return nil
		},
		after: func(i int, err error) {
			if i == 0 {
				founded = err == nil
				close(first)
			}
		},
		statements: []string{"SET SESSION wsrep_on = OFF"}, // each node's own
		settings: func(i int, m *MySQL) (map[string]string, error) {
			join := "gcomm://" + strings.Join(all, ",")
			if i == 0 && !complete.Load() {
				join = "gcomm://"
			}
			return map[string]string{
				"wsrep_on":                       "ON",
				"wsrep_provider":                 library,
				"wsrep_cluster_name":             "forebay",
				"wsrep_cluster_address":          join,
				"wsrep_node_address":             all[i],
				"wsrep_node_incoming_address":    m.Addr(),
				"wsrep_sst_method":               "rsync",
				"wsrep_sst_receive_address":      "127.0.0.1:" + strconv.Itoa(ports[2*n+i]),
				"binlog_format":                  "ROW",
				"innodb_autoinc_lock_mode":       "2",
				"innodb_flush_log_at_trx_commit": "2",
				"wsrep_provider_options": "gmcast.listen_addr=tcp://" + all[i] + ";base_port=" + strconv.Itoa(ports[i]) +
					";ist.recv_addr=127.0.0.1:" + strconv.Itoa(ports[n+i]) + ";gcache.size=16M;socket.ssl=NO",
			}, nil
		},
	}
	members, err := startMembers(ctx, in, o, n, plan)
	if err != nil {
		return nil, err
	}
	c := &MySQLCluster{Members: members}
	for _, m := range members {
		err = errors.Join(err, c.AwaitSynced(ctx, m))
	}
	complete.Store(true)
	err = errors.Join(err, members[0].writeSettings(), members[0].account.own(members[0].path(mysqlConfig))) // for the next start
	if err != nil {
		c.Stop()
		return nil, fmt.Errorf("%s: galera: %w", in, err)
	}
	return c, nil
}

// AwaitSynced returns when a node of a Galera cluster is synced, as after a restart.
func (c *MySQLCluster) AwaitSynced(ctx context.Context, m *MySQL) error {
	return m.awaitRow(ctx, "SHOW GLOBAL STATUS LIKE 'wsrep_local_state'", "4")
}

// awaitRow returns when the last column of a query's first row has that value.
func (m *MySQL) awaitRow(ctx context.Context, query, want string) error {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	for {
		rows, err := m.Query(ctx, "", query)
		got := ""
		if err == nil && len(rows) > 0 {
			got = rows[0][len(rows[0])-1]
		}
		if got == want && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has %q, not %q, from %s: %w: %s", m.Addr(), got, want, query, errors.Join(err, ctx.Err()), m.Log())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// freePorts is FreePort for several that differ.
func freePorts(n int) ([]int, error) {
	seen := make(map[int]bool, n)
	var out []int
	for len(out) < n {
		p, err := FreePort()
		if err != nil {
			return nil, err
		}
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out, nil
}

// StartGroupReplication makes a group of n empty MySQL servers, the first of which takes writes, and returns once all are online.
// The caller must Stop it. Its members offer TLS in any case. One that is restarted has to StartGroup. Errors are those of StartMySQL; without MySQL 8.0.22
// or newer, or without its plugin, they wrap ErrNotInstalled.
func StartGroupReplication(ctx context.Context, o MySQLOptions, n int) (*MySQLCluster, error) {
	in, err := mysqlKind.choose(o.BinDir, o.Chroot)
	if err != nil {
		return nil, err
	}
	if in.Product != ProductMySQL || !in.AtLeast(8, 0) {
		return nil, fmt.Errorf("group replication: %w: it needs MySQL 8, not %s", ErrNotInstalled, in)
	}
	o.TLS = true    // its plugin does not start without
	const tries = 5 // somebody may take a port that was free
	for try := 1; ; try++ {
		c, err := startGroup(ctx, in, o, n)
		if err == nil || try == tries || !strings.Contains(err.Error(), "Unable to start Group Replication on boot") {
			return c, err
		}
	}
}

func startGroup(ctx context.Context, in Install, o MySQLOptions, n int) (*MySQLCluster, error) {
	ports, err := freePorts(n)
	if err != nil {
		return nil, err
	}
	all := make([]string, n)
	for i := range n {
		all[i] = "127.0.0.1:" + strconv.Itoa(ports[i])
	}
	group := randomUUID()
	members, err := startMembers(ctx, in, o, n, memberPlan{settings: func(i int, _ *MySQL) (map[string]string, error) {
		s := replicaSettings(in, false)
		maps.Copy(s, map[string]string{
			"plugin_load":                                         "group_replication.so",
			"loose_group_replication_group_name":                  group,
			"loose_group_replication_start_on_boot":               "OFF",
			"loose_group_replication_bootstrap_group":             "OFF",
			"loose_group_replication_local_address":               all[i],
			"loose_group_replication_group_seeds":                 strings.Join(all, ","),
			"loose_group_replication_ip_allowlist":                "127.0.0.1",
			"loose_group_replication_recovery_get_public_key":     "ON",
			"loose_group_replication_recovery_reconnect_interval": "1",
		})
		return s, nil
	}})
	if err != nil {
		return nil, err
	}
	c := &MySQLCluster{Members: members}
	if err := c.formGroup(ctx); err != nil {
		c.Stop()
		return nil, fmt.Errorf("%s: group replication: %w", in, err)
	}
	return c, nil
}

func (c *MySQLCluster) formGroup(ctx context.Context) error {
	first := c.Members[0]
	if err := first.Exec(ctx, "SET GLOBAL group_replication_bootstrap_group = ON"); err != nil {
		return err
	}
	if err := c.StartGroup(ctx, first); err != nil {
		return err
	}
	if err := first.Exec(ctx, "SET GLOBAL group_replication_bootstrap_group = OFF"); err != nil {
		return err
	}
	for _, m := range c.Members[1:] {
		if err := c.StartGroup(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// StartGroup has a member of a group of Group Replication join it, and returns once it is online.
func (c *MySQLCluster) StartGroup(ctx context.Context, m *MySQL) error {
	sql := fmt.Sprintf("START GROUP_REPLICATION USER = %s, PASSWORD = %s", quoteMySQL(replicationUser), quoteMySQL(m.password))
	if err := m.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%w: %s", err, m.Log())
	}
	return m.awaitRow(ctx, "SELECT MEMBER_STATE FROM performance_schema.replication_group_members WHERE MEMBER_ID = @@server_uuid", "ONLINE")
}
