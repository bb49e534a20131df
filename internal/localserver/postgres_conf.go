package localserver

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// settingsFile is in the data directory.
const settingsFile = "postgresql.conf"

// writeSettings implements program. It writes postgresql.conf. The file of initdb is replaced: what it sets is said here.
func (p *Postgres) writeSettings() error {
	s := map[string]string{
		"listen_addresses":        p.Host(),
		"port":                    strconv.Itoa(p.port),
		"unix_socket_directories": p.inside(p.base),
		"password_encryption":     "scram-sha-256",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"fsync":                   "off",
		"synchronous_commit":      "off",
		"full_page_writes":        "off",
		"min_wal_size":            "8MB",
		"max_wal_size":            "256MB",
		"log_line_prefix":         "%m [%p] ",
	}
	if p.install.Chroot != "" {
		s["dynamic_shared_memory_type"] = "mmap" // a tree's /dev/shm is an empty folder of root's
	}
	if p.options.MaxConnections > 0 {
		s["max_connections"] = strconv.Itoa(p.options.MaxConnections)
	}
	if p.tls {
		s["ssl"] = "on"
	}
	p.mu.Lock()
	if p.source != "" {
		s["primary_conninfo"] = p.source
	}
	p.mu.Unlock()
	maps.Copy(s, p.options.Settings)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s = %s\n", k, quoteSetting(s[k]))
	}
	return os.WriteFile(p.path("data", settingsFile), []byte(b.String()), 0o600)
}

// writeHBA writes pg_hba.conf: our own way in over the socket first, so that no option can shut us out.
func (p *Postgres) writeHBA() error {
	lines := []string{"local all postgres scram-sha-256"}
	lines = append(lines, p.options.HBA...)
	lines = append(lines,
		"local all all scram-sha-256",
		// Here md5 stands for "as the password is stored": SCRAM unless User.MD5 says otherwise.
		"host all all 127.0.0.1/32 md5",
		"host replication all 127.0.0.1/32 scram-sha-256")
	return os.WriteFile(p.path("data", "pg_hba.conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// quoteSetting quotes s as a value in postgresql.conf, where a backslash always escapes.
func quoteSetting(s string) string {
	return `'` + strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(s) + `'`
}

// quoteLiteral quotes s as an SQL string.
func quoteLiteral(s string) string {
	s = strings.ReplaceAll(s, `'`, `''`)
	if strings.Contains(s, `\`) {
		return `E'` + strings.ReplaceAll(s, `\`, `\\`) + `'`
	}
	return `'` + s + `'`
}

// quoteName quotes s as an SQL identifier.
func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
