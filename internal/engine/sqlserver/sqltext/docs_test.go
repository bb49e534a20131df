package sqltext_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"forebay/internal/engine/sqlserver/settings"
	. "forebay/internal/engine/sqlserver/sqltext"
)

var code = regexp.MustCompile("`([^`]*)`")

// TestDocs reads the table of docs/sqlserver.md: each text in it leaves what the table says, by the mark that it names.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../../../docs/sqlserver.md")
	if err != nil {
		t.Fatal(err)
	}
	_, doc, ok := strings.Cut(string(b), "## What is carried, what pins\n")
	if !ok {
		t.Fatal("docs/sqlserver.md has no section")
	}
	doc, _, _ = strings.Cut(doc, "\n## ")
	texts, rows := 0, map[string]int{}
	for line := range strings.Lines(doc) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 3 {
			continue
		}
		leaves, mark := cells[1], ""
		if m := code.FindStringSubmatch(cells[2]); m != nil {
			mark = m[1]
		}
		rows[leaves]++
		for _, m := range code.FindAllStringSubmatch(cells[0], -1) {
			texts++
			row(t, m[1], leaves, mark)
		}
	}
	if texts < 60 || rows["a pin"] < 10 || rows["settings"] < 3 {
		t.Errorf("%d texts in rows %v: the table is not as the test reads it", texts, rows)
	}
	for _, m := range regexp.MustCompile("`([^`]*)`\\s+is\\s+`(\\w+)`").FindAllStringSubmatch(doc, -1) {
		row(t, m[1], "", m[2])
	}
}

// row checks one text of the table.
func row(t *testing.T, sql, leaves, mark string) {
	t.Helper()
	text := wire(sql)
	var a Analysis
	Inspect(text, batch, &a)
	clean := a.Effects.Clean()
	switch leaves {
	case "nothing":
		if mark = ""; !clean || a.Effects&Triggers != 0 {
			t.Errorf("%s: %v", sql, a.Effects)
		}
	case "what triggers leave":
		if !clean {
			t.Errorf("%s: %v", sql, a.Effects)
		}
	case "settings":
		if _, ok := a.Apply(text, settings.LogIn(settings.LoginOptions{ODBC: true, Database: "d"})); !ok || a.Effects != Assigns {
			t.Errorf("%s: %v, applies: %v", sql, a.Effects, ok)
		}
	case "":
	default:
		if clean {
			t.Errorf("%s is clean: %v", sql, a.Effects)
		}
	}
	if mark != "" && !strings.Contains("|"+a.Effects.String()+"|", "|"+mark+"|") {
		t.Errorf("%s: %v, not %s", sql, a.Effects, mark)
	}
}
