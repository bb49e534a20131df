package mysql_test

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"forebay/internal/certs"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// changeUser is a program for mysql2, which is one of the few clients that change their user.
const changeUser = `
const mysql = require('mysql2/promise');
const [host, port, first, password1, database1, second, password2, database2, ssl] = process.argv.slice(2);
(async () => {
  const c = await mysql.createConnection({host, port, user: first, password: password1, database: database1,
    ssl: ssl === 'true' ? {rejectUnauthorized: false} : undefined});
  await c.query("SET @mine = 'first', time_zone = '+05:00'");
  const show = async () => console.log(Object.values((await c.query('SELECT CURRENT_USER() LIKE ?, DATABASE(), @mine, @@time_zone', [second + '@%']))[0][0]).join(' '));
  await show();
  await c.changeUser({user: second, password: password2, database: database2});
  await show();
  try {
    await c.changeUser({user: second, password: 'wrong', database: database2});
    console.log('a wrong password let in');
  } catch (e) { console.log(e.errno); }
  c.destroy();
})().catch(e => { console.error(e); process.exit(1); });
`

func TestChangeUser(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	modules := filepath.Join(localserver.CacheRoot(), "node", "node_modules")
	if _, missing := os.Stat(filepath.Join(modules, "mysql2")); err != nil || missing != nil {
		t.Skip("needs node and mysql2: scripts/install-servers node mysql2")
	}
	program := filepath.Join(t.TempDir(), "changeuser.js")
	if err := os.WriteFile(program, []byte(changeUser), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		a, b := testkit.MySQLDatabase(t, m), testkit.MySQLDatabase(t, m)
		for _, encrypted := range []bool{false, true} {
			o := testkit.ForebayOptions{Users: map[string]string{a.User: a.Password, b.User: b.Password}}
			if encrypted {
				cfg, err := certs.New(slog.New(slog.DiscardHandler), "127.0.0.1").Config(&resource.Proxy{})
				if err != nil {
					t.Fatal(err)
				}
				o.TLS = cfg
			}
			f := testkit.StartForebayMySQL(t, m, o)
			cmd := exec.CommandContext(t.Context(), node, program, f.Host, strconv.Itoa(f.Port), a.User, a.Password, a.Name, b.User, b.Password, b.Name, strconv.FormatBool(encrypted))
			cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
			out, err := cmd.CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if err != nil || len(lines) != 3 {
				t.Fatalf("%v\n%s", err, out)
			}
			if want := "0 " + a.Name + " first +05:00"; lines[0] != want {
				t.Errorf("first: %q, want %q", lines[0], want)
			}
			if !strings.HasPrefix(lines[1], "1 "+b.Name+" ") || strings.Contains(lines[1], "first") || strings.Contains(lines[1], "+05:00") {
				t.Errorf("second: %q, want user %s, database %s and nothing of the first", lines[1], b.User, b.Name)
			}
			if lines[2] != "1045" {
				t.Errorf("with a wrong password: %q", lines[2])
			}
		}
	})
}
