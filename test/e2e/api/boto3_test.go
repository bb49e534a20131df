package api

import (
	"os/exec"
	"strings"
	"testing"
)

// TestBoto3 runs testdata/use_boto3.py, which checks everything itself and prints the secrets that it was given, for the
// log to be searched for them.
func TestBoto3(t *testing.T) {
	t.Parallel()
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import boto3").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Skip("needs Python's module boto3: scripts/install-servers boto3")
	}
	w := newWorld(t)
	w.declare("pg", "postgres", "127.0.0.1", 5432) // nobody logs in there
	w.declare("my", "mariadb", "127.0.0.1", 3306)
	// One proxy more than a page has; the quota is as many.
	w.stop()
	w.maxProxies = 21
	w.configure("127.0.0.1:0")
	w.start()
	out, err := run(python, w.env(w.root), "", "testdata/use_boto3.py", "pg", "my")
	words := strings.Fields(out)
	if err != nil || len(words) == 0 || words[len(words)-1] != "ok" {
		t.Fatalf("%v\n%s", err, out)
	}
	w.silent(words[:len(words)-1]...)
}
