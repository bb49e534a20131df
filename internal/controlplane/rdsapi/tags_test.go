package rdsapi

import (
	"strconv"
	"testing"

	"forebay/internal/controlplane"

	"github.com/google/go-cmp/cmp"
)

func TestTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	px := w.create("p1")
	e := do(w, w.createDBProxyEndpoint, endpointInput("p1", "e1")).DBProxyEndpoint
	list := func(arn string) []Tag {
		t.Helper()
		return do(w, w.listTagsForResource, ListTagsForResourceInput{ResourceName: arn}).TagList
	}
	arns := []string{
		px.DBProxyArn, e.DBProxyEndpointArn, w.group("p1").TargetGroupArn, "arn:aws:rds:us-east-1:123456789012:db:pg", "arn:aws:rds:us-east-1:123456789012:cluster:shop",
	}
	for i, arn := range arns {
		if got := list(arn); got == nil || len(got) != 0 {
			t.Errorf("%s: %+v", arn, got)
		}
		n := p(strconv.Itoa(i))
		do(w, silent(w.addTagsToResource), AddTagsToResourceInput{arn, []Tag{{"b", n}, {"a", nil}}})
		do(w, silent(w.addTagsToResource), AddTagsToResourceInput{arn, []Tag{{"c", p("3")}, {"a", p("1")}}})
		if d := cmp.Diff([]Tag{{"a", p("1")}, {"b", n}, {"c", p("3")}}, list(arn)); d != "" {
			t.Errorf("%s: %s", arn, d)
		}
		do(w, silent(w.removeTagsFromResource), RemoveTagsFromResourceInput{arn, []string{"a", "c", "not there"}})
		if d := cmp.Diff([]Tag{{"b", n}}, list(arn)); d != "" {
			t.Errorf("%s: %s", arn, d)
		}
	}
	for i, arn := range arns { // each has its own
		if d := cmp.Diff([]Tag{{"b", p(strconv.Itoa(i))}}, list(arn)); d != "" {
			t.Errorf("%s: %s", arn, d)
		}
	}
	for _, tt := range []struct{ arn, code string }{
		{"", "MissingParameter"},
		{"p1", "InvalidParameterValue"},
		{"arn:aws:rds:us-east-1:123456789012:snapshot:x", "InvalidParameterValue"},
		{"arn:aws:iam:us-east-1:123456789012:db:pg", "InvalidParameterValue"},
		{"arn:aws:rds:us-east-1:123456789012:db:", "InvalidParameterValue"},
		{"arn:aws:rds:us-east-1:123456789012:db:other", "DBInstanceNotFound"},
		{"arn:aws:rds:us-east-1:000000000000:db:pg", "DBInstanceNotFound"},
		{"arn:aws:rds:eu-west-1:123456789012:db:pg", "DBInstanceNotFound"},
		{"arn:aws:rds:us-east-1:123456789012:cluster:pg", "DBClusterNotFoundFault"},
		{"arn:aws:rds:us-east-1:123456789012:db-proxy:p1", "DBProxyNotFoundFault"},
		{"arn:aws:rds:us-east-1:123456789012:db-proxy-endpoint:e1", "DBProxyEndpointNotFoundFault"},
		{"arn:aws:rds:us-east-1:123456789012:target-group:default", "DBProxyTargetGroupNotFoundFault"},
	} {
		refused(w, w.listTagsForResource, ListTagsForResourceInput{ResourceName: tt.arn}, tt.code)
		refused(w, silent(w.addTagsToResource), AddTagsToResourceInput{tt.arn, []Tag{{"a", nil}}}, tt.code)
		refused(w, silent(w.removeTagsFromResource), RemoveTagsFromResourceInput{tt.arn, []string{"a"}}, tt.code)
	}
	many := make([]Tag, 50)
	for i := range many {
		many[i].Key = strconv.Itoa(i)
	}
	refused(w, silent(w.addTagsToResource), AddTagsToResourceInput{px.DBProxyArn, many}, "InvalidParameterValue") // with b they are 51
	refused(w, silent(w.addTagsToResource), AddTagsToResourceInput{px.DBProxyArn, nil}, "MissingParameter")
	refused(w, silent(w.addTagsToResource), AddTagsToResourceInput{px.DBProxyArn, []Tag{{"aws:a", nil}}}, "InvalidParameterValue")
	refused(w, silent(w.removeTagsFromResource), RemoveTagsFromResourceInput{px.DBProxyArn, nil}, "MissingParameter")
	refused(w, silent(w.removeTagsFromResource), RemoveTagsFromResourceInput{px.DBProxyArn, []string{""}}, "InvalidParameterValue")
	refused(w, w.listTagsForResource, ListTagsForResourceInput{px.DBProxyArn, []Filter{{"a", []string{"b"}}}}, "InvalidParameterValue")
}

// TestTagsByAnySpelling: identifiers mind no case, and what a policy denies by one spelling is denied by all.
func TestTagsByAnySpelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	const region = "arn:aws:rds:us-east-1:123456789012:"
	w.caller.deny = func(_, resource string) bool { return resource == region+"db:pg" || resource == region+"cluster:shop" }
	for _, id := range []string{"db:pg", "db:PG", "cluster:shop", "cluster:Shop"} {
		refused(w, silent(w.addTagsToResource), AddTagsToResourceInput{region + id, []Tag{{"a", nil}}}, "AccessDenied")
		refused(w, w.listTagsForResource, ListTagsForResourceInput{ResourceName: region + id}, "AccessDenied")
	}
}

func TestTagsOfTheFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	px := w.create("p1")
	w.change(func(tx *controlplane.Tx) error {
		row, d := *tx.State().ProxyNamed("p1"), *tx.State().Database("pg")
		row.FromFile, d.FromFile = true, true
		tx.Proxies.Put(row.ID, &row)
		tx.Databases.Put("pg", &d)
		return nil
	})
	refused(w, silent(w.addTagsToResource), AddTagsToResourceInput{px.DBProxyArn, []Tag{{"a", nil}}}, "InvalidDBProxyStateFault")
	refused(w, silent(w.removeTagsFromResource), RemoveTagsFromResourceInput{"arn:aws:rds:us-east-1:123456789012:db:pg", []string{"a"}}, "InvalidDBInstanceState")
}

func TestListenTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	listen := func(v string) func(in *CreateDBProxyInput) {
		return func(in *CreateDBProxyInput) { in.Tags = []Tag{{"forebay:listen", &v}} }
	}
	px := w.create("p1", listen("127.0.0.9:4000"))
	if px.Endpoint != "127.0.0.9:4000" {
		t.Errorf("Endpoint %s", px.Endpoint)
	}
	if got := w.create("p2", listen(":3306")).Endpoint; got != "127.0.0.1" {
		t.Errorf("Endpoint %s", got)
	}
	in := endpointInput("p1", "e1")
	in.Tags = []Tag{{"forebay:listen", p(":4001")}}
	if got := do(w, w.createDBProxyEndpoint, in).DBProxyEndpoint.Endpoint; got != "127.0.0.1:4001" {
		t.Errorf("Endpoint %s", got)
	}
	do(w, silent(w.addTagsToResource), AddTagsToResourceInput{px.DBProxyArn, []Tag{{"forebay:listen", p("127.0.0.9:4000")}}})
	refused(w, silent(w.addTagsToResource), AddTagsToResourceInput{px.DBProxyArn, []Tag{{"forebay:listen", p(":4002")}}}, "InvalidParameterValue")
	do(w, silent(w.removeTagsFromResource), RemoveTagsFromResourceInput{px.DBProxyArn, []string{"forebay:listen"}})
	if got := w.describe("p1").Endpoint; got != px.Endpoint {
		t.Errorf("Endpoint %s", got)
	}
}
