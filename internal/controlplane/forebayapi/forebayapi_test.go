package forebayapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"forebay/internal/cluster"
	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 22, 10, 35, 54, 910_000_000, time.UTC)

// caller may do what allow says.
type caller struct {
	allow func(action, resource string) bool
}

func (caller) ARN() string       { return "arn:aws:iam::123456789012:root" }
func (caller) AccountID() string { return "123456789012" }
func (caller) UserID() string    { return "123456789012" }

func (c caller) Authorize(_ *awsapi.Call, a awsapi.Access) error {
	if c.allow(a.Action, a.Resource) {
		return nil
	}
	return awsapi.Errorf(403, "AccessDenied", "no")
}

// try does an operation for a caller who may do what allow says, "ACTION RESOURCE" each, and returns the code of a refusal.
func try[In, Out any](t *testing.T, fn func(context.Context, *awsapi.Call, *In) (*Out, error), in In, allow ...string) (*Out, string) {
	t.Helper()
	c := &awsapi.Call{Time: start, Caller: caller{func(action, resource string) bool { return slices.Contains(allow, action+" "+resource) }}}
	out, err := fn(t.Context(), c, &in)
	var e *awsapi.Error
	if errors.As(err, &e) {
		return out, e.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	return out, ""
}

func TestDatabases(t *testing.T) {
	t.Parallel()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Close)
	s := &server{plane: plane}
	if _, code := try(t, s.listDatabases, ListDatabasesInput{}, ""); code != "InternalFailure" {
		t.Errorf("without an account: %s", code)
	}
	if _, err := plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012", Region: "us-east-1"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:rds:us-east-1:123456789012:db:"
	shop, port := "shop", 3307
	in := AddDatabaseInput{Identifier: "my", Engine: "mysql", Host: "db", Port: &port, Cluster: &shop}
	want := Database{Identifier: "my", ARN: arn + "my", Engine: "mysql", Host: "db", Port: 3307, Cluster: &shop, TLSMode: "prefer", Created: start}
	const my, toShop = "forebay:AddDatabase " + arn + "my", "forebay:AddDatabase arn:aws:rds:us-east-1:123456789012:cluster:shop"
	for _, allow := range [][]string{{"forebay:AddDatabase " + arn + "other", toShop}, {my}, {my, toShop + "s"}} { // proxies log in to what is in their cluster
		if _, code := try(t, s.addDatabase, in, allow...); code != "AccessDenied" {
			t.Errorf("with %s: code %s", allow, code)
		}
	}
	out, code := try(t, s.addDatabase, in, my, toShop)
	if code != "" || !cmp.Equal(out.Database, want) {
		t.Errorf("added %+v, code %s", out, code)
	}
	for code, in := range map[string]AddDatabaseInput{"DBInstanceAlreadyExists": in, "InvalidParameterValue": {Identifier: "my", Engine: "oracle", Host: "db"}} {
		if _, got := try(t, s.addDatabase, in, my, toShop); got != code {
			t.Errorf("%+v: code %s, want %s", in, got, code)
		}
	}
	list := func(n int) {
		t.Helper()
		out, code := try(t, s.listDatabases, ListDatabasesInput{}, "forebay:ListDatabases "+arn+"*")
		if code != "" || len(out.Databases) != n || n == 1 && !cmp.Equal(out.Databases[0], want) {
			t.Errorf("listed %+v, code %s", out, code)
		}
	}
	list(1)
	if _, err := plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		tx.Proxies.Put("prx-1", &controlplane.Proxy{ID: "prx-1", Name: "p1", Group: controlplane.TargetGroup{Cluster: "shop"}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	force := true
	if _, code := try(t, s.removeDatabase, RemoveDatabaseInput{Identifier: "MY", Force: &force}, "forebay:RemoveDatabase "+arn+"MY"); code != "AccessDenied" {
		t.Errorf("by another spelling: code %s", code) // a policy may deny the one that it has
	}
	for _, tt := range []struct {
		in   RemoveDatabaseInput
		code string
	}{
		{RemoveDatabaseInput{Identifier: "other"}, "DBInstanceNotFound"},
		{RemoveDatabaseInput{Identifier: "my"}, "InvalidDBInstanceState"},
		{RemoveDatabaseInput{Identifier: "my", Force: &force}, ""},
	} {
		if _, code := try(t, s.removeDatabase, tt.in, "forebay:RemoveDatabase "+arn+tt.in.Identifier); code != tt.code {
			t.Errorf("%+v: code %s, want %s", tt.in, code, tt.code)
		}
	}
	list(0)
	if got := Service(plane, nil); len(got.Operations) != 8 || got.Target != "Forebay_20261126" {
		t.Errorf("service %+v", got)
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Close)
	if _, _, err := plane.EnsureAccount(t.Context(), "us-east-1", "123456789012", controlplane.AccessKey{ID: "AKIA"}); err != nil {
		t.Fatal(err)
	}
	s := &server{plane: plane}
	backup := func(allow string) (func(io.Writer) error, string) {
		t.Helper()
		write, code := try(t, func(ctx context.Context, c *awsapi.Call, in *BackupInput) (*func(io.Writer) error, error) {
			w, err := s.takeBackup(ctx, c, in)
			return &w, err
		}, BackupInput{}, allow)
		return *write, code
	}
	if _, code := backup("forebay:Backup arn:aws:rds:us-east-1:123456789012:db:*"); code != "AccessDenied" {
		t.Errorf("not allowed: code %s", code)
	}
	for range 2 {
		write, code := backup("forebay:Backup *")
		if code != "" {
			t.Fatalf("code %s", code)
		}
		if _, code := backup("forebay:Backup *"); code != "ThrottlingException" {
			t.Errorf("a second one meanwhile: code %s", code)
		}
		var file bytes.Buffer
		if err := write(&file); err != nil {
			t.Fatal(err)
		}
		if info, err := cluster.CheckBackup(&file); err != nil || info.Entries != 2 {
			t.Errorf("the backup has %d entries, %v; want the account and the head", info.Entries, err)
		}
	}
}
