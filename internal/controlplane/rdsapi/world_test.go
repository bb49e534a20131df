package rdsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// world is an account with three databases: the instances pg and my, and the cluster shop with its writer shop-1 and the
// reader shop-2.
type world struct {
	t     *testing.T
	plane *controlplane.Plane
	*server
	caller *caller
	now    time.Time
}

var start = time.Date(2026, 11, 22, 10, 35, 54, 910_000_000, time.UTC)

func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Close)
	w := &world{t: t, plane: plane, caller: &caller{}, now: start}
	if len(o.Listeners.Addresses) == 0 {
		o.Listeners = controlplane.Listeners{Addresses: []string{"127.0.0.1", "127.0.1.0/24", "::1"}, Ports: controlplane.PortRange{First: 20000, Last: 20999}}
	}
	w.server = newServer(plane, nil, o)
	w.change(func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012", Region: "us-east-1", Suffix: "abcdefghijkl", Made: start})
		for i, d := range []controlplane.DatabaseSpec{
			{Identifier: "pg", Engine: "postgres", Host: "10.0.0.1", Version: "18.1"},
			{Identifier: "my", Engine: "mariadb", Host: "db.example.com", Port: 13306},
			{Identifier: "shop-1", Engine: "aurora-mysql", Host: "10.0.0.3", Cluster: "shop"},
			{Identifier: "shop-2", Engine: "aurora-mysql", Host: "10.0.0.4", Cluster: "shop"},
		} {
			if _, err := tx.AddDatabase(start.Add(time.Duration(i)*time.Second), d); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

func (w *world) change(fn func(tx *controlplane.Tx) error) {
	w.t.Helper()
	if _, err := w.plane.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) call() *awsapi.Call { return &awsapi.Call{Caller: w.caller, Time: w.now} }

// caller may do everything but what deny says, and remembers what was asked.
type caller struct {
	mu    sync.Mutex
	asked []string // guarded by mu
	deny  func(action, resource string) bool
}

func (*caller) ARN() string       { return "arn:aws:iam::123456789012:root" }
func (*caller) AccountID() string { return "123456789012" }
func (*caller) UserID() string    { return "123456789012" }

func (c *caller) Authorize(_ *awsapi.Call, a awsapi.Access) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, a.Action+" "+a.Resource)
	if c.deny != nil && c.deny(a.Action, a.Resource) {
		return awsapi.Errorf(403, "AccessDenied", "not authorized to perform: %s", a.Action)
	}
	return nil
}

func (c *caller) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	return asked
}

// do calls an operation and fails the test on an error.
func do[In, Out any](w *world, fn func(context.Context, *awsapi.Call, *In) (*Out, error), in In) *Out {
	w.t.Helper()
	out, err := fn(w.t.Context(), w.call(), &in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return out
}

// refused calls an operation that must be refused with a code, and change nothing.
func refused[In, Out any](w *world, fn func(context.Context, *awsapi.Call, *In) (*Out, error), in In, code string) {
	w.t.Helper()
	before := w.plane.State().Revision
	_, err := fn(w.t.Context(), w.call(), &in)
	if codeOf(err) != code {
		w.t.Errorf("%+v: got %v, want %s", in, err, code)
	}
	if after := w.plane.State().Revision; after != before {
		w.t.Errorf("%+v: refused, but it has changed the state", in)
	}
}

func codeOf(err error) string {
	var e *awsapi.Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	want := 400
	if slices.Contains([]string{
		"DBProxyNotFoundFault", "DBProxyEndpointNotFoundFault", "DBProxyTargetGroupNotFoundFault", "DBProxyTargetNotFoundFault",
		"DBInstanceNotFound", "DBClusterNotFoundFault",
	}, e.Code) {
		want = 404
	}
	if e.Code == "AccessDenied" {
		want = 403
	}
	if e.Status != want || e.Fault || e.Message == "" {
		return fmt.Sprintf("%s with status %d, fault %t, message %q", e.Code, e.Status, e.Fault, e.Message)
	}
	return e.Code
}

const (
	role   = "arn:aws:iam::123456789012:role/proxy"
	secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
)

func p[T any](v T) *T { return &v }

// silent gives operations without an answer the form of the others.
func silent[In any](fn func(context.Context, *awsapi.Call, *In) error) func(context.Context, *awsapi.Call, *In) (*struct{}, error) {
	return func(ctx context.Context, c *awsapi.Call, in *In) (*struct{}, error) {
		return &struct{}{}, fn(ctx, c, in)
	}
}

func createInput(name string) CreateDBProxyInput {
	return CreateDBProxyInput{
		DBProxyName: name, EngineFamily: "MYSQL", RoleArn: role, VpcSubnetIds: []string{"subnet-1", "subnet-2"},
		Auth: []UserAuthConfig{{AuthScheme: p("SECRETS"), SecretArn: p(secret), IAMAuth: p("DISABLED")}},
	}
}

// create makes a proxy and describes it.
func (w *world) create(name string, change ...func(in *CreateDBProxyInput)) DBProxy {
	w.t.Helper()
	in := createInput(name)
	for _, f := range change {
		f(&in)
	}
	if status := do(w, w.createDBProxy, in).DBProxy.Status; status != "creating" {
		w.t.Errorf("CreateDBProxy answers status %s", status)
	}
	return w.describe(name)
}

func (w *world) describe(name string) DBProxy {
	w.t.Helper()
	out := do(w, w.describeDBProxies, DescribeDBProxiesInput{DBProxyName: &name})
	if len(out.DBProxies) != 1 || out.DBProxies[0].Status != "available" || out.Marker != nil {
		w.t.Fatalf("described as %+v", out)
	}
	return out.DBProxies[0]
}

func (w *world) group(name string) DBProxyTargetGroup {
	w.t.Helper()
	out := do(w, w.describeDBProxyTargetGroups, DescribeDBProxyTargetGroupsInput{DBProxyName: name})
	if len(out.TargetGroups) != 1 || !out.TargetGroups[0].IsDefault || out.TargetGroups[0].Status != "available" {
		w.t.Fatalf("described as %+v", out)
	}
	return out.TargetGroups[0]
}

func postgres(in *CreateDBProxyInput) { in.EngineFamily = "POSTGRESQL" }

func long(n int) string { return strings.Repeat("a", n) }
