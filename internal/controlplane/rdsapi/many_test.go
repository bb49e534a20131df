package rdsapi

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"forebay/internal/controlplane"
	"forebay/internal/resource"
)

// TestTenThousand goes through 10,000 proxies in pages while rows come and go.
func TestTenThousand(t *testing.T) {
	t.Parallel()
	const n = 10_000
	w := newWorld(t, Options{Proxies: n + 1})
	w.change(func(tx *controlplane.Tx) error {
		for i := range n {
			id := fmt.Sprintf("prx-%017x", i*7919%n)
			tx.Proxies.Put(id, &controlplane.Proxy{
				ID: id, Name: fmt.Sprintf("p%05d", i), Status: "available", EngineFamily: resource.MySQL,
				Listen: controlplane.Listen{Address: fmt.Sprintf("127.9.%d.%d", i/250, i%250), Port: 3306},
			})
		}
		return nil
	})
	seen := map[string]bool{}
	pages := 0
	for in := (DescribeDBProxiesInput{}); ; {
		out := do(w, w.describeDBProxies, in)
		pages++
		for _, p := range out.DBProxies {
			if seen[p.DBProxyName] {
				t.Fatalf("%s twice", p.DBProxyName)
			}
			seen[p.DBProxyName] = true
		}
		if pages == 3 { // one that was told, one that was not
			do(w, w.deleteDBProxy, DeleteDBProxyInput{"p00007"})
			do(w, w.deleteDBProxy, DeleteDBProxyInput{"p09999"})
			w.create("a-first") // before the place that has been reached
		}
		if in.Marker = out.Marker; in.Marker == nil {
			break
		}
		if len(out.DBProxies) != 100 {
			t.Fatalf("page %d has %d rows", pages, len(out.DBProxies))
		}
	}
	if len(seen) != n-1 || pages != 100 {
		t.Errorf("%d proxies in %d pages", len(seen), pages)
	}
	for _, in := range []DescribeDBProxiesInput{
		{MaxRecords: p(19)},
		{MaxRecords: p(101)},
		{Marker: p("?")},
		{Marker: p("YWJj")},
		{Filters: []Filter{{"a", []string{"b"}}}},
		{DBProxyName: p("")},
	} {
		refused(w, w.describeDBProxies, in, "InvalidParameterValue")
	}
	if out := do(w, w.describeDBProxies, DescribeDBProxiesInput{MaxRecords: p(20), Marker: p("")}); len(out.DBProxies) != 20 || out.Marker == nil {
		t.Errorf("%d rows, marker %v", len(out.DBProxies), out.Marker)
	}
}

// TestWriters lets many change the same things at once: nothing is lost, and what must be unique is.
func TestWriters(t *testing.T) {
	t.Parallel()
	const n = 12
	w := newWorld(t, Options{Proxies: n + 1})
	px := w.create("p0")
	var all sync.WaitGroup
	code := make(chan string, 3*n)
	for i := range n {
		all.Go(func() {
			in := AddTagsToResourceInput{px.DBProxyArn, []Tag{{Key: strconv.Itoa(i)}}}
			if err := w.addTagsToResource(t.Context(), w.call(), &in); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			in := ModifyDBProxyInput{DBProxyName: "p0"}
			switch i % 3 {
			case 0:
				in.RequireTLS = p(true)
			case 1:
				in.IdleClientTimeout = p(77)
			default:
				in.RoleArn = p(role + "77")
			}
			if _, err := w.modifyDBProxy(t.Context(), w.call(), &in); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() { // one more than the quota has room for, each name twice
			in := createInput("n" + strconv.Itoa(i%(n/2)))
			_, err := w.createDBProxy(t.Context(), w.call(), &in)
			code <- codeOf(err)
		})
	}
	all.Wait()
	close(code)
	count := map[string]int{}
	for c := range code {
		count[c]++
	}
	if count["DBProxyAlreadyExistsFault"] != n/2 || count["<nil>"] != n/2 {
		t.Errorf("creations ended in %v", count)
	}
	if got := do(w, w.listTagsForResource, ListTagsForResourceInput{ResourceName: px.DBProxyArn}).TagList; len(got) != n {
		t.Errorf("%d tags, want %d", len(got), n)
	}
	if got := w.describe("p0"); !got.RequireTLS || got.IdleClientTimeout != 77 || got.RoleArn != role+"77" {
		t.Errorf("a change was lost: %+v", got)
	}
	at := map[string]bool{}
	for _, p := range do(w, w.describeDBProxies, DescribeDBProxiesInput{}).DBProxies {
		if at[p.Endpoint] {
			t.Errorf("two proxies at %s", p.Endpoint)
		}
		at[p.Endpoint] = true
	}
	if got := w.plane.State().Events.Len(); got != 1+n+n/2 {
		t.Errorf("%d events", got)
	}
}

// TestAuthorize looks at what each operation asks, and that a refusal is the same whether things exist or not.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	px := w.create("p1", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: "a"}} })
	e := do(w, w.createDBProxyEndpoint, endpointInput("p1", "e1")).DBProxyEndpoint
	const arn = "arn:aws:rds:us-east-1:123456789012:"
	proxy, endpoint, group := px.DBProxyArn, e.DBProxyEndpointArn, w.group("p1").TargetGroupArn
	w.caller.take()
	w.create("p2", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: "a"}} })
	asked := w.caller.take()
	if len(asked) != 4 || asked[0] != "rds:CreateDBProxy *" || !strings.HasPrefix(asked[1], "rds:AddTagsToResource "+arn+"db-proxy:prx-") || asked[2] != "iam:PassRole "+role {
		t.Errorf("CreateDBProxy asks %q", asked)
	}
	w.caller.deny = func(string, string) bool { return true }
	my := []string{"my"}
	for _, tt := range []struct {
		there, absent string // what is asked
		do            func(there bool) error
	}{
		{"rds:ModifyDBProxy " + proxy, "rds:ModifyDBProxy " + arn + "db-proxy:prx-*", func(there bool) error {
			_, err := w.modifyDBProxy(t.Context(), w.call(), &ModifyDBProxyInput{DBProxyName: name(there, "p1")})
			return err
		}},
		{"rds:DeleteDBProxy " + proxy, "rds:DeleteDBProxy " + arn + "db-proxy:prx-*", func(there bool) error {
			_, err := w.deleteDBProxy(t.Context(), w.call(), &DeleteDBProxyInput{name(there, "p1")})
			return err
		}},
		{"rds:DescribeDBProxies " + proxy, "rds:DescribeDBProxies " + arn + "db-proxy:prx-*", func(there bool) error {
			_, err := w.describeDBProxies(t.Context(), w.call(), &DescribeDBProxiesInput{DBProxyName: p(name(there, "p1"))})
			return err
		}},
		{"rds:DescribeDBProxies " + arn + "db-proxy:*", "", func(bool) error {
			_, err := w.describeDBProxies(t.Context(), w.call(), &DescribeDBProxiesInput{})
			return err
		}},
		{"rds:CreateDBProxyEndpoint " + proxy, "rds:CreateDBProxyEndpoint " + arn + "db-proxy:prx-*", func(there bool) error {
			_, err := w.createDBProxyEndpoint(t.Context(), w.call(), p(endpointInput(name(there, "p1"), "e2")))
			return err
		}},
		{"rds:ModifyDBProxyEndpoint " + endpoint, "rds:ModifyDBProxyEndpoint " + arn + "db-proxy-endpoint:prx-endpoint-*", func(there bool) error {
			_, err := w.modifyDBProxyEndpoint(t.Context(), w.call(), &ModifyDBProxyEndpointInput{DBProxyEndpointName: name(there, "e1")})
			return err
		}},
		{"rds:DeleteDBProxyEndpoint " + endpoint, "rds:DeleteDBProxyEndpoint " + arn + "db-proxy-endpoint:prx-endpoint-*", func(there bool) error {
			_, err := w.deleteDBProxyEndpoint(t.Context(), w.call(), &DeleteDBProxyEndpointInput{name(there, "e1")})
			return err
		}},
		{"rds:DescribeDBProxyEndpoints " + endpoint, "rds:DescribeDBProxyEndpoints " + arn + "db-proxy-endpoint:prx-endpoint-*", func(there bool) error {
			_, err := w.describeDBProxyEndpoints(t.Context(), w.call(), &DescribeDBProxyEndpointsInput{DBProxyName: p("p1"), DBProxyEndpointName: p(name(there, "e1"))})
			return err
		}},
		{"rds:DescribeDBProxyEndpoints " + proxy, "rds:DescribeDBProxyEndpoints " + arn + "db-proxy:prx-*", func(there bool) error {
			_, err := w.describeDBProxyEndpoints(t.Context(), w.call(), &DescribeDBProxyEndpointsInput{DBProxyName: p(name(there, "p1"))})
			return err
		}},
		{"rds:DescribeDBProxyEndpoints " + arn + "db-proxy-endpoint:*", "", func(bool) error {
			_, err := w.describeDBProxyEndpoints(t.Context(), w.call(), &DescribeDBProxyEndpointsInput{})
			return err
		}},
		{"rds:DescribeDBProxyTargetGroups " + proxy, "rds:DescribeDBProxyTargetGroups " + arn + "db-proxy:prx-*", func(there bool) error {
			_, err := w.describeDBProxyTargetGroups(t.Context(), w.call(), &DescribeDBProxyTargetGroupsInput{DBProxyName: name(there, "p1")})
			return err
		}},
		{"rds:ModifyDBProxyTargetGroup " + group, "rds:ModifyDBProxyTargetGroup " + arn + "target-group:prx-tg-*", func(there bool) error {
			_, err := w.modifyDBProxyTargetGroup(t.Context(), w.call(), &ModifyDBProxyTargetGroupInput{DBProxyName: name(there, "p1"), TargetGroupName: "default"})
			return err
		}},
		{"rds:RegisterDBProxyTargets " + group, "rds:RegisterDBProxyTargets " + arn + "target-group:prx-tg-*", func(there bool) error {
			_, err := w.registerDBProxyTargets(t.Context(), w.call(), &DBProxyTargetsInput{DBProxyName: name(there, "p1"), DBInstanceIdentifiers: my})
			return err
		}},
		{"rds:DeregisterDBProxyTargets " + proxy, "rds:DeregisterDBProxyTargets " + arn + "db-proxy:prx-*", func(there bool) error {
			_, err := w.deregisterDBProxyTargets(t.Context(), w.call(), &DBProxyTargetsInput{DBProxyName: name(there, "p1"), DBInstanceIdentifiers: my})
			return err
		}},
		{"rds:DescribeDBProxyTargets " + proxy, "rds:DescribeDBProxyTargets " + arn + "db-proxy:prx-*", func(there bool) error {
			_, err := w.describeDBProxyTargets(t.Context(), w.call(), &DescribeDBProxyTargetsInput{DBProxyName: name(there, "p1")})
			return err
		}},
		{"rds:ListTagsForResource " + proxy, "rds:ListTagsForResource " + proxy + "0", func(there bool) error {
			_, err := w.listTagsForResource(t.Context(), w.call(), &ListTagsForResourceInput{ResourceName: name(there, proxy)})
			return err
		}},
		{"rds:AddTagsToResource " + arn + "db:pg", "rds:AddTagsToResource " + arn + "db:pg0", func(there bool) error {
			return w.addTagsToResource(t.Context(), w.call(), &AddTagsToResourceInput{name(there, arn+"db:pg"), []Tag{{Key: "a"}}})
		}},
		{"rds:RemoveTagsFromResource " + group, "rds:RemoveTagsFromResource " + group + "0", func(there bool) error {
			return w.removeTagsFromResource(t.Context(), w.call(), &RemoveTagsFromResourceInput{name(there, group), []string{"a"}})
		}},
		{"rds:DescribeDBInstances " + arn + "db:pg", "rds:DescribeDBInstances " + arn + "db:pg0", func(there bool) error {
			_, err := w.describeDBInstances(t.Context(), w.call(), &DescribeDBInstancesInput{DBInstanceIdentifier: p(name(there, "pg"))})
			return err
		}},
		{"rds:DescribeDBClusters " + arn + "cluster:*", "", func(bool) error {
			_, err := w.describeDBClusters(t.Context(), w.call(), &DescribeDBClustersInput{})
			return err
		}},
		{"rds:DescribeEvents *", "", func(bool) error {
			_, err := w.describeEvents(t.Context(), w.call(), &DescribeEventsInput{})
			return err
		}},
		{"rds:DescribeEventCategories *", "", func(bool) error {
			_, err := w.describeEventCategories(t.Context(), w.call(), &DescribeEventCategoriesInput{})
			return err
		}},
	} {
		w.caller.take()
		there := tt.do(true)
		if got := w.caller.take(); codeOf(there) != "AccessDenied" || len(got) != 1 || got[0] != tt.there {
			t.Errorf("%s: got %v, asked %q", tt.there, there, got)
		}
		if tt.absent == "" {
			continue
		}
		absent := tt.do(false)
		if got := w.caller.take(); absent == nil || absent.Error() != there.Error() || len(got) != 1 || got[0] != tt.absent {
			t.Errorf("%s: got %v, asked %q", tt.absent, absent, got)
		}
	}
	if got := w.plane.State().Proxies.Len(); got != 2 {
		t.Errorf("%d proxies", got)
	}
	w.caller.deny = func(action, _ string) bool { return action == "iam:PassRole" }
	refused(w, w.createDBProxy, createInput("p3"), "AccessDenied")
	refused(w, w.modifyDBProxy, ModifyDBProxyInput{DBProxyName: "p1", RoleArn: p(role + "2")}, "AccessDenied")
	do(w, w.modifyDBProxy, ModifyDBProxyInput{DBProxyName: "p1", RoleArn: p(role)}) // as Terraform sends it each time
	w.caller.deny = func(action, _ string) bool { return action == "rds:AddTagsToResource" }
	in := endpointInput("p1", "e3")
	in.Tags = []Tag{{Key: "a"}}
	refused(w, w.createDBProxyEndpoint, in, "AccessDenied")
}

func name(there bool, name string) string {
	if there {
		return name
	}
	return name + "0"
}

// TestService sees that every operation is there.
func TestService(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s := Service(w.plane, nil, Options{})
	if len(s.Operations) != 20 || s.Name != "rds" || s.Version != "2014-10-31" {
		t.Errorf("%d operations of %s %s", len(s.Operations), s.Name, s.Version)
	}
}
