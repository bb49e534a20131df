package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/engine/postgres/routines"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
)

// versions are the checks that every major version of PostgreSQL gets. They touch each place where Forebay speaks to the
// server on its own account or reads its catalog, which is what changes between versions.
var versions = []struct {
	name string
	test func(t *testing.T, w *world)
}{
	{"relay", relays},
	{"settings", carriesSettings},
	{"RESET in a transaction", resetsInTransaction},
	{"what a session starts with", startsClean},
	{"prepared statements", prepares},
	{"pins", pinsAndUnpins},
	{"nothing left behind", leavesNothing},
	{"cancel", cancels},
	{"COPY", copies},
	{"protocol 3.2", speaks32},
	{"wrong password", refuses},
	{"routines", knowsRoutines},
}

// TestEachVersion runs the checks through Forebay on each major version of PostgreSQL that is on the machine. Log-in is by
// SCRAM on both sides, from Forebay to the server over TLS.
func TestEachVersion(t *testing.T) {
	t.Parallel()
	testkit.EachPostgres(t, func(t *testing.T, pg *localserver.Postgres) {
		for _, v := range versions {
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				db := testkit.Database(t, pg)
				w := newWorld(t, options{pool: 2, db: &db, change: func(p *resource.Proxy) { p.Target.Members[0].TLSMode = resource.TLSRequire }})
				v.test(t, w)
			})
		}
	})
}

func relays(t *testing.T, w *world) {
	stored := w.super("SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = '" + w.db.User + "'")
	encrypted := w.super("SHOW ssl")
	if stored != "t" || encrypted != "on" {
		t.Fatalf("the server has SCRAM %s, TLS %s", stored, encrypted)
	}
	a, b := w.open(), w.open()
	if got, want := a.ParameterStatus("server_version"), w.super("SHOW server_version"); got != want {
		t.Errorf("server_version is %q, want %q", got, want)
	}
	if got := a.must("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != "t" {
		t.Errorf("TLS to the server: %s", got)
	}
	a.must("CREATE TABLE t (i int PRIMARY KEY, v text)")
	a.must("BEGIN; INSERT INTO t VALUES (1, 'one')")
	if got := b.must("SELECT count(*) FROM t"); got != "0" {
		t.Errorf("%s rows before COMMIT", got)
	}
	a.must("COMMIT")
	b.fails("INSERT INTO t VALUES (1, 'again')", "23505")
	if got := text(b.params("SELECT v FROM t WHERE i = $1", "1")); got != "one" {
		t.Errorf("got %q", got)
	}
}

func carriesSettings(t *testing.T, w *world) {
	a, b := w.open("application_name", "a"), w.open("application_name", "b")
	a.must("SET work_mem = '5MB'; SET search_path = pg_catalog; SET app.x = 'ax'; SET idle_in_transaction_session_timeout = '1h'")
	b.must("SET timezone = 'Asia/Tokyo'; SET bytea_output = escape")
	const state = "SELECT current_setting('application_name'), current_setting('work_mem'), current_setting('search_path'), " +
		"coalesce(current_setting('app.x', true), ''), current_setting('idle_in_transaction_session_timeout'), " +
		"current_setting('timezone'), current_setting('bytea_output')"
	wantA, wantB := "a,5MB,pg_catalog,ax,1h,UTC,hex", `b,4MB,"$user", public,,0,Asia/Tokyo,escape`
	for range 3 {
		holder := w.open() // has the clients change between the server connections
		holder.must("BEGIN")
		for c, want := range map[*client]string{a: wantA, b: wantB} {
			if got := c.must(state); got != want {
				t.Errorf("settings %s, want %s", got, want)
			}
		}
		holder.must("COMMIT")
		holder.leave()
	}
	if got := append(w.pins(a), w.pins(b)...); len(got) != 0 {
		t.Errorf("pinned for %q", got)
	}
	a.must("RESET ALL")
	if got, want := a.must(state), `a,4MB,"$user", public,,0,UTC,hex`; got != want {
		t.Errorf("after RESET ALL: %s, want %s", got, want)
	}
}

// startsClean compares all the server's settings as a new client sees them, through Forebay and directly.
func startsClean(t *testing.T, w *world) {
	const all = "SELECT name, setting FROM pg_settings ORDER BY name"
	used := w.open()
	used.must("SET work_mem = '9MB'; SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
	used.leave()
	through := w.open("application_name", "x").must(all)
	direct := (&world{t: t, db: w.db}).open("application_name", "x").must(all)
	if diff := cmp.Diff(strings.Split(direct, "\n"), strings.Split(through, "\n")); diff != "" {
		t.Errorf("settings, direct (-) and through Forebay (+):\n%s", diff)
	}
}

func prepares(t *testing.T, w *world) {
	a, b := w.open(), w.open()
	for c, sql := range map[*client]string{a: "SELECT 'a' || $1::text", b: "SELECT 'b' || $1::text"} {
		if err := c.prepare("s", sql); err != nil {
			t.Fatal(err)
		}
	}
	b.must("PREPARE p(int) AS SELECT $1 + 1")
	for range 3 {
		holder := w.open()
		holder.must("BEGIN")
		for want, c := range map[string]*client{"a1": a, "b1": b} {
			if got, err := c.run("s", "1"); err != nil || got != want {
				t.Errorf("got %q, err %v; want %q", got, err, want)
			}
		}
		if got := b.must("EXECUTE p(1)"); got != "2" {
			t.Errorf("EXECUTE: %q", got)
		}
		holder.must("COMMIT")
		holder.leave()
	}
	a.fails("EXECUTE p(1)", "26000")
	b.must("DEALLOCATE ALL")
	b.fails("EXECUTE p(1)", "26000")
	if got := slices.Concat(w.pins(a), w.pins(b)); len(got) != 0 {
		t.Errorf("pinned for %q", got)
	}
}

func pinsAndUnpins(t *testing.T, w *world) {
	for _, p := range []struct{ make, end, reason string }{
		{"CREATE TEMP TABLE x (i int)", "DROP TABLE x", "temporary_object"},
		{"DO $$BEGIN CREATE TEMP TABLE x (i int); END$$", "DISCARD TEMP", "temporary_object"},
		{"LISTEN c", "UNLISTEN c", "listen"},
		{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c", "holdable_cursor"},
		{"SELECT pg_advisory_lock(77)", "SELECT pg_advisory_unlock(77)", "session_advisory_lock"},
	} {
		c, other := w.open(), w.open()
		c.must(p.make)
		if got := w.pins(c); !slices.Equal(got, []string{p.reason}) {
			t.Errorf("after %s: pinned for %q, want %q", p.make, got, p.reason)
		}
		mine := c.backend()
		if got := other.backend(); got == mine {
			t.Errorf("after %s: the pinned server connection was lent", p.make)
		}
		c.must(p.end)
		if got := w.pins(c); len(got) != 0 {
			t.Errorf("after %s: still pinned for %q", p.end, got)
		}
		c.leave()
		other.leave()
	}
}

func leavesNothing(t *testing.T, w *world) {
	const state = "SELECT to_regclass('pg_temp.x'), (SELECT count(*) FROM pg_listening_channels()), " +
		"(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), " +
		"(SELECT count(*) FROM pg_cursors WHERE is_holdable), current_setting('work_mem'), coalesce(current_setting('app.x', true), '')"
	clean := w.open().must(state)
	for i := range 6 {
		c := w.open()
		c.must("CREATE TEMP TABLE x (i int); LISTEN c; SELECT pg_advisory_lock_shared(7); SET work_mem = '7MB'; " +
			"DECLARE h CURSOR WITH HOLD FOR SELECT 1; SELECT set_config('app.x', 'secret', false)")
		if i%2 == 0 {
			c.drop()
		} else {
			c.leave()
		}
		if got := w.open().must(state); got != clean {
			t.Fatalf("the next client sees %s, want %s", got, clean)
		}
	}
}

func cancels(t *testing.T, w *world) {
	c := w.open()
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { cancelUntil(c, done) })
	c.fails("SELECT pg_sleep(600)", "57014")
	close(done)
	all.Wait()
	c.must("SELECT 1")
}

func copies(t *testing.T, w *world) {
	c := w.open()
	c.must("CREATE TABLE copied (v text)")
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	const size = 1 << 20
	if tag, err := c.CopyFrom(ctx, &zeros{size}, "COPY copied FROM STDIN"); err != nil || tag.RowsAffected() != size/1024 {
		t.Fatalf("COPY in: %v, %v", tag, err)
	}
	out, want := sha256.New(), sha256.New()
	if tag, err := c.CopyTo(ctx, out, "COPY copied TO STDOUT"); err != nil || tag.RowsAffected() != size/1024 {
		t.Fatalf("COPY out: %v, %v", tag, err)
	}
	_, _ = want.Write(bytes.Repeat([]byte(strings.Repeat("0", 1023)+"\n"), size/1024))
	if !bytes.Equal(out.Sum(nil), want.Sum(nil)) {
		t.Error("COPY out differs from COPY in")
	}
}

// speaks32 checks that a client may use protocol 3.2, with its long cancel keys, whatever the server speaks.
func speaks32(t *testing.T, w *world) {
	cfg := w.config()
	cfg.MinProtocolVersion, cfg.MaxProtocolVersion = "3.2", "3.2"
	c, err := w.dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.SecretKey()); n <= 4 {
		t.Errorf("a cancel key of %d bytes", n)
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { cancelUntil(c, done) })
	c.fails("SELECT pg_sleep(600)", "57014")
	close(done)
	all.Wait()
	c.must("SELECT 1")
}

// refuses checks that a wrong password is refused with the code that the server itself gives.
func refuses(t *testing.T, w *world) {
	cfg := w.config()
	cfg.Password = "wrong"
	_, err := w.dial(cfg)
	failsWith(t, "through Forebay", err, "28P01")
	cfg = (&world{t: t, db: w.db}).config()
	cfg.Password = "wrong"
	_, err = w.dial(cfg)
	failsWith(t, "direct", err, "28P01")
}

// catalog reads the world's database past Forebay.
type catalog struct{ c *pgconn.PgConn }

func (q catalog) Query(ctx context.Context, sql string) ([][]*string, error) {
	results, err := q.c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]*string
	for _, r := range results {
		for _, fields := range r.Rows {
			row := make([]*string, len(fields))
			for i, f := range fields {
				if f != nil {
					s := string(f)
					row[i] = &s
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// knowsRoutines checks what is read from the catalog about routines: by itself, and by what follows for clients.
func knowsRoutines(t *testing.T, w *world) {
	c, other := w.open(), w.open()
	c.must(`CREATE FUNCTION setter() RETURNS text LANGUAGE sql RETURN set_config('app.tenant', 'mine', false);
		CREATE FUNCTION scratch() RETURNS void LANGUAGE plpgsql AS $$BEGIN CREATE TEMP TABLE x (i int); END$$;
		CREATE FUNCTION plain(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'`)
	q := catalog{(&world{t: t, db: w.db}).open().PgConn}
	look := func(want map[string]bool) {
		t.Helper()
		r, err := routines.Load(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for sql, want := range want {
			var a sqltext.Analysis
			sqltext.Analyze([]byte(sql), sqltext.Standard, r, &a)
			if got := a.Effects&sqltext.Look != 0; got != want {
				t.Errorf("%s: to be looked at afterwards: %t, want %t", sql, got, want)
			}
		}
	}
	look(map[string]bool{
		"SELECT setter()": true, "SELECT scratch()": true, "SELECT plain(1)": false, "SELECT now(), upper('a')": false,
	})
	before, err := routines.Fingerprint(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	c.must("CREATE VIEW v AS SELECT setter()")
	if after, err := routines.Fingerprint(t.Context(), q); err != nil || after == before {
		t.Errorf("fingerprint %q, was %q, err %v", after, before, err)
	}
	look(map[string]bool{"SELECT * FROM v": true})
	c.must("SELECT * FROM v")
	for range 3 {
		if got := other.must("SELECT coalesce(current_setting('app.tenant', true), '')"); got != "" {
			t.Fatalf("another client sees %q", got)
		}
		if got := c.must("SELECT current_setting('app.tenant', true)"); got != "mine" {
			t.Fatalf("the client's own setting is %q", got)
		}
	}
	c.must("SELECT scratch()")
	if got := w.pins(c); !slices.Equal(got, []string{"temporary_object"}) {
		t.Errorf("pinned for %q", got)
	}
}

// TestReservedConnections checks that a share of the server's connections is one of those that ordinary users can have:
// since version 16 some may be kept for a role.
func TestReservedConnections(t *testing.T) {
	t.Parallel()
	all, err := localserver.PostgresReleases()
	if err != nil || all[0].Major < 16 {
		t.Skipf("needs PostgreSQL 16 or newer (make servers): %v", err)
	}
	db := testkit.Database(t, testkit.Postgres(t, localserver.PostgresOptions{
		BinDir: all[0].BinDir, Chroot: all[0].Chroot, MaxConnections: 20,
		Settings: map[string]string{"superuser_reserved_connections": "3", "reserved_connections": "7"},
	}))
	w := newWorld(t, options{db: &db, change: func(p *resource.Proxy) {
		p.Pool.MaxConnections, p.Pool.MaxConnectionsPercent, p.Pool.MaxIdleConnectionsPercent = 0, 20, 10
		p.Pool.ConnectionBorrowTimeout = 2 * time.Second
	}})
	a, b, c := w.open(), w.open(), w.open()
	a.must("BEGIN")
	b.must("BEGIN")
	c.fails("SELECT 1", "08000") // 20 percent of 10, not of 17 or 20
	a.must("COMMIT")
	c.must("SELECT 1")
}
