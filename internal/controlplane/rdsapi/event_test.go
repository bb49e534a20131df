package rdsapi

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	minute := func() { w.now = w.now.Add(time.Minute) }
	px := w.create("p1") // minute 0
	minute()
	do(w, w.modifyDBProxy, ModifyDBProxyInput{DBProxyName: "p1", RequireTLS: p(true)})
	minute()
	do(w, w.createDBProxyEndpoint, endpointInput("p1", "e1"))
	minute()
	do(w, w.modifyDBProxyEndpoint, ModifyDBProxyEndpointInput{DBProxyEndpointName: "e1", VpcSecurityGroupIds: []string{"sg-1"}})
	minute()
	w.create("p2")
	do(w, w.deleteDBProxyEndpoint, DeleteDBProxyEndpointInput{"e1"})
	minute()
	do(w, w.deleteDBProxy, DeleteDBProxyInput{"p1"})
	all := []Event{
		{"p1", "db-proxy", "RDS created DB proxy p1.", []string{"creation"}, start, px.DBProxyArn},
		{"p1", "db-proxy", "RDS modified DB proxy p1.", []string{"configuration change"}, start.Add(time.Minute), px.DBProxyArn},
		{"p1", "db-proxy", "RDS created endpoint e1 for DB Proxy p1.", []string{"creation"}, start.Add(2 * time.Minute), px.DBProxyArn},
		{"p1", "db-proxy", "RDS modified endpoint e1 of DB Proxy p1.", []string{"configuration change"}, start.Add(3 * time.Minute), px.DBProxyArn},
		{"p1", "db-proxy", "RDS deleted endpoint e1 for DB Proxy p1.", []string{"deletion"}, start.Add(4 * time.Minute), px.DBProxyArn},
		{"p1", "db-proxy", "RDS deleted DB proxy p1.", []string{"deletion"}, start.Add(5 * time.Minute), px.DBProxyArn},
	}
	type in = DescribeEventsInput
	from := in{SourceType: p("db-proxy"), SourceIdentifier: p("P1")}
	if d := cmp.Diff(all, do(w, w.describeEvents, from).Events); d != "" {
		t.Error(d)
	}
	at := func(minutes int) *time.Time { return p(start.Add(time.Duration(minutes) * time.Minute)) }
	for _, tt := range []struct {
		name string
		in   in
		rows int
	}{
		{"all", in{}, 7},
		{"other type", in{SourceType: p("db-instance")}, 0},
		{"other source", in{SourceType: p("db-proxy"), SourceIdentifier: p("p2")}, 1},
		{"categories", in{EventCategories: []string{"creation", "failure"}}, 3},
		{"the last two minutes", in{Duration: p(2)}, 4},
		{"from", in{StartTime: at(4)}, 3},
		{"from, for a minute", in{StartTime: at(1), Duration: p(1)}, 2},
		{"to", in{EndTime: at(1)}, 2},
		{"to, for a minute", in{EndTime: at(3), Duration: p(1)}, 2},
		{"from to", in{StartTime: at(2), EndTime: at(2)}, 1},
	} {
		if got := do(w, w.describeEvents, tt.in).Events; len(got) != tt.rows {
			t.Errorf("%s: %d events, want %d: %+v", tt.name, len(got), tt.rows, got)
		}
	}
	for _, tt := range []struct {
		code string
		in   in
	}{
		{"InvalidParameterCombination", in{SourceIdentifier: p("p1")}},
		{"InvalidParameterCombination", in{StartTime: at(1), EndTime: at(0)}},
		{"InvalidParameterCombination", in{StartTime: at(0), EndTime: at(1), Duration: p(1)}},
		{"InvalidParameterValue", in{SourceType: p("proxy")}},
		{"InvalidParameterValue", in{Duration: p(0)}},
		{"InvalidParameterValue", in{Duration: p(14*24*60 + 1)}},
		{"InvalidParameterValue", in{MaxRecords: p(19)}},
		{"InvalidParameterValue", in{Filters: []Filter{{"a", []string{"b"}}}}},
	} {
		refused(w, w.describeEvents, tt.in, tt.code)
	}

	// After 14 days they are told no more, and the next event removes them.
	w.now = start.Add(14*24*time.Hour + 2*time.Minute)
	if got := do(w, w.describeEvents, in{Duration: p(14 * 24 * 60)}).Events; len(got) != 5 {
		t.Errorf("%d events after 14 days", len(got))
	}
	do(w, w.modifyDBProxy, ModifyDBProxyInput{DBProxyName: "p2"})
	if got := w.plane.State().Events.Len(); got != 6 {
		t.Errorf("%d events are kept", got)
	}
}

func TestEventPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create("p1")
	for i := range 49 {
		do(w, w.modifyDBProxy, ModifyDBProxyInput{DBProxyName: "p1", IdleClientTimeout: p(i + 1)})
	}
	rows := 0
	for pages, in := 1, (DescribeEventsInput{MaxRecords: p(20)}); ; pages++ {
		out := do(w, w.describeEvents, in)
		rows += len(out.Events)
		if in.Marker = out.Marker; in.Marker == nil {
			if pages != 3 || rows != 50 {
				t.Errorf("%d events in %d pages", rows, pages)
			}
			return
		}
	}
}

func TestEventCategories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	want := []EventCategoriesMap{{"db-proxy", []string{"configuration change", "creation", "deletion", "failure"}}}
	for _, typ := range []*string{nil, p("db-proxy")} {
		if d := cmp.Diff(want, do(w, w.describeEventCategories, DescribeEventCategoriesInput{SourceType: typ}).EventCategoriesMapList); d != "" {
			t.Error(d)
		}
	}
	if got := do(w, w.describeEventCategories, DescribeEventCategoriesInput{SourceType: p("db-cluster")}).EventCategoriesMapList; len(got) != 0 {
		t.Errorf("%+v", got)
	}
	refused(w, w.describeEventCategories, DescribeEventCategoriesInput{SourceType: p("x")}, "InvalidParameterValue")
}
