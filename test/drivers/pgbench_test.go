package drivers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	pgbenchClients      = 12
	pgbenchTransactions = 150 // of each client
)

// In each of pgbench's modes every transaction that was acknowledged is in the table, once.
func TestPgbench(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"simple", "extended", "prepared"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.tables()
			out, err := w.pgbench(mode)
			if err != nil {
				t.Fatalf("pgbench: %v\n%s", err, out)
			}
			if acked, entries := processed(t, out), w.entries(); acked != pgbenchClients*pgbenchTransactions || entries != acked {
				t.Errorf("pgbench says that %d transactions went through, the table has %d; want %d", acked, entries, pgbenchClients*pgbenchTransactions)
			}
		})
	}
}

// The same while server connections are ended at random. pgbench gives a client up at an error that is not worth a try
// more, as this one is; what that client had not been told may or may not be there, everything else is.
func TestPgbenchLosesServerConnections(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"simple", "extended", "prepared"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.tables()
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan int)
			go func() { ended <- w.endConnections(ctx) }()
			out, err := w.pgbench(mode)
			stop()
			kills := <-ended
			acked, aborted, entries := processed(t, out), strings.Count(out, " aborted in command"), w.entries()
			t.Logf("%d server connections ended, %d clients gave up, %d transactions acknowledged, %d in the table", kills, aborted, acked, entries)
			if err != nil && aborted == 0 {
				t.Fatalf("pgbench: %v\n%s", err, out)
			}
			if kills == 0 {
				t.Error("no server connection was ended")
			}
			if entries < acked || entries > acked+aborted {
				t.Errorf("the table has %d transactions; want %d, and at most %d more whose acknowledgement was lost\n%s", entries, acked, aborted, out)
			}
			if strings.Contains(out, "server closed the connection unexpectedly") {
				t.Errorf("a client lost its own connection:\n%s", out)
			}
		})
	}
}

// pgbench runs transactions that each do three things in the database, all or none. Each client has a thread: where they
// share one, a client that prepares a statement blocks the others, who may hold what it waits for.
func (w *world) pgbench(mode string) (string, error) {
	w.t.Helper()
	program := w.client("pgbench")
	script := filepath.Join(w.t.TempDir(), "transfer.sql")
	if err := os.WriteFile(script, []byte(`\set a random(1, 50)
BEGIN;
UPDATE account SET n = n + 1 WHERE id = :a;
INSERT INTO entry VALUES (:a);
SELECT n FROM account WHERE id = :a;
END;
`), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.try("", program, "-n", "-M", mode, "-f", script, "--max-tries=10",
		"-c", strconv.Itoa(pgbenchClients), "-j", strconv.Itoa(pgbenchClients), "-t", strconv.Itoa(pgbenchTransactions))
}

// tables makes the tables that pgbench works on.
func (w *world) tables() {
	w.t.Helper()
	w.run("CREATE TABLE account (id int PRIMARY KEY, n bigint); CREATE TABLE entry (account int);"+
		" INSERT INTO account SELECT id, 0 FROM generate_series(1, 50) AS id", w.client("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1")
}

// entries counts the transactions in the tables, which must agree with each other.
func (w *world) entries() int {
	w.t.Helper()
	rows, err := w.db.Server.Query(w.t.Context(), w.db.Name, "SELECT (SELECT count(*) FROM entry), (SELECT sum(n) FROM account),"+
		" (SELECT count(*) FROM account a WHERE n <> (SELECT count(*) FROM entry e WHERE e.account = a.id))")
	if err != nil || len(rows) != 1 {
		w.t.Fatalf("count: %v, %v", rows, err)
	}
	if rows[0][0] != rows[0][1] || rows[0][2] != "0" {
		w.t.Errorf("%s entries, the accounts hold %s, %s accounts disagree", rows[0][0], rows[0][1], rows[0][2])
	}
	n, err := strconv.Atoi(rows[0][0])
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// endConnections ends server connections, one after the other, until ctx ends or enough clients have suffered, and
// returns how many.
func (w *world) endConnections(ctx context.Context) int {
	kills := 0
	for kills < pgbenchClients/2 {
		select {
		case <-ctx.Done():
			return kills
		case <-time.After(20 * time.Millisecond):
		}
		rows, err := w.db.Server.Query(ctx, "postgres", fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"+
			" WHERE usename = '%s' AND query LIKE '%%account%%' ORDER BY random() LIMIT 1", w.db.User))
		if err == nil && len(rows) == 1 {
			kills++
		}
	}
	return kills
}

var actually = regexp.MustCompile(`number of transactions actually processed: (\d+)`)

// processed reads how many transactions pgbench was told are done.
func processed(t *testing.T, out string) int {
	t.Helper()
	m := actually.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("pgbench says no count:\n%s", out)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
