package storm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/storm"
	"forebay/internal/testkit/tdsserver"
)

func TestSQLServer(t *testing.T) {
	t.Parallel()
	s := tdsserver.Start(t, tdsserver.Options{})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	target := func(user, password, options string) string {
		return fmt.Sprintf("sqlserver://%s:%s@%s/%s?%s", user, password, s.Addr(), tdsserver.DefaultDatabase, options)
	}
	o := storm.Options{Clients: 30, Concurrency: 10, Statement: "SELECT 1", Transaction: true}
	for _, options := range []string{
		"", "encrypt=disable", "encrypt=false", "encrypt=true&trustServerCertificate=true", "encrypt=true&certificate=" + ca,
		"encrypt=strict&certificate=" + ca, "packet size=8000",
	} {
		if r := send(t, target(tdsserver.DefaultUser, tdsserver.DefaultPassword, options), o); r.Succeeded != 30 {
			t.Errorf("%s: %+v; want 30 succeeded", options, r)
		}
	}
	o.Clients, o.Concurrency = 3, 3
	for _, tt := range []struct{ target, statement, code, text string }{
		{target(tdsserver.DefaultUser, "wrong", "encrypt=disable"), "SELECT 1", "18456 (state 1)", "login error: Login failed for user 'sa'."},
		{target(tdsserver.DefaultUser, tdsserver.DefaultPassword, "encrypt=true"), "SELECT 1", "", "failed to verify certificate"},
		{target(tdsserver.DefaultUser, tdsserver.DefaultPassword, "encrypt=disable"), "SELECT 1/0", "8134 (state 1)", "Divide by zero error encountered."},
		{target(tdsserver.DefaultUser, tdsserver.DefaultPassword, "encrypt=disable"), "SELECT * FROM nothing", "208 (state 1)", "Invalid object name 'nothing'."},
	} {
		o := o
		o.Statement = tt.statement
		r := send(t, tt.target, o)
		if r.Failed != 3 || len(r.Errors) != 1 || r.Errors[0].Code != tt.code || !strings.Contains(r.Errors[0].Text, tt.text) {
			t.Errorf("%s: %+v; want 3 times %s %s", tt.statement, r, tt.code, tt.text)
		}
	}
	s.Close()
	if r := send(t, target(tdsserver.DefaultUser, tdsserver.DefaultPassword, "encrypt=disable"), o); r.Failed != 3 || r.Errors[0].Text != "connection refused" {
		t.Errorf("nobody there: %+v", r)
	}
}
