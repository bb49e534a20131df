package rdsapi

import (
	"context"
	"slices"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/resource"
)

// DescribeDBProxyTargetGroupsInput is the request of DescribeDBProxyTargetGroups.
type DescribeDBProxyTargetGroupsInput struct {
	DBProxyName     string `aws:"required"`
	TargetGroupName *string
	Filters         []Filter `aws:"list=Filter"`
	Marker          *string
	MaxRecords      *int
}

// DescribeDBProxyTargetGroupsOutput is the answer of DescribeDBProxyTargetGroups: the one group there is.
type DescribeDBProxyTargetGroupsOutput struct {
	TargetGroups []DBProxyTargetGroup
	Marker       *string
}

func (s *server) describeDBProxyTargetGroups(_ context.Context, c *awsapi.Call, in *DescribeDBProxyTargetGroupsInput) (*DescribeDBProxyTargetGroupsOutput, error) {
	for _, err := range []error{
		checkName("DBProxyName", in.DBProxyName),
		checkOptionalName("TargetGroupName", in.TargetGroupName),
		noFilters(in.Filters),
	} {
		if err != nil {
			return nil, err
		}
	}
	acct, p, err := s.proxyFor(c, s.plane.State(), "rds:DescribeDBProxyTargetGroups", in.DBProxyName)
	if err != nil {
		return nil, err
	}
	if err := checkDefault(in.TargetGroupName); err != nil {
		return nil, err
	}
	rows, next, err := awsapi.Page([]DBProxyTargetGroup{groupOf(acct, p)}, in.Marker, in.MaxRecords, func(g DBProxyTargetGroup) string { return g.TargetGroupName })
	if err != nil {
		return nil, err
	}
	return &DescribeDBProxyTargetGroupsOutput{TargetGroups: rows, Marker: next}, nil
}

// checkDefault takes the name of the one target group; left out it is that, too.
func checkDefault(group *string) error {
	if group != nil && *group != defaultName {
		return groupNotFound(*group)
	}
	return nil
}

// ModifyDBProxyTargetGroupInput is the request of ModifyDBProxyTargetGroup.
type ModifyDBProxyTargetGroupInput struct {
	TargetGroupName      string `aws:"required"`
	DBProxyName          string `aws:"required"`
	ConnectionPoolConfig *ConnectionPoolConfiguration
	NewName              *string
}

// DBProxyTargetGroupOutput is the answer of ModifyDBProxyTargetGroup.
type DBProxyTargetGroupOutput struct{ DBProxyTargetGroup DBProxyTargetGroup }

func (s *server) modifyDBProxyTargetGroup(ctx context.Context, c *awsapi.Call, in *ModifyDBProxyTargetGroupInput) (*DBProxyTargetGroupOutput, error) {
	for _, err := range []error{
		checkName("TargetGroupName", in.TargetGroupName),
		checkName("DBProxyName", in.DBProxyName),
	} {
		if err != nil {
			return nil, err
		}
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*DBProxyTargetGroupOutput, error) {
		st := tx.State()
		acct, err := account(st)
		if err != nil {
			return nil, err
		}
		old := st.ProxyNamed(in.DBProxyName)
		if err := may(c, "rds:ModifyDBProxyTargetGroup", nil, groupSubject(acct, old)); err != nil {
			return nil, err
		}
		if old == nil {
			return nil, proxyNotFound(in.DBProxyName)
		}
		if err := checkDefault(&in.TargetGroupName); err != nil {
			return nil, err
		}
		if in.NewName != nil && *in.NewName != defaultName {
			return nil, invalid("Invalid NewName: the target group %s cannot be renamed.", defaultName)
		}
		if err := changeable(old); err != nil {
			return nil, err
		}
		p := *old
		if in.ConnectionPoolConfig != nil {
			if p.Group.Pool, err = changedPool(p.EngineFamily, p.Group.Pool, in.ConnectionPoolConfig); err != nil {
				return nil, err
			}
		}
		p.Group.Updated = when(c)
		tx.Proxies.Put(p.ID, &p)
		tx.AddEvent(p.Group.Updated, controlplane.ProxyModified, &p, "RDS modified target group %s of DB proxy %s.", defaultName, p.Name)
		return &DBProxyTargetGroupOutput{groupOf(acct, &p)}, nil
	})
}

// changedPool is pool settings after a request: what that leaves out stays, what is empty in it is cleared (contract 11.2).
func changedPool(f resource.EngineFamily, pool controlplane.PoolConfig, in *ConnectionPoolConfiguration) (controlplane.PoolConfig, error) {
	for _, err := range []error{
		checkRange("MaxConnectionsPercent", in.MaxConnectionsPercent, 1, 100),
		checkRange("MaxIdleConnectionsPercent", in.MaxIdleConnectionsPercent, 0, 100),
		checkRange("ConnectionBorrowTimeout", in.ConnectionBorrowTimeout, 0, 300),
	} {
		if err != nil {
			return pool, err
		}
	}
	if in.MaxConnectionsPercent != nil {
		pool.MaxConnectionsPercent = in.MaxConnectionsPercent
	}
	if in.MaxIdleConnectionsPercent != nil {
		pool.MaxIdleConnectionsPercent = in.MaxIdleConnectionsPercent
	}
	if in.ConnectionBorrowTimeout != nil {
		pool.ConnectionBorrowTimeout = in.ConnectionBorrowTimeout
	}
	if in.SessionPinningFilters != nil {
		for _, f := range in.SessionPinningFilters {
			if err := checkEnum("SessionPinningFilters", &f, pinFilters...); err != nil {
				return pool, err
			}
		}
		if len(in.SessionPinningFilters) > 0 && f != resource.MySQL {
			return pool, invalid("Invalid SessionPinningFilters: %s is for the engine family MYSQL.", controlplane.ExcludeVariableSets)
		}
		pool.SessionPinningFilters = slices.Compact(slices.Clone(in.SessionPinningFilters))
	}
	if in.InitQuery != nil {
		if strings.ContainsRune(*in.InitQuery, 0) {
			return pool, invalid("Invalid InitQuery: SQL has no NUL characters.")
		}
		pool.InitQuery = *in.InitQuery
	}
	// The range of the API is 0 to MaxConnectionsPercent. A value above it is refused rather than cut down: Terraform sends
	// all numbers each time and compares them with what it reads, so a value that was cut down would be a change that no
	// apply can make, and one that is shown but not in force would be a lie.
	if e := pool.Effective(f); e.MaxIdleConnectionsPercent > e.MaxConnectionsPercent {
		return pool, invalid("Invalid MaxIdleConnectionsPercent: %d. It must be from 0 to MaxConnectionsPercent, which is %d.", e.MaxIdleConnectionsPercent, e.MaxConnectionsPercent)
	}
	return pool, nil
}

func groupOf(a *controlplane.Account, p *controlplane.Proxy) DBProxyTargetGroup {
	e := p.Group.Pool.Effective(p.EngineFamily)
	filters := e.SessionPinningFilters
	if filters == nil {
		filters = []string{}
	}
	return DBProxyTargetGroup{
		DBProxyName: p.Name, TargetGroupName: defaultName, TargetGroupArn: a.ARN(controlplane.KindTargetGroup, p.Group.ID), IsDefault: true,
		Status: available, CreatedDate: p.Group.Created, UpdatedDate: p.Group.Updated,
		ConnectionPoolConfig: ConnectionPoolConfigurationInfo{
			MaxConnectionsPercent: e.MaxConnectionsPercent, MaxIdleConnectionsPercent: e.MaxIdleConnectionsPercent,
			ConnectionBorrowTimeout: e.ConnectionBorrowTimeout, SessionPinningFilters: filters, InitQuery: awsapi.Optional(e.InitQuery),
		},
	}
}
