package archtest_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"forebay/internal/archtest"

	"github.com/google/go-cmp/cmp"
)

// TestImports reads the project itself.
func TestImports(t *testing.T) {
	t.Parallel()
	files, err := archtest.Read(os.DirFS("../.."), "forebay")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go file found: the test looks in the wrong folder")
	}
	for _, v := range archtest.Check(archtest.Rules, files) {
		t.Error(v)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file, imp string
		want      bool // forbidden
	}{
		{"internal/wire/pgwire/a.go", "encoding/binary", false},
		{"internal/wire/pgwire/a.go", "github.com/jackc/pgx/v5/pgproto3", true},
		{"internal/wire/pgwire/a_test.go", "github.com/jackc/pgx/v5/pgproto3", false},
		{"internal/wire/pgwire/a.go", "forebay/internal/resource", true},
		{"internal/wire/pgwire/a.go", "forebay/internal/wire/tds", true},
		{"internal/pool/a.go", "forebay/internal/pool/waitlist", false},
		{"internal/pool/a.go", "forebay/internal/metrics", true},
		{"internal/pool/a.go", "golang.org/x/sys/unix", true},
		{"internal/evloop/a.go", "golang.org/x/sys/unix", false},
		{"internal/dataplane/evloop/a.go", "golang.org/x/sync/semaphore", true},
		{"internal/resource/a.go", "time", false},
		{"internal/engine/postgres/a.go", "forebay/internal/engine", false},
		{"internal/engine/postgres/a.go", "forebay/internal/engine/postgres/probe", false},
		{"internal/engine/postgres/probe/a.go", "forebay/internal/engine/mysql", true},
		{"internal/engine/postgres/a.go", "forebay/internal/wire/tds", true},
		{"internal/engine/mysql/a.go", "forebay/internal/wire/mysqlwire", false},
		{"internal/engine/mysql/a.go", "forebay/internal/wire/pgwire", true},
		{"internal/engine/sqlserver/a.go", "forebay/internal/wire/mysqlwire", true},
		{"internal/engine/a.go", "forebay/internal/dataplane", true},
		{"internal/dataplane/a.go", "forebay/internal/config", true},
		{"internal/dataplane/session/a.go", "forebay/internal/controlplane", true},
		{"internal/controlplane/a.go", "forebay/internal/dataplane", true},
		{"internal/controlplane/a.go", "forebay/internal/resource", false},
		{"internal/controlplane/awsapi/a.go", "forebay/internal/loopback", false},
		{"internal/controlplane/awsapi/a.go", "forebay/internal/controlplane", true},
		{"internal/metrics/a.go", "forebay/internal/app", true},
		{"internal/demo/a.go", "forebay/internal/app", false},
		{"internal/storm/a.go", "forebay/internal/testkit", true},
		{"internal/storm/a_test.go", "forebay/internal/testkit", false},
		{"internal/app/a.go", "github.com/jackc/pgx/v5", true},
		{"internal/engine/postgres/a.go", "github.com/jackc/pgx/v5/pgproto3", false},
		{"internal/dataplane/a.go", "github.com/prometheus/client_golang/prometheus", true},
		{"internal/metrics/a.go", "github.com/prometheus/client_golang/prometheus", false},
		{"internal/secret/file/a.go", "github.com/goccy/go-yaml", true},
		{"internal/config/a.go", "github.com/goccy/go-yaml/ast", false},
		{"internal/app/a.go", "github.com/aws/aws-sdk-go-v2/config", true},
		{"internal/secret/awssm/a.go", "github.com/aws/smithy-go", false},
		{"internal/awskms/a.go", "github.com/aws/aws-sdk-go-v2/service/kms", false},
		{"internal/secret/vault/a.go", "forebay/internal/secret/awssm", true},
		{"internal/secret/vault/a.go", "forebay/internal/secret/remote", false},
		{"internal/app/a.go", "github.com/spf13/cobra", true},
		{"cmd/forebay/a.go", "github.com/spf13/cobra", false},
		{"internal/engine/mysql/a.go", "github.com/klauspost/compress/zstd", true},
		{"internal/engine/mysql/compress/a.go", "github.com/klauspost/compress/zstd", false},
		{"internal/demo/a.go", "github.com/Shopify/toxiproxy/v2", true},
		{"internal/evloop/a.go", "C", true},
		{"internal/evloop/a_test.go", "C", true},
	}
	for _, tt := range tests {
		t.Run(tt.file+" "+tt.imp, func(t *testing.T) {
			t.Parallel()
			src := "package p\n\nimport _ \"" + tt.imp + "\"\n"
			files, err := archtest.Read(fstest.MapFS{tt.file: {Data: []byte(src)}}, "forebay")
			if err != nil {
				t.Fatal(err)
			}
			got := archtest.Check(archtest.Rules, files)
			if (len(got) > 0) != tt.want {
				t.Fatalf("got violations %v, want forbidden = %t", got, tt.want)
			}
			if tt.want && !strings.HasPrefix(got[0].String(), tt.file+":3: must not import ") {
				t.Errorf("message %q does not begin with the offending file and line", got[0])
			}
		})
	}
}

// TestReadLeavesOut checks that what the go command ignores is not judged, and that build constraints hide nothing.
func TestReadLeavesOut(t *testing.T) {
	t.Parallel()
	src := &fstest.MapFile{Data: []byte("//go:build never\n\npackage p\n")}
	fsys := fstest.MapFS{
		"a.go":                  src,
		"internal/x/testdata/a": src, "internal/x/testdata/a.go": src,
		"internal/x/a_windows.go":     src,
		".cache/a.go":                 src,
		"_old/a.go":                   src,
		"internal/x/_a.go":            src,
		"test/node_modules/x/a.go":    src,
		"tools/go.mod":                {Data: []byte("module tools\n")},
		"tools/a.go":                  src,
		"internal/x/README.md":        {Data: []byte("no Go")},
		"vendor/example.com/y/y.go":   src,
		"internal/wire/pgwire/doc.go": src,
	}
	files, err := archtest.Read(fsys, "forebay")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Path)
	}
	want := []string{"a.go", "internal/wire/pgwire/doc.go", "internal/x/a_windows.go"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files read (-want +got):\n%s", diff)
	}
}

func TestReadNamesBrokenFile(t *testing.T) {
	t.Parallel()
	_, err := archtest.Read(fstest.MapFS{"internal/x/broken.go": {Data: []byte("package")}}, "forebay")
	if err == nil || !strings.Contains(err.Error(), "internal/x/broken.go") {
		t.Errorf("got error %v, want one that names internal/x/broken.go", err)
	}
}
