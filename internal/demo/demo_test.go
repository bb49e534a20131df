package demo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"forebay/internal/app"
	"forebay/internal/config"
	"forebay/internal/demo"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// roleVar tells a copy of this test binary to be something else than the tests: a stand-in for Forebay, or the demo.
const roleVar = "FOREBAY_DEMO_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "queue", "broken", "mute":
		os.Exit(standIn(os.Getenv(roleVar)))
	case "forebay":
		if err := app.Run(context.Background(), app.Options{ConfigPath: os.Args[3]}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "demo":
		os.Setenv(roleVar, "queue")
		err := demo.Run(context.Background(), os.Stdout, io.Discard, demo.Options{Clients: 3, Executable: os.Args[0]})
		fmt.Println(err)
		os.Exit(1)
	}
	code := testkit.Run(m)
	if err := goleak.Find(); code == 0 && err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

// standIn reads the demo's configuration as Forebay does and forwards bytes. As a queue it lets a few clients through
// at a time; a broken one closes every fifth connection; a mute one ends at once.
func standIn(role string) int {
	if len(os.Args) != 4 || os.Args[1] != "serve" || os.Args[2] != "--config" {
		fmt.Println("unexpected arguments", os.Args)
		return 2
	}
	cfg, err := config.Load(os.Args[3])
	if err != nil || role == "mute" {
		fmt.Println("the stand-in has ended:", err)
		return 2
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	for _, p := range cfg.Snapshot.Proxies {
		l, err := net.Listen("tcp", p.Endpoints[0].Listen)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		go forward(l, p, role == "broken")
	}
	<-stop
	return 0
}

// forward is one proxy of the stand-in.
func forward(l net.Listener, p resource.Proxy, broken bool) {
	turns := make(chan struct{}, p.Pool.MaxConnections)
	for n := 0; ; n++ {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if broken && n%5 == 4 {
			c.Close()
			continue
		}
		go func() {
			defer c.Close()
			turns <- struct{}{}
			defer func() { <-turns }()
			s, err := net.Dial("tcp", net.JoinHostPort(p.Target.Members[0].Host, strconv.Itoa(p.Target.Members[0].Port)))
			if err != nil {
				return
			}
			defer s.Close()
			go io.Copy(c, s)
			io.Copy(s, c)
			io.Copy(io.Discard, s)
		}()
	}
}

// need skips a test that cannot have both databases.
func need(t *testing.T) {
	t.Helper()
	for _, find := range []func() ([]localserver.Install, error){localserver.FindPostgres, localserver.FindMySQL} {
		if _, err := find(); errors.Is(err, localserver.ErrNotInstalled) && os.Getenv("FOREBAY_REQUIRE_SERVERS") != "1" {
			t.Skipf("needs a real server: %v", err)
		}
	}
}

// cells finds the values of a row of the comparison: for each database straight at it and through Forebay.
func cells(t *testing.T, output, name string) [4]int {
	t.Helper()
	m := regexp.MustCompile(`\| ` + regexp.QuoteMeta(name) + ` +` + strings.Repeat(`\| +([0-9,]+) `, 4) + `\|`).FindStringSubmatch(output)
	if m == nil {
		t.Fatalf("no row %q in:\n%s", name, output)
	}
	var out [4]int
	for i := range out {
		out[i], _ = strconv.Atoi(strings.ReplaceAll(m[i+1], ",", ""))
	}
	return out
}

// The demo's tests set environment variables and look at the temporary folder, so they run one after the other.

func run(t *testing.T, role string, o demo.Options) (string, error) {
	t.Helper()
	need(t)
	tmp, err := os.MkdirTemp("/tmp", "fbdemo-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // the database's account has to get in
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", tmp)
	t.Setenv(roleVar, role)
	var out bytes.Buffer
	o.Once, o.Executable = true, os.Args[0]
	err = demo.Run(t.Context(), &out, io.Discard, o)
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("the demo left %v", left)
	}
	return out.String(), err
}

func TestOnce(t *testing.T) {
	out, err := run(t, "queue", demo.Options{Clients: 300, Hold: 100 * time.Millisecond})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ok, failed, most := cells(t, out, "succeeded"), cells(t, out, "failed"), cells(t, out, "server connections, most")
	for i := 0; i < len(ok); i += 2 {
		// Whether clients fail without Forebay depends on how fast the machine lets them come and go.
		if ok[i+1] != 300 || failed[i+1] != 0 || ok[i]+failed[i] != 300 || most[i] > 86 || most[i+1] > 25 {
			t.Errorf("succeeded %v, failed %v, server connections %v in:\n%s", ok, failed, most, out)
		}
	}
	if (failed[0] > 0 || failed[2] > 0) != strings.Contains(out, "Why clients failed") || strings.ContainsAny(out, "\x1b│") {
		t.Errorf("want the reason for failures, in plain ASCII:\n%s", out)
	}
}

// TestSteps goes through the four steps with a real Forebay, without Node.js, and without the AWS CLI unless the system has it.
func TestSteps(t *testing.T) {
	t.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := run(t, "forebay", demo.Options{Clients: 20, Steps: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"$ aws secretsmanager create-secret ", "$ aws iam create-role ", "$ aws iam put-role-policy ", "$ forebay database add orders-db ",
		"$ aws rds create-db-proxy ", "$ aws rds register-db-proxy-targets ", "$ aws sts assume-role ", "VERIFY_IDENTITY", "20 of 20 succeeded; log-in",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in:\n%s", want, out)
		}
	}
}

func TestFailureThroughForebayIsAnError(t *testing.T) {
	out, err := run(t, "broken", demo.Options{Clients: 20})
	if err == nil || strings.Count(err.Error(), "failed through Forebay") != 2 {
		t.Errorf("err = %v, want that clients failed at both\n%s", err, out)
	}
}

func TestForebayEndsAtOnce(t *testing.T) {
	_, err := run(t, "mute", demo.Options{Clients: 5})
	if err == nil || !strings.Contains(err.Error(), "the stand-in has ended") {
		t.Errorf("err = %v, want Forebay's last words", err)
	}
}

// TestKilled checks that nothing outlives a demo that had no chance to clean up.
func TestKilled(t *testing.T) {
	need(t)
	tmp, err := os.MkdirTemp("/tmp", "fbdemo-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, roleVar+"=demo")
	// A file, not a pipe: its end would be held open by what the demo started.
	output := filepath.Join(tmp, "output")
	f, err := os.Create(output)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout = f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addrs [][]string
	await(t, "the lines to paste", func() bool {
		b, _ := os.ReadFile(output)
		addrs = regexp.MustCompile(`host=(\S+) (?:--)?port=(\d+) (?:--)?user=`).FindAllStringSubmatch(string(b), -1)
		return strings.Contains(string(b), "Ctrl-C")
	})
	cmd.Process.Kill()
	cmd.Wait()
	if len(addrs) != 4 {
		t.Fatalf("lines to paste: %v", addrs)
	}
	for _, a := range addrs {
		await(t, "silence on port "+a[2], func() bool {
			c, err := net.Dial("tcp", net.JoinHostPort(a[1], a[2]))
			if err == nil {
				c.Close()
			}
			return err != nil
		})
	}
	await(t, "an empty folder", func() bool {
		left, _ := filepath.Glob(filepath.Join(tmp, "forebay-*"))
		return len(left) == 0
	})
}

// await polls until ok, or fails the test after a time that only a hang reaches.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
