package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/app"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestAWSSecret has Forebay read its secret from AWS Secrets Manager, and changes the password there and in the database.
// Nothing is read in the background here, so what is noticed is noticed since somebody was refused.
func TestAWSSecret(t *testing.T) { // not parallel: the SDK reads the environment
	moto := testkit.StartMoto(t)
	for k, v := range map[string]string{
		"AWS_ENDPOINT_URL": moto.URL, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(k, v)
	}
	db := testkit.Database(t, testkit.SharedPostgres(t))
	content := func(password string) string {
		text, _ := json.Marshal(map[string]string{"username": db.User, "password": password, "engine": "postgres"})
		return string(text)
	}
	arn := moto.Secrets("CreateSecret", map[string]any{"Name": "prod/app", "SecretString": content(db.Password), "ClientRequestToken": "00000000-0000-0000-0000-000000000001"})
	rotate := func(password string) {
		t.Helper()
		if _, err := db.Server.Query(t.Context(), db.Name, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", db.User, password)); err != nil {
			t.Fatal(err)
		}
		moto.Secrets("PutSecretValue", map[string]any{"SecretId": arn, "SecretString": content(password)})
	}
	path := filepath.Join(t.TempDir(), "forebay.yaml")
	if err := os.WriteFile(path, []byte(fmt.Sprintf(`
admin: {listen: "127.0.0.1:0"}
secrets:
  - {name: app, aws: {secret_arn: "%s", role_arn: "%s"}, refresh: 1h}
proxies:
  - name: test
    engine_family: POSTGRESQL
    endpoints: [{listen: "127.0.0.1:0"}]
    auth: [{secret: app}]
    target: {host: "%s", port: %d, tls: {mode: disable}}
`, arn, moto.Role("forebay", testkit.Allow("secretsmanager:GetSecretValue")), db.Server.Host(), db.Server.Port())), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), app.Options{ConfigPath: path, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	host, port, _ := strings.Cut(a.Addrs()["test"]["default"], ":")
	connect := func(password string) (*pgconn.PgConn, error) {
		return pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=%s sslmode=require", host, port, db.User, password, db.Name))
	}
	first, err := connect(db.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close(t.Context())
	run := func() error {
		_, err := first.Exec(t.Context(), "SELECT 1").ReadAll()
		return err
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}

	// A client that knows the new password is refused by it at most once.
	rotate("second")
	testkit.Eventually(t, "a client is let in by the new password", func() bool {
		c, err := connect("second")
		if err == nil {
			c.Close(t.Context())
		}
		return err == nil
	})
	if err := run(); err != nil {
		t.Errorf("the client that has been there all the time: %v", err)
	}

	// A database that refuses the password is a reason to look, and the client waits so long.
	rotate("third")
	if _, err := db.Server.Query(t.Context(), db.Name, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '"+db.User+"'"); err != nil {
		t.Fatal(err)
	}
	c, err := connect("second") // AWSPREVIOUS by now, or not yet replaced
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), "SELECT 1").ReadAll(); err != nil {
		t.Errorf("after the database has changed its password: %v", err)
	}

	r, err := http.Get("http://" + a.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	text, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(string(text), `forebay_secret_reads_total{store="aws"}`) || !strings.Contains(string(text), `forebay_secret_read_failures_total{store="aws"} 0`) {
		t.Errorf("no metrics of the reads, %v", err)
	}
}
