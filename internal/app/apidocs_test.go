package app_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/forebayapi"
	"forebay/internal/controlplane/iamapi"
	"forebay/internal/controlplane/rdsapi"
	"forebay/internal/controlplane/secretsapi"
)

// services are those of the API, with nothing behind them.
func services() []*awsapi.Service {
	iam := iamapi.New(nil, nil, nil, nil)
	return []*awsapi.Service{rdsapi.Service(nil, nil, rdsapi.Options{}), secretsapi.New(nil, nil, nil).Service(), iam.IAM(), iam.STS(), forebayapi.Service(nil, nil)}
}

// documented reads the tables "operation and member" of docs/api.md: the members of each operation. A structure's own are named
// behind it (Auth: IAMAuth), or are meant by its name alone.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	all, in := map[string][]string{}, false
	var current []string
	for line := range strings.Lines(string(text)) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		switch {
		case strings.HasPrefix(line, "| operation and member |"):
			in, current = true, nil
			continue
		case !strings.HasPrefix(line, "| "):
			in = false
		}
		if !in || first == "---" || first == "answer" || strings.HasPrefix(first, "answer: ") {
			continue
		}
		if names := operation.FindAllStringSubmatch(first, -1); names != nil {
			current = nil
			for _, name := range names {
				if _, twice := all[name[1]]; twice {
					t.Errorf("docs/api.md: %s is there twice", name[1])
				}
				current = append(current, name[1])
				all[name[1]] = []string{}
			}
			_, first, _ = strings.Cut(first, "**: ")
		}
		parent, list, nested := strings.Cut(first, ": ")
		if !nested {
			parent, list = "", first
		}
		for member := range strings.SplitSeq(list, ", ") {
			if member == "" || strings.HasPrefix(member, "**") {
				continue
			}
			if nested {
				member = parent + "." + member
			}
			for _, name := range current {
				all[name] = append(all[name], member)
			}
		}
	}
	return all
}

var operation = regexp.MustCompile(`\*\*(\w+)\*\*`)

// TestAPIDocs holds the tables of docs/api.md against what is served: no operation and no member is missing in either.
func TestAPIDocs(t *testing.T) {
	t.Parallel()
	docs := documented(t)
	served := map[string]bool{}
	for _, s := range services() {
		if s.Name == "forebay" {
			continue
		}
		for name, op := range s.Operations {
			served[name] = true
			told, ok := docs[name]
			if !ok {
				t.Errorf("docs/api.md: no row for %s:%s", s.Name, name)
				continue
			}
			members := op.Members()
			for _, m := range members {
				if !slices.ContainsFunc(told, func(d string) bool { return d == m || strings.HasPrefix(m, d+".") || strings.HasPrefix(d, m+".") }) {
					t.Errorf("docs/api.md: %s: no word of %s", name, m)
				}
			}
			for _, d := range told {
				if !slices.Contains(members, d) {
					t.Errorf("docs/api.md: %s has no member %s", name, d)
				}
			}
		}
	}
	for name := range docs {
		if !served[name] {
			t.Errorf("docs/api.md: %s is not served", name)
		}
	}
}

// TestForebayAPIDocs holds the tables of Forebay's own operations against them.
func TestForebayAPIDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string // first two columns
	for line := range strings.Lines(string(text)) {
		if cells := strings.SplitN(line, " | ", 3); strings.HasPrefix(line, "| `") && len(cells) > 1 {
			rows = append(rows, cells[0]+" "+cells[1])
		}
	}
	all := strings.Join(rows, "\n")
	for _, s := range services() {
		if s.Name != "forebay" {
			continue
		}
		for name, op := range s.Operations {
			for _, word := range append(op.Members(), name) {
				if !strings.Contains(all, "`"+word+"`") {
					t.Errorf("docs/api.md: %s: no word of %s", name, word)
				}
			}
		}
	}
}

// TestAnswersInDocs: what a table lists of an answer is in it, and nothing else is.
func TestAnswersInDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	rds := services()[0]
	for name, list := range map[string]string{"DescribeDBInstances": "DBInstances", "DescribeDBClusters": "DBClusters"} {
		_, after, _ := strings.Cut(string(text), "| **"+name+"**")
		_, after, _ = strings.Cut(after, "\n| answer | ")
		row, _, _ := strings.Cut(after, "\n")
		row, _, _ = strings.Cut(row, "; others are left out")
		row, _, _ = strings.Cut(row, "; no ")
		var is []string
		for _, m := range rds.Operations[name].AnswerMembers() {
			if m, ok := strings.CutPrefix(m, list+"."); ok && !strings.Contains(m, ".") {
				is = append(is, m)
				if !regexp.MustCompile(`\b` + m + `\b`).MatchString(row) {
					t.Errorf("docs/api.md: %s: no word of %s", name, m)
				}
			}
		}
		for _, word := range regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`).FindAllString(regexp.MustCompile("`[^`]*`|\\([^)]*\\)").ReplaceAllString(row, ""), -1) {
			if !slices.Contains(is, word) {
				t.Errorf("docs/api.md: %s: its answer has no %s", name, word)
			}
		}
	}
}
