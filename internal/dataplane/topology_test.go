package dataplane

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
)

// place is a position that has come so far.
type placeInLog int

func (p placeInLog) Covers(q engine.Position) bool { return p >= q.(placeInLog) }
func (p placeInLog) String() string                { return fmt.Sprint(int(p)) }

func TestJudge(t *testing.T) {
	t.Parallel()
	all := make([]*member, 4)
	for i := range all {
		all[i] = &member{cfg: resource.Member{Name: fmt.Sprint(i), Host: fmt.Sprint(i), Port: 5432}, addresses: []string{fmt.Sprintf("192.0.2.%d", i)}}
	}
	type says struct {
		status engine.Status
		silent bool // it does not answer
		never  bool // it never has
	}
	w := func(term uint64) says { return says{status: engine.Status{Role: engine.Writer, Term: term}} }
	at := func(p int) says {
		return says{status: engine.Status{Role: engine.Writer, Position: placeInLog(p)}}
	}
	r := says{status: engine.Status{Role: engine.Reader}}
	behind := func(lag time.Duration) says { return says{status: engine.Status{Role: engine.Reader, Lag: lag}} }
	many := says{status: engine.Status{Role: engine.Writer, MultiWriter: true}}
	ill := says{status: engine.Status{Role: engine.Writer, MultiWriter: true, Unusable: "not synced"}}
	of := func(source string) says {
		return says{status: engine.Status{Role: engine.Reader, Source: source}}
	}
	silent := func(s says) says { s.silent = true; return s }
	never := says{silent: true, never: true}
	for _, tt := range []struct {
		name     string
		says     []says
		was      int // -1: none
		newest   uint64
		maxLag   time.Duration
		writer   int
		readers  string
		fenced   string
		conflict string // part of it
	}{
		{"nobody has been asked", []says{never, never}, -1, 0, 0, -1, "", "", ""},
		{"one writer", []says{r, w(1), r}, -1, 0, 0, 1, "02", "", ""},
		{"no writer yet", []says{r, r}, -1, 0, 0, -1, "01", "", ""},
		{"a writer that does not answer stays", []says{silent(w(1)), r}, 0, 1, 0, 0, "1", "", ""},
		{"until another one takes its place", []says{silent(w(1)), w(2)}, 0, 1, 0, 1, "", "", ""},
		{"one that says it is none does not", []says{r, r}, 0, 1, 0, -1, "01", "", ""},
		{"nor when it is silent then", []says{silent(r), r}, 0, 1, 0, -1, "1", "", ""},
		{"nor one that could not be used", []says{silent(ill), r}, 0, 1, 0, -1, "1", "", ""},
		{"the newest term wins", []says{w(1), w(2)}, 0, 1, 0, 1, "", "0", "0 (term 1) claim to be the writer beside 1 (term 2)"},
		{"whoever has lost stays so alone", []says{w(1), silent(w(2))}, 1, 2, 0, 1, "", "0", "beside 1 (term 2)"},
		{"even when the winner is no writer any more", []says{w(1), r}, 1, 2, 0, -1, "1", "0", "the term 2 has been seen before"},
		{"without terms, the one that it has been", []says{w(0), w(0)}, 1, 0, 0, 1, "", "0", "beside 1"},
		{"then the one that has come further", []says{at(1), at(2)}, -1, 0, 0, 1, "", "0", "beside 1"},
		{"then the one declared first", []says{w(0), w(0)}, -1, 0, 0, 0, "", "1", "beside 0"},
		{"several writers by design", []says{many, many, ill}, 1, 0, 0, 1, "0", "", ""},
		{"a writer that cannot be used", []says{ill, many}, 0, 0, 0, 1, "", "", ""},
		{"a reader that is late", []says{w(1), behind(3 * time.Second), behind(time.Second)}, 0, 1, 2 * time.Second, 0, "2", "", ""},
		{"a reader that cannot tell how late it is", []says{w(1), behind(-1)}, 0, 1, time.Second, 0, "", "", ""},
		{"there is no writer to be behind of", []says{silent(w(1)), behind(time.Minute)}, 0, 1, time.Second, 0, "1", "", ""},
		{"it may, without a limit", []says{w(1), behind(-1)}, 0, 1, 0, 0, "1", "", ""},
		{"a reader of a fenced writer", []says{w(1), w(2), of("0:5432")}, 0, 1, 0, 1, "", "0", "0 (term 1)"},
		{"by another address of its", []says{w(1), w(2), of("192.0.2.0:5432")}, 0, 1, 0, 1, "", "0", "0 (term 1)"},
		{"a reader of the writer beside that", []says{w(1), w(2), of("1:5432")}, 0, 1, 0, 1, "2", "0", "0 (term 1)"},
		{"a reader of such a reader", []says{w(1), w(2), of("3:5432"), of("0:5432")}, 0, 1, 0, 1, "", "0", "0 (term 1)"},
		{"readers of one another", []says{w(1), w(2), of("3:5432"), of("2:5432")}, 0, 1, 0, 1, "23", "0", "0 (term 1)"},
		{"a reader that does not answer", []says{w(1), silent(r)}, 0, 1, 0, 0, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var views []view
			for i, s := range tt.says {
				views = append(views, view{member: all[i], answers: !s.silent, checked: !s.never, status: s.status, declared: i, at: all[i].addressesLocked()})
			}
			var was *member
			if tt.was >= 0 {
				was = all[tt.was]
			}
			v := judge(views, was, tt.newest, tt.maxLag)
			if got := slices.Index(all, v.writer); got != tt.writer {
				t.Errorf("writer %d, want %d", got, tt.writer)
			}
			names := func(of []*member) (s string) {
				for _, m := range of {
					s += m.cfg.Name
				}
				return s
			}
			if got := names(v.readers); got != tt.readers {
				t.Errorf("readers %q, want %q", got, tt.readers)
			}
			if got := names(v.fenced); got != tt.fenced {
				t.Errorf("fenced %q, want %q", got, tt.fenced)
			}
			if tt.conflict == "" && v.conflict != "" || !strings.Contains(v.conflict, tt.conflict) {
				t.Errorf("conflict %q, want %q", v.conflict, tt.conflict)
			}
		})
	}
}
