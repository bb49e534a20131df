package rdsapi

import (
	"slices"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// subject is what a call is about: an ARN, with the tags of what it names.
type subject struct {
	arn  string
	tags []controlplane.Tag
}

// anything is the subject of actions that are about nothing in particular ("you must specify all resources").
var anything = subject{arn: "*"}

// may asks whether the caller may do action to each of the subjects: those that AWS's service authorization reference
// names for it. It is asked before anything is said of whether they exist: what does not exist has the id prx-*, so that it is
// allowed to those who may do it to any, and nobody else is told it from what is forbidden.
func may(c *awsapi.Call, action string, requested []Tag, subjects ...subject) error {
	for _, s := range subjects {
		keys := map[string][]string{}
		for _, t := range s.tags {
			keys["aws:ResourceTag/"+t.Key] = []string{t.Value}
		}
		for _, t := range requested {
			keys["aws:RequestTag/"+t.Key] = []string{awsapi.Value(t.Value)}
			keys["aws:TagKeys"] = append(keys["aws:TagKeys"], t.Key)
		}
		if err := c.AuthorizeAccess(awsapi.Access{Action: action, Resource: s.arn, Keys: keys}); err != nil {
			return err
		}
	}
	return nil
}

// mayPass asks whether the caller may hand a role to a proxy.
func mayPass(c *awsapi.Call, role string) error {
	return c.AuthorizeAccess(awsapi.Access{
		Action: "iam:PassRole", Resource: role, Keys: map[string][]string{"iam:PassedToService": {"rds.amazonaws.com"}},
	})
}

// all is everything of a kind.
func all(a *controlplane.Account, kind string) subject { return subject{arn: a.ARN(kind, "*")} }

func proxySubject(a *controlplane.Account, p *controlplane.Proxy) subject {
	if p == nil {
		return subject{arn: a.ARN(controlplane.KindProxy, "prx-*")}
	}
	return subject{a.ARN(controlplane.KindProxy, p.ID), p.Tags}
}

func groupSubject(a *controlplane.Account, p *controlplane.Proxy) subject {
	if p == nil {
		return subject{arn: a.ARN(controlplane.KindTargetGroup, "prx-tg-*")}
	}
	return subject{a.ARN(controlplane.KindTargetGroup, p.Group.ID), p.Group.Tags}
}

func endpointSubject(a *controlplane.Account, e *controlplane.Endpoint) subject {
	if e == nil {
		return subject{arn: a.ARN(controlplane.KindEndpoint, "prx-endpoint-*")}
	}
	return subject{a.ARN(controlplane.KindEndpoint, e.ID), e.Tags}
}

func databaseSubject(a *controlplane.Account, name string, d *controlplane.Database) subject {
	if d == nil {
		return subject{arn: a.ARN(controlplane.KindDatabase, name)}
	}
	return subject{a.ARN(controlplane.KindDatabase, d.Identifier), d.Tags}
}

func clusterSubject(a *controlplane.Account, name string, k *controlplane.Cluster) subject {
	if k == nil {
		return subject{arn: a.ARN(controlplane.KindCluster, name)}
	}
	return subject{a.ARN(controlplane.KindCluster, k.Identifier), k.Tags}
}

// account is where everything belongs. It is there since the first start.
func account(s *controlplane.State) (*controlplane.Account, error) {
	if a := s.Account(); a != nil {
		return a, nil
	}
	return nil, &awsapi.Error{Code: "InternalFailure", Message: "This Forebay has not been set up.", Status: 500, Fault: true}
}

// toRows are tags as they are stored, in the order of their keys.
func toRows(tags []Tag) []controlplane.Tag {
	var rows []controlplane.Tag
	for _, t := range tags {
		rows = append(rows, controlplane.Tag{Key: t.Key, Value: awsapi.Value(t.Value)})
	}
	sortTags(rows)
	return rows
}

func sortTags(rows []controlplane.Tag) {
	slices.SortFunc(rows, func(a, b controlplane.Tag) int { return strings.Compare(a.Key, b.Key) })
}
