package controlplane_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/resource"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 22, 10, 35, 54, 0, time.UTC)

// newPlane has an account.
func newPlane(t *testing.T) *controlplane.Plane {
	t.Helper()
	p, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	change(t, p, func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012", Region: "us-east-1", Suffix: "abcdefghijkl"})
		return nil
	})
	return p
}

func change(t *testing.T, p *controlplane.Plane, fn func(tx *controlplane.Tx) error) *controlplane.State {
	t.Helper()
	s, err := p.Update(t.Context(), fn)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, p *controlplane.Plane, specs ...controlplane.DatabaseSpec) {
	t.Helper()
	for _, d := range specs {
		change(t, p, func(tx *controlplane.Tx) error {
			_, err := tx.AddDatabase(start, d)
			return err
		})
	}
}

func TestAddDatabase(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	add(t, p, controlplane.DatabaseSpec{Identifier: "Shop", Engine: "postgres", Host: "db"}, controlplane.DatabaseSpec{Identifier: "c1", Engine: "mysql", Host: "::1", Port: 1, Cluster: "C"})
	got := *p.State().Database("sHOP")
	if !strings.HasPrefix(got.ResourceID, "db-") || len(got.ResourceID) != 29 {
		t.Errorf("resource id %s", got.ResourceID)
	}
	got.ResourceID = ""
	if d := cmp.Diff(controlplane.Database{Identifier: "Shop", Engine: "postgres", Host: "db", Port: 5432, TLSMode: resource.TLSPrefer, Created: start}, got); d != "" {
		t.Error(d)
	}
	if c := p.State().Cluster("c"); c == nil || c.Identifier != "C" || c.Engine != "mysql" {
		t.Errorf("cluster %+v", c)
	}
	type spec = controlplane.DatabaseSpec
	for field, d := range map[string]spec{
		"Identifier": {Identifier: "a b", Engine: "postgres", Host: "db"},
		"Engine":     {Identifier: "a", Engine: "oracle-ee", Host: "db"},
		"Version":    {Identifier: "a", Engine: "postgres", Host: "db", Version: strings.Repeat("1", 65)},
		"Host":       {Identifier: "a", Engine: "postgres", Host: "db:5432"},
		"Port":       {Identifier: "a", Engine: "postgres", Host: "db", Port: 65536},
		"Cluster":    {Identifier: "a", Engine: "postgres", Host: "db", Cluster: "-"},
		"TLSMode":    {Identifier: "a", Engine: "postgres", Host: "db", TLSMode: "on"},
		"CA":         {Identifier: "a", Engine: "postgres", Host: "db", TLSMode: resource.TLSVerifyFull, CA: "pem"},
		"IAM":        {Identifier: "a", Engine: "postgres", Host: "db", IAM: "azure"},
		"IAMRegion":  {Identifier: "a", Engine: "postgres", Host: "db", IAM: "aws", IAMRegion: "Frankfurt"},
	} {
		_, err := p.Update(t.Context(), func(tx *controlplane.Tx) error { _, err := tx.AddDatabase(start, d); return err })
		var e *controlplane.FieldError
		if !errors.As(err, &e) || e.Field != field {
			t.Errorf("%+v: %v, want an error of %s", d, err, field)
		}
	}
	for _, tt := range []struct {
		d    spec
		want error
	}{
		{spec{Identifier: "SHOP", Engine: "postgres", Host: "db"}, controlplane.ErrDatabaseExists},
		{spec{Identifier: "c2", Engine: "aurora-mysql", Host: "db", Cluster: "c"}, &controlplane.FieldError{}},
	} {
		_, err := p.Update(t.Context(), func(tx *controlplane.Tx) error { _, err := tx.AddDatabase(start, tt.d); return err })
		var e *controlplane.FieldError
		if !errors.Is(err, tt.want) && !errors.As(err, &e) {
			t.Errorf("%+v: %v", tt.d, err)
		}
	}
	change(t, p, func(tx *controlplane.Tx) error {
		tx.Clusters.Put("f", &controlplane.Cluster{Identifier: "f", Engine: "mysql", FromFile: true})
		return nil
	})
	_, err := p.Update(t.Context(), func(tx *controlplane.Tx) error {
		_, err := tx.AddDatabase(start, spec{Identifier: "f1", Engine: "mysql", Host: "db", Cluster: "f"})
		return err
	})
	if !errors.Is(err, controlplane.ErrFromFile) {
		t.Error(err)
	}
}

// TestDatabaseOfIAM: tokens need TLS, which is to be verified unless somebody says otherwise.
func TestDatabaseOfIAM(t *testing.T) {
	t.Parallel()
	type spec = controlplane.DatabaseSpec
	for _, tt := range []struct {
		d     spec
		field string
	}{
		{spec{IAM: "forebay"}, ""},
		{spec{IAM: "aws", TLSMode: resource.TLSRequire, IAMRegion: "eu-central-1"}, ""},
		{spec{IAM: "aws", TLSMode: resource.TLSPrefer}, "TLSMode"},
		{spec{IAM: "aws", TLSMode: resource.TLSDisable}, "TLSMode"},
		{spec{IAM: "forebay", IAMRegion: "eu-central-1"}, "IAMRegion"},
		{spec{IAM: "aws", Engine: "sqlserver-ee"}, "IAM"},
	} {
		tt.d.Identifier, tt.d.Host = "a", "db"
		if tt.d.Engine == "" {
			tt.d.Engine = "postgres"
		}
		if field, reason := tt.d.Check(); field != tt.field {
			t.Errorf("%+v: %s: %s", tt.d, field, reason)
		}
	}
	p := newPlane(t)
	add(t, p, spec{Identifier: "one", Engine: "mysql", Host: "db", IAM: "forebay"}, spec{Identifier: "c1", Engine: "mysql", Host: "db", Cluster: "c"})
	if d := p.State().Database("one"); d.TLSMode != resource.TLSVerifyFull || d.IAM != "forebay" {
		t.Errorf("declared %+v", d)
	}
	for host, want := range map[string]string{
		"shop.abcdefghijkl.eu-central-1.rds.amazonaws.com":  "eu-central-1",
		"Shop.cluster-x.us-gov-west-1.RDS.amazonaws.com":    "us-gov-west-1",
		"shop.abcdefghijkl.cn-north-1.rds.amazonaws.com.cn": "cn-north-1",
		"db.example.com": "",
		"shop.eu-central-1.rds.amazonaws.com.example.com": "",
	} {
		if got := (&controlplane.Database{Host: host}).Region(); got != want {
			t.Errorf("%s is in %q, want %q", host, got, want)
		}
	}
	if got := (&controlplane.Database{Host: "x.y.eu-west-1.rds.amazonaws.com", IAMRegion: "eu-west-2"}).Region(); got != "eu-west-2" {
		t.Errorf("a region that was given became %s", got)
	}
	s := p.State()
	for want, g := range map[string]controlplane.TargetGroup{
		s.Database("one").ResourceID: {Instance: "one"}, s.Cluster("c").ResourceID: {Cluster: "c"}, "": {},
	} {
		if got := s.ConnectID(&g); got != want {
			t.Errorf("%+v is %q, want %q", g, got, want)
		}
	}
}

func TestRemoveDatabase(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	add(t, p,
		controlplane.DatabaseSpec{Identifier: "one", Engine: "mysql", Host: "db"},
		controlplane.DatabaseSpec{Identifier: "file", Engine: "mysql", Host: "db", FromFile: true},
		controlplane.DatabaseSpec{Identifier: "c1", Engine: "mysql", Host: "db", Cluster: "c"})
	change(t, p, func(tx *controlplane.Tx) error {
		tx.Proxies.Put("prx-1", &controlplane.Proxy{ID: "prx-1", Name: "p1", Group: controlplane.TargetGroup{Instance: "one"}})
		tx.Proxies.Put("prx-2", &controlplane.Proxy{ID: "prx-2", Name: "p2", Group: controlplane.TargetGroup{Cluster: "c"}})
		return nil
	})
	add(t, p, controlplane.DatabaseSpec{Identifier: "c2", Engine: "mysql", Host: "db", Cluster: "C"})
	remove := func(id string, force, fromFile bool) error {
		_, err := p.Update(t.Context(), func(tx *controlplane.Tx) error {
			_, err := tx.RemoveDatabase(start, id, force, fromFile)
			return err
		})
		return err
	}
	for _, tt := range []struct {
		id              string
		force, fromFile bool
		want            error
	}{
		{"other", true, true, controlplane.ErrDatabaseNotFound},
		{"file", true, false, controlplane.ErrFromFile},
		{"file", false, true, nil},
		{"One", false, false, controlplane.ErrDatabaseInUse},
		{"c2", false, false, controlplane.ErrDatabaseInUse},
		{"ONE", true, false, nil},
		{"c1", true, false, nil},
		{"c2", true, false, nil},
	} {
		if err := remove(tt.id, tt.force, tt.fromFile); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.id, err, tt.want)
		}
	}
	s := p.State()
	if s.Databases.Len() != 0 || s.Clusters.Len() != 0 {
		t.Errorf("%d databases and %d clusters are left", s.Databases.Len(), s.Clusters.Len())
	}
	for _, px := range s.Proxies.All() {
		if px.Group.Instance+px.Group.Cluster != "" {
			t.Errorf("%s still has a target", px.Name)
		}
	}
	var got []string
	for _, e := range s.Events.All() {
		got = append(got, e.ID+" "+e.SourceID)
	}
	if d := cmp.Diff([]string{"RDS-EVENT-0213 p2", "RDS-EVENT-0214 p1", "RDS-EVENT-0214 p2", "RDS-EVENT-0215 p2"}, got); d != "" {
		t.Error(d)
	}
}
