// Package rdsapi is the part of Amazon RDS's API that RDS Proxy and its clients need, over controlplane: proxies, endpoints,
// target groups, targets, their tags and events, and the databases that have been declared. Every operation is a function
// from its input to its output; the wire is awsapi's. docs/api.md lists operations and members with their state.
//
// A change is one transaction: all that an operation checks holds when it takes place. Changes take effect at once, so
// answers carry the status that RDS would show first (creating, modifying, deleting), and what Describe says next is
// available, or that there is nothing.
package rdsapi

import (
	"context"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// Options are an operator's settings. Zero values are the defaults of RDS.
type Options struct {
	Listeners controlplane.Listeners // without addresses: DefaultListeners
	Proxies   int                    // quota of the account; 0 = 20
	Endpoints int                    // quota of user endpoints of a proxy; 0 = 20
}

type server struct {
	plane  *controlplane.Plane
	health controlplane.Health
	opts   Options
}

// Service is the API over p. health may be nil: then no target's health is known.
func Service(p *controlplane.Plane, health controlplane.Health, o Options) *awsapi.Service {
	s := newServer(p, health, o)
	return &awsapi.Service{
		Name: "rds", Protocol: awsapi.Query, Version: "2014-10-31", Namespace: "http://rds.amazonaws.com/doc/2014-10-31/",
		Operations: map[string]awsapi.Operation{
			"CreateDBProxy":               awsapi.Op(s.createDBProxy),
			"ModifyDBProxy":               awsapi.Op(s.modifyDBProxy),
			"DeleteDBProxy":               awsapi.Op(s.deleteDBProxy),
			"DescribeDBProxies":           awsapi.Op(s.describeDBProxies),
			"CreateDBProxyEndpoint":       awsapi.Op(s.createDBProxyEndpoint),
			"ModifyDBProxyEndpoint":       awsapi.Op(s.modifyDBProxyEndpoint),
			"DeleteDBProxyEndpoint":       awsapi.Op(s.deleteDBProxyEndpoint),
			"DescribeDBProxyEndpoints":    awsapi.Op(s.describeDBProxyEndpoints),
			"DescribeDBProxyTargetGroups": awsapi.Op(s.describeDBProxyTargetGroups),
			"ModifyDBProxyTargetGroup":    awsapi.Op(s.modifyDBProxyTargetGroup),
			"RegisterDBProxyTargets":      awsapi.Op(s.registerDBProxyTargets),
			"DeregisterDBProxyTargets":    awsapi.Op(s.deregisterDBProxyTargets),
			"DescribeDBProxyTargets":      awsapi.Op(s.describeDBProxyTargets),
			"AddTagsToResource":           awsapi.Silent(s.addTagsToResource),
			"RemoveTagsFromResource":      awsapi.Silent(s.removeTagsFromResource),
			"ListTagsForResource":         awsapi.Op(s.listTagsForResource),
			"DescribeDBInstances":         awsapi.Op(s.describeDBInstances),
			"DescribeDBClusters":          awsapi.Op(s.describeDBClusters),
			"DescribeEvents":              awsapi.Op(s.describeEvents),
			"DescribeEventCategories":     awsapi.Op(s.describeEventCategories),
		},
	}
}

func newServer(p *controlplane.Plane, health controlplane.Health, o Options) *server {
	if len(o.Listeners.Addresses) == 0 {
		o.Listeners = controlplane.DefaultListeners()
	}
	if o.Proxies == 0 {
		o.Proxies = 20
	}
	if o.Endpoints == 0 {
		o.Endpoints = 20
	}
	return &server{plane: p, health: health, opts: o}
}

// update runs fn in a transaction and returns its answer.
func update[T any](ctx context.Context, s *server, fn func(tx *controlplane.Tx) (*T, error)) (*T, error) {
	var out *T
	_, err := s.plane.Update(ctx, func(tx *controlplane.Tx) error {
		var err error
		out, err = fn(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// when is the time of a call as rows have it: UTC, in the milliseconds that answers show.
func when(c *awsapi.Call) time.Time {
	t := c.Time
	if t.IsZero() {
		t = time.Now()
	}
	return t.UTC().Truncate(time.Millisecond)
}
