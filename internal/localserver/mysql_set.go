package localserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"
)

// MySQLReplicasOptions say what StartMySQLReplicas starts.
type MySQLReplicasOptions struct {
	Server   MySQLOptions // of every member; Port is not for them
	Replicas int          // beside the primary
	// SemiSync has a write acknowledged only when a replica has received it (AFTER_SYNC), however long that takes: so none is
	// lost when the primary is, and none ends while there is no replica.
	SemiSync bool
}

// MySQLReplicas is a primary with its replicas, by GTIDs. All are read-only in their configuration, so that a primary that
// comes back after a crash takes no writes. Users and databases made on the primary come to be on the replicas. Its methods
// may be called from several goroutines.
type MySQLReplicas struct {
	Members  []*MySQL // the first primary, then the replicas
	words    replicationWords
	semiSync bool

	mu      sync.Mutex // held while roles change
	primary *MySQL
}

// replicationUser is who replicas log in as. Every member has the account.
const replicationUser = "forebay_replication"

// applyLimit is how long a replica may take to apply what it has, or, where it begins anew, to apply anything more.
const applyLimit = 30 * time.Second

// replicationWords is how one product says what the other says in other words.
type replicationWords struct {
	start, stop, stopReceiving, reset, status string
	change                                    string // of host, port, user and password
	received                                  string // the column of status with what has come from the source
	position                                  string // what the member has in its binary log
	applied                                   string // a query of a position and seconds: 0 once the replica has applied it
	behind                                    string // a statement of a position: a replica goes on from there
	ioError                                   string // the column of status
	ioRunning                                 string
	semiSync                                  string // the variable by which a primary waits for a replica
}

var mariaDBWords = replicationWords{
	start: "START SLAVE", stop: "STOP SLAVE", stopReceiving: "STOP SLAVE IO_THREAD", reset: "RESET SLAVE ALL",
	status: "SHOW SLAVE STATUS", received: "Gtid_IO_Pos", ioError: "Last_IO_Error", ioRunning: "Slave_IO_Running",
	semiSync: "rpl_semi_sync_master_enabled",
	change: "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %d, MASTER_USER = %s, MASTER_PASSWORD = %s, MASTER_SSL = 0, " +
		"MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos",
	position: "SELECT @@global.gtid_binlog_pos",
	applied:  "SELECT MASTER_GTID_WAIT(%s, %g)",
	behind:   "SET GLOBAL gtid_slave_pos = %s",
}

var mysqlWords = replicationWords{
	start: "START REPLICA", stop: "STOP REPLICA", stopReceiving: "STOP REPLICA IO_THREAD", reset: "RESET REPLICA ALL",
	status: "SHOW REPLICA STATUS", received: "Retrieved_Gtid_Set", ioError: "Last_IO_Error", ioRunning: "Replica_IO_Running",
	semiSync: "rpl_semi_sync_source_enabled",
	change: "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %d, SOURCE_USER = %s, SOURCE_PASSWORD = %s, " +
		"SOURCE_CONNECT_RETRY = 1, SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 0, GET_SOURCE_PUBLIC_KEY = 1",
	position: "SELECT @@global.gtid_executed",
	applied:  "SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %g)",
}

// StartMySQLReplicas makes a primary with replicas, all empty, and returns once all replicas are connected to it. The caller
// must Stop it. Errors are those of StartMySQL; MySQL has to be 8.0.23 or newer, MariaDB 10.5.
func StartMySQLReplicas(ctx context.Context, o MySQLReplicasOptions) (*MySQLReplicas, error) {
	in, err := mysqlKind.choose(o.Server.BinDir, o.Server.Chroot)
	if err != nil {
		return nil, err
	}
	members, err := startMembers(ctx, in, o.Server, 1+o.Replicas, memberPlan{settings: func(int, *MySQL) (map[string]string, error) {
		return replicaSettings(in, o.SemiSync), nil
	}})
	if err != nil {
		return nil, err
	}
	r := &MySQLReplicas{Members: members, words: mysqlWords, semiSync: o.SemiSync}
	if in.Product == ProductMariaDB {
		r.words = mariaDBWords
	}
	if err := r.lead(ctx, members[0], members[1:]); err != nil {
		r.Stop()
		return nil, fmt.Errorf("%s: replication: %w", in, err)
	}
	return r, nil
}

// memberPlan is what the servers of one kind of set need. All but settings may be nil.
type memberPlan struct {
	settings   func(i int, m *MySQL) (map[string]string, error)
	statements []string               // come before all others at the first start
	before     func(i int) error      // may wait for others
	after      func(i int, err error) // is told how the start went
}

// startMembers starts n servers that know each other's password of root, side by side.
func startMembers(ctx context.Context, in Install, o MySQLOptions, n int, plan memberPlan) ([]*MySQL, error) {
	password := RandomWord(24)
	members, errs := make([]*MySQL, n), make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			own := o
			own.BinDir, own.Chroot, own.Port = in.BinDir, in.Chroot, 0
			m := &MySQL{options: own, password: password, member: true, statements: plan.statements}
			m.adjust = func() (map[string]string, error) {
				// One that was made anew is another server: it would not apply what the set has of its own.
				s := map[string]string{"server_id": strconv.Itoa(1 + i + n*m.renewals)}
				more, err := plan.settings(i, m)
				maps.Copy(s, more)
				return s, err
			}
			members[i] = m
			if plan.before != nil {
				if errs[i] = plan.before(i); errs[i] != nil {
					return
				}
			}
			errs[i] = m.start(ctx, in)
			if plan.after != nil {
				plan.after(i, errs[i])
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		for i, m := range members {
			if errs[i] == nil {
				m.Stop()
			}
		}
		return nil, err
	}
	return members, nil
}

// replicaSettings are those of every member, whatever its role. A process that is killed loses nothing that it has
// committed: so much durability is needed for positions to mean something.
func replicaSettings(in Install, semiSync bool) map[string]string {
	s := map[string]string{
		"log_bin":                        "binlog-of-set",
		"relay_log":                      "relay-of-set",
		"binlog_format":                  "ROW",
		"read_only":                      "ON",
		"report_host":                    "127.0.0.1",
		"innodb_flush_log_at_trx_commit": "2",
	}
	if in.Product == ProductMariaDB {
		s["gtid_strict_mode"], s["log_slave_updates"] = "ON", "ON"
		if semiSync {
			s["rpl_semi_sync_slave_enabled"] = "ON"
			s["rpl_semi_sync_master_wait_point"] = "AFTER_SYNC"
			s["rpl_semi_sync_master_timeout"] = semiSyncTimeout
			s["rpl_semi_sync_slave_kill_conn_timeout"] = "1" // seconds to wait for a primary that is frozen
		}
		return s
	}
	delete(s, "binlog_format") // the only one, and deprecated
	s["gtid_mode"], s["enforce_gtid_consistency"] = "ON", "ON"
	if semiSync {
		s["plugin_load"] = "semisync_source.so;semisync_replica.so"
		s["loose_rpl_semi_sync_replica_enabled"] = "ON"
		s["loose_rpl_semi_sync_source_wait_point"] = "AFTER_SYNC"
		s["loose_rpl_semi_sync_source_timeout"] = semiSyncTimeout
	}
	return s
}

// semiSyncTimeout is after how many milliseconds a write would be acknowledged though no replica has it: never, for a test.
const semiSyncTimeout = "86400000"

// Primary is the member that takes writes.
func (r *MySQLReplicas) Primary() *MySQL {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.primary
}

// Replicas are the other members, those that do not run included.
func (r *MySQLReplicas) Replicas() []*MySQL {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.others(r.primary)
}

func (r *MySQLReplicas) others(than *MySQL) []*MySQL {
	var out []*MySQL
	for _, m := range r.Members {
		if m != than {
			out = append(out, m)
		}
	}
	return out
}

// Stop ends all members.
func (r *MySQLReplicas) Stop() { stopAll(r.Members) }

func stopAll(members []*MySQL) {
	var wait sync.WaitGroup
	for _, m := range members {
		wait.Go(m.Stop)
	}
	wait.Wait()
}

// follow makes m a replica of source, and returns when it has all that source has had at the time. A member that begins anew
// applies all that was ever written: as long as it gets on, it has time.
func (r *MySQLReplicas) follow(ctx context.Context, m, source *MySQL) error {
	if err := r.point(ctx, m, source); err != nil {
		return err
	}
	// A source takes the connection of a replica first, and then finds out that it cannot go on from where that is.
	position, err := r.position(ctx, source)
	if err != nil {
		return err
	}
	reached, since := "", time.Now()
	for {
		status, err := r.status(ctx, m)
		if err != nil {
			return fmt.Errorf("the replica does not follow: it is to have %s: %w", position, err)
		}
		if status[r.words.ioRunning] == "Yes" {
			done, err := r.applied(ctx, m, position, 10*time.Millisecond)
			if done || err != nil && ctx.Err() == nil {
				return err
			}
		}
		if why := status[r.words.ioError]; why != "" && status[r.words.ioRunning] == "No" {
			return fmt.Errorf("%w: %s", errDiverged, why)
		}
		if why := status["Last_SQL_Error"]; why != "" { // an event that it cannot apply to what it has
			return fmt.Errorf("%w: %s", errDiverged, why)
		}
		if now, err := r.position(ctx, m); err == nil && now != reached {
			reached, since = now, time.Now()
		}
		if time.Since(since) > applyLimit {
			return fmt.Errorf("the replica does not follow: %w: it is to have %s: connected: %s, received %s, applied %s, error %q",
				context.DeadlineExceeded, position, status[r.words.ioRunning], status[r.words.received], reached, status[r.words.ioError])
		}
		time.Sleep(5 * time.Millisecond) // where ctx has ended, the next question says so
	}
}

// errDiverged means that a member has what its source lacks.
var errDiverged = errors.New("the replica cannot follow")

// point has m replicate from source.
func (r *MySQLReplicas) point(ctx context.Context, m, source *MySQL) error {
	change := fmt.Sprintf(r.words.change, quoteMySQL(source.Host()), source.Port(), quoteMySQL(replicationUser), quoteMySQL(m.password))
	sql := "SET GLOBAL read_only = 1;" + r.words.stop + ";" + change + ";" + r.words.start
	if r.semiSync {
		// Else it would wait for a replica of its own before it applies anything.
		sql = "SET GLOBAL " + r.words.semiSync + " = 0;" + sql
	}
	if m.install.Product == ProductMySQL {
		sql += ";SET GLOBAL super_read_only = 1"
	}
	return m.Exec(ctx, sql)
}

// status is what a replica says of its replication, by column; empty for one that has none.
func (r *MySQLReplicas) status(ctx context.Context, m *MySQL) (map[string]string, error) {
	columns, rows, err := m.query(ctx, "", r.words.status)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	out := make(map[string]string, len(columns))
	for i, name := range columns {
		out[name] = rows[0][i]
	}
	return out, nil
}

// position is what m has in its binary log, which has all that it has written or applied.
func (r *MySQLReplicas) position(ctx context.Context, m *MySQL) (string, error) {
	rows, err := m.Query(ctx, "", r.words.position)
	if err != nil {
		return "", err
	}
	return rows[0][0], nil
}

// applied waits at most so long until m has applied what position holds, and reports whether it has. For MySQL no time
// at all would mean for ever.
func (r *MySQLReplicas) applied(ctx context.Context, m *MySQL, position string, limit time.Duration) (bool, error) {
	rows, err := m.Query(ctx, "", fmt.Sprintf(r.words.applied, quoteMySQL(position), limit.Seconds()))
	if err != nil {
		return false, err
	}
	return rows[0][0] == "0", nil
}

// CatchUp returns when a replica has applied all that the primary has written until now.
func (r *MySQLReplicas) CatchUp(ctx context.Context, replica *MySQL) error {
	position, err := r.position(ctx, r.Primary())
	if err != nil {
		return err
	}
	return r.await(ctx, replica, position)
}

func (r *MySQLReplicas) await(ctx context.Context, m *MySQL, position string) error {
	done, err := r.applied(ctx, m, position, applyLimit)
	if done || err != nil {
		return err
	}
	status, err := r.status(ctx, m)
	return errors.Join(fmt.Errorf("the member at %s has not applied %s in %v: %s", m.Addr(), position, applyLimit, status["Last_SQL_Error"]), err)
}

// Promote makes a replica the primary in place of one that is not asked: it may be dead, frozen or cut off. The replica first
// applies what it, or another that runs, has received. The others follow it. The old primary has to Rejoin.
func (r *MySQLReplicas) Promote(ctx context.Context, to *MySQL) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if to == r.primary {
		return errors.New("promote: it is the primary")
	}
	var others []*MySQL // that run
	for _, m := range r.others(r.primary) {
		if m != to && m.PID() != 0 {
			others = append(others, m)
		}
	}
	for _, m := range append([]*MySQL{to}, others...) {
		if err := r.settle(ctx, m); err != nil {
			return fmt.Errorf("promote: %w", err)
		}
	}
	for _, m := range others {
		if err := r.catchUpFrom(ctx, to, m); err != nil {
			return fmt.Errorf("promote: %w", err)
		}
	}
	if err := r.lead(ctx, to, others); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	return nil
}

// settle has a replica receive no more, and apply what it has received.
func (r *MySQLReplicas) settle(ctx context.Context, m *MySQL) error {
	if err := m.Exec(ctx, r.words.stopReceiving); err != nil {
		return err
	}
	status, err := r.status(ctx, m)
	if err != nil {
		return err
	}
	return r.await(ctx, m, status[r.words.received])
}

// catchUpFrom has a replica take from another one what that has and it has not.
func (r *MySQLReplicas) catchUpFrom(ctx context.Context, m, from *MySQL) error {
	position, err := r.position(ctx, from)
	if err != nil {
		return err
	}
	if done, err := r.applied(ctx, m, position, time.Millisecond); done || err != nil {
		return err
	}
	if err := r.point(ctx, m, from); err != nil {
		return err
	}
	return r.await(ctx, m, position)
}

// lead makes a member that has all there is the primary of the others.
func (r *MySQLReplicas) lead(ctx context.Context, to *MySQL, others []*MySQL) error {
	sql := r.words.stop + ";" + r.words.reset + ";"
	if r.semiSync {
		sql += "SET GLOBAL " + r.words.semiSync + " = 1;"
	}
	if err := to.Exec(ctx, sql+"SET GLOBAL read_only = 0"); err != nil {
		return err
	}
	r.primary = to
	var errs []error
	for _, m := range others {
		errs = append(errs, r.follow(ctx, m, to))
	}
	return errors.Join(errs...)
}

// Switchover makes a replica the primary while the old one runs: that takes no more writes, the replica applies all that it
// has written, and it follows the replica.
func (r *MySQLReplicas) Switchover(ctx context.Context, to *MySQL) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.primary
	if to == old {
		return errors.New("switchover: it is the primary")
	}
	sql := "SET GLOBAL read_only = 1"
	if old.install.Product == ProductMySQL {
		sql = "SET GLOBAL super_read_only = 1"
	}
	if err := old.Exec(ctx, sql); err != nil {
		return fmt.Errorf("switchover: %w", err)
	}
	position, err := r.position(ctx, old)
	if err == nil {
		err = r.await(ctx, to, position)
	}
	if err == nil {
		var others []*MySQL
		for _, m := range r.others(old) {
			if m != to && m.PID() != 0 {
				others = append(others, m)
			}
		}
		err = r.lead(ctx, to, others)
	}
	if err == nil {
		err = r.join(ctx, old)
	}
	if err != nil {
		return fmt.Errorf("switchover: %w", err)
	}
	return nil
}

// Rejoin makes a member that runs, such as an old primary that has been started again, a replica of the primary. If it has
// what the primary lacks it is made anew, and gets all from the primary.
func (r *MySQLReplicas) Rejoin(ctx context.Context, m *MySQL) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m == r.primary {
		return errors.New("rejoin: it is the primary")
	}
	err := r.join(ctx, m)
	if errors.Is(err, errDiverged) {
		if err = m.renew(ctx); err == nil {
			err = r.follow(ctx, m, r.primary)
		}
	}
	if err != nil {
		return fmt.Errorf("rejoin: %w", err)
	}
	return nil
}

// join has m go on, as a replica of the primary, from what is in its binary log.
func (r *MySQLReplicas) join(ctx context.Context, m *MySQL) error {
	position, err := r.position(ctx, m)
	if err != nil {
		return err
	}
	if r.words.behind == "" {
		// MySQL's replicas know what they have; what the primary lacks would stay here unseen.
		sql := "SELECT GTID_SUBTRACT(" + quoteMySQL(position) + ", @@global.gtid_executed)"
		rows, err := r.primary.Query(ctx, "", sql)
		if err != nil {
			return err
		}
		if rows[0][0] != "" {
			return fmt.Errorf("%w: the primary lacks %s", errDiverged, rows[0][0])
		}
		return r.follow(ctx, m, r.primary)
	}
	if err := m.Exec(ctx, r.words.stop+";"+fmt.Sprintf(r.words.behind, quoteMySQL(position))); err != nil {
		return err
	}
	return r.follow(ctx, m, r.primary)
}
