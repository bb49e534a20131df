package awssm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/awssm"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const region = "eu-central-1"

// world is moto's server, an AWS account for tests, behind a switch that cuts it off.
type world struct {
	*testkit.Moto
	t    *testing.T
	url  string // of the way through the switch
	down atomic.Bool
	log  bytes.Buffer
	logM sync.Mutex
}

func (w *world) Write(b []byte) (int, error) {
	w.logM.Lock()
	defer w.logM.Unlock()
	return w.log.Write(b)
}

func (w *world) logged(part string) int {
	w.logM.Lock()
	defer w.logM.Unlock()
	return strings.Count(w.log.String(), part)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Moto: testkit.StartMoto(t), t: t}
	to, _ := url.Parse(w.URL)
	transport := &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		Transport: transport, ModifyResponse: asJSON,
	}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.down.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

// asJSON mends a fault of moto's: it says in XML, to whomever, that somebody may not do something.
func asJSON(r *http.Response) error {
	if r.StatusCode != http.StatusForbidden || r.Request.Header.Get("X-Amz-Target") == "" {
		return nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	text, _ = json.Marshal(map[string]string{"__type": testkit.Element(string(text), "Code"), "message": testkit.Element(string(text), "Message")})
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", fmt.Sprint(len(text)))
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	return nil
}

// within waits until done, for as long as a slow machine may take.
func within(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func (w *world) load(id, key string) []func(*config.LoadOptions) error {
	return []func(*config.LoadOptions) error{
		config.WithBaseEndpoint(w.url), config.WithRegion(region),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, key, "")),
	}
}

func (w *world) account(id, key string) *awssm.Account {
	return awssm.New(awssm.Options{Log: slog.New(slog.NewTextHandler(w, nil)), Load: w.load(id, key)})
}

func (w *world) create(name, text string) (arn string) {
	w.t.Helper()
	return w.Secrets("CreateSecret", map[string]any{"Name": name, "SecretString": text, "ClientRequestToken": "00000000-0000-0000-0000-000000000001"})
}

func (w *world) put(arn, text string) {
	w.t.Helper()
	w.Secrets("PutSecretValue", map[string]any{"SecretId": arn, "SecretString": text})
}

func open(t *testing.T, a *awssm.Account, s awssm.Secret) interface {
	secret.Store
	secret.Doubter
} {
	store := a.Store(s)
	t.Cleanup(store.Close)
	return store
}

// TestRotation goes through what happens to a secret while it is in use.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.create("app", `{"username": "app", "password": "one", "engine": "postgres"}`)
	store := open(t, w.account("any", "any"), awssm.Secret{ARN: arn, Refresh: 100 * time.Millisecond})

	first, err := store.Get(t.Context(), "name-of-ours")
	if err != nil || first.Name != "name-of-ours" || first.Username != "app" || first.Password.Reveal() != "one" || first.Previous != nil || first.Version == "" {
		t.Fatalf("got %+v, %v", first, err)
	}
	w.put(arn, `{"username": "app", "password": "two"}`)
	var now secret.Secret
	within(t, "the rotation is noticed", func() bool {
		now, err = store.Get(t.Context(), "x")
		return now.Password.Reveal() == "two"
	})
	if err != nil || now.Version == first.Version || now.Previous == nil || now.Previous.Password.Reveal() != "one" || now.Previous.Version != first.Version {
		t.Errorf("after the rotation: %+v, previous %+v, %v", now, now.Previous, err)
	}

	w.down.Store(true)
	within(t, "the log says that AWS is gone", func() bool { return w.logged("what is known of it stays in use") == 1 })
	if now, err = store.Get(t.Context(), "x"); err != nil || now.Password.Reveal() != "two" {
		t.Errorf("while AWS is down: %+v, %v", now, err)
	}
	w.put(arn, `{"username": "app", "password": "three"}`)
	w.down.Store(false)
	within(t, "AWS is asked again", func() bool {
		now, err = store.Get(t.Context(), "x")
		return now.Password.Reveal() == "three"
	})
	if n := w.logged("a secret can be read again"); n != 1 {
		t.Errorf("the log says %d times that it is back", n)
	}

	w.put(arn, `no JSON: hunter2`)
	within(t, "the log says that the content is no good", func() bool { return w.logged("what is known of it stays in use") == 2 })
	if now, err = store.Get(t.Context(), "x"); err != nil || now.Password.Reveal() != "three" {
		t.Errorf("after a content that is no good: %+v, %v", now, err)
	}
	if w.logged("hunter2") > 0 {
		t.Error("the log quotes a secret")
	}

	w.Secrets("DeleteSecret", map[string]any{"SecretId": arn})
	within(t, "the deletion is noticed", func() bool {
		_, err = store.Get(t.Context(), "x")
		return err != nil
	})
	if !errors.Is(err, secret.ErrNotFound) || !strings.Contains(err.Error(), "marked for deletion") {
		t.Errorf("after the deletion: %v", err)
	}
}

// TestDoubt: a version that a database has refused has AWS asked at once.
func TestDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.create("app", `{"username": "app", "password": "one"}`)
	store := open(t, w.account("any", "any"), awssm.Secret{ARN: arn, Refresh: time.Hour})
	s, err := store.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	w.put(arn, `{"username": "app", "password": "two"}`)
	within(t, "the doubt is followed", func() bool {
		secret.Doubt(store, s)
		now, err := store.Get(t.Context(), "x")
		return err == nil && now.Password.Reveal() == "two"
	})
}

// TestRole reads through a role, with signatures and policies checked.
func TestRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.create("app", `{"username": "app", "password": "one"}`)
	reader, other := w.Role("reader", testkit.Allow("secretsmanager:GetSecretValue")), w.Role("other", testkit.Allow("rds:*"))
	id, key := w.User("forebay", testkit.Allow("sts:AssumeRole"))
	nobody, nobodysKey := w.User("nobody", testkit.Allow("rds:*"))
	w.Enforce()

	s, err := open(t, w.account(id, key), awssm.Secret{ARN: arn, Role: reader}).Get(t.Context(), "x")
	if err != nil || s.Password.Reveal() != "one" {
		t.Errorf("through the role: %+v, %v", s, err)
	}
	for _, tt := range []struct {
		name    string
		account *awssm.Account
		secret  awssm.Secret
		is      error
		want    string
	}{
		{"own credentials", w.account(id, key), awssm.Secret{ARN: arn}, secret.ErrDenied, "does not let the credentials of Forebay read it"},
		{"role that may not read", w.account(id, key), awssm.Secret{ARN: arn, Role: other}, secret.ErrDenied, "does not let the role " + other + " read it"},
		{"nobody's", w.account(nobody, nobodysKey), awssm.Secret{ARN: arn, Role: reader}, secret.ErrDenied, "does not let Forebay assume the role " + reader},
		{"unknown key", w.account("AKIAIOSFODNN7EXAMPLE", "x"), awssm.Secret{ARN: arn}, nil, "does not know the credentials of Forebay"},
		{"wrong signature", w.account(id, "x"), awssm.Secret{ARN: arn}, nil, "does not know the credentials of Forebay"},
		{"no such secret", w.account(id, key), awssm.Secret{ARN: strings.Replace(arn, ":app", ":none", 1), Role: reader}, secret.ErrNotFound, "AWS has no such secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := open(t, tt.account, tt.secret).Get(t.Context(), "x")
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestEnvironment: what the SDK takes from the environment counts.
func TestEnvironment(t *testing.T) {
	w := newWorld(t)
	arn := w.create("app", `{"username": "app", "password": "one"}`)
	for k, v := range map[string]string{
		"AWS_ENDPOINT_URL": w.url, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(k, v)
	}
	if s, err := open(t, awssm.New(awssm.Options{Log: slog.New(slog.DiscardHandler)}), awssm.Secret{ARN: arn}).Get(t.Context(), "x"); err != nil || s.Username != "app" {
		t.Errorf("got %+v, %v", s, err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err := open(t, awssm.New(awssm.Options{Log: slog.New(slog.DiscardHandler)}), awssm.Secret{ARN: arn}).Get(t.Context(), "x")
	if err == nil || !strings.Contains(err.Error(), "no AWS credentials were found") {
		t.Errorf("without credentials: %v", err)
	}
}

// TestUnreachable: a first read that fails is an error in plain words, and one that hangs ends.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:app-AbCdEf"
	for at, want := range map[string]string{"http://127.0.0.1:1": "AWS cannot be asked", "http://" + l.Addr().String(): "AWS did not answer in time"} {
		a := awssm.New(awssm.Options{Log: slog.New(slog.DiscardHandler), Load: []func(*config.LoadOptions) error{
			config.WithBaseEndpoint(at), config.WithCredentialsProvider(aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("a", "b", ""))),
		}})
		if _, err := open(t, a, awssm.Secret{ARN: arn}).Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", at, err, want)
		}
	}
}

func TestARN(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a/b-AbCdEf"
	if r, a := awssm.Region(arn), awssm.AccountID(arn); r != region || a != "123456789012" {
		t.Errorf("got %q, %q", r, a)
	}
	for _, none := range []string{"", "app", "arn:aws:iam::123456789012:role/x", "arn:aws:secretsmanager:eu-central-1:1"} {
		if awssm.Region(none) != "" || awssm.AccountID(none) != "" {
			t.Errorf("%q counts as the ARN of a secret", none)
		}
	}
}
