package mysql

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
)

// serverKind is what decides which questions a server can be asked.
type serverKind struct {
	mariaDB   bool
	number    uint32 // version, as in an executable comment
	readOnly  []string
	gtids     []string // the variables with its position
	logs      bool     // it has a binary log
	galera    bool
	group     bool // Group Replication's plugin is there
	aurora    bool
	groupView bool // there are tables that tell of a group, and of the roles in it
}

// question is one of the statements that make up a look; together they are a set.
type question uint8

const (
	askVariables   question = 1 << iota // the server's own
	askReplication                      // whom it replicates from, and how far it is
	askReplicas                         // who replicates from it
	askGroup                            // Group Replication
	askGalera
	askVolume // Aurora: who shares the volume
)

// allQuestions has the variables first: they are what the rest is read by.
var allQuestions = []question{askVariables, askReplication, askReplicas, askGroup, askGalera, askVolume}

// unknown is what remains unknown when the question may not be asked.
func (q question) unknown() string {
	switch q {
	case askReplication:
		return "whether it replicates, its source and its lag"
	case askReplicas:
		return "its replicas"
	case askGroup:
		return "the state of Group Replication"
	case askVolume:
		return "the other instances of the Aurora cluster"
	default:
		return "the state of Galera"
	}
}

// privilege is what the user needs for a question.
func (k serverKind) privilege(q question) string {
	switch {
	case q == askReplication && k.mariaDB && k.number >= 100500:
		return "SLAVE MONITOR"
	case q == askReplication:
		return "REPLICATION CLIENT"
	case q == askReplicas && k.mariaDB && k.number >= 100500:
		return "REPLICATION MASTER ADMIN"
	case q == askReplicas:
		return "REPLICATION SLAVE"
	default:
		return "SELECT ON performance_schema.*"
	}
}

// askKind finds out what a server is. Anybody may ask.
func askKind(ctx context.Context, s *login.Server) (serverKind, error) {
	k := serverKind{mariaDB: s.MariaDB, number: versionNumber(s.Version)}
	// What a server does not know of does not come.
	rows, err := s.Query(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only','super_read_only','innodb_read_only',"+
		"'gtid_mode','gtid_binlog_pos','gtid_slave_pos','gtid_binlog_state','log_bin','wsrep_on','group_replication_group_name','aurora_version')")
	if err != nil {
		return k, err
	}
	have := make(map[string]string, len(rows))
	for _, r := range rows {
		if len(r) == 2 && r[0] != nil && r[1] != nil {
			have[strings.ToLower(*r[0])] = *r[1]
		}
	}
	for _, name := range []string{"read_only", "super_read_only", "innodb_read_only"} {
		if _, ok := have[name]; ok {
			k.readOnly = append(k.readOnly, name)
		}
	}
	if k.mariaDB {
		for _, name := range []string{"gtid_binlog_pos", "gtid_slave_pos", "gtid_binlog_state"} {
			if _, ok := have[name]; ok {
				k.gtids = append(k.gtids, name)
			}
		}
	} else if _, ok := have["gtid_mode"]; ok {
		k.gtids = []string{"gtid_executed", "gtid_mode"}
	}
	k.logs = isOn(have["log_bin"])
	k.galera = isOn(have["wsrep_on"])
	_, k.group = have["group_replication_group_name"]
	if _, k.aurora = have["aurora_version"]; k.aurora {
		k.gtids = nil // its instances share a volume, and apply nothing
	}
	k.groupView = !k.mariaDB && !k.aurora && k.number >= 80002
	return k, nil
}

// questions are those that the server can be asked, without some.
func (k serverKind) questions(without question) []question {
	var out []question
	for _, q := range allQuestions {
		can := true
		switch q {
		case askReplicas:
			can = !k.aurora
		case askGroup:
			can = k.groupView
		case askGalera:
			can = k.galera
		case askVolume:
			can = k.aurora
		}
		if can && without&q == 0 {
			out = append(out, q)
		}
	}
	return out
}

// text is a question's statement.
func (k serverKind) text(q question) string {
	switch q {
	case askVariables:
		names := []string{"@@global.max_connections AS max_connections", "@@global.server_id AS server_id", "@@version AS version"}
		for _, name := range slices.Concat(k.readOnly, k.gtids) {
			names = append(names, "@@global."+name+" AS "+name)
		}
		if !k.mariaDB {
			names = append(names, "@@server_uuid AS server_uuid")
		}
		if k.group {
			names = append(names, "@@global.group_replication_group_name AS group_name")
		}
		if k.aurora {
			names = append(names, "@@aurora_server_id AS aurora_server_id")
		}
		return "SELECT " + strings.Join(names, ",")
	case askReplication:
		switch {
		case k.mariaDB:
			return "SHOW ALL SLAVES STATUS"
		case k.number >= 80022:
			return "SHOW REPLICA STATUS"
		}
		return "SHOW SLAVE STATUS"
	case askReplicas:
		if !k.mariaDB && k.number >= 80022 {
			return "SHOW REPLICAS"
		}
		return "SHOW SLAVE HOSTS"
	case askGroup:
		// A transaction that is being applied was committed elsewhere at the time that it has with it.
		return `SELECT m.MEMBER_ID, m.MEMBER_HOST, m.MEMBER_PORT, m.MEMBER_STATE, m.MEMBER_ROLE, s.VIEW_ID,
			s.COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE AS QUEUE,
			IF(m.MEMBER_ID = @@server_uuid, (SELECT TIMESTAMPDIFF(MICROSECOND, MIN(w.APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP), NOW(6))
				FROM performance_schema.replication_applier_status_by_worker w
				WHERE w.CHANNEL_NAME = 'group_replication_applier' AND w.APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP > 0), NULL) AS APPLYING
			FROM performance_schema.replication_group_members m
			LEFT JOIN performance_schema.replication_group_member_stats s USING (CHANNEL_NAME, MEMBER_ID)`
	case askGalera:
		return "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready','wsrep_cluster_status','wsrep_local_state'," +
			"'wsrep_local_state_comment','wsrep_cluster_state_uuid','wsrep_last_committed','wsrep_incoming_addresses','wsrep_local_index')"
	default:
		return "SELECT SERVER_ID, SESSION_ID, REPLICA_LAG_IN_MILLISECONDS FROM information_schema.replica_host_status " +
			"WHERE SESSION_ID = 'MASTER_SESSION_ID' OR LAST_UPDATE_TIMESTAMP > NOW() - INTERVAL 5 MINUTE"
	}
}

// isOn reads a variable that is a switch. MariaDB's read_only has more than two values since 12.
func isOn(value string) bool {
	switch strings.ToUpper(value) {
	case "", "0", "OFF", "NO":
		return false
	}
	return true
}

// row is one of a result, by column in lower case. NULL is absent.
type row map[string]string

func rowsOf(r login.Result) []row {
	out := make([]row, len(r.Rows))
	for i, values := range r.Rows {
		out[i] = make(row, len(values))
		for j, v := range values {
			if v != nil && j < len(r.Columns) {
				out[i][strings.ToLower(r.Columns[j])] = *v
			}
		}
	}
	return out
}

// first is the value of the first column that there is: newer releases have other names.
func (r row) first(names ...string) string {
	for _, name := range names {
		if v, ok := r[name]; ok {
			return v
		}
	}
	return ""
}

func (r row) number(names ...string) (int64, bool) {
	n, err := strconv.ParseInt(r.first(names...), 10, 64)
	return n, err == nil
}

// peer is who a row names by a host and a port; ok is false without a host.
func (r row) peer(name, host, port string) (engine.Peer, bool) {
	p := engine.Peer{Name: name, Host: r[host]}
	if n, ok := r.number(port); ok && n > 0 && n <= 65535 {
		p.Port = int(n)
	}
	return p, p.Host != "" && !strings.EqualFold(p.Host, "NULL")
}

// answer is what a server has said at one look.
type answer struct {
	kind            serverKind
	variables       row
	sources         []row // channels by which it replicates
	replicas        []row
	members         []row // of its group
	galera          row
	volume          []row
	writableReplica bool // set by status: it replicates and is not read-only
}

// take reads the result of one question.
func (a *answer) take(q question, r login.Result) error {
	rows := rowsOf(r)
	switch q {
	case askVariables:
		if len(rows) != 1 {
			return fmt.Errorf("%w: %d rows of variables", login.ErrProtocol, len(rows))
		}
		a.variables = rows[0]
	case askReplication:
		for _, s := range rows {
			// Those of Group Replication have no source that could be named.
			if !strings.HasPrefix(s["channel_name"], "group_replication_") {
				a.sources = append(a.sources, s)
			}
		}
	case askReplicas:
		a.replicas = rows
	case askGroup:
		a.members = rows
	case askGalera:
		a.galera = make(row, len(rows))
		for _, v := range rows {
			a.galera[strings.ToLower(v["variable_name"])] = v["value"]
		}
	case askVolume:
		a.volume = rows
	}
	return nil
}

// status puts together what the answers mean. host is where the member is known to be.
func (a *answer) status(host string) (engine.Status, error) {
	st := engine.Status{Role: engine.Writer, Lag: -1, LagBytes: -1, Version: a.variables["version"]}
	n, ok := a.variables.number("max_connections")
	if !ok {
		return st, fmt.Errorf("%w: max_connections %q", login.ErrProtocol, a.variables["max_connections"])
	}
	st.Capacity.MaxConnections = int(n)
	for _, name := range a.kind.readOnly {
		if isOn(a.variables[name]) {
			st.Role = engine.Reader
		}
	}
	a.replication(&st)
	var err error
	if st.Position, err = a.position(st.Role); err != nil {
		return st, err
	}
	switch {
	case a.galera != nil:
		a.galeraStatus(&st)
	case a.kind.aurora:
		a.auroraStatus(&st, host)
	case a.kind.groupView:
		err = a.groupStatus(&st)
	}
	if st.Role == engine.Writer {
		st.Lag, st.LagBytes, st.Source = 0, 0, ""
	}
	return st, err
}

// position is what it has in its log, and what it has applied. Without GTIDs none is known.
func (a *answer) position(role engine.Role) (engine.Position, error) {
	v := a.variables
	if a.kind.mariaDB {
		own, _ := v.number("server_id")
		p, err := mariaDBAt(v["gtid_binlog_pos"], v["gtid_slave_pos"], v["gtid_binlog_state"], uint32(own), role == engine.Reader)
		if err != nil || len(p.of) == 0 && !a.kind.logs {
			return nil, err
		}
		return p, nil
	}
	if !strings.EqualFold(v["gtid_mode"], "ON") { // in the other modes some transactions may have none
		return nil, nil
	}
	p, err := parseGTIDSet(v["gtid_executed"])
	if err != nil {
		return nil, err
	}
	return p, nil
}

// replication reads the state of asynchronous replication. A server that replicates is a reader, even if it takes writes:
// many replicas are not protected. Not so one of two that replicate from each other, where read_only alone decides.
func (a *answer) replication(st *engine.Status) {
	own := make(map[string]bool) // server_id of its replicas
	for _, r := range a.replicas {
		own[r.first("server_id")] = true
		if p, ok := r.peer("", "host", "port"); ok {
			st.Peers = append(st.Peers, p)
		}
	}
	delete(own, "0")
	reads, lag, bytes := false, time.Duration(0), int64(0)
	for _, s := range a.sources {
		if p, ok := s.peer("", prefer(s, "source_host", "master_host"), prefer(s, "source_port", "master_port")); ok {
			st.Peers = append(st.Peers, p)
			if st.Source == "" {
				st.Source = net.JoinHostPort(p.Host, strconv.Itoa(p.Port))
			}
		}
		receiving := s.first("replica_io_running", "slave_io_running") // Yes, No, or one that tries to connect
		applies := s.first("replica_sql_running", "slave_sql_running") == "Yes"
		if (receiving != "No" || applies) && !own[s.first("source_server_id", "master_server_id")] {
			reads = true
		}
		// What has not been received is not counted.
		if n, ok := s.number("seconds_behind_source", "seconds_behind_master"); ok && applies && receiving == "Yes" && lag >= 0 {
			lag = max(lag, time.Duration(n)*time.Second)
		} else {
			lag = -1
		}
		if n, ok := behind(s); ok && bytes >= 0 {
			bytes += n
		} else {
			bytes = -1
		}
	}
	if len(a.sources) > 0 {
		st.Lag, st.LagBytes = lag, bytes
	}
	if reads && st.Role == engine.Writer {
		st.Role, a.writableReplica = engine.Reader, true
	}
}

func prefer(r row, name, older string) string {
	if _, ok := r[name]; ok {
		return name
	}
	return older
}

// behind is how many bytes of its source's log a replica has received and not applied. That is known while it is connected and
// both places are in the same file.
func behind(s row) (int64, bool) {
	if s.first("replica_io_running", "slave_io_running") != "Yes" ||
		s.first("source_log_file", "master_log_file") != s.first("relay_source_log_file", "relay_master_log_file") {
		return 0, false
	}
	read, ok1 := s.number("read_source_log_pos", "read_master_log_pos")
	applied, ok2 := s.number("exec_source_log_pos", "exec_master_log_pos")
	return read - applied, ok1 && ok2 && read >= applied
}

// galeraStatus reads the state of a Galera node. Each that is synced takes writes.
func (a *answer) galeraStatus(st *engine.Status) {
	g := a.galera
	st.MultiWriter = true
	switch {
	case g["wsrep_cluster_status"] != "Primary":
		st.Unusable = "Galera: the node is not in the primary component: " + g["wsrep_cluster_status"]
	case g["wsrep_local_state"] != "4":
		st.Unusable = "Galera: the node is not synced: " + g["wsrep_local_state_comment"]
	case !isOn(g["wsrep_ready"]):
		st.Unusable = "Galera: the node is not ready"
	}
	st.Position = nil
	if n, ok := g.number("wsrep_last_committed"); ok && n >= 0 && isUUID(g["wsrep_cluster_state_uuid"]) {
		st.Position = galeraPosition{cluster: g["wsrep_cluster_state_uuid"], last: n}
	}
	own := g["wsrep_local_index"]
	for i, address := range strings.Split(g["wsrep_incoming_addresses"], ",") {
		if strconv.Itoa(i) == own {
			continue
		}
		address = strings.TrimSpace(address)
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			host, port = strings.Trim(address, "[]"), ""
		}
		r := row{"host": host, "port": port}
		if p, ok := r.peer("", "host", "port"); ok && !strings.EqualFold(host, "AUTO") {
			st.Peers = append(st.Peers, p)
		}
	}
}

// groupStatus reads the state of Group Replication, if the server is or should be in a group.
func (a *answer) groupStatus(st *engine.Status) error {
	own, lost, primaries := row(nil), 0, 0
	for _, m := range a.members {
		if m["member_role"] == "PRIMARY" {
			primaries++
		}
		if m["member_id"] == a.variables["server_uuid"] && m["member_id"] != "" {
			own = m
		}
		if m["member_state"] == "UNREACHABLE" {
			lost++
		}
	}
	if own == nil || own["member_state"] == "OFFLINE" {
		if a.variables["group_name"] != "" {
			st.Unusable = "Group Replication: the server is not in its group"
		}
		return nil
	}
	switch {
	case own["member_state"] != "ONLINE":
		st.Unusable = "Group Replication: the server is " + own["member_state"]
	case 2*lost >= len(a.members):
		st.Unusable = fmt.Sprintf("Group Replication: the server has lost the majority of its group: %d of %d members do not answer", lost, len(a.members))
	}
	st.MultiWriter = primaries > 1
	// A primary that has just been elected may not take writes yet.
	if own["member_role"] != "PRIMARY" {
		st.Role = engine.Reader
	}
	term, err := groupTerm(own["view_id"])
	if err != nil && st.Unusable == "" {
		return err
	}
	st.Term = term
	if queue, ok := own.number("queue"); ok && st.Role == engine.Reader {
		if micros, applying := own.number("applying"); applying {
			st.Lag = max(0, time.Duration(micros)*time.Microsecond)
		} else if queue == 0 {
			st.Lag = 0
		}
	}
	for _, m := range a.members {
		if p, ok := m.peer("", "member_host", "member_port"); ok && m["member_id"] != own["member_id"] {
			st.Peers = append(st.Peers, p)
		}
	}
	return nil
}

// groupTerm makes a number of a view's identity, "17325687654321000:5": when the group was founded, in units of 100 ns, and how
// many views it has had. A group that was founded later is newer, whatever its number of views.
func groupTerm(view string) (uint64, error) {
	founded, count, ok := strings.Cut(view, ":")
	since, err1 := strconv.ParseUint(founded, 10, 64)
	n, err2 := strconv.ParseUint(count, 10, 32)
	const second = 10_000_000
	if !ok || err1 != nil || err2 != nil || since/second >= 1<<32 {
		return 0, fmt.Errorf("%w: view %q", login.ErrProtocol, view)
	}
	return since/second<<32 | n, nil
}

// auroraStatus reads which instances share the volume. host is the address of this one.
func (a *answer) auroraStatus(st *engine.Status, host string) {
	own := a.variables["aurora_server_id"]
	for _, v := range a.volume {
		if v["server_id"] != own {
			if p, ok := engine.AuroraPeer(host, v["server_id"]); ok {
				st.Peers = append(st.Peers, p)
			}
			continue
		}
		if ms, err := strconv.ParseFloat(v["replica_lag_in_milliseconds"], 64); err == nil && ms >= 0 && st.Role == engine.Reader {
			st.Lag = time.Duration(ms * float64(time.Millisecond))
		}
	}
}
