package api

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/service/rds"
)

// TestDeleteProxy: its clients are closed, nobody listens there any more, and the API does not know it.
func TestDeleteProxy(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d database) {
		w := newWorld(t)
		p := w.newProxy("shop", d, w.secret("app", d.user, d.password, nil))
		d.soon(t, "clients are served", p.endpoint, d.user, d.password)
		c, err := d.open(t.Context(), p.endpoint, d.user, d.password)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if _, err := w.sdk(w.root).rds.DeleteDBProxy(t.Context(), &rds.DeleteDBProxyInput{DBProxyName: &p.name}); err != nil {
			t.Fatal(err)
		}
		_, err = w.sdk(w.root).rds.DescribeDBProxies(t.Context(), &rds.DescribeDBProxiesInput{DBProxyName: &p.name})
		if code := sdkCode(err); code != "DBProxyNotFoundFault" {
			t.Errorf("describe: %v", err)
		}
		testkit.Eventually(t, "the client is closed", func() bool {
			_, err := c.one(t.Context(), "SELECT 1")
			return err != nil
		})
		host, port := endpointOf(p.endpoint, d.enginePort)
		testkit.Eventually(t, "the port is free", func() bool {
			l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
			if err == nil {
				l.Close()
			}
			return err == nil
		})
		// The address is given again, to the next one.
		if again := w.newProxy("shop-2", d, p.secret); again.endpoint != p.endpoint {
			t.Errorf("endpoint %s, want %s again", again.endpoint, p.endpoint)
		}
		d.soon(t, "clients are served by the next proxy", p.endpoint, d.user, d.password)
	})
}

// described is what the API says about proxies, for comparison.
func (w *world) described() string {
	w.t.Helper()
	out := ""
	api := w.sdk(w.root).rds
	proxies, err := api.DescribeDBProxies(w.t.Context(), &rds.DescribeDBProxiesInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range proxies.DBProxies {
		out += fmt.Sprintln(*p.DBProxyName, *p.DBProxyArn, *p.Endpoint, *p.RoleArn, *p.CreatedDate, *p.UpdatedDate)
	}
	endpoints, err := api.DescribeDBProxyEndpoints(w.t.Context(), &rds.DescribeDBProxyEndpointsInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range endpoints.DBProxyEndpoints {
		out += fmt.Sprintln(*e.DBProxyEndpointName, *e.DBProxyEndpointArn, *e.Endpoint, *e.CreatedDate)
	}
	return out
}

// TestRestart stops Forebay and starts it again on the same folder.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := mariaDatabase(t)
	p := w.newProxy("shop", d, w.secret("app", d.user, d.password, nil))
	made, err := w.sdk(w.root).rds.CreateDBProxyEndpoint(t.Context(), &rds.CreateDBProxyEndpointInput{
		DBProxyName: &p.name, DBProxyEndpointName: ptr("more"), VpcSubnetIds: []string{"subnet-1", "subnet-2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	more := *made.DBProxyEndpoint.Endpoint
	for _, e := range []string{p.endpoint, more} {
		d.soon(t, "clients are served", e, d.user, d.password)
	}
	before := w.described()
	w.stop()
	w.start()
	if after := w.described(); after != before {
		t.Errorf("before the restart\n%s\nafter it\n%s", before, after)
	}
	for _, e := range []string{p.endpoint, more} { // at once: when Open returns, clients are served
		d.letIn(t, "after the restart", e, d.user, d.password)
	}
	p.becomes("AVAILABLE", "")
	w.silent(d.password)
}

// TestKill kills the program itself in the middle of changes, and starts it again on the same folder.
func TestKill(t *testing.T) {
	t.Parallel()
	d := postgresDatabase(t)
	w := newWorld(t)
	w.stop() // the program takes over its folder
	w.log = logBuffer{}
	binary := filepath.Join(w.dir, "forebay")
	if out, err := exec.Command("go", "build", "-pgo=off", "-o", binary, "forebay/cmd/forebay").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	port, err := localserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	w.program = fmt.Sprintf("127.0.0.1:%d", port)
	w.configure(w.program)
	serve := func() (kill func()) { return w.serve(binary) }
	kill := serve()
	p := w.newProxy("shop", d, w.secret("app", d.user, d.password, nil))
	d.soon(t, "clients are served", p.endpoint, d.user, d.password)
	var made []string // what was answered before the kill, and so must be there
	for round := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		names := make(chan string, 1000)
		go func() { // goes on until the program is killed
			defer close(names)
			api := w.sdk(w.root).rds
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("e-%d-%d", round, i)
				_, err := api.CreateDBProxyEndpoint(ctx, &rds.CreateDBProxyEndpointInput{
					DBProxyName: &p.name, DBProxyEndpointName: &name, VpcSubnetIds: []string{"subnet-1", "subnet-2"},
				})
				if err != nil {
					return
				}
				names <- name
			}
		}()
		for range 2 {
			made = append(made, <-names)
		}
		kill()
		cancel()
		for name := range names {
			made = append(made, name)
		}
		kill = serve()
		d.soon(t, "clients are served after the kill", p.endpoint, d.user, d.password)
		for _, name := range made {
			if _, err := w.sdk(w.root).rds.DescribeDBProxyEndpoints(t.Context(), &rds.DescribeDBProxyEndpointsInput{
				DBProxyName: &p.name, DBProxyEndpointName: &name,
			}); err != nil {
				t.Errorf("%s was made and is not there after the kill: %v", name, err)
			}
		}
	}
	all, err := w.sdk(w.root).rds.DescribeDBProxies(t.Context(), &rds.DescribeDBProxiesInput{DBProxyName: &p.name})
	if err != nil {
		t.Fatal(err)
	}
	if got := all.DBProxies[0]; *got.DBProxyArn != p.arn || *got.Endpoint != p.endpoint {
		t.Errorf("after the kills: %s at %s, want %s at %s", *got.DBProxyArn, *got.Endpoint, p.arn, p.endpoint)
	}
	w.silent(d.password)
}
