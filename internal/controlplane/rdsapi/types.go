package rdsapi

import "time"

// The shapes of the model that several operations share (API version 2014-10-31).

// Tag is a tag of a resource.
type Tag struct {
	Key   string
	Value *string
}

// Filter narrows a Describe operation.
type Filter struct {
	Name   string
	Values []string `aws:"list=Value"`
}

// UserAuthConfig is an auth entry, in requests and (as UserAuthConfigInfo) in answers.
type UserAuthConfig struct {
	Description            *string
	UserName               *string
	AuthScheme             *string
	SecretArn              *string
	IAMAuth                *string
	ClientPasswordAuthType *string
}

// DBProxy is a proxy in an answer.
type DBProxy struct {
	DBProxyName                 string
	DBProxyArn                  string
	Status                      string
	EngineFamily                string
	VpcID                       string `aws:"name=VpcId"`
	VpcSecurityGroupIds         []string
	VpcSubnetIds                []string
	DefaultAuthScheme           string
	Auth                        []UserAuthConfig
	RoleArn                     string
	Endpoint                    string
	RequireTLS                  bool
	IdleClientTimeout           int
	DebugLogging                bool
	CreatedDate                 time.Time
	UpdatedDate                 time.Time
	EndpointNetworkType         string
	TargetConnectionNetworkType string
}

// DBProxyOutput is the answer of what makes, changes or deletes a proxy.
type DBProxyOutput struct{ DBProxy DBProxy }

// DBProxyEndpoint is a user endpoint in an answer.
type DBProxyEndpoint struct {
	DBProxyEndpointName string
	DBProxyEndpointArn  string
	DBProxyName         string
	Status              string
	VpcID               string `aws:"name=VpcId"`
	VpcSecurityGroupIds []string
	VpcSubnetIds        []string
	Endpoint            string
	CreatedDate         time.Time
	TargetRole          string
	IsDefault           bool
	EndpointNetworkType string
}

// DBProxyEndpointOutput is the answer of what makes, changes or deletes an endpoint.
type DBProxyEndpointOutput struct{ DBProxyEndpoint DBProxyEndpoint }

// ConnectionPoolConfiguration is the pool settings of a request: nil members keep what they are.
type ConnectionPoolConfiguration struct {
	MaxConnectionsPercent     *int
	MaxIdleConnectionsPercent *int
	ConnectionBorrowTimeout   *int
	SessionPinningFilters     []string
	InitQuery                 *string
}

// ConnectionPoolConfigurationInfo is the pool settings in force.
type ConnectionPoolConfigurationInfo struct {
	MaxConnectionsPercent     int
	MaxIdleConnectionsPercent int
	ConnectionBorrowTimeout   int
	SessionPinningFilters     []string
	InitQuery                 *string
}

// DBProxyTargetGroup is a target group in an answer.
type DBProxyTargetGroup struct {
	DBProxyName          string
	TargetGroupName      string
	TargetGroupArn       string
	IsDefault            bool
	Status               string
	ConnectionPoolConfig ConnectionPoolConfigurationInfo
	CreatedDate          time.Time
	UpdatedDate          time.Time
}

// TargetHealth is how a target is.
type TargetHealth struct {
	State       string
	Reason      *string
	Description *string
}

// DBProxyTarget is a target in an answer.
type DBProxyTarget struct {
	Endpoint         *string
	TrackedClusterID *string `aws:"name=TrackedClusterId"`
	RdsResourceID    string  `aws:"name=RdsResourceId"`
	Port             int
	Type             string
	Role             *string
	TargetHealth     *TargetHealth
}
