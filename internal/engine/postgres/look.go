package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/login"
)

// serverKind is what decides how a server is asked.
type serverKind struct {
	aurora  bool // it has aurora_replica_status()
	control bool // the user may read the control file
}

// askKind asks a server's catalog once for each connection.
func askKind(ctx context.Context, s *login.Server) (k serverKind, err error) {
	rows, err := s.Query(ctx, `SELECT to_regprocedure('pg_catalog.aurora_replica_status()') IS NOT NULL
	AND to_regprocedure('pg_catalog.aurora_db_instance_identifier()') IS NOT NULL,
	has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE')
	AND has_function_privilege('pg_catalog.pg_control_recovery()', 'EXECUTE')
	AND has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')`)
	if err != nil {
		return k, err
	}
	if len(rows) != 1 || len(rows[0]) != 2 {
		return k, fmt.Errorf("%w: no answer about functions", login.ErrProtocol)
	}
	f := fields(rows[0])
	return serverKind{aurora: f.text(0) == "t", control: f.text(1) == "t"}, nil
}

// question is what is asked at each look: one row, for which readAnswer knows the columns.
//
// A primary's position is where it has come to in its log, whether that is written or not: with synchronous_commit off a client is
// told of its commit before.
//
// What is asked only of a primary stands behind CASE: it is an error on a standby. One that is promoted while it is asked counts
// as the standby that it was at first, and a primary stays one.
func (k serverKind) question() string {
	if k.aurora {
		return askCommon + askVolume + " FROM r"
	}
	control, system := `NULL`, `NULL`
	if k.control {
		system = `(SELECT system_identifier FROM pg_control_system())`
		control = `greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()))`
	}
	return askCommon + `, CASE WHEN r.standby THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
	CASE WHEN NOT r.standby THEN pg_walfile_name(pg_current_wal_lsn()) END,
	` + control + askReplication + `, pg_size_bytes(current_setting('wal_segment_size')), ` + system + ` FROM r LEFT JOIN pg_stat_wal_receiver w ON true`
}

// The parts of the question, which works on PostgreSQL 13 to 18. The control file holds a timeline of the past: that of the
// last checkpoint. A primary writes to the timeline that the name of its present WAL file begins with.
const (
	askCommon = `WITH r AS MATERIALIZED (SELECT pg_is_in_recovery() AS standby)
SELECT r.standby, pg_has_role('pg_read_all_stats', 'USAGE'), current_setting('server_version'),
	current_setting('max_connections'), current_setting('superuser_reserved_connections'), current_setting('reserved_connections', true)`

	// Logical subscribers are no members of the set, nor is what only stores the log (pg_receivewal replays nothing).
	askReplication = `, pg_last_wal_receive_lsn(), extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()),
	w.pid IS NOT NULL, w.status, w.received_tli, w.latest_end_lsn, w.sender_host, w.sender_port,
	(SELECT json_agg(json_build_object('name', p.application_name, 'host', host(p.client_addr)) ORDER BY p.client_addr, p.application_name)
		FROM pg_stat_replication p LEFT JOIN pg_replication_slots s ON s.active_pid = p.pid
		WHERE p.client_addr IS NOT NULL AND p.replay_lsn IS NOT NULL AND s.slot_type IS DISTINCT FROM 'logical')`

	// Readers that are gone stay in the table for a while.
	askVolume = `, (SELECT json_agg(json_build_object('name', a.server_id, 'self', a.server_id = aurora_db_instance_identifier(),
		'writer', a.session_id = 'MASTER_SESSION_ID', 'lsn', a.durable_lsn, 'lag', a.replica_lag_in_msec) ORDER BY a.server_id)
		FROM aurora_replica_status() a
		WHERE a.session_id = 'MASTER_SESSION_ID' OR a.last_update_timestamp IS NULL
		OR a.last_update_timestamp > now() - interval '5 minutes')`
)

// answer is what a server has answered. Of what it has not told, the zero value.
type answer struct {
	standby  bool
	seesAll  bool // the user may read all statistics
	version  string
	capacity engine.Capacity

	aurora bool
	volume []volumeMember // of Aurora alone

	// Of all the others.
	position  string // of a primary's log, or replayed
	segment   uint64 // size of a WAL file in bytes; 0: not told
	system    string // identifier of the database system, the same for all that have begun as copies of one; empty: not known
	walFile   string // of a primary: the one that it writes to
	control   uint32 // timeline of the control file: that of a moment in the past
	received  string // by a standby
	replayAge time.Duration
	ageKnown  bool
	receiver  bool   // a WAL receiver runs
	state     string // of the receiver
	timeline  uint32 // that it receives
	end       string // of the source's log, as the receiver has heard last
	host      string // of the source
	port      string
	peers     []struct{ Name, Host string }
}

// volumeMember is a row of aurora_replica_status().
type volumeMember struct {
	Name   string
	Self   bool
	Writer bool
	LSN    *uint64  // of the volume, up to which the member has come
	Lag    *float64 // milliseconds
}

// fields is a row of an answer; what is NULL counts as empty.
type fields []*string

func (f fields) text(i int) string {
	if f[i] == nil {
		return ""
	}
	return *f[i]
}

func readAnswer(rows [][]*string) (a answer, err error) {
	const common, ofVolume, ofReplication = 6, 7, 20
	if len(rows) != 1 || len(rows[0]) != ofVolume && len(rows[0]) != ofReplication {
		return a, fmt.Errorf("postgres: role: %w: an answer of another form", login.ErrProtocol)
	}
	f := fields(rows[0])
	number := func(i int) int {
		if err != nil || f.text(i) == "" {
			return 0
		}
		var n int
		if n, err = strconv.Atoi(f.text(i)); err != nil {
			err = fmt.Errorf("postgres: role: column %d: %w", i, err)
		}
		return n
	}
	list := func(i int, v any) {
		if err == nil && f.text(i) != "" {
			if err = json.Unmarshal([]byte(f.text(i)), v); err != nil {
				err = fmt.Errorf("postgres: role: column %d: %w", i, err)
			}
		}
	}
	a.standby, a.seesAll = f.text(0) == "t", f.text(1) == "t"
	a.version, _, _ = strings.Cut(f.text(2), " ") // what follows is the packager's
	a.capacity = engine.Capacity{MaxConnections: number(3), Reserved: number(4) + number(5)}
	if len(f) == ofVolume {
		a.aurora = true
		list(common, &a.volume)
		return a, err
	}
	a.position, a.walFile, a.control, a.received = f.text(6), f.text(7), uint32(number(8)), f.text(9)
	if age := f.text(10); age != "" {
		seconds, ageErr := strconv.ParseFloat(age, 64)
		if ageErr != nil {
			return a, fmt.Errorf("postgres: role: column 10: %w", ageErr)
		}
		a.ageKnown, a.replayAge = true, time.Duration(seconds*float64(time.Second))
	}
	a.receiver, a.state, a.timeline, a.end = f.text(11) == "t", f.text(12), uint32(number(13)), f.text(14)
	a.host, a.port = f.text(15), f.text(16)
	list(17, &a.peers)
	a.segment, a.system = uint64(max(0, number(18))), f.text(19)
	return a, err
}

// status is what an answer means. host is the member's, as it was reached; since is how long ago it was last without a lag,
// negative: not known.
func (a *answer) status(host string, since time.Duration) (engine.Status, error) {
	st := engine.Status{Role: engine.Writer, Lag: -1, LagBytes: -1, Capacity: a.capacity, Version: a.version, System: a.system}
	if a.standby {
		st.Role = engine.Reader
	}
	switch {
	case a.aurora:
		a.volumeStatus(&st, host)
	case a.standby:
		return st, a.standbyStatus(&st, since)
	default:
		return st, a.primaryStatus(&st)
	}
	return st, nil
}

// primaryStatus is for a server that takes writes. It names the hosts of its standbys; their ports nobody tells it.
func (a *answer) primaryStatus(st *engine.Status) error {
	st.Lag, st.LagBytes = 0, 0
	for _, p := range a.peers {
		if p.Name == "walreceiver" { // what a standby is called to which nobody has given a name
			p.Name = ""
		}
		st.Peers = append(st.Peers, engine.Peer{Name: p.Name, Host: p.Host})
	}
	if len(a.walFile) < 8 {
		return fmt.Errorf("postgres: role: %w: a primary without a WAL file", login.ErrProtocol)
	}
	timeline, err := strconv.ParseUint(a.walFile[:8], 16, 32)
	if err != nil {
		return fmt.Errorf("postgres: role: WAL file %q: %w", a.walFile, err)
	}
	lsn, err := parseLSN(a.position)
	if err != nil {
		return err
	}
	st.Term, st.Position = timeline, walPosition{uint32(timeline), a.endOf(lsn)}
	return nil
}

// Sizes in a WAL file, in bytes: of a page, and of what it begins with, which in a file's first one is longer.
const (
	walPage       = 8192
	walHeader     = 24
	walLongHeader = 40
)

// endOf is where the log ends if the next record is to begin at lsn. Where that is the first of a page it stands behind the page's
// header: a standby that has replayed all has come to the page itself.
func (a *answer) endOf(lsn uint64) uint64 {
	header := uint64(walHeader)
	if a.segment > 0 && (lsn-lsn%walPage)%a.segment == 0 {
		header = walLongHeader
	}
	if lsn%walPage == header {
		return lsn - header
	}
	return lsn
}

// standbyStatus is for a server in recovery.
//
// Its timeline is that which it receives. One that receives nothing (it restores from an archive, or its source is gone) has
// the control file's, which may be late. Where the user may see neither, the position has none.
func (a *answer) standbyStatus(st *engine.Status, since time.Duration) error {
	timeline := a.timeline
	if timeline == 0 && a.seesAll {
		timeline = a.control
	}
	st.Term = uint64(max(a.timeline, a.control))
	if a.host != "" && !strings.HasPrefix(a.host, "/") && a.port != "" { // a path is a Unix socket's
		st.Source = net.JoinHostPort(a.host, a.port)
		if port, err := strconv.Atoi(a.port); err == nil {
			st.Peers = []engine.Peer{{Host: a.host, Port: port}}
		}
	}
	if a.position == "" {
		return nil
	}
	replayed, err := parseLSN(a.position)
	if err != nil {
		return err
	}
	st.Position = walPosition{timeline, replayed}
	end := replayed
	for _, s := range []string{a.received, a.end} {
		if s == "" {
			continue
		}
		lsn, err := parseLSN(s)
		if err != nil {
			return err
		}
		end = max(end, lsn)
	}
	streams := a.receiver && (a.state == "streaming" || a.state == "" && !a.seesAll)
	if streams {
		st.LagBytes = int64(end - replayed)
	}
	st.Lag = a.lag(streams && end == replayed, since)
	return nil
}

// lag is how far a standby is behind: not at all where it is connected and has replayed all that it knows of. Else at most
// as long as ago the last transaction that it has replayed was committed, but that is long where the writer was idle; nor
// longer than since it was last seen without a lag.
func (a *answer) lag(none bool, since time.Duration) time.Duration {
	switch {
	case none:
		return 0
	case !a.ageKnown:
		return since
	}
	age := max(a.replayAge, 1) // clocks differ; there is a lag
	if since < 0 {
		return age
	}
	return min(age, max(since, 1))
}
