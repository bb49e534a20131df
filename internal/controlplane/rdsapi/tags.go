package rdsapi

import (
	"context"
	"slices"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// AddTagsToResourceInput is the request of AddTagsToResource.
type AddTagsToResourceInput struct {
	ResourceName string `aws:"required"`
	Tags         []Tag  `aws:"list=Tag"`
}

// RemoveTagsFromResourceInput is the request of RemoveTagsFromResource.
type RemoveTagsFromResourceInput struct {
	ResourceName string `aws:"required"`
	TagKeys      []string
}

// ListTagsForResourceInput is the request of ListTagsForResource.
type ListTagsForResourceInput struct {
	ResourceName string   `aws:"required"`
	Filters      []Filter `aws:"list=Filter"`
}

// ListTagsForResourceOutput is the answer of ListTagsForResource.
type ListTagsForResourceOutput struct {
	TagList []Tag `aws:"list=Tag"`
}

// tagged is a resource that has tags.
type tagged struct {
	id       string // as it stands in its ARN
	tags     []controlplane.Tag
	put      func(tx *controlplane.Tx, tags []controlplane.Tag)
	listener bool  // where it listens may have been fixed by a tag
	fixed    error // why its tags cannot be changed
}

func (s *server) addTagsToResource(ctx context.Context, c *awsapi.Call, in *AddTagsToResourceInput) error {
	if in.Tags == nil {
		return missing("Tags")
	}
	if err := checkTags(in.Tags); err != nil {
		return err
	}
	_, err := s.plane.Update(ctx, func(tx *controlplane.Tx) error {
		t, err := find(c, tx.State(), "rds:AddTagsToResource", in.ResourceName, in.Tags)
		if err != nil {
			return err
		}
		if t.fixed != nil {
			return t.fixed
		}
		tags := slices.Clone(t.tags)
		for _, n := range toRows(in.Tags) {
			i := slices.IndexFunc(tags, func(o controlplane.Tag) bool { return o.Key == n.Key })
			if n.Key == controlplane.ListenTag && t.listener && (i < 0 || tags[i].Value != n.Value) {
				return invalid("The tag %s is read when a proxy or an endpoint is created: an address does not change afterwards.", n.Key)
			}
			if i < 0 {
				tags = append(tags, n)
			} else {
				tags[i] = n
			}
		}
		if len(tags) > maxTags {
			return invalid("A resource has at most %d tags.", maxTags)
		}
		sortTags(tags)
		t.put(tx, tags)
		return nil
	})
	return err
}

func (s *server) removeTagsFromResource(ctx context.Context, c *awsapi.Call, in *RemoveTagsFromResourceInput) error {
	if in.TagKeys == nil {
		return missing("TagKeys")
	}
	for _, k := range in.TagKeys {
		if err := checkTagKey(k); err != nil {
			return err
		}
	}
	_, err := s.plane.Update(ctx, func(tx *controlplane.Tx) error {
		var keys []Tag
		for _, k := range in.TagKeys {
			keys = append(keys, Tag{Key: k})
		}
		t, err := find(c, tx.State(), "rds:RemoveTagsFromResource", in.ResourceName, keys)
		if err != nil {
			return err
		}
		if t.fixed != nil {
			return t.fixed
		}
		tags := slices.DeleteFunc(slices.Clone(t.tags), func(t controlplane.Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
		if len(tags) != len(t.tags) {
			t.put(tx, tags)
		}
		return nil
	})
	return err
}

func (s *server) listTagsForResource(_ context.Context, c *awsapi.Call, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	t, err := find(c, s.plane.State(), "rds:ListTagsForResource", in.ResourceName, nil)
	if err != nil {
		return nil, err
	}
	return &ListTagsForResourceOutput{TagList: tagList(t.tags)}, nil
}

func tagList(rows []controlplane.Tag) []Tag {
	out := []Tag{}
	for _, t := range rows {
		out = append(out, Tag{Key: t.Key, Value: &t.Value})
	}
	return out
}

// find finds what an ARN names, for a caller who may do action to it.
func find(c *awsapi.Call, st *controlplane.State, action, arn string, requested []Tag) (*tagged, error) {
	if arn == "" {
		return nil, missing("ResourceName")
	}
	acct, err := account(st)
	if err != nil {
		return nil, err
	}
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "rds" || parts[6] == "" {
		return nil, invalid("Invalid resource name: %q is not an Amazon RDS ARN.", clip(arn))
	}
	kind, id := parts[5], parts[6]
	var t *tagged
	var absent error
	switch kind {
	case controlplane.KindProxy:
		t, absent = taggedProxy(st.Proxies.Get(id)), proxyNotFound(id)
	case controlplane.KindEndpoint:
		t, absent = taggedEndpoint(st.Endpoints.Get(id)), endpointNotFound(id)
	case controlplane.KindTargetGroup:
		t, absent = taggedGroup(st.Proxies.Find(func(p *controlplane.Proxy) bool { return p.Group.ID == id })), groupNotFound(id)
	case controlplane.KindDatabase:
		t, absent = taggedDatabase(st.Database(id)), instanceNotFound(id)
	case controlplane.KindCluster:
		t, absent = taggedCluster(st.Cluster(id)), clusterNotFound(id)
	default:
		return nil, invalid("Invalid resource name: Forebay has no resources of type %q.", clip(kind))
	}
	about := subject{arn: arn}
	if !strings.EqualFold(acct.ARN(kind, id), arn) {
		t = nil // in another account or Region
	}
	if t != nil { // by its own name: a policy that denies one spelling of an identifier is meant for all
		about = subject{acct.ARN(kind, t.id), t.tags}
	}
	if err := may(c, action, requested, about); err != nil {
		return nil, err
	}
	if t == nil {
		return nil, absent
	}
	return t, nil
}

func taggedProxy(p *controlplane.Proxy) *tagged {
	if p == nil {
		return nil
	}
	t := &tagged{id: p.ID, tags: p.Tags, listener: true, put: func(tx *controlplane.Tx, tags []controlplane.Tag) {
		n := *p
		n.Tags = tags
		tx.Proxies.Put(n.ID, &n)
	}}
	if p.FromFile {
		t.fixed = changeable(p)
	}
	return t
}

func taggedEndpoint(e *controlplane.Endpoint) *tagged {
	if e == nil {
		return nil
	}
	t := &tagged{id: e.ID, tags: e.Tags, listener: true, put: func(tx *controlplane.Tx, tags []controlplane.Tag) {
		n := *e
		n.Tags = tags
		tx.Endpoints.Put(n.ID, &n)
	}}
	if e.FromFile {
		t.fixed = endpointState("DB proxy endpoint %s is declared in Forebay's configuration file: change it there.", e.Name)
	}
	return t
}

func taggedGroup(p *controlplane.Proxy) *tagged {
	t := taggedProxy(p)
	if t == nil {
		return nil
	}
	t.id, t.tags, t.listener = p.Group.ID, p.Group.Tags, false
	t.put = func(tx *controlplane.Tx, tags []controlplane.Tag) {
		n := *p
		n.Group.Tags = tags
		tx.Proxies.Put(n.ID, &n)
	}
	return t
}

func taggedDatabase(d *controlplane.Database) *tagged {
	if d == nil {
		return nil
	}
	t := &tagged{id: d.Identifier, tags: d.Tags, put: func(tx *controlplane.Tx, tags []controlplane.Tag) {
		n := *d
		n.Tags = tags
		tx.Databases.Put(strings.ToLower(n.Identifier), &n)
	}}
	if d.FromFile {
		t.fixed = awsapi.Errorf(400, "InvalidDBInstanceState", "DB Instance %s is declared in Forebay's configuration file: change it there.", d.Identifier)
	}
	return t
}

func taggedCluster(k *controlplane.Cluster) *tagged {
	if k == nil {
		return nil
	}
	t := &tagged{id: k.Identifier, tags: k.Tags, put: func(tx *controlplane.Tx, tags []controlplane.Tag) {
		n := *k
		n.Tags = tags
		tx.Clusters.Put(strings.ToLower(n.Identifier), &n)
	}}
	if k.FromFile {
		t.fixed = awsapi.Errorf(400, "InvalidDBClusterStateFault", "DB Cluster %s is declared in Forebay's configuration file: change it there.", k.Identifier)
	}
	return t
}
