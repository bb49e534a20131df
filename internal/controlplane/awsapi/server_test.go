package awsapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/controlplane/awsapi"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// user is a caller who may do all but what is called Forbidden.
type user struct{}

func (user) ARN() string       { return "arn:aws:iam::123456789012:user/u" }
func (user) AccountID() string { return "123456789012" }
func (user) UserID() string    { return "AIDAU" }

func (user) Authorize(_ *awsapi.Call, a awsapi.Access) error {
	if strings.Contains(a.Action, "Forbidden") {
		return awsapi.Common("AccessDenied", "User: u is not authorized to perform: "+a.Action+" on resource: "+a.Resource)
	}
	return nil
}

// believing is an Authenticator that believes what it reads: the scope is taken as it stands, and a signature called
// bad is bad.
type believing struct{}

var credential = regexp.MustCompile(`Credential=[^/,&]+(?:/|%2F)\d{8}(?:/|%2F)([^/%]+)(?:/|%2F)([^/%]+)(?:/|%2F)aws4_request`)

func (believing) Authenticate(r *http.Request, _ []byte, _ time.Time) (awsapi.Caller, awsapi.Scope, error) {
	m := credential.FindStringSubmatch(r.Header.Get("Authorization") + r.URL.RawQuery)
	switch {
	case r.Header.Get("Authorization") == "broken":
		return nil, awsapi.Scope{}, errors.New("the store does not answer: secret-of-the-log")
	case m == nil:
		return nil, awsapi.Scope{}, awsapi.Common("MissingAuthenticationToken", "Request is missing Authentication Token")
	case strings.Contains(r.Header.Get("Authorization"), "Signature=bad"):
		return nil, awsapi.Scope{}, awsapi.Common("SignatureDoesNotMatch", "The request signature we calculated does not match")
	}
	return user{}, awsapi.Scope{Region: m[1], Service: m[2]}, nil
}

func auth(service, region string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIDX/20261122/" + region + "/" + service + "/aws4_request, SignedHeaders=host, Signature=00"
}

type empty struct{}

// down is the error of a store that is out of reach.
type down struct{}

func (down) Error() string     { return "no leader" }
func (down) Unavailable() bool { return true }

type named struct {
	Name string `aws:"required"`
}

// fixture is a Server with toy services.
type fixture struct {
	*awsapi.Server
	mu       sync.Mutex
	log      bytes.Buffer // guarded by mu
	observed []string     // guarded by mu
	calls    []awsapi.Call
}

func (f *fixture) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(b)
}

func newFixture(t *testing.T, o awsapi.Options, more map[string]awsapi.Operation) *fixture {
	t.Helper()
	f := &fixture{}
	o.Log, o.Region, o.Auth = slog.New(slog.NewTextHandler(f, nil)), "eu-west-1", believing{}
	o.Observe = func(service, action, code string, _ time.Duration) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.observed = append(f.observed, service+":"+action+":"+code)
	}
	operations := map[string]awsapi.Operation{
		"Echo": awsapi.Op(func(_ context.Context, c *awsapi.Call, in *named) (*named, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.calls = append(f.calls, *c)
			return in, nil
		}),
		"Forbidden": awsapi.Silent(func(_ context.Context, c *awsapi.Call, _ *empty) error {
			return c.Authorize("x:Forbidden", "arn:x")
		}),
		"Quiet": awsapi.Silent(func(context.Context, *awsapi.Call, *empty) error { return nil }),
		"Panic": awsapi.Op(func(context.Context, *awsapi.Call, *empty) (*empty, error) { panic("secret-of-the-log") }),
		"Broken": awsapi.Op(func(context.Context, *awsapi.Call, *empty) (*empty, error) {
			return nil, errors.New("secret-of-the-log")
		}),
		"Down": awsapi.Op(func(context.Context, *awsapi.Call, *empty) (*empty, error) {
			return nil, fmt.Errorf("secret-of-the-log: %w", down{})
		}),
		"Slow": awsapi.Op(func(ctx context.Context, _ *awsapi.Call, _ *empty) (*empty, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		"NotFound": awsapi.Op(func(context.Context, *awsapi.Call, *empty) (*empty, error) {
			return nil, awsapi.Errorf(404, "DBProxyNotFoundFault", "not found")
		}),
		"OddStatus": awsapi.Op(func(context.Context, *awsapi.Call, *empty) (*empty, error) {
			return nil, &awsapi.Error{Code: "Odd", Message: "m"}
		}),
	}
	for name, op := range more {
		operations[name] = op
	}
	var err error
	f.Server, err = awsapi.New(o,
		&awsapi.Service{Name: "rds", Version: "2014-10-31", Namespace: "urn:rds", Operations: operations},
		&awsapi.Service{Name: "sts", Version: "2011-06-15", Namespace: "urn:sts", Operations: operations, Anonymous: map[string]bool{"Echo": true}},
		&awsapi.Service{Name: "secretsmanager", Protocol: awsapi.JSON, Target: "secretsmanager", Operations: operations},
	)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ask is a request: headers are "Name: value" lines.
func ask(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

const isForm = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"

func query(service, form string) *http.Request {
	return ask("POST", "/", form, isForm, "Authorization: "+auth(service, "eu-west-1"))
}

func jsonRequest(operation, body string, headers ...string) *http.Request {
	return ask("POST", "/", body, append(headers, "Content-Type: application/x-amz-json-1.1", "X-Amz-Target: secretsmanager."+operation,
		"Authorization: "+auth("secretsmanager", "eu-west-1"))...)
}

func (f *fixture) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const presigned = "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDX%2F20261122%2Feu-west-1%2Frds%2Faws4_request&X-Amz-Signature=00"
	const v = "&Version=2014-10-31"
	tests := []struct {
		name     string
		r        *http.Request
		status   int
		part     string // of the body
		observed string
	}{
		{"query", query("rds", "Action=Echo&Name=n"+v), 200, `<EchoResponse xmlns="urn:rds"><EchoResult><Name>n</Name></EchoResult>`, "rds:Echo:"},
		{"silent", query("rds", "Action=Quiet"+v), 200, `<QuietResponse xmlns="urn:rds"><ResponseMetadata>`, "rds:Quiet:"},
		{"presigned GET", ask("GET", "/?Action=Echo&Name=n"+v+presigned, ""), 200, "<Name>n</Name>", "rds:Echo:"},
		{"presigned POST", ask("POST", "/?Action=Echo"+v+presigned, "Name=n", isForm), 200, "<Name>n</Name>", "rds:Echo:"},
		{"signed GET", ask("GET", "/?Action=Echo&Name=n"+v, "", "Authorization: "+auth("rds", "eu-west-1")), 200, "<Name>n</Name>", "rds:Echo:"},
		{"json", jsonRequest("Echo", `{"Name":"n"}`), 200, `{"Name":"n"}`, "secretsmanager:Echo:"},
		{"json silent", jsonRequest("Quiet", ``), 200, `{}`, "secretsmanager:Quiet:"},
		{"anonymous", ask("POST", "/", "Action=Echo&Version=2011-06-15&Name=n", isForm), 200, `<EchoResponse xmlns="urn:sts">`, "sts:Echo:"},
		{"global region", ask("POST", "/", "Action=Quiet&Version=2011-06-15", isForm, "Authorization: "+auth("sts", "us-east-1")), 200, "Quiet", "sts:Quiet:"},

		{"an error", query("rds", "Action=NotFound"+v), 404, "<Type>Sender</Type><Code>DBProxyNotFoundFault</Code>", "rds:NotFound:DBProxyNotFoundFault"},
		{"a json error", jsonRequest("NotFound", "{}"), 404, `{"__type":"DBProxyNotFoundFault","message":"not found"}`, "secretsmanager:NotFound:DBProxyNotFoundFault"},
		{"no status", query("rds", "Action=OddStatus"+v), 400, "<Code>Odd</Code>", "rds:OddStatus:Odd"},
		{"forbidden", query("rds", "Action=Forbidden"+v), 403, "<Code>AccessDenied</Code>", "rds:Forbidden:AccessDenied"},
		{"json forbidden", jsonRequest("Forbidden", "{}"), 400, `"AccessDeniedException"`, "secretsmanager:Forbidden:AccessDeniedException"},
		{"panic", query("rds", "Action=Panic"+v), 500, "<Type>Receiver</Type><Code>InternalFailure</Code>", "rds:Panic:InternalFailure"},
		{"broken", query("rds", "Action=Broken"+v), 500, "<Code>InternalFailure</Code>", "rds:Broken:InternalFailure"},
		{"store down", query("rds", "Action=Down"+v), 503, "<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "rds:Down:ServiceUnavailable"},
		{"json store down", jsonRequest("Down", "{}"), 503, `"ServiceUnavailable"`, "secretsmanager:Down:ServiceUnavailable"},
		{"json broken", jsonRequest("Broken", "{}"), 500, `"InternalFailure"`, "secretsmanager:Broken:InternalFailure"},
		{"decoding", query("rds", "Action=Echo"+v), 400, "<Code>MissingParameter</Code>", "rds:Echo:MissingParameter"},
		{"json decoding", jsonRequest("Echo", `{"Name":3}`), 400, `"SerializationException"`, "secretsmanager:Echo:SerializationException"},

		{"unsigned", ask("POST", "/", "Action=Quiet"+v, isForm), 403, "<Code>MissingAuthenticationToken</Code>", "other:other:MissingAuthenticationToken"},
		{"unsigned nonsense", ask("POST", "/", "%%%", isForm), 403, "<Code>MissingAuthenticationToken</Code>", "other:other:MissingAuthenticationToken"},
		{"unsigned, not an anonymous one", ask("POST", "/", "Action=Quiet&Version=2011-06-15", isForm), 403, "MissingAuth", "other:other:MissingAuthenticationToken"},
		{
			"anonymous, but signed badly", ask("POST", "/", "Action=Echo&Version=2011-06-15&Name=n", isForm, "Authorization: "+auth("sts", "eu-west-1")+"Signature=bad"),
			403, `xmlns="urn:sts"><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>`, "sts:other:SignatureDoesNotMatch",
		},
		{"json signed badly", jsonRequest("Echo", "{}", "Authorization: "+auth("secretsmanager", "eu-west-1")+"Signature=bad"), 400, `"InvalidSignatureException"`, "secretsmanager:other:InvalidSignatureException"},
		{"authenticator broken", ask("POST", "/", "Action=Quiet"+v, isForm, "Authorization: broken"), 500, "InternalFailure", "other:other:InternalFailure"},
		{
			"wrong region", ask("POST", "/", "Action=Quiet"+v, isForm, "Authorization: "+auth("rds", "us-east-1")),
			403, "<Code>SignatureDoesNotMatch</Code><Message>Credential should be scoped to a valid region, not &#39;us-east-1&#39;. This is &#39;eu-west-1&#39;.",
			"rds:other:SignatureDoesNotMatch",
		},
		{"not served", query("sqs", "Action=ListQueues&Version=2012-11-05"), 400, "<Code>InvalidAction</Code><Message>The service sqs is not served here", "other:other:InvalidAction"},
		{"ec2", query("ec2", "Action=DescribeVpcs&Version=2016-11-15"), 400, "<Response><Errors><Error><Code>InvalidAction</Code>", "other:other:InvalidAction"},
		{
			"kms", ask("POST", "/", "{}", "X-Amz-Target: TrentService.ListKeys", "Content-Type: application/x-amz-json-1.1", "Authorization: "+auth("kms", "eu-west-1")),
			400, `{"__type":"UnknownOperationException","message":"The service kms is not served here`, "other:other:UnknownOperationException",
		},
		{"unknown action", query("rds", "Action=RebootDBInstance"+v), 400, "<Code>InvalidAction</Code><Message>Could not find operation RebootDBInstance for version 2014-10-31", "rds:other:InvalidAction"},
		{"unknown version", query("rds", "Action=Quiet&Version=2013-01-01"), 400, "Could not find operation Quiet for version 2013-01-01", "rds:other:InvalidAction"},
		{"no version", query("rds", "Action=Quiet"), 400, "NO_VERSION_SPECIFIED", "rds:other:InvalidAction"},
		{"no action", query("rds", "Version=2014-10-31"), 400, "<Code>MissingAction</Code>", "rds:other:MissingAction"},
		{"nothing", query("rds", ""), 400, "<Code>MissingAction</Code>", "rds:other:MissingAction"},
		{"two actions", ask("POST", "/?Action=Echo", "Action=Quiet"+v, isForm, "Authorization: "+auth("rds", "eu-west-1")), 400, "<Code>MalformedInput</Code>", "rds:other:MalformedInput"},
		{"unknown json action", jsonRequest("Nonsense", "{}"), 400, `"UnknownOperationException"`, "secretsmanager:other:UnknownOperationException"},
		{"another json target", jsonRequest("Echo", "{}", "X-Amz-Target: TrentService.Echo"), 400, `"UnknownOperationException"`, "secretsmanager:other:UnknownOperationException"},
		{
			"json for rds", ask("POST", "/", "{}", "X-Amz-Target: rds.Echo", "Content-Type: application/x-amz-json-1.1", "Authorization: "+auth("rds", "eu-west-1")),
			400, `{"__type":"UnknownOperationException","message":"The request is not in the protocol of rds`, "rds:other:UnknownOperationException",
		},
		{"query for secrets", query("secretsmanager", "Action=Echo&Version=1"), 400, "not in the protocol", "secretsmanager:other:InvalidAction"},
		{"path", ask("POST", "/x", "Action=Quiet"+v, isForm, "Authorization: "+auth("rds", "eu-west-1")), 404, "The path of a request is /", "rds:other:InvalidAction"},
		{"method", ask("DELETE", "/?Action=Quiet"+v, "", "Authorization: "+auth("rds", "eu-west-1")), 405, "DELETE is not allowed", "rds:other:InvalidAction"},
		{"json by GET", ask("GET", "/", "", "X-Amz-Target: secretsmanager.Echo", "Authorization: "+auth("secretsmanager", "eu-west-1")), 400, "UnknownOperationException", "secretsmanager:other:UnknownOperationException"},
		{"content type", ask("POST", "/", "Action=Quiet"+v, "Content-Type: text/plain", "Authorization: "+auth("rds", "eu-west-1")), 400, "Content-Type", "rds:other:MalformedInput"},
		{"body of GET", ask("GET", "/?Action=Quiet"+v, "Name=n", isForm, "Authorization: "+auth("rds", "eu-west-1")), 400, "by POST", "rds:other:MalformedInput"},
		{"too large", query("rds", "Action=Echo"+v+"&Name="+strings.Repeat("x", 1<<20)), 413, "<Code>RequestEntityTooLarge</Code>", "rds:other:RequestEntityTooLarge"},
		{"json too large", jsonRequest("Echo", strings.Repeat("x", 1<<20+1)), 400, `"RequestEntityTooLargeException"`, "secretsmanager:other:RequestEntityTooLargeException"},
	}
	id := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, awsapi.Options{}, nil)
			w := f.do(tt.r)
			body := w.Body.String()
			if w.Code != tt.status || !strings.Contains(body, tt.part) {
				t.Errorf("got %d %s\nwant %d with %s", w.Code, body, tt.status, tt.part)
			}
			if !slices.Equal(f.observed, []string{tt.observed}) {
				t.Errorf("observed %q, want %q", f.observed, tt.observed)
			}
			requestID := w.Header().Get("x-amzn-RequestId")
			if !id.MatchString(requestID) || !strings.Contains(f.log.String(), requestID) {
				t.Errorf("request id %q is no UUID, or not in the log %s", requestID, f.log.String())
			}
			isJSON := w.Header().Get("Content-Type") == "application/x-amz-json-1.1"
			if !isJSON && !strings.Contains(body, requestID) {
				t.Errorf("the request id %s is not in the body %s", requestID, body)
			}
			if isJSON && tt.status != 200 && !strings.Contains(body, `"`+w.Header().Get("x-amzn-errortype")+`"`) {
				t.Errorf("x-amzn-errortype is %q", w.Header().Get("x-amzn-errortype"))
			}
			if strings.Contains(body, "secret-of-the-log") || strings.Contains(body, "goroutine") {
				t.Errorf("the client is told %s", body)
			}
			if n := strings.Count(f.log.String(), "\n"); n != 1 {
				t.Errorf("the log has %d lines: %s", n, f.log.String())
			}
		})
	}
}

// TestLog checks what is in the access log, and that nothing of a request's content is.
func TestLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t, awsapi.Options{}, nil)
	f.do(query("rds", "Action=Echo&Version=2014-10-31&Name=hush"))
	f.do(jsonRequest("Echo", `{"Name":"hush","Hush":1}`))
	f.do(query("rds", "Action=hush%0Ahush"+strings.Repeat("h", 500)+"&Version=2014-10-31"))
	f.do(query("rds", "Action=Panic&Version=2014-10-31"))
	lines := strings.Split(strings.TrimSpace(f.log.String()), "\n")
	for i, parts := range [][]string{
		{"level=INFO", "service=rds", "action=Echo", "caller=arn:aws:iam::123456789012:user/u", "status=200", `code=""`, "duration=", "source=192.0.2.1"},
		{"level=INFO", "service=secretsmanager", "action=Echo", "status=400", "code=ValidationException"},
		{"level=INFO", "action=other", `asked="hush\nhush`, "…"},
		{"level=ERROR", "action=Panic", "code=InternalFailure", "panic: secret-of-the-log", "server_test.go"},
	} {
		for _, part := range parts {
			if i >= len(lines) || !strings.Contains(lines[i], part) {
				t.Errorf("line %d of the log lacks %s:\n%s", i, part, f.log.String())
			}
		}
	}
	if strings.Contains(lines[0]+lines[1], "hush") {
		t.Errorf("the log tells what was sent:\n%s\n%s", lines[0], lines[1])
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 35, 54, 0, time.UTC)
	f := newFixture(t, awsapi.Options{Now: func() time.Time { return now }}, nil)
	r := query("rds", "Action=Echo&Version=2014-10-31&Name=n")
	r.RemoteAddr = "[::ffff:10.1.2.3]:1234"
	f.do(r)
	f.do(ask("POST", "https://localhost/", "Action=Echo&Version=2011-06-15&Name=n", isForm))
	if len(f.calls) != 2 {
		t.Fatalf("got %d calls", len(f.calls))
	}
	if c := f.calls[0]; c.Caller != (user{}) || c.Region != "eu-west-1" || !c.Time.Equal(now) || c.Source.String() != "10.1.2.3" || c.Secure {
		t.Errorf("signed: got %+v", c)
	}
	if c := f.calls[1]; c.Caller != nil || c.Region != "eu-west-1" || !c.Secure {
		t.Errorf("anonymous over TLS: got %+v", c)
	}
}

// TestTimeout checks that an operation's context ends, and what the client is told then.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, awsapi.Options{Timeout: time.Minute}, nil)
		start := time.Now()
		w := f.do(query("rds", "Action=Slow&Version=2014-10-31"))
		if w.Code != 503 || !strings.Contains(w.Body.String(), "ServiceUnavailable") || time.Since(start) != time.Minute {
			t.Errorf("after %v: %d %s", time.Since(start), w.Code, w.Body)
		}
	})
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := newFixture(t, awsapi.Options{MaxConcurrent: 2}, map[string]awsapi.Operation{
			"Wait": awsapi.Op(func(context.Context, *awsapi.Call, *empty) (*empty, error) { <-release; return nil, nil }),
		})
		var running sync.WaitGroup
		for range 2 {
			running.Go(func() {
				if w := f.do(query("rds", "Action=Wait&Version=2014-10-31")); w.Code != 200 {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			})
		}
		synctest.Wait()
		if w := f.do(query("rds", "Action=Quiet&Version=2014-10-31")); w.Code != 400 || !strings.Contains(w.Body.String(), "<Code>Throttling</Code>") {
			t.Errorf("one too many: got %d %s", w.Code, w.Body)
		}
		if w := f.do(jsonRequest("Quiet", "{}")); w.Code != 400 || !strings.Contains(w.Body.String(), `"ThrottlingException"`) {
			t.Errorf("one too many, JSON: got %d %s", w.Code, w.Body)
		}
		close(release)
		running.Wait()
		if w := f.do(query("rds", "Action=Quiet&Version=2014-10-31")); w.Code != 200 {
			t.Errorf("afterwards: got %d %s", w.Code, w.Body)
		}
	})
}

// TestBodies checks that all bodies together are bounded, that slow ones hold no slot, and that memory is given back.
func TestBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, awsapi.Options{MaxConcurrent: 1}, nil)
		var writers []*io.PipeWriter
		var running sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for range 80 {
			pr, pw := io.Pipe()
			writers = append(writers, pw)
			running.Go(func() {
				r := httptest.NewRequest("POST", "/", pr)
				r.Header.Set("Authorization", auth("rds", "eu-west-1"))
				w := f.do(r)
				pr.Close()
				mu.Lock()
				defer mu.Unlock()
				codes[w.Code]++
			})
			running.Go(func() { _, _ = pw.Write(make([]byte, 1<<20-1)) })
		}
		synctest.Wait()
		mu.Lock()
		refused := codes[400]
		mu.Unlock()
		// One more than need be may find no room while another that is refused has not given its own back.
		if refused < 80-64 || refused > 40 {
			t.Errorf("%d of 80 bodies of 1 MiB were refused; want 16 or a few more", refused)
		}
		for _, pw := range writers {
			pw.CloseWithError(errors.New("gone"))
		}
		running.Wait()
		if codes[408] != 80-refused {
			t.Errorf("got %v, want %d of 408", codes, 80-refused)
		}
		if w := f.do(query("rds", "Action=Quiet&Version=2014-10-31")); w.Code != 200 {
			t.Errorf("afterwards: got %d %s", w.Code, w.Body)
		}
	})
}

// cutting is a recorder whose request's body can be cut off, as that of a connection can.
type cutting struct {
	*httptest.ResponseRecorder
	body *io.PipeReader
}

// SetReadDeadline is for http.ResponseController.
func (c cutting) SetReadDeadline(time.Time) error {
	return c.body.CloseWithError(os.ErrDeadlineExceeded)
}

// TestSlowBodies checks that bodies which nobody has signed, and which do not end, keep nobody else out.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, awsapi.Options{}, nil)
		var writers []*io.PipeWriter
		var running sync.WaitGroup
		codes := make([]int, 66)
		for i := range codes {
			pr, pw := io.Pipe()
			writers = append(writers, pw)
			running.Go(func() {
				r := httptest.NewRequest("POST", "/", pr)
				r.Header.Set("Authorization", auth("rds", "eu-west-1"))
				w := cutting{httptest.NewRecorder(), pr}
				f.ServeHTTP(w, r)
				codes[i] = w.Code
				if w.Code == 400 && !strings.Contains(w.Body.String(), "<Code>Throttling</Code>") {
					t.Errorf("got %s", w.Body)
				}
			})
			synctest.Wait() // so that they come one after the other
			running.Go(func() { _, _ = pw.Write(make([]byte, 1<<20-1)) })
			synctest.Wait()
		}
		for range 10 {
			if w := f.do(query("rds", "Action=Quiet&Version=2014-10-31")); w.Code != 200 {
				t.Errorf("while slow bodies are on their way: got %d %s", w.Code, w.Body)
			}
		}
		for _, pw := range writers {
			pw.CloseWithError(errors.New("gone"))
		}
		running.Wait()
		for i, code := range codes {
			if want := map[bool]int{true: 400, false: 408}[i < 3]; code != want { // two for the last two, one for the rest
				t.Errorf("body %d: got %d, want %d", i, code, want)
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	bad := awsapi.Op(func(context.Context, *awsapi.Call, *struct{ C chan int }) (*empty, error) { return nil, nil })
	if _, err := awsapi.New(awsapi.Options{}, &awsapi.Service{Name: "x", Operations: map[string]awsapi.Operation{"Bad": bad}}); err == nil || !strings.Contains(err.Error(), "x:Bad") {
		t.Errorf("a channel: got %v", err)
	}
	text := awsapi.Op(func(context.Context, *awsapi.Call, *empty) (*string, error) { return nil, nil })
	if _, err := awsapi.New(awsapi.Options{}, &awsapi.Service{Name: "x", Operations: map[string]awsapi.Operation{"Bad": text}}); err == nil {
		t.Error("a string as output: no error")
	}
	if _, err := awsapi.New(awsapi.Options{}, &awsapi.Service{Name: "x"}, &awsapi.Service{Name: "x"}); err == nil {
		t.Error("two services of one name: no error")
	}
}
