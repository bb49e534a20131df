package sqlserver

import (
	"testing"

	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
	"forebay/internal/wire/tds"
)

// returning are servers that differ in what a reset returns, and in what they say of it.
var returning = map[string]tdsserver.Options{
	"silent":      {},
	"told before": {ResetTells: tdsserver.ResetTellsBefore},
	"told behind": {ResetTells: tdsserver.ResetTellsBehind},
	"babelfish": {
		ProgVersion: tdsserver.BabelfishProg, KeepsDatabase: true, KeepsContext: true, KeepsIsolation: true, NoTransactionEnv: true,
		ResetAfterDone: true, SkipTransactionBad: true,
	},
	"babelfish that tells": {
		ProgVersion: tdsserver.BabelfishProg, KeepsDatabase: true, KeepsContext: true, KeepsIsolation: true, NoTransactionEnv: true,
		ResetAfterDone: true, SkipTransactionBad: true, ResetTells: tdsserver.ResetTellsBehind,
	},
	"sql server 2000": {MaxVersion: uint32(tds.V71R), NoStrict: true, KeepsIsolation: true, ProgVersion: 0x080007F7},
	"sql server 2008": {MaxVersion: uint32(tds.V73B), NoStrict: true, KeepsIsolation: true, ProgVersion: 0x0A000640},
}

// TestResetReturns has two clients of each version share one server connection, with another database, language and
// CONTEXT_INFO each: both see their own, and are told of no other, whatever a reset of the server's returns and tells.
func TestResetReturns(t *testing.T) {
	t.Parallel()
	for name, o := range returning {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Databases = []string{"app", "other"}
			p, _ := narrow(t, o)
			for name, v := range versions {
				if o.MaxVersion != 0 && (v == tds.V80 || v.AtLeast(tds.Version(o.MaxVersion)) && v != tds.Version(o.MaxVersion)) {
					continue // such a server is no place for it
				}
				t.Run(name, func(t *testing.T) { returns(t, p, v) }) // one after the other, on one server connection
			}
		})
	}
}

// returns is TestResetReturns with clients of one version.
func returns(t *testing.T, p place, v tds.Version) {
	a, b := dialRaw(t, p, v), dialRaw(t, p, v)
	see := func(who string, r *raw, database, language, info string) {
		t.Helper()
		r.expect("SELECT CAST(DB_NAME() AS varchar(20)), CAST(@@LANGUAGE AS varchar(20)), CAST(CONTEXT_INFO() AS varchar(128))", database+","+language+","+info)
		if r.database != database || r.language != language {
			t.Errorf("%s was told that it is in %s, %s; want %s, %s", who, r.database, r.language, database, language)
		}
	}
	see("a", a, "app", "us_english", "NULL")
	a.do("USE other; SET LANGUAGE Deutsch; SET CONTEXT_INFO 0x61")
	for range 2 {
		see("b", b, "app", "us_english", "NULL")
		see("a", a, "other", "Deutsch", "a")
	}
	b.do("SET LANGUAGE Deutsch")
	see("b", b, "app", "Deutsch", "NULL")
	see("a", a, "other", "Deutsch", "a")
	// The client's own reset, on the server connection that has been its own last, and on one that has not.
	for range 2 {
		if got := a.batch(tds.StatusResetConnection, "SELECT CAST(DB_NAME() AS varchar(20))"); len(got.rows) != 1 || got.rows[0] != "app" || got.resets != 1 {
			t.Errorf("behind a reset of its own: %+v", got)
		}
		see("a", a, "app", "us_english", "NULL")
		a.do("USE other; SET LANGUAGE Deutsch; SET CONTEXT_INFO 0x61")
		see("a", a, "other", "Deutsch", "a")
		see("b", b, "app", "Deutsch", "NULL")
	}
	// A client that leaves: the next one finds nothing of it.
	if err := a.conn.Close(); err != nil {
		t.Fatal(err)
	}
	see("the next one", dialRaw(t, p, v), "app", "us_english", "NULL")
	if err := b.conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStrictServer has clients of each version before a server that takes TDS 8.0 alone.
func TestStrictServer(t *testing.T) {
	t.Parallel()
	p := direct(t, tdsserver.Options{StrictOnly: true, Databases: []string{"app", "other"}})
	f := testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
		Users: map[string]string{p.user: p.password}, TLS: p.server.TLS(), Change: func(px *resource.Proxy) {
			px.Pool.MaxConnections = 1
			m := &px.Target.Members[0]
			m.TLSMode, m.CAFile = resource.TLSStrict, p.ca
		},
	})
	p.host, p.port = f.Host, f.Port
	for _, name := range []string{"7.4", "8.0"} {
		t.Run(name, func(t *testing.T) { returns(t, p, versions[name]) })
	}
	for _, s := range p.server.Sessions() {
		if !s.Encrypted || s.Version != uint32(tds.V80) {
			t.Errorf("a server connection of version %x, encrypted %v", s.Version, s.Encrypted)
		}
	}
}
