package rdsapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// sourceTypes are those of the model. Only proxies have events here.
var sourceTypes = []string{
	"db-instance", "db-parameter-group", "db-security-group", "db-snapshot", "db-cluster", "db-cluster-snapshot", "custom-engine-version",
	"db-proxy", "blue-green-deployment", "db-shard-group", "zero-etl",
}

// DescribeEventsInput is the request of DescribeEvents.
type DescribeEventsInput struct {
	SourceIdentifier *string
	SourceType       *string
	StartTime        *time.Time
	EndTime          *time.Time
	Duration         *int     // minutes
	EventCategories  []string `aws:"list=EventCategory"`
	Filters          []Filter `aws:"list=Filter"`
	MaxRecords       *int
	Marker           *string
}

// DescribeEventsOutput is the answer of DescribeEvents, the oldest first.
type DescribeEventsOutput struct {
	Marker *string
	Events []Event `aws:"list=Event"`
}

// Event is what has happened to a proxy.
type Event struct {
	SourceIdentifier string
	SourceType       string
	Message          string
	EventCategories  []string `aws:"list=EventCategory"`
	Date             time.Time
	SourceArn        string
}

// check returns the time that is asked about.
func (in *DescribeEventsInput) check(now time.Time) (from, to time.Time, err error) {
	for _, err := range []error{
		checkEnum("SourceType", in.SourceType, sourceTypes...),
		checkRange("Duration", in.Duration, 1, int(controlplane.EventsKept/time.Minute)),
		noFilters(in.Filters),
	} {
		if err != nil {
			return from, to, err
		}
	}
	if in.SourceIdentifier != nil && in.SourceType == nil {
		return from, to, combination("SourceType is required when SourceIdentifier is there.")
	}
	span := time.Duration(awsapi.Or(in.Duration, 60)) * time.Minute
	switch {
	case in.StartTime != nil && in.EndTime != nil:
		if in.Duration != nil {
			return from, to, combination("Duration cannot be combined with both StartTime and EndTime.")
		}
		from, to = *in.StartTime, *in.EndTime
	case in.StartTime != nil && in.Duration != nil:
		from, to = *in.StartTime, in.StartTime.Add(span)
	case in.StartTime != nil:
		from, to = *in.StartTime, now
	case in.EndTime != nil:
		from, to = in.EndTime.Add(-span), *in.EndTime
	default:
		from, to = now.Add(-span), now
	}
	if from.After(to) {
		return from, to, combination("StartTime must not be after EndTime.")
	}
	return from, to, nil
}

func (s *server) describeEvents(_ context.Context, c *awsapi.Call, in *DescribeEventsInput) (*DescribeEventsOutput, error) {
	now := when(c)
	from, to, err := in.check(now)
	if err != nil {
		return nil, err
	}
	if err := may(c, "rds:DescribeEvents", nil, anything); err != nil {
		return nil, err
	}
	if oldest := now.Add(-controlplane.EventsKept); from.Before(oldest) {
		from = oldest
	}
	type row struct {
		key string
		*controlplane.Event
	}
	var rows []row
	for key, e := range s.plane.State().Events.All() {
		switch {
		case e.Time.Before(from) || e.Time.After(to):
		case in.SourceType != nil && e.SourceType != *in.SourceType:
		case in.SourceIdentifier != nil && !strings.EqualFold(e.SourceID, *in.SourceIdentifier):
		case len(in.EventCategories) > 0 && !slices.ContainsFunc(in.EventCategories, func(c string) bool { return slices.Contains(e.Categories, c) }):
		default:
			rows = append(rows, row{key, e})
		}
	}
	rows, next, err := awsapi.Page(rows, in.Marker, in.MaxRecords, func(r row) string { return r.key })
	if err != nil {
		return nil, err
	}
	out := &DescribeEventsOutput{Marker: next, Events: []Event{}}
	for _, e := range rows {
		out.Events = append(out.Events, Event{
			SourceIdentifier: e.SourceID, SourceType: e.SourceType, Message: e.Message, EventCategories: e.Categories, Date: e.Time, SourceArn: e.SourceARN,
		})
	}
	return out, nil
}

// DescribeEventCategoriesInput is the request of DescribeEventCategories.
type DescribeEventCategoriesInput struct {
	SourceType *string
	Filters    []Filter `aws:"list=Filter"`
}

// DescribeEventCategoriesOutput is the answer of DescribeEventCategories.
type DescribeEventCategoriesOutput struct {
	EventCategoriesMapList []EventCategoriesMap `aws:"list=EventCategoriesMap"`
}

// EventCategoriesMap is the categories of a type of source.
type EventCategoriesMap struct {
	SourceType      string
	EventCategories []string `aws:"list=EventCategory"`
}

func (s *server) describeEventCategories(_ context.Context, c *awsapi.Call, in *DescribeEventCategoriesInput) (*DescribeEventCategoriesOutput, error) {
	if err := checkEnum("SourceType", in.SourceType, sourceTypes...); err != nil {
		return nil, err
	}
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	if err := may(c, "rds:DescribeEventCategories", nil, anything); err != nil {
		return nil, err
	}
	out := &DescribeEventCategoriesOutput{EventCategoriesMapList: []EventCategoriesMap{}}
	if awsapi.Or(in.SourceType, controlplane.SourceProxy) == controlplane.SourceProxy {
		out.EventCategoriesMapList = append(out.EventCategoriesMapList, EventCategoriesMap{controlplane.SourceProxy, controlplane.EventCategories})
	}
	return out, nil
}
