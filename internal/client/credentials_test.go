package client_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/client"
	"forebay/internal/sigv4"
)

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".aws/credentials", `
# a comment
[default]
aws_access_key_id = AKIADEFAULT
AWS_SECRET_ACCESS_KEY=abc=/+d
s3 =
    aws_access_key_id = nested

[ ops ]
aws_access_key_id = ASIAOPS
aws_secret_access_key = ops
aws_session_token = token==
region = eu-west-1
[half]
aws_access_key_id = AKIAHALF
[none]
[ops]
; goes on
region = eu-west-2
`)
	write(".aws/config", "[default]\nregion = us-east-2\n[profile half]\nregion = x\n[ops]\nregion = y\n")
	write("root", "\uFEFF[default]\r\naws_access_key_id = AKIAROOT\r\naws_secret_access_key = root\r\nregion = us-west-2\r\n")
	write("broken", "[default]\naws_secret_access_key hunter2\n")
	write("broken2", "[default\n")
	write("large", strings.Repeat("#\n", 1<<20))
	root := sigv4.Credentials{AccessKeyID: "AKIAROOT", SecretKey: "root"}
	for name, tt := range map[string]struct {
		env    string // NAME=value, separated by spaces
		want   sigv4.Credentials
		region string
		err    string
	}{
		"the default profile": {want: sigv4.Credentials{AccessKeyID: "AKIADEFAULT", SecretKey: "abc=/+d"}, region: "us-east-2"},
		"a profile":           {env: "AWS_PROFILE=ops", want: sigv4.Credentials{AccessKeyID: "ASIAOPS", SecretKey: "ops", SessionToken: "token=="}, region: "eu-west-2"},
		"a region":            {env: "AWS_PROFILE=ops AWS_DEFAULT_REGION=r1", want: sigv4.Credentials{AccessKeyID: "ASIAOPS", SecretKey: "ops", SessionToken: "token=="}, region: "r1"},
		"the environment":     {env: "AWS_ACCESS_KEY_ID=A AWS_SECRET_ACCESS_KEY=B AWS_SESSION_TOKEN=C AWS_REGION=r2 AWS_DEFAULT_REGION=r1", want: sigv4.Credentials{AccessKeyID: "A", SecretKey: "B", SessionToken: "C"}, region: "r2"},
		"not of both":         {env: "AWS_ACCESS_KEY_ID=A AWS_SECRET_ACCESS_KEY=B AWS_PROFILE=ops", want: sigv4.Credentials{AccessKeyID: "A", SecretKey: "B"}, region: "eu-west-2"},
		"another file":        {env: "AWS_SHARED_CREDENTIALS_FILE=~/root", want: root, region: "us-west-2"},
		"no such file":        {env: "AWS_SHARED_CREDENTIALS_FILE=~/none", err: "unable to locate credentials"},
		"no such profile":     {env: "AWS_PROFILE=typo", err: `the profile "typo" could not be found`},
		"a profile of config": {env: "AWS_PROFILE=none", err: "unable to locate credentials"},
		"half a profile":      {env: "AWS_PROFILE=half", err: "partial credentials: the secret access key is missing"},
		"half an environment": {env: "AWS_SECRET_ACCESS_KEY=hunter2", err: "partial credentials: the access key id is missing"},
		"a broken line":       {env: "AWS_SHARED_CREDENTIALS_FILE=~/broken", err: "line 2: expected key = value"},
		"a broken section":    {env: "AWS_SHARED_CREDENTIALS_FILE=~/broken2", err: "line 1: expected a section"},
		"a large file":        {env: "AWS_SHARED_CREDENTIALS_FILE=~/large", err: "more than"},
		"a folder":            {env: "AWS_SHARED_CREDENTIALS_FILE=~", err: "is a directory"},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(tt.env) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		s, err := client.FromEnvironment(func(name string) string { return env[name] }, home)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: got %v, want %q", name, err, tt.err)
			}
		case err != nil || s.Credentials != tt.want || s.Region != tt.region:
			t.Errorf("%s: got key %s, region %q, %v; want %s, %q", name, s.Credentials.AccessKeyID, s.Region, err, tt.want.AccessKeyID, tt.region)
		}
	}
	if _, err := client.FromEnvironment(func(string) string { return "" }, ""); err == nil {
		t.Error("without a home there are credentials")
	}
}

func FuzzCredentialsFile(f *testing.F) {
	f.Add("[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
	f.Add("[a]b=c\n =\n[default]\n=\n")
	path := filepath.Join(f.TempDir(), "credentials")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := client.FromEnvironment(func(name string) string { return map[string]string{"AWS_SHARED_CREDENTIALS_FILE": path}[name] }, "")
		if err == nil && (s.Credentials.AccessKeyID == "" || s.Credentials.SecretKey == "") {
			t.Errorf("%q: half the credentials", text)
		}
	})
}
