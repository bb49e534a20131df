package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPrintDatabases: each row says the role, the lag and the health of what is known.
func TestPrintDatabases(t *testing.T) {
	t.Parallel()
	lag := 1500
	of := func(name, cluster string, h *health) listed {
		return listed{database: database{Identifier: name, Engine: "mysql", Host: name, Port: 3306, Cluster: cluster, TLSMode: "prefer"}, Health: h}
	}
	var got strings.Builder
	if err := printDatabases(&got, &databases{
		Databases: []listed{
			of("a", "shop", &health{State: "AVAILABLE", Role: "READ_WRITE"}),
			of("b", "shop", &health{State: "UNAVAILABLE", Reason: "UNREACHABLE", Description: "b:3306 refuses connections", Role: "READ_ONLY"}),
			of("spare", "", nil),
		},
		Clusters: []cluster{{Identifier: "shop", Engine: "mysql"}},
		Found:    []found{{Name: "c", Cluster: "shop", Host: "::1", Port: 3307, Health: health{State: "AVAILABLE", Role: "READ_ONLY", LagMilliseconds: &lag}}},
	}); err != nil {
		t.Fatal(err)
	}
	const want = `NAME   ENGINE  ADDRESS     CLUSTER  TLS     IAM  DECLARED BY  ROLE        LAG   HEALTH
a      mysql   a:3306      shop     prefer  -    API          READ_WRITE  -     AVAILABLE
b      mysql   b:3306      shop     prefer  -    API          READ_ONLY   -     UNAVAILABLE: UNREACHABLE: b:3306 refuses connections
spare  mysql   spare:3306  -        prefer  -    API          -           -     -
c      mysql   [::1]:3307  shop     -       -    found        READ_ONLY   1.5s  AVAILABLE
`
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
}
