package localserver

import (
	"encoding/json"
	"os"
)

// patroniConfig is in the folder of a node.
const patroniConfig = "patroni.yml"

// Times of Patroni in seconds. Those of its defaults are three to ten times as long.
const (
	patroniTTL   = 6 // a leader that is not heard of for so long has lost the lead; newer versions take no less than 20
	patroniLoop  = 1
	patroniRetry = 2
)

// writeSettings implements program. JSON is YAML, too.
func (n *PatroniNode) writeSettings() error {
	var err error
	if n.rest, err = FreePort(); err != nil {
		return err
	}
	type object map[string]any
	b, err := json.Marshal(object{
		"scope": n.cluster.scope,
		"name":  n.Name,
		"restapi": object{
			"listen": n.restAddr(), "connect_address": n.restAddr(),
			"certfile": n.path("server.crt"), "keyfile": n.path("server.key"), "cafile": n.path("server.crt"),
		},
		"etcd3": object{"host": n.etcd},
		"bootstrap": object{
			"dcs": object{
				"ttl": patroniTTL, "loop_wait": patroniLoop, "retry_timeout": patroniRetry, "synchronous_mode": true,
				"postgresql": object{"use_pg_rewind": true},
			},
			"initdb": []any{object{"encoding": "UTF8"}, object{"wal-segsize": "1"}, "no-locale", "no-sync", "data-checksums"},
		},
		"postgresql": object{
			"listen": n.Addr(), "connect_address": n.Addr(),
			"data_dir": n.path("data"), "bin_dir": n.postgres.BinDir, "pgpass": n.path("pgpass"),
			"authentication": object{
				"superuser":   object{"username": "postgres", "password": n.cluster.password},
				"replication": object{"username": "replicator", "password": n.cluster.password},
			},
			"basebackup": []any{object{"checkpoint": "fast"}, "no-sync"},
			"pg_hba": []string{
				"local all all scram-sha-256",
				"host all all 127.0.0.1/32 scram-sha-256", "host replication replicator 127.0.0.1/32 scram-sha-256",
			},
			"parameters": object{
				"unix_socket_directories":      n.base,
				"password_encryption":          "scram-sha-256",
				"timezone":                     "UTC",
				"log_timezone":                 "UTC",
				"fsync":                        "off", // what a killed process has written is there all the same
				"min_wal_size":                 "8MB",
				"max_wal_size":                 "256MB",
				"wal_keep_size":                "128MB",
				"wal_retrieve_retry_interval":  "100ms",
				"wal_receiver_status_interval": "1s",
			},
		},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(n.path(patroniConfig), b, 0o600)
}
