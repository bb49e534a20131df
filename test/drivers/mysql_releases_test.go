package drivers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// eachRelease runs a subtest on every release of MariaDB and MySQL that there is. The world has another user, who may do the
// same: at Forebay each has a way of its own to log in.
func eachRelease(t *testing.T, test func(w *mysqlWorld, other string)) {
	t.Helper()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		w := &mysqlWorld{t: t, db: testkit.MySQLDatabase(t, m)}
		other := "other_" + w.db.User
		if err := m.CreateUser(t.Context(), localserver.MySQLUser{Name: other, Password: w.db.Password, Database: w.db.Name}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.DropUser(context.Background(), other); err != nil {
				t.Errorf("drop the test's other user: %v", err)
			}
		})
		test(w, other)
	})
}

// mixed is a Forebay at which the other user logs in in this way, and the first by caching_sha2_password.
func (w *mysqlWorld) mixed(other string, auth resource.ClientPasswordAuthType) way {
	w.t.Helper()
	return w.forebay("two users", map[string]resource.ClientPasswordAuthType{w.db.User: resource.MySQLCachingSHA2, other: auth})
}

// empty removes what is in the database.
func (w *mysqlWorld) empty() {
	w.t.Helper()
	for _, sql := range []string{"DROP DATABASE ", "CREATE DATABASE "} {
		if err := w.db.Server.Exec(w.t.Context(), sql+w.db.Name); err != nil {
			w.t.Fatal(err)
		}
	}
}

// Every packet that answers mysql2 is as from the server: after changes of user and resets, too.
func TestMySQL2Sessions(t *testing.T) {
	t.Parallel()
	node, modules := nodeModules(t, "mysql2")
	eachRelease(t, func(w *mysqlWorld, other string) {
		w.sameThrough(func(to way) string {
			w.empty()
			return w.run(to, node, "testdata/mysql2_sessions.js", modules, other)
		}, w.mixed(other, resource.MySQLNative))
	})
}

// tools are the programs that come with a release of the server.
type tools struct{ in localserver.Install }

func (k tools) maria() bool { return k.in.Product == localserver.ProductMariaDB }

// command is how to run a tool. MySQL's name of it is given.
func (k tools) command(t *testing.T, name string) []string {
	t.Helper()
	names := []string{name}
	if k.maria() {
		names = []string{strings.Replace(strings.Replace(name, "mysql", "mariadb-", 1), "mariadb--", "mariadb-", 1), name}
		if name == "mysql" {
			names[0] = "mariadb"
		}
	}
	for _, name := range names {
		for _, dir := range []string{"bin", "sbin"} {
			path := filepath.Join(filepath.Dir(k.in.BinDir), dir, name)
			if !executable(filepath.Join(k.in.Chroot, path)) {
				continue
			}
			if k.in.Chroot != "" {
				return []string{"chroot", k.in.Chroot, path}
			}
			return []string{path}
		}
	}
	if path, err := exec.LookPath(names[0]); err == nil && k.in.Chroot == "" {
		return []string{path}
	}
	t.Skipf("needs %s of %s", names[0], k.in)
	return nil
}

// login are the options to connect. Newer clients of MariaDB want a certificate that they can verify.
func (k tools) login(to way, user string, encrypted bool) []string {
	o := []string{"--no-defaults", "--protocol=tcp", "--host=" + to.host, "--port=" + strconv.Itoa(to.port), "--user=" + user}
	switch {
	case k.maria() && encrypted:
		return append(o, "--ssl", "--skip-ssl-verify-server-cert")
	case k.maria():
		return append(o, "--skip-ssl")
	case encrypted:
		return append(o, "--ssl-mode=REQUIRED")
	}
	return append(o, "--ssl-mode=DISABLED", "--get-server-public-key")
}

// The programs that come with MariaDB and MySQL print the same: the client, dumps and what is made from them, imports of files
// on several connections, commands of administration.
func TestMySQLTools(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("testdata/mysql_tools.sql")
	if err != nil {
		t.Fatal(err)
	}
	eachRelease(t, func(w *mysqlWorld, other string) {
		t := w.t
		k := tools{in: w.db.Server.Version()}
		auth, compress, grants := resource.MySQLNative, "--compress", []string{"SELECT ON mysql.*"} // what a dump reads
		if !k.maria() {
			auth, compress = resource.MySQLCachingSHA2, "--compression-algorithms=zstd" // its own client knows no other way
			grants = append(grants, "SESSION_VARIABLES_ADMIN, SHOW_ROUTINE ON *.*")
		}
		for _, user := range []string{w.db.User, other} {
			for _, what := range grants {
				if err := w.db.Server.Exec(t.Context(), "GRANT "+what+" TO "+user+"@'%'"); err != nil {
					t.Fatal(err)
				}
			}
		}
		folder := t.TempDir()
		if k.in.Chroot != "" {
			if folder, err = os.MkdirTemp(filepath.Join(k.in.Chroot, "tmp"), "forebay-drivers-"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(folder) })
		}
		// A file for each table that is to be filled.
		files := []string{}
		for i := range 6 {
			name := filepath.Join(folder, fmt.Sprintf("imported%d.txt", i))
			if err := os.WriteFile(name, bytes.Repeat([]byte(fmt.Sprintf("%d\tfrom a file\n", i)), 1000+i), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, strings.TrimPrefix(name, k.in.Chroot))
		}
		load := "LOAD DATA LOCAL INFILE '" + files[0] + "' INTO TABLE imported5 (n, v);\nSHOW WARNINGS;\nSELECT COUNT(*) FROM imported5;\n" +
			"LOAD DATA LOCAL INFILE '/not/there' INTO TABLE imported5;\nSELECT COUNT(*) FROM imported5;\n"

		w.sameThrough(func(to way) string {
			w.empty()
			var all strings.Builder
			tool := func(what, name string, stdin []byte, user string, encrypted bool, options ...string) string {
				command := append(k.command(t, name), k.login(to, user, encrypted)...)
				out, err := w.try(to, stdin, command[0], append(command[1:], options...)...)
				out = took.ReplaceAllString(out, "(time)")
				if strings.HasSuffix(what, "in threads") { // in any order
					lines := strings.SplitAfter(out, "\n")
					slices.Sort(lines)
					out = strings.Join(lines, "")
				}
				fmt.Fprintf(&all, "--- %s\n%s%v\n", what, short(out), err)
				return out
			}
			dumped := []string{"--no-tablespaces", "--skip-dump-date", w.db.Name}
			if !k.maria() {
				dumped = append(dumped, "--set-gtid-purged=OFF")
			}
			client := []string{w.db.Name, "--force", "-vvv", "--table", "--local-infile=1", "--max-allowed-packet=64M", "--default-character-set=utf8mb4"}
			if !k.maria() {
				client = append(client, "--loose-commands") // newer ones leave them out of scripts
			}
			tool("client", "mysql", script, w.db.User, true, append(client, "--show-warnings", "--column-type-info", "--binary-as-hex")...)
			tool("client, plain", "mysql", script, w.db.User, false, client...)
			tool("other user", "mysql", script, other, true, append(client, compress)...)
			// Unbuffered, and so in no table, of which each column would be as wide as its type allows.
			quick := slices.DeleteFunc(append(slices.Clone(client), "--quick"), func(o string) bool { return o == "-vvv" || o == "--table" })
			tool("other user, plain, unbuffered", "mysql", script, other, false, quick...)
			tool("latin1", "mysql", script, w.db.User, false, append(client, "--default-character-set=latin1")...)
			large := "SELECT '" + strings.Repeat("0123456789abcdef", 17<<16) + "' AS large;\nSELECT 1;\n"
			tool("large", "mysql", []byte(large), w.db.User, true, "--force", "--max-allowed-packet=64M")
			tool("large, compressed", "mysql", []byte(large), other, false, "--force", "--max-allowed-packet=64M", compress)
			tool("file", "mysql", []byte(load), w.db.User, true, client...)
			tool("import", "mysqlimport", nil, other, true, append([]string{"--local", "--verbose", "--columns=n,v", w.db.Name}, files[:3]...)...)
			// Each of its connections is pinned, and MariaDB 11 keeps all to the end. (MariaDB's threads fail at times when they
			// load the plugin of the first user.)
			tool("import in threads", "mysqlimport", nil, other, false, append([]string{"--local", "--use-threads=2", "--columns=n,v", w.db.Name}, files...)...)
			dump := tool("dump", "mysqldump", nil, w.db.User, true, append(dumped, "--routines", "--hex-blob")...)
			tool("dump in a transaction", "mysqldump", nil, other, false, append(dumped, "--single-transaction", "--skip-extended-insert", compress)...)
			tool("restore", "mysql", []byte("DROP TABLE IF EXISTS imported0, imported1;\n"+dump[max(0, strings.Index(dump, "/*")):]), w.db.User, false, w.db.Name)
			tool("dump of what was restored", "mysqldump", nil, w.db.User, true, append(dumped, "--routines", "--hex-blob")...)
			for _, command := range []string{"ping", "refresh", "flush-status", "kill 1073741900", "drop --force not_there", "start-replica"} {
				tool("admin "+command, "mysqladmin", nil, other, true, strings.Fields(command)...)
			}
			tool("show", "mysqlshow", nil, w.db.User, true, w.db.Name)
			tool("check", "mysqlcheck", nil, w.db.User, true, w.db.Name)
			tool("many", "mysqlslap", nil, other, false, "--create-schema="+w.db.Name, "--concurrency=10", "--number-of-queries=400", "--silent",
				"--delimiter=;", "--query=INSERT INTO imported0 (n, v) VALUES (1, 'slap'); SELECT COUNT(*) > 0 FROM imported0")
			tool("what many did", "mysql", []byte("SELECT COUNT(*) FROM imported0 WHERE v = 'slap'"), w.db.User, true, w.db.Name)
			tool("wrong password", "mysql", nil, w.db.User, true, "--password=wrong")
			tool("wrong password, plain", "mysql", nil, other, false, "--password=wrong")
			tool("wrong database", "mysql", nil, other, false, "not_there")
			return all.String()
		}, w.mixed(other, auth))
	})
}
