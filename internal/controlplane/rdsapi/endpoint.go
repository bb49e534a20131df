package rdsapi

import (
	"context"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/resource"
)

// CreateDBProxyEndpointInput is the request of CreateDBProxyEndpoint.
type CreateDBProxyEndpointInput struct {
	DBProxyName         string `aws:"required"`
	DBProxyEndpointName string `aws:"required"`
	VpcSubnetIds        []string
	VpcSecurityGroupIds []string
	TargetRole          *string
	Tags                []Tag `aws:"list=Tag"`
	EndpointNetworkType *string
}

// defaultName is the name of the target group, and of the endpoint that every proxy has.
const defaultName = "default"

func (in *CreateDBProxyEndpointInput) check() error {
	for _, err := range []error{
		checkName("DBProxyName", in.DBProxyName),
		checkEndpointName("DBProxyEndpointName", in.DBProxyEndpointName),
		checkSubnets(in.VpcSubnetIds),
		checkGroups("VpcSecurityGroupIds", in.VpcSecurityGroupIds),
		checkEnum("TargetRole", in.TargetRole, "READ_WRITE", "READ_ONLY"),
		checkTags(in.Tags),
		checkEnum("EndpointNetworkType", in.EndpointNetworkType, "IPV4", "IPV6", "DUAL"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkEndpointName(member, name string) error {
	if err := checkName(member, name); err != nil {
		return err
	}
	if strings.EqualFold(name, defaultName) {
		return invalid("Invalid %s: %s is the endpoint that every proxy has.", member, defaultName)
	}
	return nil
}

func (s *server) createDBProxyEndpoint(ctx context.Context, c *awsapi.Call, in *CreateDBProxyEndpointInput) (*DBProxyEndpointOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*DBProxyEndpointOutput, error) {
		st := tx.State()
		acct, err := account(st)
		if err != nil {
			return nil, err
		}
		p := st.ProxyNamed(in.DBProxyName)
		now := when(c)
		e := &controlplane.Endpoint{
			ID: controlplane.NewID("prx-endpoint-"), Name: in.DBProxyEndpointName, Status: available, VPCID: acct.VPCID(),
			SubnetIDs: in.VpcSubnetIds, SecurityGroupIDs: groups(acct, in.VpcSecurityGroupIds), TargetRole: awsapi.Or(in.TargetRole, "READ_WRITE"),
			NetworkType: awsapi.Or(in.EndpointNetworkType, "IPV4"), Created: now, Tags: toRows(in.Tags),
		}
		if err := may(c, "rds:CreateDBProxyEndpoint", in.Tags, proxySubject(acct, p), all(acct, controlplane.KindEndpoint)); err != nil {
			return nil, err
		}
		if len(in.Tags) > 0 {
			if err := may(c, "rds:AddTagsToResource", in.Tags, endpointSubject(acct, e)); err != nil {
				return nil, err
			}
		}
		if p == nil {
			return nil, proxyNotFound(in.DBProxyName)
		}
		if err := changeable(p); err != nil {
			return nil, err
		}
		if st.EndpointNamed(e.Name) != nil {
			return nil, awsapi.Errorf(400, "DBProxyEndpointAlreadyExistsFault", "DB proxy endpoint %s already exists.", e.Name)
		}
		if len(st.EndpointsOf(p.ID)) >= s.opts.Endpoints {
			return nil, awsapi.Errorf(400, "DBProxyEndpointQuotaExceededFault", "The quota of %d endpoints of a proxy is exceeded.", s.opts.Endpoints)
		}
		if e.TargetRole == "READ_ONLY" {
			if err := checkReaders(st, p); err != nil {
				return nil, err
			}
		}
		e.ProxyID = p.ID
		e.Listen, err = s.listen(st, p.EngineFamily, e.NetworkType, e.Tags, e.Name+".endpoint", e.ID)
		if err != nil {
			return nil, err
		}
		tx.Endpoints.Put(e.ID, e)
		tx.AddEvent(now, controlplane.EndpointCreated, p, "RDS created endpoint %s for DB Proxy %s.", e.Name, p.Name)
		return &DBProxyEndpointOutput{endpointOf(acct, p, e, creating)}, nil
	})
}

// checkReaders says why a proxy cannot have a READ_ONLY endpoint (contract 2.4, 7.3).
func checkReaders(st *controlplane.State, p *controlplane.Proxy) error {
	switch {
	case p.EngineFamily == resource.SQLServer:
		return invalid("Invalid TargetRole: endpoints of the engine family SQLSERVER are READ_WRITE.")
	case p.Group.Cluster == "":
		return invalid("Invalid TargetRole: READ_ONLY needs a DB cluster with readers as the target of DB proxy %s.", p.Name)
	case len(st.Members(p.Group.Cluster)) < 2 && !st.Cluster(p.Group.Cluster).Settings.Discover:
		return invalid("Invalid TargetRole: READ_ONLY needs readers, and DB cluster %s has none.", p.Group.Cluster)
	}
	return nil
}

// ModifyDBProxyEndpointInput is the request of ModifyDBProxyEndpoint. What it leaves out stays as it is.
type ModifyDBProxyEndpointInput struct {
	DBProxyEndpointName    string `aws:"required"`
	NewDBProxyEndpointName *string
	VpcSecurityGroupIds    []string
}

func (s *server) modifyDBProxyEndpoint(ctx context.Context, c *awsapi.Call, in *ModifyDBProxyEndpointInput) (*DBProxyEndpointOutput, error) {
	for _, err := range []error{
		checkName("DBProxyEndpointName", in.DBProxyEndpointName),
		checkOptionalName("NewDBProxyEndpointName", in.NewDBProxyEndpointName),
		checkGroups("VpcSecurityGroupIds", in.VpcSecurityGroupIds),
	} {
		if err != nil {
			return nil, err
		}
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*DBProxyEndpointOutput, error) {
		st := tx.State()
		acct, p, old, err := s.endpointFor(c, st, "rds:ModifyDBProxyEndpoint", in.DBProxyEndpointName)
		if err != nil {
			return nil, err
		}
		e := *old
		e.Name = awsapi.Or(in.NewDBProxyEndpointName, old.Name)
		if !strings.EqualFold(e.Name, old.Name) {
			if err := checkEndpointName("NewDBProxyEndpointName", e.Name); err != nil {
				return nil, err
			}
		}
		if other := st.EndpointNamed(e.Name); other != nil && other.ID != e.ID {
			return nil, awsapi.Errorf(400, "DBProxyEndpointAlreadyExistsFault", "DB proxy endpoint %s already exists.", e.Name)
		}
		if in.VpcSecurityGroupIds != nil {
			e.SecurityGroupIDs = groups(acct, in.VpcSecurityGroupIds)
		}
		tx.Endpoints.Put(e.ID, &e)
		tx.AddEvent(when(c), controlplane.EndpointModified, p, "RDS modified endpoint %s of DB Proxy %s.", e.Name, p.Name)
		return &DBProxyEndpointOutput{endpointOf(acct, p, &e, modifying)}, nil
	})
}

// DeleteDBProxyEndpointInput is the request of DeleteDBProxyEndpoint.
type DeleteDBProxyEndpointInput struct {
	DBProxyEndpointName string `aws:"required"`
}

func (s *server) deleteDBProxyEndpoint(ctx context.Context, c *awsapi.Call, in *DeleteDBProxyEndpointInput) (*DBProxyEndpointOutput, error) {
	if err := checkName("DBProxyEndpointName", in.DBProxyEndpointName); err != nil {
		return nil, err
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*DBProxyEndpointOutput, error) {
		acct, p, e, err := s.endpointFor(c, tx.State(), "rds:DeleteDBProxyEndpoint", in.DBProxyEndpointName)
		if err != nil {
			return nil, err
		}
		tx.Endpoints.Delete(e.ID)
		tx.AddEvent(when(c), controlplane.EndpointDeleted, p, "RDS deleted endpoint %s for DB Proxy %s.", e.Name, p.Name)
		return &DBProxyEndpointOutput{endpointOf(acct, p, e, deleting)}, nil
	})
}

// endpointFor finds an endpoint by its name, for a caller who may do action to it, and that can be changed.
func (s *server) endpointFor(c *awsapi.Call, st *controlplane.State, action, name string) (*controlplane.Account, *controlplane.Proxy, *controlplane.Endpoint, error) {
	acct, err := account(st)
	if err != nil {
		return nil, nil, nil, err
	}
	e := st.EndpointNamed(name)
	if err := may(c, action, nil, endpointSubject(acct, e)); err != nil {
		return nil, nil, nil, err
	}
	if e == nil {
		return nil, nil, nil, endpointNotFound(name)
	}
	p := st.Proxies.Get(e.ProxyID)
	switch {
	case p == nil:
		return nil, nil, nil, endpointNotFound(name)
	case e.FromFile:
		return nil, nil, nil, endpointState("DB proxy endpoint %s is declared in Forebay's configuration file: change it there.", e.Name)
	case e.Status != available:
		return nil, nil, nil, endpointState("DB proxy endpoint %s is in state %s, needs to be in %s.", e.Name, e.Status, available)
	}
	return acct, p, e, nil
}

// DescribeDBProxyEndpointsInput is the request of DescribeDBProxyEndpoints.
type DescribeDBProxyEndpointsInput struct {
	DBProxyName         *string
	DBProxyEndpointName *string
	Filters             []Filter `aws:"list=Filter"`
	Marker              *string
	MaxRecords          *int
}

// DescribeDBProxyEndpointsOutput is the answer of DescribeDBProxyEndpoints: user endpoints alone, as in every sample.
type DescribeDBProxyEndpointsOutput struct {
	DBProxyEndpoints []DBProxyEndpoint
	Marker           *string
}

func (s *server) describeDBProxyEndpoints(_ context.Context, c *awsapi.Call, in *DescribeDBProxyEndpointsInput) (*DescribeDBProxyEndpointsOutput, error) {
	for _, err := range []error{
		checkOptionalName("DBProxyName", in.DBProxyName),
		checkOptionalName("DBProxyEndpointName", in.DBProxyEndpointName),
		noFilters(in.Filters),
	} {
		if err != nil {
			return nil, err
		}
	}
	st := s.plane.State()
	acct, err := account(st)
	if err != nil {
		return nil, err
	}
	var p *controlplane.Proxy
	var e *controlplane.Endpoint
	about := all(acct, controlplane.KindEndpoint)
	if in.DBProxyName != nil {
		p = st.ProxyNamed(*in.DBProxyName)
		about = proxySubject(acct, p)
	}
	if in.DBProxyEndpointName != nil {
		e = st.EndpointNamed(*in.DBProxyEndpointName)
		about = endpointSubject(acct, e)
	}
	if err := may(c, "rds:DescribeDBProxyEndpoints", nil, about); err != nil {
		return nil, err
	}
	switch {
	case in.DBProxyName != nil && p == nil:
		return nil, proxyNotFound(*in.DBProxyName)
	case in.DBProxyEndpointName != nil && (e == nil || p != nil && e.ProxyID != p.ID):
		return nil, endpointNotFound(*in.DBProxyEndpointName)
	}
	var rows []*controlplane.Endpoint
	for _, row := range st.Endpoints.All() {
		if (p == nil || row.ProxyID == p.ID) && (e == nil || row == e) && st.Proxies.Get(row.ProxyID) != nil {
			rows = append(rows, row)
		}
	}
	key := func(e *controlplane.Endpoint) string { return strings.ToLower(e.Name) }
	rows, next, err := awsapi.Page(rows, in.Marker, in.MaxRecords, key)
	if err != nil {
		return nil, err
	}
	out := &DescribeDBProxyEndpointsOutput{DBProxyEndpoints: []DBProxyEndpoint{}, Marker: next}
	for _, row := range rows {
		out.DBProxyEndpoints = append(out.DBProxyEndpoints, endpointOf(acct, st.Proxies.Get(row.ProxyID), row, row.Status))
	}
	return out, nil
}

func endpointOf(a *controlplane.Account, p *controlplane.Proxy, e *controlplane.Endpoint, status string) DBProxyEndpoint {
	return DBProxyEndpoint{
		DBProxyEndpointName: e.Name, DBProxyEndpointArn: a.ARN(controlplane.KindEndpoint, e.ID), DBProxyName: p.Name, Status: status,
		VpcID: e.VPCID, VpcSecurityGroupIds: e.SecurityGroupIDs, VpcSubnetIds: e.SubnetIDs, Endpoint: e.Listen.Endpoint(p.EngineFamily),
		CreatedDate: e.Created, TargetRole: e.TargetRole, EndpointNetworkType: e.NetworkType,
	}
}
