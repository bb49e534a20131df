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
	node, modules := nodeModules(t, "node-postgres")
	w := newWorld(t)
	said(t, w.run("", node, "testdata/postgres.js", modules))
}

func TestPsycopg2(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "psycopg2", "psycopg")
	w := newWorld(t)
	said(t, w.run("", python, "testdata/use_psycopg2.py"))
}

func TestPsycopg3(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "psycopg", "psycopg")
	w := newWorld(t)
	said(t, w.run("", python, "testdata/use_psycopg3.py"))
}

// pythonWith finds a Python that has the module, which scripts/install-servers knows by another name. The system's comes
// first: its packages are not another Python's.
func pythonWith(t *testing.T, module, name string) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	t.Skipf("needs Python's module %s: scripts/install-servers %s", module, name)
	return ""
}

func TestJDBC(t *testing.T) {
	t.Parallel()
	java := jdk(t)
	const jar = "/usr/share/java/postgresql.jar"
	if _, err := os.Stat(jar); err != nil {
		t.Skip("needs PostgreSQL's JDBC driver: scripts/install-servers jdbc")
	}
	w := newWorld(t)
	said(t, w.run("", java, "-XX:+UseSerialGC", "-Xmx256m", "-cp", jar, "testdata/UseJDBC.java"))
}

// jdk finds the java that can run a program from its source.
func jdk(t *testing.T) string {
	t.Helper()
	java, err := exec.LookPath("java")
	if err == nil {
		_, err = exec.LookPath("javac")
	}
	if err != nil {
		t.Skip("needs a JDK (java, javac)")
	}
	return java
}

// nodeModules finds Node.js, and the folder in which scripts/install-servers has put the packages that it knows by these
// names.
func nodeModules(t *testing.T, names ...string) (node, modules string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node: scripts/install-servers node " + strings.Join(names, " "))
	}
	modules = filepath.Join(cache(t), "node", "node_modules")
	for _, name := range names {
		module := name
		if name == "node-postgres" {
			module = "pg"
		}
		if _, err := os.Stat(filepath.Join(modules, module, "package.json")); err != nil {
			t.Skipf("needs the npm package %s: scripts/install-servers %s", module, name)
		}
	}
	return node, modules
}
