package drivers

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/certs"
	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

// mysqlWorld is a database of the test's own and the ways to it: directly, and through a Forebay with few server
// connections for each way of logging in. The programs begin by removing what they have made the time before.
type mysqlWorld struct {
	t  *testing.T
	db testkit.MySQLDB
}

// way is one of the ways to a database.
type way struct {
	name string
	host string
	port int
}

// directly is held by the one program that is connected to the server itself: those of all tests together would want more
// connections than the server has.
var directly sync.Mutex

func newMySQLWorld(t *testing.T) *mysqlWorld {
	t.Helper()
	return &mysqlWorld{t: t, db: testkit.MySQLDatabase(t, testkit.SharedMySQL(t))}
}

func (w *mysqlWorld) direct() way {
	return way{name: "direct", host: w.db.Server.Host(), port: w.db.Server.Port()}
}

func (w *mysqlWorld) through(auth resource.ClientPasswordAuthType) way {
	w.t.Helper()
	return w.forebay(string(auth), map[string]resource.ClientPasswordAuthType{w.db.User: auth})
}

// forebay starts one for these users, who have one password and log in each in a way of their own.
func (w *mysqlWorld) forebay(name string, users map[string]resource.ClientPasswordAuthType) way {
	w.t.Helper()
	cfg, err := certs.New(slog.New(slog.DiscardHandler), "localhost").Config(&resource.Proxy{})
	if err != nil {
		w.t.Fatal(err)
	}
	passwords := map[string]string{}
	for user := range users {
		passwords[user] = w.db.Password
	}
	f := testkit.StartForebayMySQL(w.t, w.db.Server, testkit.ForebayOptions{
		Users: passwords,
		TLS:   cfg,
		Change: func(p *resource.Proxy) {
			p.Pool.MaxConnections = serverConnections
			for i, a := range p.Auth {
				p.Auth[i].ClientPasswordAuthType = users[a.Secret]
			}
		},
	})
	return way{name: name, host: f.Host, port: f.Port}
}

// same runs the program directly and through Forebay, with each way to log in: it must print the same.
func (w *mysqlWorld) same(program func(way) string) {
	w.t.Helper()
	w.sameThrough(program, w.through(resource.MySQLNative), w.through(resource.MySQLCachingSHA2))
}

func (w *mysqlWorld) sameThrough(program func(way) string, ways ...way) {
	w.t.Helper()
	want := func() string {
		directly.Lock()
		defer directly.Unlock()
		return program(w.direct())
	}()
	if os.Getenv("FOREBAY_TEST_SHOW") != "" {
		w.t.Logf("directly:\n%s", want)
	}
	for _, to := range ways {
		if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(program(to), "\n")); d != "" {
			w.t.Errorf("with %s, something else through Forebay (-direct +Forebay):\n%s", to.name, d)
		}
	}
}

// run runs a program that prints ok at its end, and returns what it printed.
func (w *mysqlWorld) run(to way, name string, args ...string) string {
	w.t.Helper()
	out, err := w.try(to, nil, name, args...)
	if err != nil {
		w.t.Errorf("%s, %s: %v\n%s", to.name, filepath.Base(name), err, last(out))
		return out
	}
	if !strings.HasSuffix(strings.TrimSpace(out), "ok") {
		w.t.Errorf("%s: the program did not say ok at its end:\n%s", to.name, last(out))
	}
	return out
}

func (w *mysqlWorld) try(to way, stdin []byte, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DB_HOST="+to.host, "DB_PORT="+strconv.Itoa(to.port), "DB_USER="+w.db.User,
		"DB_PASSWORD="+w.db.Password, "DB_NAME="+w.db.Name, "MYSQL_PWD="+w.db.Password, "TZ=UTC")
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second
	out, errors := &bounded{stop: cancel}, &bounded{stop: cancel} // apart: in what order they come is not the same each time
	cmd.Stdout, cmd.Stderr = out, errors
	err := cmd.Run()
	if out.over || errors.over {
		w.t.Fatalf("%s, %s %q: it does not stop printing; the last was\n%s%s", to.name, filepath.Base(name), args, last(errors.String()), last(out.String()))
	}
	return errors.String() + out.String(), err
}

// maxPrinted is the most that a program may print, in bytes: more is a loop, which would take all memory.
const maxPrinted = 100 << 20

// bounded keeps what a program prints, and stops one that prints too much.
type bounded struct {
	bytes.Buffer
	stop func()
	over bool
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len() > maxPrinted {
		b.over = true
		b.stop()
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// ReadFrom would have bytes.Buffer read without a bound.
func (b *bounded) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, r)
}

// last is the end of a long text.
func last(s string) string { return s[max(0, len(s)-4000):] }

func TestMySQL2(t *testing.T) {
	t.Parallel()
	node, modules := nodeModules(t, "mysql2")
	w := newMySQLWorld(t)
	w.same(func(to way) string { return w.run(to, node, "testdata/mysql2.js", modules) })
}

func TestSequelize(t *testing.T) {
	t.Parallel()
	node, modules := nodeModules(t, "mysql2", "sequelize")
	w := newMySQLWorld(t)
	w.same(func(to way) string { return w.run(to, node, "testdata/sequelize.js", modules) })
}

func TestPyMySQL(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "pymysql", "pymysql")
	w := newMySQLWorld(t)
	w.same(func(to way) string { return w.run(to, python, "testdata/use_pymysql.py") })
}

func TestMariaDBJDBC(t *testing.T) {
	t.Parallel()
	java := jdk(t)
	const jar = "/usr/share/java/mariadb-java-client.jar"
	if _, err := os.Stat(jar); err != nil {
		t.Skip("needs MariaDB's JDBC driver: scripts/install-servers mariadb-jdbc")
	}
	w := newMySQLWorld(t)
	w.same(func(to way) string {
		return w.run(to, java, "-XX:+UseSerialGC", "-Xmx768m", "-cp", jar, "testdata/UseMariaDB.java")
	})
}

// took is how long a statement took, which the client prints.
var took = regexp.MustCompile(`\([0-9. minsec]+ sec\)`)

// The client that comes with the server, as somebody at a terminal or a script uses it.
func TestMariaDBClient(t *testing.T) {
	t.Parallel()
	client, err := exec.LookPath("mariadb")
	if err != nil {
		t.Skip("needs the client mariadb: scripts/install-servers mariadb")
	}
	script, err := os.ReadFile("testdata/mariadb.sql")
	if err != nil {
		t.Fatal(err)
	}
	mine, err := os.ReadFile("testdata/mariadb_mine.sql")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rows.tsv")
	if err := os.WriteFile(file, []byte("1\tone\n2\ttwo\nx\twrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newMySQLWorld(t)
	run := func(to way, script []byte, options ...string) string {
		options = append([]string{
			"--no-defaults", "-h", to.host, "-P", strconv.Itoa(to.port), "-u", w.db.User, w.db.Name, "--force",
			"--default-character-set=utf8mb4", "--max-allowed-packet=64M",
		}, options...)
		out, err := w.try(to, script, client, options...)
		return took.ReplaceAllString(out, "(time)") + fmt.Sprint("exit ", err, "\n")
	}
	scripts := []struct {
		name    string
		script  string
		options []string
	}{
		{"plain", string(script), []string{"-vvv", "--table"}},
		{"warnings, types", string(script), []string{"-vvv", "--table", "--show-warnings", "--column-type-info", "--binary-as-hex"}},
		{"tls", string(script), []string{"-vv", "--ssl"}},
		{"compressed", string(script), []string{"--compress", "--xml"}},
		{"unbuffered, no names", string(script), []string{"--quick", "--html"}},
		{
			"a file", "CREATE OR REPLACE TABLE cli_file (id INT, name VARCHAR(10));\nLOAD DATA LOCAL INFILE '" + file + "' INTO TABLE cli_file;\nSHOW WARNINGS;\n" +
				"LOAD DATA LOCAL INFILE '/not/there' INTO TABLE cli_file;\nSELECT * FROM cli_file;\n",
			[]string{"-vvv", "--local-infile=1"},
		},
		{
			"large", "CREATE OR REPLACE TABLE cli_large (b LONGBLOB);\nINSERT INTO cli_large VALUES ('" + strings.Repeat("0123456789abcdef", 17<<16) + "');\n" +
				"SELECT LENGTH(b), MD5(b) FROM cli_large;\nSELECT b, 'behind' FROM cli_large;\nSELECT 1;\n",
			[]string{"--quick"},
		},
		{
			"large, compressed, tls", "INSERT INTO cli_large VALUES ('" + strings.Repeat("0123456789ABCDEF", 17<<16) + "');\nSELECT b, 'behind' FROM cli_large;\n",
			[]string{"--compress", "--ssl"},
		},
		{"wrong password", "SELECT 1;\n", []string{"--password=wrong"}},
		{"wrong database", "SELECT 1;\n", []string{"--database=not_there"}},
	}
	w.same(func(to way) string {
		var out strings.Builder
		for _, s := range scripts {
			fmt.Fprintf(&out, "--- %s\n%s", s.name, short(run(to, []byte(s.script), s.options...)))
		}
		fmt.Fprintf(&out, "--- many\n%s", run(to, []byte("CREATE OR REPLACE TABLE cli_many (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(10), n INT DEFAULT 0)")))
		many := make([]string, 20)
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				set := fmt.Sprintf("SET @mine = 'm%d', time_zone = '+%02d:00', group_concat_max_len = %d;\n", i, i%12, 1000+i)
				many[i] = run(to, append([]byte(set), bytes.Repeat(mine, 10)...))
			})
		}
		all.Wait()
		return out.String() + strings.Join(many, "")
	})
}

// short puts a checksum in place of each long line.
func short(s string) string {
	lines := strings.SplitAfter(s, "\n")
	for i, l := range lines {
		if len(l) > 4096 {
			lines[i] = fmt.Sprintf("%d bytes, %x\n", len(l), md5.Sum([]byte(l)))
		}
	}
	return strings.Join(lines, "")
}
