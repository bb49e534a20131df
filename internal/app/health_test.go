package app

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/resource"

	"github.com/google/go-cmp/cmp"
)

// TestHealthOfMembers: each member of a proxy has its own health, and of a proxy that is not served all have the same.
func TestHealthOfMembers(t *testing.T) {
	t.Parallel()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Close)
	if _, err := plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012", Region: "us-east-1"})
		for _, id := range []string{"a", "b"} {
			if _, err := tx.AddDatabase(time.Now(), controlplane.DatabaseSpec{Identifier: id, Engine: "mysql", Host: id, Cluster: "shop"}); err != nil {
				return err
			}
		}
		auth := []controlplane.Auth{{SecretARN: "arn:x"}}
		tx.Proxies.Put("prx-1", &controlplane.Proxy{ID: "prx-1", Name: "p1", Auth: auth, Group: controlplane.TargetGroup{Cluster: "shop"}})
		tx.Proxies.Put("prx-2", &controlplane.Proxy{ID: "prx-2", Name: "p2", Auth: auth})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	member := func(id string) resource.Member {
		return resource.Member{Name: id, ResourceID: plane.State().Database(id).ResourceID, Host: id, Port: 3306}
	}
	var unserved atomic.Pointer[map[string]error]
	h := &health{plane: plane, unserved: &unserved, targets: func() []dataplane.TargetHealth {
		return []dataplane.TargetHealth{
			{Proxy: "file", Member: resource.Member{Host: "x"}, Checked: true},
			{ResourceID: "prx-1", Member: member("a"), Role: engine.Writer, Checked: true, Lag: 0},
			{ResourceID: "prx-1", Member: member("b"), Role: engine.Reader, Checked: true, Lag: time.Second},
			{ResourceID: "prx-1", Member: resource.Member{Name: "new", Host: "n"}, Checked: true, Err: errors.New("why"), Lag: -1},
		}
	}}
	for _, tt := range []struct {
		name     string
		proxy    string
		unserved error
		want     []controlplane.MemberHealth
	}{
		{"each its own", "prx-1", nil, []controlplane.MemberHealth{
			{Member: member("a"), State: "AVAILABLE", Role: "READ_WRITE", Lag: -1},
			{Member: member("b"), State: "AVAILABLE", Role: "READ_ONLY", Lag: time.Second},
			{Member: resource.Member{Name: "new", Host: "n"}, State: "UNAVAILABLE", Reason: "CONNECTION_FAILED", Description: "why", Role: "UNKNOWN", Lag: -1},
		}},
		{"not served", "prx-1", errors.New("address in use"), []controlplane.MemberHealth{
			{Member: member("a"), State: "UNAVAILABLE", Description: "The proxy is not served as it should be: address in use", Role: "UNKNOWN", Lag: -1},
			{Member: member("b"), State: "UNAVAILABLE", Description: "The proxy is not served as it should be: address in use", Role: "UNKNOWN", Lag: -1},
		}},
		{"no target", "prx-2", nil, nil},
		{"no proxy", "prx-3", nil, nil},
	} {
		unserved.Store(&map[string]error{tt.proxy: tt.unserved})
		if d := cmp.Diff(tt.want, h.Members(tt.proxy)); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}
