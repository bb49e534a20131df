package sqltext_test

import (
	"testing"

	. "forebay/internal/engine/mysql/sqltext"
)

// CONNECTION_ID() is found where it is all of a column, and nowhere else.
func TestColumns(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"SELECT CONNECTION_ID()":                              "SELECT #",
		"select connection_id();":                             "select #;",
		"/* x */ SELECT Connection_ID() AS id -- y":           "/* x */ SELECT $ AS id -- y",
		"SELECT VERSION(), CONNECTION_ID(), 1":                "SELECT VERSION(), #, 1",
		"SELECT CONNECTION_ID(), CONNECTION_ID() `b`, f(1,2)": "SELECT #, $ `b`, f(1,2)",
		"SELECT CONNECTION_ID() 'x', @a":                      "SELECT $ 'x', @a",
		"SELECT f(1, CONNECTION_ID())":                        "",
		"SELECT (CONNECTION_ID())":                            "",
		"SELECT CONNECTION_ID() + 1":                          "",
		"SELECT CONNECTION_ID ()":                             "",
		"SELECT CONNECTION_ID(/**/)":                          "",
		"SELECT 'a, CONNECTION_ID()'":                         "",
		"SELECT 1 /* , CONNECTION_ID() */":                    "",
		"SELECT 1 /*! , CONNECTION_ID() */":                   "",
		"SELECT s.CONNECTION_ID()":                            "",
		"SELECT `CONNECTION_ID`()":                            "",
		"SELECT DISTINCT CONNECTION_ID()":                     "",
		"SELECT CONNECTION_ID() INTO @a":                      "",
		"SELECT CONNECTION_ID() LIMIT 1":                      "",
		"SELECT CONNECTION_ID() UNION SELECT 1":               "",
		"SELECT -CONNECTION_ID()":                             "",
		"DO CONNECTION_ID()":                                  "",
		"(SELECT CONNECTION_ID())":                            "",
	} {
		var items [4]Item
		got, at := "", 0
		n := Columns([]byte(sql), mysql8, "connection_id", items[:])
		for _, it := range items[:n] {
			got += sql[at:it.From] + map[bool]string{true: "$", false: "#"}[it.Named]
			at = it.To
		}
		if n > 0 {
			got += sql[at:]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}
