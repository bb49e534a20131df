package localserver

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// fileSettings are the options that say where the server's files are and what they are like: those that a data
// directory is made with, too.
func (m *MySQL) fileSettings() map[string]string {
	base := filepath.Dir(m.install.BinDir)
	s := map[string]string{
		"basedir":               base,
		"datadir":               m.inside(m.path("data")),
		"innodb_use_native_aio": "0", // a container may not have it
	}
	if m.install.Product == ProductMySQL && m.install.AtLeast(8, 0) {
		s["loose_innodb_redo_log_capacity"] = "33554432" // since 8.0.30
	} else {
		s["innodb_log_file_size"] = "33554432"
	}
	// A server that was moved, as MySQL in the sid tree, does not find these from its base folder alone.
	for name, places := range map[string][]string{
		"lc_messages_dir":    {"share/mysql", "share"},
		"character_sets_dir": {"share/mysql/charsets", "share/charsets"},
		"plugin_dir":         {"lib/mysql/plugin", "lib64/mysql/plugin", "lib/plugin", "lib64/plugin"},
	} {
		for _, place := range places {
			dir := filepath.Join(base, place)
			mark := filepath.Join(m.install.Chroot, dir)
			if name == "lc_messages_dir" {
				mark = filepath.Join(mark, "english", "errmsg.sys")
			}
			if _, err := os.Stat(mark); err == nil {
				s[name] = dir
				break
			}
		}
	}
	return s
}

// writeSettings implements program. It writes the one file that the server reads its options from.
func (m *MySQL) writeSettings() error {
	s := m.fileSettings()
	maps.Copy(s, map[string]string{
		"bind_address":                   m.Host(),
		"port":                           strconv.Itoa(m.port),
		"socket":                         m.inside(m.Socket()),
		"pid_file":                       m.inside(m.path(mysqlPIDFile)),
		"tmpdir":                         m.inside(m.path("tmp")),
		"secure_file_priv":               m.inside(m.path("tmp")), // a distribution's own folder may be missing
		"skip_name_resolve":              "ON",
		"innodb_flush_log_at_trx_commit": "0",
		"innodb_doublewrite":             "0",
		"innodb_fast_shutdown":           "2", // the next start goes through the log, if there is one
		"sync_binlog":                    "0",
	})
	if m.adjust != nil {
		more, err := m.adjust()
		if err != nil {
			return err
		}
		maps.Copy(s, more)
	}
	if m.install.Product == ProductMySQL && m.install.AtLeast(8, 0) {
		if s["log_bin"] == "" {
			s["disable_log_bin"] = "ON"
		}
		s["loose_mysqlx"] = "OFF" // it listens on a port of its own
	}
	if m.options.MaxConnections > 0 {
		s["max_connections"] = strconv.Itoa(m.options.MaxConnections)
	}
	switch {
	case m.tls:
		for _, name := range []string{"ssl_ca", "ssl_cert"} {
			s[name] = m.inside(m.path("data", "server.crt"))
		}
		s["ssl_key"] = m.inside(m.path("data", "server.key"))
	case m.install.Product == ProductMySQL && m.install.AtLeast(8, 0):
		s["tls_version"] = "" // skip_ssl is gone in newer ones
	default:
		s["skip_ssl"] = "ON"
	}
	maps.Copy(s, m.options.Settings)
	var b strings.Builder
	b.WriteString("[mysqld]\n")
	for _, k := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s = \"%s\"\n", k, strings.ReplaceAll(s[k], `\`, `\\`))
	}
	return os.WriteFile(m.path(mysqlConfig), []byte(b.String()), 0o600)
}

// quoteMySQL quotes s as an SQL string, for a session in which a backslash escapes, as it does by default.
func quoteMySQL(s string) string {
	return `'` + strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(s) + `'`
}

// quoteMySQLName quotes s as an SQL identifier.
func quoteMySQLName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
