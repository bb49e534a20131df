package drivers

import (
	"os"
	"regexp"
	"testing"

	"forebay/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

// What psql prints must be the same through Forebay as directly, errors and command tags included.
func TestPsql(t *testing.T) {
	t.Parallel()
	scripts := []struct {
		name  string
		file  string
		since int // PostgreSQL version whose psql has the commands
	}{
		{"transactions, copy, variables", "testdata/psql.sql", 0},
		{"bind", "testdata/psql_bind.sql", 16},
		{"pipelines", "testdata/psql_pipeline.sql", 18},
	}
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if v := testkit.SharedPostgres(t).Version(); v.Major < s.since {
				t.Skipf("needs psql %d or newer, this is %s", s.since, v.Version)
			}
			script, err := os.ReadFile(s.file)
			if err != nil {
				t.Fatal(err)
			}
			through := newWorld(t)
			direct := &world{t: t, db: testkit.Database(t, testkit.SharedPostgres(t))}
			want := plain(direct.run(string(script), direct.client("psql"), "-X", "-q"))
			got := plain(through.run(string(script), through.client("psql"), "-X", "-q"))
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("psql prints something else through Forebay (-direct +Forebay):\n%s", d)
			}
		})
	}
}

var pid = regexp.MustCompile(`PID \d+`)

// plain takes out what differs from server process to server process.
func plain(out string) string { return pid.ReplaceAllString(out, "PID") }
