package targettls_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/targettls"
)

// A CA file that cannot be used is an error that names it.
func TestRoots(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"ca.pem":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		"empty.pem": nil,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		file, err string
		roots     bool
	}{
		{file: ""},
		{file: "ca.pem", roots: true},
		{file: "empty.pem", err: "no certificate in "},
		{file: "missing.pem", err: "CA file of the target: "},
	} {
		file := tt.file
		if file != "" {
			file = filepath.Join(dir, file)
		}
		roots, err := targettls.Roots(file)
		if (roots != nil) != tt.roots || (err != nil) != (tt.err != "") {
			t.Errorf("%q: roots %t, error %v", tt.file, roots != nil, err)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), tt.err) || !strings.Contains(err.Error(), file)) {
			t.Errorf("%q: %v", tt.file, err)
		}
	}
}
