package login

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in      string
		want    []Param
		refused string
	}{
		{in: "", want: nil},
		{in: "  \t\n", want: nil},
		{in: "-c geqo=off", want: []Param{{"geqo", "off"}}},
		{in: "-cgeqo=off", want: []Param{{"geqo", "off"}}},
		{in: "--search-path=a,b", want: []Param{{"search_path", "a,b"}}},
		{in: `-c search_path=a,\ b\\`, want: []Param{{"search_path", `a, b\`}}},
		{in: "-c a.b==x=", want: []Param{{"a.b", "=x="}}},
		{in: "-c a=", want: []Param{{"a", ""}}},
		{in: "-e -S 64MB", want: []Param{{"DateStyle", "euro"}, {"work_mem", "64MB"}}},
		{in: "-esS64MB", want: []Param{{"DateStyle", "euro"}, {"log_statement_stats", "true"}, {"work_mem", "64MB"}}},
		{in: "-ec geqo=off", want: []Param{{"DateStyle", "euro"}, {"geqo", "off"}}},
		{in: "-fs -f h", want: []Param{{"enable_seqscan", "false"}, {"enable_hashjoin", "false"}}},
		{in: "-tpl -t e", want: []Param{{"log_planner_stats", "true"}, {"log_executor_stats", "true"}}},
		{in: "-d 3", want: []Param{
			{"log_min_messages", "debug3"}, {"log_statement", "all"}, {"debug_print_parse", "true"},
		}},
		{in: "-d0", want: []Param{{"log_min_messages", "notice"}}},
		{in: "-j -v 3 -D /x", want: nil},
		{in: "-N 5 --", want: []Param{{"max_connections", "5"}}},
		{in: "-c geqo", refused: "-c geqo requires a value"},
		{in: "--geqo", refused: "--geqo requires a value"},
		{in: "-c", refused: "invalid command-line argument for server process: -c"},
		{in: "-Z", refused: "invalid command-line argument for server process: -Z"},
		{in: "-fx", refused: "invalid command-line argument for server process: -fx"},
		{in: "word", refused: "invalid command-line argument for server process: word"},
		{in: "-- word", refused: "invalid command-line argument for server process: word"},
	}
	for _, tt := range tests {
		got, refusal := parseOptions(tt.in)
		message := ""
		if refusal != nil {
			message = refusal.Message
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || message != tt.refused {
			t.Errorf("options %q: refused %q, want %q; settings (-want +got):\n%s", tt.in, message, tt.refused, diff)
		}
	}
}

// FuzzParseOptions checks that nothing panics and that every accepted setting came from the text or the switch tables.
func FuzzParseOptions(f *testing.F) {
	for _, s := range []string{"-c a=b", `--x-y=\ z`, "-fs -tpa -d 5 -e", "--", "-c", `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ps, refusal := parseOptions(s)
		if refusal != nil && ps != nil {
			t.Errorf("options %q: both settings and a refusal", s)
		}
		size := 0
		for _, p := range ps {
			size += len(p.Value)
		}
		if size > 16*len(s) {
			t.Errorf("options %q: %d bytes of values", s, size)
		}
	})
}
