package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		in     []string
		want   []string
		failed bool
	}{
		{
			name: "leaves are counted, their output is dropped",
			in: []string{
				`{"Action":"start","Package":"p"}`,
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"run","Package":"p","Test":"TestA/x"}`,
				`{"Action":"output","Package":"p","Test":"TestA/x","Output":"chatter\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA/x"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
				`{"Action":"pass","Package":"p","Elapsed":0.12}`,
			},
			want: []string{"ok   p 0.1s", "1 passed, 0 failed, 0 skipped"},
		},
		{
			name: "a parent that fails with its subtest is not counted twice",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"run","Package":"p","Test":"TestA/x"}`,
				`{"Action":"output","Package":"p","Test":"TestA/x","Output":"    a_test.go:3: got 1, want 2\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA/x"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p","Elapsed":1}`,
			},
			want: []string{
				"FAIL p TestA/x", "    a_test.go:3: got 1, want 2", "FAIL p TestA", "FAIL p 1.0s",
				"0 passed, 1 failed, 0 skipped",
			},
			failed: true,
		},
		{
			name: "a skip gives its reason; a package without tests is silent",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: no PostgreSQL: run make servers\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p","Elapsed":0}`,
				`{"Action":"skip","Package":"q"}`,
			},
			want: []string{"ok   p 0.0s", "skip p TestA: no PostgreSQL: run make servers", "0 passed, 0 failed, 1 skipped"},
		},
		{
			name: "a package that does not build fails",
			in: []string{
				`{"ImportPath":"p [p.test]","Action":"build-output","Output":"p/a.go:1: syntax error\n"}`,
				`{"ImportPath":"p [p.test]","Action":"build-fail"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}`,
				`{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p [p.test]"}`,
			},
			want:   []string{"p/a.go:1: syntax error", "FAIL p 0.0s", "FAIL\tp [build failed]", "0 passed, 1 failed, 0 skipped"},
			failed: true,
		},
		{
			name: "a process that dies fails the tests that were under way",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}`,
				`{"Action":"fail","Package":"p","Elapsed":0}`,
			},
			want:   []string{"FAIL p TestA", "panic: boom", "FAIL p 0.0s", "0 passed, 1 failed, 0 skipped"},
			failed: true,
		},
		{
			name:   "what the go command says is shown; nothing tested is a failure",
			in:     []string{"go: cannot find main module"},
			want:   []string{"go: cannot find main module", "FAIL: no package was tested", "0 passed, 1 failed, 0 skipped"},
			failed: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(strings.NewReader(strings.Join(tt.in, "\n")+"\n"), &out)
			if errors.Is(err, errFailed) != tt.failed {
				t.Errorf("got error %v, want failed = %t", err, tt.failed)
			}
			got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}
