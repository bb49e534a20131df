package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/app"
	"forebay/internal/sigv4"
	"forebay/internal/testkit"
	"forebay/internal/testkit/testlog"
)

// watchdog ends what hangs. Nothing takes nearly so long, except on a machine that has much else to do.
const watchdog = 90 * time.Second

// region is what the account of every test belongs to.
const region = "us-west-2"

// world is a Forebay in this process with a control plane of its own.
type world struct {
	t       *testing.T
	dir     string // has the configuration file, and the data folder
	log     logBuffer
	app     *app.App // nil: stopped
	program string   // address of the API of a process of its own, in place of app
	network string   // for the endpoints
	// maxProxies is the quota.
	maxProxies int
	root       sigv4.Credentials
}

// worlds counts, so that each has addresses of its own.
var worlds atomic.Int32

// newWorld starts a Forebay. On Linux it has a network of loopback addresses to itself, on which its endpoints get the
// engine's own ports; elsewhere they get ports of the range.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), network: network(), maxProxies: 20}
	w.configure("127.0.0.1:0")
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("the log of Forebay:\n%s", w.log.String())
		}
	})
	w.start()
	w.readRoot()
	return w
}

// network is for the endpoints of one Forebay.
func network() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.0/27", 64+os.Getpid()%128, worlds.Add(1))
}

func (w *world) configure(listen string) {
	w.t.Helper()
	text := fmt.Sprintf("admin: {listen: \"\"}\napi:\n  listen: %q\n  data_dir: %q\n  max_proxies: %d\n  endpoints: {addresses: [%q]}\n",
		listen, filepath.Join(w.dir, "data"), w.maxProxies, w.network)
	if err := os.WriteFile(w.config(), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) config() string { return filepath.Join(w.dir, "forebay.yaml") }

// credentials is the file with the root's key.
func (w *world) credentials() string { return filepath.Join(w.dir, "data", "root-credentials") }

func (w *world) start() {
	w.t.Helper()
	var err error
	w.app, err = app.Open(w.t.Context(), app.Options{ConfigPath: w.config(), Version: "test", Log: &w.log})
	if err != nil {
		w.t.Fatal(err)
	}
}

// serve runs the program on w's folder, with additions to the environment, until kill is called or the test ends.
func (w *world) serve(binary string, env ...string) (kill func()) {
	w.t.Helper()
	cmd := exec.Command(binary, "serve", "--config", w.config())
	cmd.Stdout, cmd.Stderr = &w.log, &w.log
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed
	}()
	kill = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	w.t.Cleanup(kill)
	testkit.Eventually(w.t, "the API answers", func() bool {
		select {
		case <-ended:
			w.t.Fatalf("the program has ended:\n%s", w.log.String())
		default:
		}
		c, err := net.Dial("tcp", w.program)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return kill
}

func (w *world) stop() {
	if w.app == nil {
		return
	}
	if err := w.app.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
	w.app = nil
}

func (w *world) readRoot() {
	w.t.Helper()
	text, err := os.ReadFile(w.credentials())
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), " = "); key {
		case "aws_access_key_id":
			w.root.AccessKeyID = value
		case "aws_secret_access_key":
			w.root.SecretKey = value
		}
	}
	if w.root.AccessKeyID == "" || w.root.SecretKey == "" {
		w.t.Fatalf("no key in %s", w.credentials())
	}
}

func (w *world) url() string {
	if w.program != "" {
		return "http://" + w.program
	}
	return "http://" + w.app.APIAddr()
}

// declare declares a database, by Forebay's own service.
func (w *world) declare(id, engine, host string, port int) {
	w.t.Helper()
	w.must(w.url(), "AddDatabase", map[string]any{"Identifier": id, "Engine": engine, "Host": host, "Port": port})
}

// must has an operation of Forebay's own service done by the root.
func (w *world) must(url, operation string, in map[string]any) {
	w.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.request(url, body)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Forebay_20261126."+operation)
	sigv4.SignRequest(r, w.root, region, "forebay", body, time.Now())
	if status, answer := w.send(r); status != http.StatusOK {
		w.t.Fatalf("%s: %d %s", operation, status, answer)
	}
}

// request is a POST that is not signed yet.
func (w *world) request(url string, body []byte) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) send(r *http.Request) (status int, body string) {
	w.t.Helper()
	c := &http.Client{Timeout: watchdog, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// silent fails the test if one of the secrets is in the log.
func (w *world) silent(secrets ...string) {
	w.t.Helper()
	log := w.log.String()
	for i, s := range append(secrets, w.root.SecretKey) {
		if s != "" && strings.Contains(log, s) {
			w.t.Errorf("a secret is in the log (the %dth)", i)
		}
	}
}

// endpointOf splits what the API calls Endpoint: a host, or host:port where the port is not the engine's.
func endpointOf(endpoint string, enginePort int) (host string, port int) {
	host, p, err := net.SplitHostPort(endpoint)
	if err != nil {
		return endpoint, enginePort
	}
	if _, err := fmt.Sscan(p, &port); err != nil {
		return endpoint, enginePort
	}
	return host, port
}

// logBuffer is the log of a Forebay.
type logBuffer struct{ testlog.Buffer }

// says waits until the log has a text: a client is told of its refusal before the log is.
func (b *logBuffer) says(t *testing.T, text string) {
	t.Helper()
	testkit.Eventually(t, "the log says "+text, func() bool { return strings.Contains(b.String(), text) })
}
