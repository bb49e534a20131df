package routines_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"forebay/internal/engine/sqlserver/routines"
	"forebay/internal/engine/sqlserver/routines/routinestest"
	. "forebay/internal/engine/sqlserver/sqltext"
)

func wire(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func load(t *testing.T, d *routinestest.Database) *routines.Catalog {
	t.Helper()
	c, err := routines.Load(t.Context(), d, true)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// does is what a text does by what it reaches.
func does(c *routines.Catalog, sql, database string) routines.Effect {
	var a Analysis
	text := wire(sql)
	Inspect(text, Mode{QuotedIdentifier: true}, &a)
	var e routines.Effect
	if a.Effects&Exec != 0 {
		e = c.Called(text, &a, database, new(routines.Cache))
	}
	if a.Effects&Triggers != 0 {
		w := c.Written(text, &a, database)
		e.Effects |= w.Effects
		e.Failing |= w.Failing
		e.Unknown = e.Unknown || w.Unknown
		e.Objects = append(e.Objects, w.Objects...)
	}
	return e
}

func show(e routines.Effect) string {
	out := (e.Effects &^ WritesIdentity).String()
	if e.Failing != 0 {
		out += " failing " + e.Failing.String()
	}
	if e.Unknown {
		out += " unknown"
	}
	for _, o := range e.Objects {
		out += " " + o.Name
		if o.Conditional {
			out += "?"
		}
	}
	return out
}

func shop() *routinestest.Database {
	many := map[string]string{
		"dbo.clean":      "BEGIN SET NOCOUNT ON; SELECT * FROM orders; CREATE TABLE #x (a int); INSERT #x VALUES (1) END",
		"dbo.calls":      "EXEC clean; EXEC dbo.clean; EXEC [shop].[dbo].[clean]; EXEC shop..clean",
		"dbo.temp":       "SELECT 1 AS a INTO ##g",
		"dbo.deep":       "IF 1 = 1 EXEC deeper",
		"dbo.deeper":     "EXEC deep; EXEC temp",
		"dbo.cursor":     "DECLARE c CURSOR FOR SELECT 1; OPEN c; CLOSE c; DEALLOCATE c",
		"dbo.catches":    "BEGIN TRY EXEC cursor END TRY BEGIN CATCH PRINT '' END CATCH",
		"dbo.callscur":   "EXEC [cursor]",
		"dbo.ctx":        "SET CONTEXT_INFO 0x01",
		"dbo.sctx":       "EXEC sp_set_session_context N'k', N'v'",
		"dbo.begins":     "BEGIN TRAN",
		"dbo.hidden":     "",
		"dbo.callshid":   "EXEC hidden",
		"dbo.dyn":        "EXEC (@sql)",
		"dbo.literal":    "EXEC sp_executesql N'EXEC temp'",
		"dbo.far":        "EXEC other.dbo.clean",
		"dbo.farther":    "EXEC srv.other.dbo.clean",
		"dbo.missing":    "EXEC nowhere",
		"dbo.makes":      "EXEC ('CREATE PROC x AS SELECT 1')",
		"dbo.writes":     "UPDATE plain SET a = 1",
		"dbo.writesloud": "UPDATE loud SET a = 1",
		"dbo.number":     "SELECT 1",
		"dbo.sp_mine":    "SET CONTEXT_INFO 0x02",
		"dbo.sp_theirs":  "SET CONTEXT_INFO 0x02",
		"dbo.both":       "SELECT 1",
		"app.both":       "SET CONTEXT_INFO 0x02",
		"app.inner":      "EXEC both",
		"dbo.sys":        "EXEC sp_unlisted",
		"dbo.o'b]c":      "SELECT 1",
	}
	for i := range 130 { // more than a page
		many[fmt.Sprintf("dbo.many%d", i)] = "SELECT 1"
	}
	return &routinestest.Database{
		Procedures: many,
		Numbered:   map[string]string{"dbo.number": "SET CONTEXT_INFO 0x01"},
		Views:      map[string]string{"dbo.view": "SELECT * FROM loud", "dbo.quiet": "SELECT * FROM plain", "dbo.secret": ""},
		Triggers: map[string]string{
			"dbo.calm": "UPDATE plain SET a = 1", "dbo.loud": "SET CONTEXT_INFO @x", "dbo.chain": "INSERT loud VALUES (1)",
			"dbo.lost": "", "dbo.child": "DECLARE c CURSOR FOR SELECT 1",
		},
		Cascades: map[string]string{"parent": "child"},
		Synonyms: map[string]string{"dbo.syn": "[dbo].[loud]", "dbo.synp": "[dbo].[temp]", "dbo.away": "[other].[dbo].[t]", "dbo.alone": "[loud]"},
		System:   []string{"sp_unlisted", "sp_theirs", "sp_MSforeachtable"},
	}
}

func TestCalled(t *testing.T) {
	t.Parallel()
	c := load(t, shop())
	for sql, want := range map[string]string{
		"EXEC clean": "none", "clean": "none", "EXEC @r = dbo.clean 1, 'a'": "none", "EXEC CLEAN": "none", `EXEC "dbo" . [Clean]`: "none",
		"EXEC shop.dbo.clean": "none", "EXEC Shop..clean": "none", "EXEC dbo.clean;1": "none", "EXEC dbo.many129": "none",
		"EXEC [o'b]]c]": "none",
		"EXEC calls":    "none",
		"EXEC temp":     "TempTable ##g", "EXEC deep": "TempTable ##g", "EXEC clean EXEC temp": "TempTable ##g",
		"EXEC literal": "TempTable ##g", "EXEC sp_executesql N'EXEC dbo.temp'": "TempTable ##g", "EXEC ('EXEC clean')": "none",
		"EXEC [cursor]":   "none failing Cursor c?",
		"EXEC callscur":   "none failing Cursor c?",
		"EXEC catches":    "Cursor c",
		"EXEC ctx":        "SettingUnknown",
		"EXEC sctx":       "ContextUnknown",
		"EXEC begins":     "TxBegin",
		"EXEC hidden":     "Exec unknown",
		"EXEC callshid":   "Exec unknown",
		"EXEC missing":    "Exec unknown",
		"EXEC nowhere":    "Exec unknown",
		"EXEC dyn":        "Exec|Dynamic",
		"EXEC (@a)":       "Exec",
		"EXEC far":        "Exec unknown",
		"EXEC farther":    "Exec unknown",
		"EXEC other..p":   "Exec unknown",
		"EXEC s.d.o.p":    "Exec unknown",
		"EXEC ('p') AT s": "Exec unknown",
		"EXEC makes":      "Triggers|Modules",
		"EXEC writes":     "none", "EXEC writesloud": "ContextUnknown",
		"EXEC number;2": "SettingUnknown", "EXEC number": "SettingUnknown",
		"EXEC sp_mine": "SettingUnknown", "EXEC sp_theirs": "Exec", "EXEC dbo.sp_theirs": "SettingUnknown", "EXEC sys.sp_unlisted": "Exec",
		"EXEC sys": "Exec", "EXEC sp_MSforeachtable 'x'": "Exec unknown",
		"EXEC both": "none", "EXEC app.both": "SettingUnknown", "EXEC app.inner": "SettingUnknown",
		"EXEC synp": "TempTable ##g", "EXEC syn": "Exec unknown",
		"USE other EXEC clean":                                           "Exec unknown",
		"EXEC sp_executesql N'USE other EXEC clean'":                     "Exec unknown",
		"BEGIN TRY EXEC [cursor] END TRY BEGIN CATCH PRINT '' END CATCH": "Cursor c",
		"EXEC dbo/**/.clean":                                             "Exec unknown",
		strings.Repeat("EXEC clean ", 9):                                 "Exec unknown", // more than an analysis holds
	} {
		if got := show(does(c, sql, "SHOP")); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
		if got := does(c, sql, "other"); !got.Unknown {
			t.Errorf("%s in another database: %s", sql, show(got))
		}
		if got := does(nil, sql, "shop"); !got.Unknown {
			t.Errorf("%s without a catalogue: %s", sql, show(got))
		}
	}
}

// TestDefaultSchema has a user whose schema is not dbo.
func TestDefaultSchema(t *testing.T) {
	t.Parallel()
	d := shop()
	d.Schema = "app"
	c := load(t, d)
	for sql, want := range map[string]string{"EXEC both": "SettingUnknown", "EXEC dbo.both": "none", "EXEC clean": "none", "EXEC shop..both": "SettingUnknown"} {
		if got := show(does(c, sql, "shop")); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

func TestWritten(t *testing.T) {
	t.Parallel()
	c := load(t, shop())
	for sql, want := range map[string]string{
		"INSERT plain VALUES (1)": "none", "UPDATE dbo.plain SET a = 1": "none", "DELETE quiet": "none",
		"INSERT calm VALUES (1)": "none", "MERGE calm USING u ON 1 = 1 WHEN MATCHED THEN DELETE;": "none",
		"INSERT loud VALUES (1)": "ContextUnknown", "UPDATE x SET a = 1 FROM [DBO].[Loud] x": "ContextUnknown",
		"WITH x AS (SELECT * FROM loud) DELETE x": "ContextUnknown", "EXEC sp_executesql N'DELETE loud'": "ContextUnknown",
		"DELETE [view]": "ContextUnknown", "DELETE syn": "ContextUnknown", "DELETE chain": "ContextUnknown",
		"DELETE parent": "Cursor c", "DELETE child": "Cursor c",
		"DELETE lost":                          "Exec unknown",
		"DELETE secret":                        "Triggers",
		"DELETE away":                          "Triggers",
		"DELETE alone":                         "Triggers",
		"DELETE other.dbo.t":                   "Triggers",
		"DELETE other..t":                      "Triggers",
		"DELETE [other]/**/./**/dbo.t":         "Triggers",
		"DELETE shop.dbo.plain":                "none",
		"DELETE sträße":                        "Triggers",
		"INSERT plain SELECT x.* FROM plain x": "none",
		"CREATE TABLE t (a int)":               "Triggers",
		"USE other DELETE plain":               "Triggers",
		"SELECT * FROM loud":                   "none",
	} {
		if got := show(does(c, sql, "shop")); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	for name, d := range map[string]*routinestest.Database{"blind": {Blind: true}, "denied": {Denied: true}, "permissions not told": {Lacks: []string{"database_permissions"}}} {
		d.Procedures = map[string]string{"dbo.writes": "DELETE plain", "dbo.reads": "SELECT 1"}
		c := load(t, d)
		for sql, want := range map[string]string{"DELETE plain": "Triggers", "EXEC writes": "Triggers", "EXEC reads": "none"} {
			if got := show(does(c, sql, "shop")); got != want {
				t.Errorf("%s: %s: %s, want %s", name, sql, got, want)
			}
		}
		if !c.Blind() {
			t.Errorf("%s: it sees all", name)
		}
	}
	if got := show(does(nil, "DELETE plain", "shop")); got != "Triggers" {
		t.Errorf("without a catalogue: %s", got)
	}
	// A name that is more than one word may be in any text.
	odd := load(t, &routinestest.Database{Triggers: map[string]string{"dbo.order lines": "SET CONTEXT_INFO @x"}})
	if got := show(does(odd, "DELETE plain", "shop")); got != "Triggers" {
		t.Errorf("beside a table with an odd name: %s", got)
	}
}

// TestHiddenBefore has a module call a procedure without its schema, where the user may not see all that there are.
func TestHiddenBefore(t *testing.T) {
	t.Parallel()
	for blind, want := range map[bool]string{false: "none", true: "Exec unknown"} {
		c := load(t, &routinestest.Database{Blind: blind, Procedures: map[string]string{"app.p": "EXEC q", "dbo.q": "SELECT 1"}})
		if got := show(does(c, "EXEC app.p", "shop")); got != want {
			t.Errorf("blind %t: %s, want %s", blind, got, want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	d := &routinestest.Database{}
	a, err := routines.Fingerprint(t.Context(), d)
	d.Changed = "2"
	b, err2 := routines.Fingerprint(t.Context(), d)
	if err != nil || err2 != nil || a == b || a == "" {
		t.Errorf("%q, %v, %q, %v", a, err, b, err2)
	}
	d.Lacks = []string{"CHECKSUM_AGG"}
	if a, err := routines.Fingerprint(t.Context(), d); a != "" || err != nil {
		t.Errorf("%q, %v", a, err)
	}
}

// TestLoad has the server refuse what cannot be done without, and what can.
func TestLoad(t *testing.T) {
	t.Parallel()
	for lacks, fails := range map[string]bool{
		"sys.sql_modules": true, "sys.objects": true, "sys.triggers": true, "sys.synonyms": true, "foreign_keys": true, "system_objects": true,
		"HAS_PERMS": true, "numbered_procedures": false, "database_permissions": false,
	} {
		d := shop()
		d.Lacks = []string{lacks}
		if _, err := routines.Load(t.Context(), d, true); (err != nil) != fails {
			t.Errorf("without %s: %v", lacks, err)
		}
	}
	d := shop()
	if _, err := routines.Load(t.Context(), d, false); err != nil {
		t.Fatal(err)
	}
	for _, sql := range d.Asked {
		if strings.Contains(sql, "definition") && !strings.Contains(sql, "CONVERT(nvarchar(4000), CASE WHEN LEN(definition) <= 4000 THEN definition END)") {
			t.Errorf("a server of before nvarchar(max) is asked %s", sql)
		}
	}
}

// TestCost checks that what a request is asked does not allocate.
func TestCost(t *testing.T) {
	c := load(t, shop())
	var cache routines.Cache
	for _, sql := range []string{"EXEC dbo.clean 1, 2", "INSERT dbo.plain (a) SELECT x.a FROM quiet x WHERE x.b = 'some text'", "EXEC temp"} {
		var a Analysis
		text := wire(sql)
		Inspect(text, Mode{QuotedIdentifier: true}, &a)
		if n := testing.AllocsPerRun(100, func() {
			c.Called(text, &a, "shop", &cache)
			c.Written(text, &a, "shop")
		}); n > 1 || n > 0 && sql != "EXEC temp" {
			t.Errorf("%s: %v allocations", sql, n)
		}
	}
}
