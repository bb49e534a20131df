package drivers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// said fails the test unless the program went through to its end.
func said(t *testing.T, out string) {
	t.Helper()
	if !strings.HasSuffix(strings.TrimSpace(out), "ok") {
		t.Errorf("the program did not say ok at its end:\n%s", out)
	}
}

func TestNodePostgres(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node: scripts/install-servers node node-postgres")
	}
	modules := filepath.Join(cache(t), "node", "node_modules")
	if _, err := os.Stat(filepath.Join(modules, "pg", "package.json")); err != nil {
		t.Skip("needs the npm package pg: scripts/install-servers node-postgres")
	}
	program, err := filepath.Abs("testdata/postgres.js")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	said(t, w.run("", node, program, modules))
}

func TestPsycopg2(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "psycopg2")
	w := newWorld(t)
	said(t, w.run("", python, "testdata/use_psycopg2.py"))
}

func TestPsycopg3(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "psycopg")
	w := newWorld(t)
	said(t, w.run("", python, "testdata/use_psycopg3.py"))
}

// pythonWith finds a Python that has the module. The system's comes first: its packages are not another Python's.
func pythonWith(t *testing.T, module string) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	t.Skipf("needs Python's module %s: scripts/install-servers psycopg", module)
	return ""
}

func TestJDBC(t *testing.T) {
	t.Parallel()
	java, err := exec.LookPath("java")
	if err == nil {
		_, err = exec.LookPath("javac")
	}
	if err != nil {
		t.Skip("needs a JDK (java, javac)")
	}
	const jar = "/usr/share/java/postgresql.jar"
	if _, err := os.Stat(jar); err != nil {
		t.Skip("needs PostgreSQL's JDBC driver: scripts/install-servers jdbc")
	}
	w := newWorld(t)
	said(t, w.run("", java, "-XX:+UseSerialGC", "-Xmx256m", "-cp", jar, "testdata/UseJDBC.java"))
}
