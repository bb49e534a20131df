package rdsapi

import (
	"context"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/resource"
)

// Statuses (contract 1.3).
const (
	available = "available"
	creating  = "creating"
	modifying = "modifying"
	deleting  = "deleting"
)

// CreateDBProxyInput is the request of CreateDBProxy.
type CreateDBProxyInput struct {
	DBProxyName                 string `aws:"required"`
	EngineFamily                string `aws:"required"`
	RoleArn                     string `aws:"required"`
	VpcSubnetIds                []string
	DefaultAuthScheme           *string
	Auth                        []UserAuthConfig
	VpcSecurityGroupIds         []string
	RequireTLS                  *bool
	IdleClientTimeout           *int
	DebugLogging                *bool
	Tags                        []Tag `aws:"list=Tag"`
	EndpointNetworkType         *string
	TargetConnectionNetworkType *string
}

// check checks what needs no state, and returns the auth entries as rows.
func (in *CreateDBProxyInput) check() ([]controlplane.Auth, error) {
	if in.EngineFamily == "" {
		return nil, missing("EngineFamily")
	}
	for _, err := range []error{
		checkName("DBProxyName", in.DBProxyName),
		checkEnum("EngineFamily", &in.EngineFamily, "MYSQL", "POSTGRESQL", "SQLSERVER"),
		checkRole(in.RoleArn),
		checkSubnets(in.VpcSubnetIds),
		checkEnum("DefaultAuthScheme", in.DefaultAuthScheme, "NONE", "IAM_AUTH"),
		checkGroups("VpcSecurityGroupIds", in.VpcSecurityGroupIds),
		checkRange("IdleClientTimeout", in.IdleClientTimeout, 1, 28800),
		checkTags(in.Tags),
		checkEnum("EndpointNetworkType", in.EndpointNetworkType, "IPV4", "IPV6", "DUAL"),
		checkEnum("TargetConnectionNetworkType", in.TargetConnectionNetworkType, "IPV4", "IPV6"),
	} {
		if err != nil {
			return nil, err
		}
	}
	family := resource.EngineFamily(in.EngineFamily)
	auth, err := checkAuth(family, in.Auth)
	if err != nil {
		return nil, err
	}
	return auth, checkScheme(family, awsapi.Or(in.DefaultAuthScheme, "NONE"), auth)
}

func (s *server) createDBProxy(ctx context.Context, c *awsapi.Call, in *CreateDBProxyInput) (*DBProxyOutput, error) {
	auth, err := in.check()
	if err != nil {
		return nil, err
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*DBProxyOutput, error) {
		st := tx.State()
		acct, err := account(st)
		if err != nil {
			return nil, err
		}
		now := when(c)
		p := &controlplane.Proxy{
			ID: controlplane.NewID("prx-"), Name: in.DBProxyName, Status: available, EngineFamily: resource.EngineFamily(in.EngineFamily),
			RoleARN: in.RoleArn, VPCID: acct.VPCID(), SubnetIDs: in.VpcSubnetIds, SecurityGroupIDs: groups(acct, in.VpcSecurityGroupIds),
			DefaultAuthScheme: awsapi.Or(in.DefaultAuthScheme, "NONE"), Auth: auth, RequireTLS: awsapi.Or(in.RequireTLS, false),
			IdleClientTimeout: awsapi.Or(in.IdleClientTimeout, 1800), DebugLogging: awsapi.Or(in.DebugLogging, false),
			EndpointNetworkType:         awsapi.Or(in.EndpointNetworkType, "IPV4"),
			TargetConnectionNetworkType: awsapi.Or(in.TargetConnectionNetworkType, "IPV4"),
			Created:                     now, Updated: now, Tags: toRows(in.Tags),
			Group: controlplane.TargetGroup{ID: controlplane.NewID("prx-tg-"), Created: now, Updated: now},
		}
		if err := may(c, "rds:CreateDBProxy", in.Tags, anything); err != nil {
			return nil, err
		}
		if len(in.Tags) > 0 {
			if err := may(c, "rds:AddTagsToResource", in.Tags, proxySubject(acct, p)); err != nil {
				return nil, err
			}
		}
		if err := mayPass(c, in.RoleArn); err != nil {
			return nil, err
		}
		if st.ProxyNamed(p.Name) != nil {
			return nil, awsapi.Errorf(400, "DBProxyAlreadyExistsFault", "DB proxy %s already exists.", p.Name)
		}
		if st.Proxies.Len() >= s.opts.Proxies {
			return nil, awsapi.Errorf(400, "DBProxyQuotaExceededFault", "The quota of %d proxies in this account and Region is exceeded.", s.opts.Proxies)
		}
		p.Listen, err = s.listen(st, p.EngineFamily, p.EndpointNetworkType, p.Tags, p.Name, p.ID)
		if err != nil {
			return nil, err
		}
		tx.Proxies.Put(p.ID, p)
		tx.AddEvent(now, controlplane.ProxyCreated, p, "RDS created DB proxy %s.", p.Name)
		return &DBProxyOutput{proxyOf(acct, p, creating)}, nil
	})
}

// ModifyDBProxyInput is the request of ModifyDBProxy. What it leaves out stays as it is.
type ModifyDBProxyInput struct {
	DBProxyName       string `aws:"required"`
	NewDBProxyName    *string
	DefaultAuthScheme *string
	Auth              []UserAuthConfig
	RequireTLS        *bool
	IdleClientTimeout *int
	DebugLogging      *bool
	RoleArn           *string
	SecurityGroups    []string
}

func (in *ModifyDBProxyInput) check() error {
	for _, err := range []error{
		checkName("DBProxyName", in.DBProxyName),
		checkOptionalName("NewDBProxyName", in.NewDBProxyName),
		checkEnum("DefaultAuthScheme", in.DefaultAuthScheme, "NONE", "IAM_AUTH"),
		checkRange("IdleClientTimeout", in.IdleClientTimeout, 1, 28800),
		checkGroups("SecurityGroups", in.SecurityGroups),
	} {
		if err != nil {
			return err
		}
	}
	if in.RoleArn != nil {
		return checkRole(*in.RoleArn)
	}
	return nil
}

func (s *server) modifyDBProxy(ctx context.Context, c *awsapi.Call, in *ModifyDBProxyInput) (*DBProxyOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*DBProxyOutput, error) {
		st := tx.State()
		acct, old, err := s.proxyFor(c, st, "rds:ModifyDBProxy", in.DBProxyName)
		if err != nil {
			return nil, err
		}
		if in.RoleArn != nil && *in.RoleArn != old.RoleARN {
			if err := mayPass(c, *in.RoleArn); err != nil {
				return nil, err
			}
		}
		if err := changeable(old); err != nil {
			return nil, err
		}
		p := *old
		p.Name = awsapi.Or(in.NewDBProxyName, old.Name)
		if other := st.ProxyNamed(p.Name); other != nil && other.ID != p.ID {
			return nil, awsapi.Errorf(400, "DBProxyAlreadyExistsFault", "DB proxy %s already exists.", p.Name)
		}
		p.DefaultAuthScheme = awsapi.Or(in.DefaultAuthScheme, p.DefaultAuthScheme)
		if in.Auth != nil {
			if p.Auth, err = checkAuth(p.EngineFamily, in.Auth); err != nil {
				return nil, err
			}
		}
		if err := checkScheme(p.EngineFamily, p.DefaultAuthScheme, p.Auth); err != nil {
			return nil, err
		}
		p.RequireTLS = awsapi.Or(in.RequireTLS, p.RequireTLS)
		p.IdleClientTimeout = awsapi.Or(in.IdleClientTimeout, p.IdleClientTimeout)
		p.DebugLogging = awsapi.Or(in.DebugLogging, p.DebugLogging)
		p.RoleARN = awsapi.Or(in.RoleArn, p.RoleARN)
		if in.SecurityGroups != nil {
			p.SecurityGroupIDs = groups(acct, in.SecurityGroups)
		}
		p.Updated = when(c)
		tx.Proxies.Put(p.ID, &p)
		tx.AddEvent(p.Updated, controlplane.ProxyModified, &p, "RDS modified DB proxy %s.", p.Name)
		return &DBProxyOutput{proxyOf(acct, &p, modifying)}, nil
	})
}

// DeleteDBProxyInput is the request of DeleteDBProxy.
type DeleteDBProxyInput struct {
	DBProxyName string `aws:"required"`
}

func (s *server) deleteDBProxy(ctx context.Context, c *awsapi.Call, in *DeleteDBProxyInput) (*DBProxyOutput, error) {
	if err := checkName("DBProxyName", in.DBProxyName); err != nil {
		return nil, err
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*DBProxyOutput, error) {
		acct, p, err := s.proxyFor(c, tx.State(), "rds:DeleteDBProxy", in.DBProxyName)
		if err != nil {
			return nil, err
		}
		if err := changeable(p); err != nil {
			return nil, err
		}
		now := when(c)
		for _, e := range tx.State().EndpointsOf(p.ID) {
			tx.Endpoints.Delete(e.ID)
			tx.AddEvent(now, controlplane.EndpointDeleted, p, "RDS deleted endpoint %s for DB Proxy %s.", e.Name, p.Name)
		}
		tx.Proxies.Delete(p.ID)
		tx.AddEvent(now, controlplane.ProxyDeleted, p, "RDS deleted DB proxy %s.", p.Name)
		return &DBProxyOutput{proxyOf(acct, p, deleting)}, nil
	})
}

// DescribeDBProxiesInput is the request of DescribeDBProxies.
type DescribeDBProxiesInput struct {
	DBProxyName *string
	Filters     []Filter `aws:"list=Filter"`
	Marker      *string
	MaxRecords  *int
}

// DescribeDBProxiesOutput is the answer of DescribeDBProxies.
type DescribeDBProxiesOutput struct {
	DBProxies []DBProxy
	Marker    *string
}

func (s *server) describeDBProxies(_ context.Context, c *awsapi.Call, in *DescribeDBProxiesInput) (*DescribeDBProxiesOutput, error) {
	st := s.plane.State()
	if err := checkOptionalName("DBProxyName", in.DBProxyName); err != nil {
		return nil, err
	}
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	var rows []*controlplane.Proxy
	var acct *controlplane.Account
	var err error
	if in.DBProxyName != nil {
		var p *controlplane.Proxy
		if acct, p, err = s.proxyFor(c, st, "rds:DescribeDBProxies", *in.DBProxyName); err != nil {
			return nil, err
		}
		rows = append(rows, p)
	} else {
		if acct, err = account(st); err != nil {
			return nil, err
		}
		if err := may(c, "rds:DescribeDBProxies", nil, all(acct, controlplane.KindProxy)); err != nil {
			return nil, err
		}
		for _, p := range st.Proxies.All() {
			rows = append(rows, p)
		}
	}
	key := func(p *controlplane.Proxy) string { return strings.ToLower(p.Name) }
	rows, next, err := awsapi.Page(rows, in.Marker, in.MaxRecords, key)
	if err != nil {
		return nil, err
	}
	out := &DescribeDBProxiesOutput{DBProxies: []DBProxy{}, Marker: next}
	for _, p := range rows {
		out.DBProxies = append(out.DBProxies, proxyOf(acct, p, p.Status))
	}
	return out, nil
}

// proxyFor finds a proxy by its name, for a caller who may do action to it.
func (s *server) proxyFor(c *awsapi.Call, st *controlplane.State, action, name string) (*controlplane.Account, *controlplane.Proxy, error) {
	acct, err := account(st)
	if err != nil {
		return nil, nil, err
	}
	p := st.ProxyNamed(name)
	if err := may(c, action, nil, proxySubject(acct, p)); err != nil {
		return nil, nil, err
	}
	if p == nil {
		return nil, nil, proxyNotFound(name)
	}
	return acct, p, nil
}

// changeable says why a proxy cannot be changed now.
func changeable(p *controlplane.Proxy) error {
	switch {
	case p.FromFile:
		return proxyState("DB proxy %s is declared in Forebay's configuration file: change it there.", p.Name)
	case p.Status != available:
		return proxyState("DB proxy %s is in state %s, needs to be in %s.", p.Name, p.Status, available)
	}
	return nil
}

// listen finds an address for a new proxy or endpoint.
func (s *server) listen(st *controlplane.State, f resource.EngineFamily, network string, tags []controlplane.Tag, label, id string) (controlplane.Listen, error) {
	r := controlplane.ListenRequest{Family: f, Network: network, Label: label, ID: id}
	for _, t := range tags {
		if t.Key == controlplane.ListenTag {
			r.Tag = t.Value
			if t.Value == "" {
				return controlplane.Listen{}, invalid("The tag %s is empty: expected host:port or :port.", t.Key)
			}
		}
	}
	l, err := s.opts.Listeners.Assign(st, r)
	switch {
	case err == nil:
		return l, nil
	case r.Tag != "":
		return l, invalid("%v.", err)
	}
	return l, invalidSubnet("%v.", err)
}

func proxyOf(a *controlplane.Account, p *controlplane.Proxy, status string) DBProxy {
	out := DBProxy{
		DBProxyName: p.Name, DBProxyArn: a.ARN(controlplane.KindProxy, p.ID), Status: status, EngineFamily: string(p.EngineFamily),
		VpcID: p.VPCID, VpcSecurityGroupIds: p.SecurityGroupIDs, VpcSubnetIds: p.SubnetIDs, DefaultAuthScheme: p.DefaultAuthScheme,
		Auth: []UserAuthConfig{}, RoleArn: p.RoleARN, Endpoint: p.Listen.Endpoint(p.EngineFamily), RequireTLS: p.RequireTLS,
		IdleClientTimeout: p.IdleClientTimeout, DebugLogging: p.DebugLogging, CreatedDate: p.Created, UpdatedDate: p.Updated,
		EndpointNetworkType: p.EndpointNetworkType, TargetConnectionNetworkType: p.TargetConnectionNetworkType,
	}
	for _, e := range p.Auth {
		out.Auth = append(out.Auth, UserAuthConfig{
			Description: awsapi.Optional(e.Description), UserName: awsapi.Optional(e.UserName), AuthScheme: awsapi.Optional(e.AuthScheme),
			SecretArn: awsapi.Optional(e.SecretARN), IAMAuth: awsapi.Optional(e.IAMAuth), ClientPasswordAuthType: awsapi.Optional(e.ClientPasswordAuthType),
		})
	}
	return out
}
