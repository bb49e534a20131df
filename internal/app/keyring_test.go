package app_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/app"
	"forebay/internal/awskms"
	"forebay/internal/controlplane"
	"forebay/internal/testkit"
)

// credentialsOfAWS gives the process credentials for a scripted KMS.
func credentialsOfAWS(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-aws")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
}

// TestKMS starts with a sealing key that AWS KMS wraps: the file holds nothing readable, and a start needs KMS.
func TestKMS(t *testing.T) {
	credentialsOfAWS(t)
	kms := testkit.StartKMS(t)
	c := newControlled(t, "")
	kmsKeys := fmt.Sprintf("admin: {listen: \"\"}\napi: {listen: \"127.0.0.1:0\", data_dir: state, region: eu-west-1, kms: {key_id: %q, endpoint: %q}}\n", testkit.KMSKey, kms.URL)
	if err := os.WriteFile(c.options.ConfigPath, []byte(kmsKeys), 0o600); err != nil {
		t.Fatal(err)
	}
	kms.Fail("AccessDeniedException")
	fails(t, c, "api.kms.key_id: AWS KMS does not let the credentials of Forebay use the key "+testkit.KMSKey)
	if _, err := os.Stat(c.path("sealing.key")); !errors.Is(err, fs.ErrNotExist) || c.told != nil {
		t.Errorf("an account was made: %v", err)
	}
	kms.Fail("")
	a := c.open(t)
	call := func(a *app.App) {
		t.Helper()
		if err := c.client(t, a).Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); err != nil {
			t.Error(err)
		}
	}
	call(a)
	file, err := os.ReadFile(c.path("sealing.key"))
	if err != nil || !bytes.HasPrefix(file, []byte("aws-kms:"+testkit.KMSKey+":")) {
		t.Fatalf("the file of the key: %q, %v", file, err)
	}
	if info, err := os.Stat(c.path("sealing.key")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	kms.Calls()
	call(a)
	if calls := kms.Calls(); calls != nil {
		t.Errorf("KMS is asked while Forebay runs: %v", calls)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := c.client(t, a).Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	a.Close()

	for code, want := range map[string]string{
		"DisabledException":     "sealing.key: key 1: the KMS key is disabled",
		"AccessDeniedException": "sealing.key: key 1: AWS KMS does not let",
	} {
		kms.Fail(code)
		fails(t, c, want)
	}
	kms.Fail("")
	a = c.open(t)
	call(a)
	a.Close()

	// A second Forebay restores the backup with the same file.
	d := newControlled(t, "")
	if err := os.WriteFile(d.options.ConfigPath, []byte(kmsKeys), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(d.path(""), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"sealing.key": file, "root-credentials": read(t, c.path("root-credentials"))} {
		if err := os.WriteFile(d.path(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kms.Fail("AccessDeniedException")
	if _, err := app.Restore(t.Context(), d.options, bytes.NewReader(read(t, backup))); !errors.Is(err, awskms.ErrDenied) {
		t.Errorf("restored without KMS: %v", err)
	}
	kms.Fail("")
	if _, err := app.Restore(t.Context(), d.options, bytes.NewReader(read(t, backup))); err != nil {
		t.Fatal(err)
	}
	c = d
	call(d.open(t))
}

// TestToKMS goes from a plain sealing key to one of KMS's, and to the next one, with the file alone.
func TestToKMS(t *testing.T) {
	credentialsOfAWS(t)
	kms := testkit.StartKMS(t)
	t.Setenv("AWS_ENDPOINT_URL_KMS", kms.URL)
	c := newControlled(t, "")
	c.open(t).Close()
	plain := string(read(t, c.path("sealing.key")))
	var lines []string
	for range 2 {
		line, err := awskms.New(t.Context(), awskms.Options{}, testkit.KMSKey)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line+"\n")
	}
	start := func(text, said string) {
		t.Helper()
		if err := os.WriteFile(c.path("sealing.key"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before := strings.Count(c.log.String(), said)
		a := c.open(t)
		if err := c.client(t, a).Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); err != nil {
			t.Error(err)
		}
		a.Close()
		if strings.Count(c.log.String(), said) == before {
			t.Errorf("the log does not say %q:\n%s", said, c.log)
		}
	}
	start(lines[0]+plain, "sealed anew with the first of the sealing keys")
	start(lines[0], "sealing keys were opened by AWS KMS\" count=1")
	start(lines[1]+lines[0], "sealed anew with the first of the sealing keys")
	start(lines[1], "sealing keys were opened by AWS KMS\" count=1")
	if err := os.WriteFile(c.path("sealing.key"), []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, c, controlplane.ErrSealed.Error())
	for _, key := range strings.Fields(plain) {
		if raw, _ := base64.StdEncoding.DecodeString(key); len(raw) != controlplane.KeyLen || strings.Contains(c.log.String(), key) {
			t.Error("the key is no key, or in the log")
		}
	}
}

// TestKMSButPlain checks that a key that is not KMS's does not pass for one.
func TestKMSButPlain(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "")
	c.open(t).Close()
	text := "admin: {listen: \"\"}\napi: {listen: \"127.0.0.1:0\", data_dir: state, region: eu-west-1, kms: {key_id: alias/forebay, region: eu-west-1}}\n"
	if err := os.WriteFile(c.options.ConfigPath, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.open(t)
	if want := "the sealing key in use is in its place as it is, although api.kms.key_id names a KMS key"; !strings.Contains(c.log.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, c.log)
	}
}

// TestKeyInEnvironment keeps the sealing keys in an environment variable: no file of them is made, a restart opens what they
// have sealed, and a restore needs them.
func TestKeyInEnvironment(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "")
	text := "admin: {listen: \"\"}\napi: {listen: \"127.0.0.1:0\", data_dir: state, region: eu-west-1, key_env: FOREBAY_KEYS}\n"
	if err := os.WriteFile(c.options.ConfigPath, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	value := ""
	c.options.LookupEnv = func(name string) (string, bool) { return value, name == "FOREBAY_KEYS" && value != "" }
	fails(t, c, "api.key_env: expected an environment variable that is set")
	one, two := strings.TrimSpace(controlplane.NewKey()), strings.TrimSpace(controlplane.NewKey())
	value = one[:20]
	fails(t, c, "$FOREBAY_KEYS: key 1: expected 32 bytes in base64")

	value = one
	a := c.open(t)
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := c.client(t, a).Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if _, err := os.Stat(c.path("sealing.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of keys: %v", err)
	}
	value = two
	fails(t, c, controlplane.ErrSealed.Error())
	value = two + "\n" + one
	c.open(t).Close()
	value = two
	c.open(t).Close()
	if said := "sealed anew with the first of the sealing keys"; !strings.Contains(c.log.String(), said) {
		t.Errorf("the log does not say %q:\n%s", said, c.log)
	}

	if err := os.RemoveAll(c.path("etcd")); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Restore(t.Context(), c.options, bytes.NewReader(read(t, backup))); err == nil || !strings.Contains(err.Error(), "$FOREBAY_KEYS does not open this backup") {
		t.Errorf("restored with another key: %v", err)
	}
	value = one
	if _, err := app.Restore(t.Context(), c.options, bytes.NewReader(read(t, backup))); err != nil {
		t.Error(err)
	}
	if said := "cannot be read with the sealing keys here"; strings.Contains(c.log.String(), said) {
		t.Errorf("the log says %q of a backup that can be read", said)
	}
	for _, key := range []string{one, two} {
		if strings.Contains(c.log.String(), key) {
			t.Error("a key is in the log")
		}
	}
}

// TestSealingKeyGone starts without the key that the state was made with: no other one is made, and the error says what is to be done.
func TestSealingKeyGone(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "")
	c.open(t).Close()
	key := read(t, c.path("sealing.key"))
	if err := os.Remove(c.path("sealing.key")); err != nil {
		t.Fatal(err)
	}
	fails(t, c, "expected the sealing key that this store's account was made with: copy it there: stat "+c.path("sealing.key"))
	if _, err := os.Stat(c.path("sealing.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another key was made: %v", err)
	}
	if err := os.WriteFile(c.path("sealing.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	a := c.open(t)
	if err := c.client(t, a).Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); err != nil {
		t.Error(err)
	}
}

// TestRestoreHalfResealed restores a backup that was made when root's key had been sealed anew already, and a secret had not, where
// only the new key is: it is said what is missing, and with the old key put back all can be read.
func TestRestoreHalfResealed(t *testing.T) {
	t.Parallel()
	c := newControlled(t, "")
	old := controlplane.NewKey()
	if err := os.MkdirAll(c.path(""), 0o700); err != nil {
		t.Fatal(err)
	}
	set := func(keys string) {
		t.Helper()
		if err := os.WriteFile(c.path("sealing.key"), []byte(keys), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set(old)
	c.open(t).Close()
	fresh := controlplane.NewKey()
	set(fresh + old)
	a := c.open(t)
	ring, err := controlplane.ParseKeys(old)
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf"
	app.ChangeState(t, a, func(tx *controlplane.Tx) { // another member does not know of the new key yet
		s := &controlplane.Secret{ARN: arn, Name: "app"}
		s.Versions = []controlplane.SecretVersion{{ID: "v1", Stages: []string{controlplane.StageCurrent}, Sealed: s.SealVersion(ring, "v1", []byte("hunter2"))}}
		tx.Secrets.Put(arn, s)
	})
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := c.client(t, a).Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if err := os.RemoveAll(c.path("etcd")); err != nil {
		t.Fatal(err)
	}
	set(fresh)
	if _, err := app.Restore(t.Context(), c.options, bytes.NewReader(read(t, backup))); err != nil {
		t.Fatal(err)
	}
	if want := "on a line of its own, before the next start\" count=1 file=" + c.path("sealing.key") + " which=[" + arn + "]"; !strings.Contains(c.log.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, c.log)
	}
	set(fresh + old)
	a = c.open(t)
	app.ChangeState(t, a, func(tx *controlplane.Tx) {
		now, err := controlplane.ParseKeys(fresh)
		if err != nil {
			t.Fatal(err)
		}
		s := tx.Secrets.Get(arn)
		if text, err := s.OpenVersion(now, &s.Versions[0]); err != nil || string(text) != "hunter2" {
			t.Errorf("after a start with both keys: %q, %v", text, err)
		}
	})
}

func fails(t *testing.T, c *controlled, part string) {
	t.Helper()
	a, err := app.Open(t.Context(), c.options)
	if err == nil {
		a.Close()
		t.Fatalf("it started; want %q", part)
	}
	if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "secret-of-aws") {
		t.Errorf("got %v, want %q", err, part)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
