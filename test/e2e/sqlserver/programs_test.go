package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"forebay/internal/testkit/tdsserver"
)

// watchdog ends a program that hangs. None takes nearly so long.
const watchdog = 2 * time.Minute

// program runs a program with the password of a place in TDS_PASSWORD and more of an environment, and returns what it printed.
func program(t *testing.T, p place, env []string, stdin, name string, args ...string) string {
	t.Helper()
	out, ok := tryProgram(t, p, env, stdin, name, args...)
	if !ok {
		t.Fatalf("%s fails:\n%s", filepath.Base(name), out)
	}
	return out
}

// tryProgram is program for one that may fail.
func tryProgram(t *testing.T, p place, env []string, stdin, name string, args ...string) (out string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(append(os.Environ(), "TDS_PASSWORD="+p.password), env...)
	cmd.Stdin = strings.NewReader(stdin)
	printed, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(printed), err == nil
}

// said fails the test unless the program went through to its end.
func said(t *testing.T, out string) {
	t.Helper()
	if !strings.HasSuffix(strings.TrimSpace(out), "ok") {
		t.Errorf("the program did not say ok at its end:\n%s", out)
	}
}

func pythonWith(t *testing.T, module string) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	t.Skipf("needs Python's module %s: scripts/install-servers %s", module, module)
	return ""
}

// encryptions are the server's kinds with what a driver that wants this much gets.
var encryptions = map[string]tdsserver.Encryption{"off": tdsserver.EncryptOff, "required": tdsserver.EncryptRequired, "unsupported": tdsserver.EncryptNotSupported}

// tedious finds node, and where tedious is.
func tedious(t *testing.T) (node, modules string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node: scripts/install-servers node tedious")
	}
	dir := os.Getenv("FOREBAY_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(base, "forebay")
	}
	modules = filepath.Join(dir, "node", "node_modules")
	if _, err := os.Stat(filepath.Join(modules, "tedious", "package.json")); err != nil {
		t.Skip("needs tedious: scripts/install-servers tedious")
	}
	return node, modules
}

func TestTedious(t *testing.T) {
	t.Parallel()
	node, modules := tedious(t)
	for _, c := range []struct {
		server, encrypt, version string
		utf8                     bool
	}{
		{"off", "false", "", false},
		{"off", "false", "", true},
		{"off", "true", "", false},
		{"off", "strict", "", false},
		{"required", "true", "", false},
		{"unsupported", "false", "", false},
		{"off", "false", "7_1", false},
		{"off", "false", "7_2", false},
		{"off", "false", "7_3_B", false},
	} {
		t.Run(fmt.Sprint(c.server, "/", c.encrypt, c.version, c.utf8), func(t *testing.T) {
			t.Parallel()
			places(t, tdsserver.Options{Encryption: encryptions[c.server], UTF8: c.utf8}, func(t *testing.T, p place) {
				if c.encrypt == "strict" && !p.strict {
					t.Skip("TDS 8.0 is not understood here")
				}
				said(t, program(t, p, nil, "", node, "testdata/tedious.js", modules, p.host, strconv.Itoa(p.port), p.user, p.database, p.ca, c.encrypt, c.version))
			})
		})
	}
}

func TestPymssql(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "pymssql")
	for _, version := range []string{"7.1", "7.2", "7.3"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			places(t, tdsserver.Options{}, func(t *testing.T, p place) {
				said(t, program(t, p, nil, "", python, "testdata/use_pymssql.py", p.host, strconv.Itoa(p.port), p.user, p.database, version))
			})
		})
	}
}

// odbc finds FreeTDS's ODBC driver.
func odbc(t *testing.T) string {
	t.Helper()
	drivers, err := filepath.Glob("/usr/lib/*/odbc/libtdsodbc.so")
	if err != nil {
		t.Fatal(err)
	}
	if len(drivers) == 0 {
		t.Skip("needs FreeTDS's ODBC driver: scripts/install-servers pyodbc")
	}
	return drivers[0]
}

func TestPyodbc(t *testing.T) {
	t.Parallel()
	python, driver := pythonWith(t, "pyodbc"), odbc(t)
	for _, c := range []struct{ version, encryption string }{{"7.1", "request"}, {"7.2", "off"}, {"7.3", "request"}, {"7.4", "request"}, {"7.4", "require"}, {"7.4", "off"}} {
		t.Run(c.version+"/"+c.encryption, func(t *testing.T) {
			t.Parallel()
			places(t, tdsserver.Options{}, func(t *testing.T, p place) {
				said(t, program(t, p, nil, "", python, "testdata/use_pyodbc.py", driver, p.host, strconv.Itoa(p.port), p.user, p.database, c.version, c.encryption))
			})
		})
	}
}

func TestJTDS(t *testing.T) {
	t.Parallel()
	const jar = "/usr/share/java/jtds.jar"
	java, err := exec.LookPath("java")
	if err == nil {
		_, err = exec.LookPath("javac")
	}
	if err != nil {
		t.Skip("needs a JDK (java, javac)")
	}
	if _, err := os.Stat(jar); err != nil {
		t.Skip("needs jTDS: scripts/install-servers jtds")
	}
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		versions := "8.0,7.0" // by its count: TDS 7.1 and 7.0
		if p.through {
			versions = "8.0"
		}
		said(t, program(t, p, nil, "", java, "-XX:+UseSerialGC", "-Xmx256m", "-cp", jar, "testdata/UseJTDS.java", p.host, strconv.Itoa(p.port), p.user, p.database, versions))
	})
}

// freeTDS writes a freetds.conf that calls a place forebay.
func freeTDS(t *testing.T, p place, version, encryption string) (env []string) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "freetds.conf")
	text := fmt.Sprintf("[global]\n\ttds version = %s\n\tclient charset = UTF-8\n\ttext size = 1000000\n[forebay]\n\thost = %s\n\tport = %d\n\tencryption = %s\n", version, p.host, p.port, encryption)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"FREETDSCONF=" + conf, "LANG=C.UTF-8"}
}

func TestTsql(t *testing.T) {
	t.Parallel()
	tsql, err := exec.LookPath("tsql")
	if err != nil {
		t.Skip("needs FreeTDS's tsql: scripts/install-servers freetds")
	}
	for _, version := range []string{"7.1", "7.2", "7.3", "7.4"} {
		for _, encryption := range []string{"off", "request", "require"} {
			t.Run(version+"/"+encryption, func(t *testing.T) {
				t.Parallel()
				places(t, tdsserver.Options{}, func(t *testing.T, p place) {
					out := program(t, p, freeTDS(t, p, version, encryption), `SELECT c_int, c_nvarchar, c_text, c_uniqueidentifier FROM dbo.alltypes WHERE id = 1
go
CREATE TABLE dbo.z (a int IDENTITY, b varchar(20) UNIQUE)
INSERT INTO dbo.z (b) VALUES ('x'), ('y')
SELECT COUNT(*) + 40 FROM dbo.z
go
BEGIN TRAN
go
DELETE FROM dbo.z
go
ROLLBACK
go
SELECT COUNT(*) + 30 FROM dbo.z
go
INSERT INTO dbo.z (b) VALUES ('x')
go
PRINT 'hello'
go
USE master
go
SELECT DB_NAME()
go
exit
`, tsql, "-S", "forebay", "-U", p.user, "-P", p.password, "-D", p.database, "-o", "q")
					lines := strings.Split(out, "\n")
					for _, want := range []string{"2147483647\tnvarchar 水𝄞\ttext é\t00112233-4455-6677-8899-AABBCCDDEEFF", "42", "32", "hello", "master"} {
						if !slices.Contains(lines, want) {
							t.Errorf("no line %q in\n%s", want, out)
						}
					}
					if !strings.Contains(out, "Msg 2627 (severity 14") {
						t.Errorf("no error 2627 in\n%s", out)
					}
				})
			})
		}
	}
}

func TestBsqldb(t *testing.T) {
	t.Parallel()
	bsqldb, err := exec.LookPath("bsqldb")
	if err != nil {
		t.Skip("needs FreeTDS's bsqldb: scripts/install-servers freetds")
	}
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		out := program(t, p, freeTDS(t, p, "7.3", "request"), "SELECT n FROM dbo.numbers(1000)\ngo\nSELECT c_decimal FROM dbo.alltypes\ngo\n",
			bsqldb, "-S", "forebay", "-U", p.user, "-P", p.password, "-D", p.database, "-h")
		fields := strings.Fields(out)
		if !slices.Contains(fields, "1000") || !slices.Contains(fields, "-1234567890.1234") {
			t.Errorf("printed\n%s", out)
		}
	})
}
