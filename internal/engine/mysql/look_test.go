package mysql

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forebay/internal/engine"
)

// TestStatus has what no server of the tests says: that of Aurora, of older releases, of members in trouble.
func TestStatus(t *testing.T) {
	t.Parallel()
	variables := func(more row) row {
		v := row{"max_connections": "90", "version": "8.0.36", "server_uuid": uuidA}
		for name, value := range more {
			v[name] = value
		}
		return v
	}
	member := func(id, state, role, view string) row {
		return row{"member_id": id, "member_host": "db-" + id[:1], "member_port": "3306", "member_state": state, "member_role": role, "view_id": view}
	}
	capacity, protected := engine.Capacity{MaxConnections: 90}, []string{"read_only", "super_read_only", "innodb_read_only"}
	group := serverKind{number: 80036, readOnly: protected, groupView: true, group: true}
	const view, term = "17325687654321000:5", 1732568765<<32 | 5
	for _, tt := range []struct {
		name string
		a    answer
		host string
		want engine.Status
	}{
		{
			name: "Aurora, writer", host: "shop.cluster-c9abc.eu-west-1.rds.amazonaws.com",
			a: answer{
				kind:      serverKind{readOnly: protected, aurora: true},
				variables: variables(row{"innodb_read_only": "0", "aurora_server_id": "shop-1"}),
				volume:    []row{{"server_id": "shop-1", "session_id": "MASTER_SESSION_ID", "replica_lag_in_milliseconds": "0"}, {"server_id": "shop-2", "replica_lag_in_milliseconds": "18.5"}},
			},
			want: engine.Status{Role: engine.Writer, Peers: []engine.Peer{{Name: "shop-2", Host: "shop-2.c9abc.eu-west-1.rds.amazonaws.com"}}},
		},
		{
			name: "Aurora, reader by its own address", host: "shop-2.c9abc.eu-west-1.rds.amazonaws.com",
			a: answer{
				kind:      serverKind{readOnly: protected, aurora: true},
				variables: variables(row{"innodb_read_only": "1", "aurora_server_id": "shop-2"}),
				volume:    []row{{"server_id": "shop-1", "session_id": "MASTER_SESSION_ID"}, {"server_id": "shop-2", "replica_lag_in_milliseconds": "18.5"}},
			},
			want: engine.Status{
				Role: engine.Reader, Lag: 18500 * time.Microsecond, LagBytes: -1,
				Peers: []engine.Peer{{Name: "shop-1", Host: "shop-1.c9abc.eu-west-1.rds.amazonaws.com"}},
			},
		},
		{
			name: "Aurora by a name that says nothing of others", host: "db.example.com",
			a: answer{
				kind:      serverKind{readOnly: protected, aurora: true},
				variables: variables(row{"innodb_read_only": "1", "aurora_server_id": "shop-2"}),
				volume:    []row{{"server_id": "shop-1", "session_id": "MASTER_SESSION_ID"}},
			},
			want: engine.Status{Role: engine.Reader, Lag: -1, LagBytes: -1},
		},
		{
			name: "two sources, one of them stopped",
			a: answer{
				kind: serverKind{readOnly: protected}, variables: variables(row{"read_only": "ON"}),
				sources: []row{
					{
						"master_host": "a", "master_port": "3306", "slave_io_running": "Yes", "slave_sql_running": "Yes", "seconds_behind_master": "7",
						"master_log_file": "x", "relay_master_log_file": "x", "read_master_log_pos": "900", "exec_master_log_pos": "400",
					},
					{"master_host": "b", "master_port": "3307", "slave_io_running": "No", "slave_sql_running": "No"},
				},
			},
			want: engine.Status{
				Role: engine.Reader, Lag: -1, LagBytes: -1, Source: "a:3306",
				Peers: []engine.Peer{{Host: "a", Port: 3306}, {Host: "b", Port: 3307}},
			},
		},
		{
			name: "seven seconds, in another file",
			a: answer{
				kind: serverKind{readOnly: protected}, variables: variables(row{"super_read_only": "1"}),
				sources: []row{{
					"source_host": "a", "source_port": "3306", "replica_io_running": "Yes", "replica_sql_running": "Yes", "seconds_behind_source": "7",
					"source_log_file": "y", "relay_source_log_file": "x", "read_source_log_pos": "900", "exec_source_log_pos": "400",
				}},
			},
			want: engine.Status{Role: engine.Reader, Lag: 7 * time.Second, LagBytes: -1, Source: "a:3306", Peers: []engine.Peer{{Host: "a", Port: 3306}}},
		},
		{
			name: "replication that has been stopped, on a server that takes writes",
			a: answer{
				kind: serverKind{readOnly: protected}, variables: variables(row{"read_only": "OFF"}),
				sources: []row{{"source_host": "a", "source_port": "3306", "replica_io_running": "No", "replica_sql_running": "No"}},
			},
			want: engine.Status{Role: engine.Writer, Peers: []engine.Peer{{Host: "a", Port: 3306}}},
		},
		{
			name: "GTIDs for some transactions only",
			a: answer{
				kind:      serverKind{readOnly: protected, gtids: []string{"gtid_executed"}},
				variables: variables(row{"gtid_mode": "ON_PERMISSIVE", "gtid_executed": uuidA + ":1"}),
			},
			want: engine.Status{Role: engine.Writer},
		},
		{
			name: "a primary of a group that is not let write yet",
			a:    answer{kind: group, variables: variables(row{"super_read_only": "1"}), members: []row{member(uuidA, "ONLINE", "PRIMARY", view)}},
			want: engine.Status{Role: engine.Reader, Term: term, Lag: -1, LagBytes: -1},
		},
		{
			name: "a secondary that applies",
			a: answer{kind: group, variables: variables(row{"super_read_only": "1"}), members: []row{
				{"member_id": uuidA, "member_state": "ONLINE", "member_role": "SECONDARY", "view_id": view, "queue": "3", "applying": "250000"},
				member(uuidB, "ONLINE", "PRIMARY", view),
			}},
			want: engine.Status{
				Role: engine.Reader, Term: term, Lag: 250 * time.Millisecond, LagBytes: -1, Peers: []engine.Peer{{Host: "db-4", Port: 3306}},
			},
		},
		{
			name: "a primary without the majority",
			a: answer{kind: group, variables: variables(nil), members: []row{
				member(uuidA, "ONLINE", "PRIMARY", view), member(uuidB, "UNREACHABLE", "SECONDARY", view),
			}},
			want: engine.Status{
				Role: engine.Writer, Term: term, Peers: []engine.Peer{{Host: "db-4", Port: 3306}},
				Unusable: "Group Replication: the server has lost the majority of its group: 1 of 2 members do not answer",
			},
		},
		{
			name: "a member that recovers",
			a:    answer{kind: group, variables: variables(row{"read_only": "1"}), members: []row{member(uuidA, "RECOVERING", "SECONDARY", "")}},
			want: engine.Status{Role: engine.Reader, Lag: -1, LagBytes: -1, Unusable: "Group Replication: the server is RECOVERING"},
		},
		{
			name: "a plugin that is loaded, and no group",
			a:    answer{kind: group, variables: variables(row{"group_name": ""}), members: []row{member(uuidB, "OFFLINE", "", "")}},
			want: engine.Status{Role: engine.Writer},
		},
		{
			name: "Galera: addresses of all kinds",
			a: answer{kind: serverKind{mariaDB: true, readOnly: []string{"read_only"}, galera: true}, variables: variables(nil), galera: row{
				"wsrep_ready": "ON", "wsrep_cluster_status": "Primary", "wsrep_local_state": "4", "wsrep_local_index": "1",
				"wsrep_incoming_addresses": "10.0.0.1:3306,10.0.0.2:3306,AUTO,,[fd00::1]:3307,db-5,10.0.0.6:0",
			}},
			want: engine.Status{Role: engine.Writer, MultiWriter: true, Peers: []engine.Peer{
				{Host: "10.0.0.1", Port: 3306}, {Host: "fd00::1", Port: 3307}, {Host: "db-5"}, {Host: "10.0.0.6"},
			}},
		},
		{
			name: "Galera: not ready",
			a: answer{kind: serverKind{mariaDB: true, galera: true}, variables: variables(nil), galera: row{
				"wsrep_ready": "OFF", "wsrep_cluster_status": "Primary", "wsrep_local_state": "4", "wsrep_last_committed": "-1",
			}},
			want: engine.Status{Role: engine.Writer, MultiWriter: true, Unusable: "Galera: the node is not ready"},
		},
	} {
		got, err := tt.a.status(tt.host)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		tt.want.Capacity, tt.want.Version = capacity, "8.0.36"
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, d)
		}
	}
}

func TestGroupTerm(t *testing.T) {
	t.Parallel()
	older, err1 := groupTerm("17325687654321000:500")
	newer, err2 := groupTerm("17325690000000000:1")
	next, err3 := groupTerm("17325690000000000:2")
	if err1 != nil || err2 != nil || err3 != nil || older >= newer || newer >= next {
		t.Error(older, newer, next, err1, err2, err3)
	}
	for _, view := range []string{"", "5", ":5", "x:5", "17325687654321000:", "17325687654321000:4294967296", "18446744073709551615:1"} {
		if n, err := groupTerm(view); err == nil {
			t.Errorf("%q is %d", view, n)
		}
	}
}
