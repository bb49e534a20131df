package sqlserver

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forebay/internal/admin"
	"forebay/internal/metrics"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
	"forebay/internal/testkit/testlog"
)

// pinCase is something that pins, and what an operator sees of it.
type pinCase struct {
	text   string
	fails  bool // the scripted server does not know it; it pins all the same
	reason string
	digest string
	fix    string // a part of it
	end    string // a text that ends it
}

var pinCases = []pinCase{
	{text: "CREATE TABLE #t (a int)", reason: "temporary_table", digest: "create table #t (a int)", fix: "DROP TABLE", end: "DROP TABLE #t"},
	{text: "SELECT 'xyzzy' AS a INTO ##g", reason: "temporary_table", digest: "select ? as a into ##g", fix: "DROP TABLE", end: "DROP TABLE ##g"},
	{
		text: "DECLARE c CURSOR GLOBAL FOR SELECT 'xyzzy'", reason: "open_cursor", digest: "declare c cursor global for select ?", fix: "declare it LOCAL",
		end: "DEALLOCATE c",
	},
	{
		text: "EXEC sp_getapplock 'xyzzy', 'Exclusive', 'Session'", reason: "application_lock", digest: "exec sp_getapplock ?, ?, ?", fix: "sp_releaseapplock",
		end: "EXEC sp_releaseapplock 'xyzzy', 'Session'",
	},
	{text: "DECLARE @s nvarchar(20) = N'SELECT 1'; EXEC (@s)", reason: "dynamic_sql", digest: "declare @s nvarchar(?) = ?; exec (@s)", fix: "literal text"},
	{text: "SET NOEXEC ON", reason: "show_plan", digest: "set noexec on", fix: "straight to the database"},
	{text: "DECLARE @n int = 1; SET ROWCOUNT @n", reason: "unknown_settings", digest: "declare @n int = ?; set rowcount @n", fix: "literals"},
	{text: "DECLARE @c varbinary(9) = 0x01; SET CONTEXT_INFO @c", reason: "session_context", digest: "declare @c varbinary(?) = ?; set context_info @c", fix: "literals"},
	{text: "EXEC dbo.unheard_of 'xyzzy'", fails: true, reason: "procedure", digest: "exec dbo.unheard_of ?", fix: "GRANT VIEW DEFINITION"},
	{text: "DBCC SOMETHING", reason: "unknown_statement", digest: "dbcc something", fix: "report the statement"},
	{text: "EXEC sp_setapprole 'role', 'xyzzy'", fails: true, reason: "execute_as", digest: "exec sp_setapprole ?, ?", fix: "REVERT"},
	{text: "DBCC TRACEON(1222)", reason: "trace_flag", digest: "dbcc traceon(?)", fix: "for the server"},
	{text: "BEGIN DISTRIBUTED TRAN", fails: true, reason: "distributed_transaction", digest: "begin distributed tran", fix: "local transaction"},
}

// operator is what somebody who runs Forebay looks at.
type operator struct {
	t   *testing.T
	url string
	log testlog.Buffer
	f   *testkit.Forebay
}

func newOperator(t *testing.T, p place) (*operator, place) {
	t.Helper()
	o := &operator{t: t}
	h := slog.NewTextHandler(&o.log, nil)
	o.f = testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
		Users: map[string]string{p.user: p.password}, Log: h, Loops: 2, Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 3 },
	})
	reg, _ := metrics.NewRegistry("test")
	reg.MustRegister(metrics.NewCollector(o.f.Plane.Collect))
	s, err := admin.Open(t.Context(), admin.Options{
		Log: slog.New(h), Listen: "127.0.0.1:0", Gatherer: reg, Readiness: func() []admin.Readiness { return nil },
		Pools: func() any { return o.f.Plane.Pools() }, Pins: func() any { return o.f.Plane.Pins() }, Config: func() any { return nil }, Debug: func() bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	o.url = "http://" + s.Addr()
	p.host, p.port = o.f.Host, o.f.Port
	return o, p
}

func (o *operator) get(path string) string {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.url+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		o.t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
	return string(body)
}

// pinned are the pinned sessions of /pins.
func (o *operator) pinned() (all []map[string]any) {
	o.t.Helper()
	var v struct {
		Total  int              `json:"pinned_total"`
		Pinned []map[string]any `json:"pinned"`
	}
	if err := json.Unmarshal([]byte(o.get("/pins")), &v); err != nil {
		o.t.Fatal(err)
	}
	if v.Total != len(v.Pinned) {
		o.t.Errorf("%d sessions are pinned, and %d are listed", v.Total, len(v.Pinned))
	}
	return v.Pinned
}

// metric is the value of a metric with these labels beside proxy and target.
func (o *operator) metric(name, labels string) string {
	o.t.Helper()
	for line := range strings.Lines(o.get("/metrics")) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(series, "forebay_"+name+"{") && strings.Contains(series, labels) {
			return value
		}
	}
	return ""
}

// TestOperator has each thing that pins seen by an operator: as a metric, in the log with the reason, the digest and a way to avoid it,
// and among the sessions and pools of the admin server.
func TestOperator(t *testing.T) {
	t.Parallel()
	p := direct(t, tdsserver.Options{})
	for _, c := range pinCases {
		t.Run(c.reason+"/"+c.digest, func(t *testing.T) {
			t.Parallel()
			o, p := newOperator(t, p)
			a := conn(t, openGo(t, p, "encrypt=disable", "app name=billing"))
			do(t, a, "SELECT 1") // its pool is there
			if got := o.pinned(); len(got) != 0 {
				t.Fatalf("pinned: %v", got)
			}
			if _, err := a.ExecContext(t.Context(), c.text); (err != nil) != c.fails {
				t.Fatalf("%s: %v", c.text, err)
			}
			all := o.pinned()
			if len(all) != 1 {
				t.Fatalf("%d sessions are pinned: %v", len(all), all)
			}
			for k, want := range map[string]any{"proxy": "test", "user": p.user, "database": p.database, "application": "billing"} {
				if all[0][k] != want {
					t.Errorf("%s of the pinned session is %v", k, all[0][k])
				}
			}
			pins, _ := all[0]["pins"].([]any)
			var seen map[string]any
			for _, x := range pins {
				if m, _ := x.(map[string]any); m["reason"] == c.reason {
					seen = m
				}
			}
			fix, _ := seen["fix"].(string)
			if seen["digest"] != c.digest || !strings.Contains(fix, c.fix) {
				t.Errorf("pins %v; want %s for %q, with a fix of %q", pins, c.reason, c.digest, c.fix)
			}
			if got := o.metric("session_pins_total", `reason="`+c.reason+`"`); got != "1" {
				t.Errorf("session_pins_total is %q", got)
			}
			testkit.Eventually(t, "the pin is in the log", func() bool { return strings.Contains(o.log.String(), "session pinned") })
			log := o.log.String()
			for _, want := range []string{"level=WARN", "reason=" + c.reason, slogText("digest", c.digest), slogText("fix", fix), "proxy=test", "user=" + p.user} {
				if !strings.Contains(log, want) {
					t.Errorf("no %s in the log:\n%s", want, log)
				}
			}
			for where, text := range map[string]string{"the log": log, "/pins": o.get("/pins"), "/metrics": o.get("/metrics"), "/pools": o.get("/pools")} {
				if strings.Contains(text, "xyzzy") || strings.Contains(text, p.password) {
					t.Errorf("a literal or the password is in %s:\n%s", where, text)
				}
			}
			if c.end == "" {
				return
			}
			do(t, a, c.end)
			if got := o.pinned(); len(got) != 0 {
				t.Errorf("still pinned: %v", got)
			}
			testkit.Eventually(t, "the end of the pin is in the log", func() bool { return strings.Contains(o.log.String(), "no longer pinned") })
			if got := o.metric("session_pins_total", `reason="`+c.reason+`"`); got != "1" {
				t.Errorf("session_pins_total is %q afterwards", got)
			}
		})
	}
}

// slogText is an attribute as slog's TextHandler writes it.
func slogText(key, value string) string {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("", key, value)
	_, attr, _ := strings.Cut(strings.TrimSpace(b.String()), key+"=")
	return key + "=" + attr
}

// TestOperatorPools has the figures of a pool follow what its clients do.
func TestOperatorPools(t *testing.T) {
	t.Parallel()
	at := map[string]func(t *testing.T) place{
		"scripted": func(t *testing.T) place { t.Helper(); return direct(t, tdsserver.Options{}) },
		"server":   realServer,
	}
	for name, open := range at {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, p := newOperator(t, open(t))
			db := openGo(t, p, "encrypt=disable")
			a, b, c := conn(t, db), conn(t, db), conn(t, db)
			for _, x := range []struct {
				f    func()
				want map[string]any
			}{
				{func() { do(t, a, "SELECT 1"); do(t, b, "SELECT 1"); do(t, c, "SELECT 1") }, map[string]any{"clients": 3.0, "in_transaction": 0.0, "pinned": 0.0}},
				{func() { do(t, a, "BEGIN TRAN") }, map[string]any{"clients": 3.0, "in_transaction": 1.0, "pinned": 0.0}},
				{func() { do(t, b, "CREATE TABLE #t (a int)") }, map[string]any{"in_transaction": 1.0, "pinned": 1.0}},
				{func() { do(t, a, "COMMIT TRAN") }, map[string]any{"in_transaction": 0.0, "pinned": 1.0}},
				{func() { do(t, b, "DROP TABLE #t") }, map[string]any{"in_transaction": 0.0, "pinned": 0.0}},
			} {
				x.f()
				look := func() map[string]any {
					var all []struct {
						Pools []map[string]any `json:"pools"`
					}
					if err := json.Unmarshal([]byte(o.get("/pools")), &all); err != nil {
						t.Fatal(err)
					}
					if len(all) != 1 || len(all[0].Pools) != 1 {
						t.Fatalf("%+v", all)
					}
					return all[0].Pools[0]
				}
				sees := func() string {
					got := map[string]any{}
					pool := look()
					for k := range x.want {
						got[k] = pool[k]
					}
					return cmp.Diff(x.want, got)
				}
				// The figures follow the client's answer.
				testkit.Eventually(t, fmt.Sprint(x.want), func() bool { return sees() == "" })
				for name, k := range map[string]string{"database_connections_currently_in_transaction": "in_transaction", "database_connections_currently_session_pinned": "pinned"} {
					want, ok := x.want[k]
					if got := o.metric(name, `proxy="test"`); ok && got != fmt.Sprint(want) {
						t.Errorf("%s is %q, want %v", name, got, want)
					}
				}
			}
			pool := o.get("/pools")
			if !strings.Contains(pool, `"user": "`+p.user+`"`) || !strings.Contains(pool, `"database": "`+p.database+`"`) {
				t.Errorf("of whom the pool is, it does not say:\n%s", pool)
			}
			if got := o.metric("transactions_total", `proxy="test"`); got == "" || got == "0" {
				t.Errorf("transactions_total is %q", got)
			}
		})
	}
}
