package storm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forebay/internal/storm"
)

// fake is a protocol whose time is the test's.
type fake struct {
	connect func(n int) (time.Duration, error) // how long the n-th client takes to connect, and how it ends
	query   time.Duration

	mu       sync.Mutex
	begin    time.Time
	arrivals []time.Duration
	ran      []string
	open     int
	most     int
}

func (f *fake) Connect(ctx context.Context) (storm.Session, error) {
	f.mu.Lock()
	n := len(f.arrivals)
	f.arrivals = append(f.arrivals, time.Since(f.begin))
	f.mu.Unlock()
	d, err := f.connect(n)
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	f.most = max(f.most, f.open)
	return fakeSession{f}, nil
}

func (f *fake) Describe(err error) (code, text string) { return "", err.Error() }

type fakeSession struct{ f *fake }

func (s fakeSession) Run(_ context.Context, sql string) error {
	time.Sleep(s.f.query)
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.ran = append(s.f.ran, sql)
	return nil
}

func (s fakeSession) Close() {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.open--
}

func instantly(d time.Duration) func(int) (time.Duration, error) {
	return func(int) (time.Duration, error) { return d, nil }
}

func TestArrivalsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{connect: instantly(2 * time.Millisecond), query: 3 * time.Millisecond, begin: time.Now()}
		r, err := storm.Run(t.Context(), f, storm.Options{
			Clients: 4, Window: time.Second, Statement: "X", Transaction: true, Hold: 400 * time.Millisecond,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond}
		if diff := cmp.Diff(want, f.arrivals); diff != "" {
			t.Errorf("arrivals (-want +got):\n%s", diff)
		}
		same := func(d time.Duration) storm.Latency { return storm.Latency{P50: d, P99: d, Max: d} }
		wantResult := &storm.Result{
			Clients: 4, Succeeded: 4, Peak: 2, Elapsed: 750*time.Millisecond + 411*time.Millisecond,
			Connect: same(2 * time.Millisecond), Query: same(9 * time.Millisecond),
		}
		if diff := cmp.Diff(wantResult, r); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
		if got := strings.Join(f.ran, " "); got != strings.TrimSpace(strings.Repeat("BEGIN X COMMIT ", 4)) {
			t.Errorf("statements: %s", got)
		}
	})
}

func TestConcurrencyLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{connect: instantly(0), query: 10 * time.Millisecond, begin: time.Now()}
		r, err := storm.Run(t.Context(), f, storm.Options{Clients: 20, Concurrency: 5, Statement: "X"}, nil)
		if err != nil || r.Succeeded != 20 || f.most != 5 {
			t.Errorf("result %+v, err %v, at most %d open; want 20 succeeded, 5 open", r, err, f.most)
		}
	})
}

func TestFailuresByKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused, reset := errors.New("refused"), errors.New("reset")
		f := &fake{begin: time.Now(), connect: func(n int) (time.Duration, error) {
			switch n % 5 {
			case 0, 1:
				return 0, refused
			case 2:
				return 0, reset
			case 3:
				return time.Hour, nil
			}
			return time.Millisecond, nil
		}}
		r, err := storm.Run(t.Context(), f, storm.Options{Clients: 10, Statement: "X", Timeout: time.Minute}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := []storm.ErrorCount{
			{Text: "refused", Count: 4},
			{Text: "context deadline exceeded", Count: 2},
			{Text: "reset", Count: 2},
		}
		if diff := cmp.Diff(want, r.Errors); diff != "" || r.Succeeded != 2 || r.Failed != 8 {
			t.Errorf("result %+v; errors (-want +got):\n%s", r, diff)
		}
	})
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 450*time.Millisecond)
		defer cancel()
		f := &fake{connect: instantly(time.Millisecond), begin: time.Now()}
		r, err := storm.Run(ctx, f, storm.Options{Clients: 100, Window: 10 * time.Second, Statement: "X", Hold: time.Hour}, nil)
		if err != nil || r.Clients != 5 || r.Failed != 5 {
			t.Errorf("result %+v, err %v; want 5 clients, all interrupted", r, err)
		}
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := storm.Options{Clients: 1, Statement: "X"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*storm.Options){
		func(o *storm.Options) { o.Clients = 0 },
		func(o *storm.Options) { o.Window = -1 },
		func(o *storm.Options) { o.Concurrency = -1 },
		func(o *storm.Options) { o.Statement = "" },
	} {
		o := good
		change(&o)
		if _, err := storm.Run(t.Context(), &fake{}, o, nil); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestDescribeNetwork(t *testing.T) {
	t.Parallel()
	p, err := storm.NewPostgres(storm.Target{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.ECONNREFUSED, "connection refused"},
		{syscall.ECONNRESET, "connection reset by the server"},
		{io.ErrUnexpectedEOF, "connection closed by the server"},
		{context.DeadlineExceeded, "timeout"},
		{errors.New(strings.Repeat("long\n", 100)), strings.Repeat("long ", 19) + "lo..."},
	} {
		if code, got := p.Describe(tt.err); code != "" || got != tt.want {
			t.Errorf("%v: got %q %q, want %q", tt.err, code, got, tt.want)
		}
	}
}

func TestResultJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(storm.Result{
		Clients: 3, Succeeded: 2, Failed: 1, Peak: 2, Elapsed: 1500 * time.Microsecond,
		Connect: storm.Latency{P50: time.Millisecond, P99: 2 * time.Millisecond, Max: 3 * time.Millisecond},
		Errors:  []storm.ErrorCount{{Code: "53300", Text: "too many", Count: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"clients":3,"succeeded":2,"failed":1,"peak_connected":2,"elapsed_ms":1.5,` +
		`"connect":{"p50_ms":1,"p99_ms":2,"max_ms":3},"query":{"p50_ms":0,"p99_ms":0,"max_ms":0},` +
		`"errors":[{"code":"53300","text":"too many","count":1}]}`
	if !bytes.Equal(b, []byte(want)) {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	got, err := storm.ParseTarget("postgres://app:p%40ss@db.example/?sslmode=disable&application_name=x")
	want := storm.Target{
		Addr: "db.example:5432", User: "app", Password: "p@ss", Database: "app",
		Params: map[string]string{"application_name": "x"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("err %v (-want +got):\n%s", err, diff)
	}
	got, err = storm.ParseTarget("mysql://app@[::1]?ssl-mode=disabled&app=x")
	want = storm.Target{Engine: storm.EngineMySQL, Addr: "[::1]:3306", User: "app", Params: map[string]string{"app": "x"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("err %v (-want +got):\n%s", err, diff)
	}
	got, err = storm.ParseTarget("sqlserver://sa@db/app?encrypt=disable&Packet Size=512")
	want = storm.Target{
		Engine: storm.EngineSQLServer, Addr: "db:1433", User: "sa", Database: "app", Params: map[string]string{"Packet Size": "512"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("err %v (-want +got):\n%s", err, diff)
	}
	for target, want := range map[string][4]bool{ // TLS, it must be, strict, whoever the server is
		"sqlserver://sa@db":                                             {true, false, false, true},
		"sqlserver://sa@db?encrypt=false":                               {true, false, false, true},
		"sqlserver://sa@db?encrypt=true":                                {true, true, false, false},
		"sqlserver://sa@db?encrypt=true&TrustServerCertificate=true":    {true, true, false, true},
		"sqlserver://sa@db?encrypt=strict":                              {true, true, true, false},
		"sqlserver://sa@db?encrypt=disable&trustservercertificate=true": {false, false, false, false},
	} {
		t1, err := storm.ParseTarget(target)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if got := [4]bool{t1.TLS != nil, t1.TLSMust, t1.Strict, t1.TLS != nil && t1.TLS.InsecureSkipVerify}; got != want {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
	for _, bad := range []string{
		"sqlserver://u:s3cret@h/d?encrypt=maybe", "sqlserver://u@h/d?Password=x", "sqlserver://u@h/d?sslmode=disable",
		"", "oracle://u@h/d", "mysql://h/d", "mysql://u:s3cret@h/d?ssl-mode=maybe", "mysql://u@h/d?sslmode=disable", "postgres://h/d", "postgres://u@/d", "postgres://u@h/d?sslmode=maybe",
		"postgres://u:s3cret@h:port/d", "postgres://u:s3cret%@h/d", "postgres://u@h/d?sslmode=verify-ca&sslrootcert=/nonexistent",
	} {
		_, err := storm.ParseTarget(bad)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: err %v; want an error without the password", bad, err)
		}
	}
}
