package controlplane

import (
	"time"

	"forebay/internal/resource"
)

// The rows of the state, as they are stored: JSON objects. A field may be added; one that exists keeps its name and
// meaning, so that a newer Forebay reads what an older one has written.

// Account is where everything belongs: one row, made at the first start. Key: "account".
type Account struct {
	ID     string // 12 digits
	Region string // such as us-east-1
	Suffix string // 12 lower-case letters and digits, in the names of endpoints (contract 1.1)
	Made   time.Time
	// RootKeys are of the account's root, who may do everything. The first one is made with the account.
	RootKeys []AccessKey
}

// Tag belongs to a resource.
type Tag struct{ Key, Value string }

// Proxy is a DB proxy with its one target group (contract 1.1, 2.4). Key: the resource id, prx-….
type Proxy struct {
	ID                          string // prx-…
	Name                        string
	Status                      string // available, or what a change in progress says
	EngineFamily                resource.EngineFamily
	RoleARN                     string
	VPCID                       string
	SubnetIDs                   []string
	SecurityGroupIDs            []string
	DefaultAuthScheme           string // NONE or IAM_AUTH
	Auth                        []Auth
	RequireTLS                  bool
	IdleClientTimeout           int // seconds
	DebugLogging                bool
	EndpointNetworkType         string
	TargetConnectionNetworkType string
	Created, Updated            time.Time
	Tags                        []Tag
	Listen                      Listen // of the default endpoint
	Group                       TargetGroup
	Paused                      bool `json:",omitempty"` // sessions wait at their next transaction
	FromFile                    bool // declared in the configuration file: read-only in the API
}

// Auth is a UserAuthConfig (contract 3.2): exactly what was sent, but for ClientPasswordAuthType, which has its default.
type Auth struct {
	AuthScheme             string `json:",omitempty"`
	SecretARN              string `json:",omitempty"`
	UserName               string `json:",omitempty"`
	Description            string `json:",omitempty"`
	IAMAuth                string `json:",omitempty"`
	ClientPasswordAuthType string `json:",omitempty"`
}

// TargetGroup is the one target group of a proxy, named default.
type TargetGroup struct {
	ID               string // prx-tg-…
	Pool             PoolConfig
	Created, Updated time.Time
	Tags             []Tag
	Instance         string // identifier of the registered DB instance; empty: none
	Cluster          string // identifier of the registered DB cluster; empty: none
	Registered       time.Time
}

// PoolConfig is a ConnectionPoolConfig (contract 3.3). Nil fields have never been set.
type PoolConfig struct {
	MaxConnectionsPercent     *int     `json:",omitempty"`
	MaxIdleConnectionsPercent *int     `json:",omitempty"`
	ConnectionBorrowTimeout   *int     `json:",omitempty"` // seconds
	SessionPinningFilters     []string `json:",omitempty"`
	InitQuery                 string   `json:",omitempty"`
}

// Listen is the address that an endpoint has been given. It stays the same as long as the endpoint lives.
type Listen struct {
	Address string // host or IP that is listened on; empty: every address
	Port    int
	Host    string // the name or address that clients are told, without port
}

// Endpoint is a user endpoint of a proxy. Key: the resource id, prx-endpoint-….
type Endpoint struct {
	ID               string // prx-endpoint-…
	Name             string // unique in the account
	ProxyID          string
	Status           string
	VPCID            string
	SubnetIDs        []string
	SecurityGroupIDs []string
	TargetRole       string // READ_WRITE or READ_ONLY
	NetworkType      string
	Created          time.Time
	Tags             []Tag
	Listen           Listen
	FromFile         bool // declared in the configuration file: read-only in the API
}

// Database is a database that has been declared: a DB instance of the API. Key: the identifier in lower case.
type Database struct {
	Identifier string
	Engine     string // postgres, mysql, mariadb, sqlserver-…, aurora-…
	Version    string
	Host       string
	Port       int
	Cluster    string // identifier of its cluster; empty: none
	ResourceID string // db-…
	TLSMode    resource.TLSMode
	CA         string // PEM bundle for verify-ca and verify-full; empty: the system's
	IAM        string `json:",omitempty"` // who checks the tokens that it takes: aws, forebay; empty: it takes none
	IAMRegion  string `json:",omitempty"` // that tokens for AWS are made for; empty: see Database.Region
	Created    time.Time
	Tags       []Tag
	FromFile   bool // declared in the configuration file: read-only in the API
	// DeclaredBy are the members whose configuration files declare it, each with a digest of what its file says of it.
	DeclaredBy map[string]string `json:",omitempty"`
}

// Member is a Forebay whose configuration file declares databases. Key: its name.
type Member struct {
	Name string
	Seen time.Time // when it last said that it is there
}

// Cluster is a group of databases, of which one is the writer. Key: the identifier in lower case.
type Cluster struct {
	Identifier string
	Engine     string
	ResourceID string // cluster-…
	Created    time.Time
	Tags       []Tag
	FromFile   bool
	Settings   ClusterSettings `json:",omitzero"`
}

// ClusterSettings say how a cluster's members are found and chosen.
type ClusterSettings struct {
	Discover       bool   `json:",omitempty"` // the members that the declared ones name are members, too
	MonitorSecret  string `json:",omitempty"` // ARN of the secret to ask members for their role by; empty: the proxy's first
	MaxReplicaLag  int    `json:",omitempty"` // seconds; 0: no limit
	ReaderFallback string `json:",omitempty"` // FallbackWait or FallbackWriter; empty: FallbackWait
}

// Secret is a secret of Secrets Manager. Key: the ARN.
type Secret struct {
	ARN             string
	Name            string
	Description     string
	KMSKeyID        string
	Created         time.Time
	Changed         time.Time
	Accessed        time.Time // by day
	Deleted         time.Time // when DeleteSecret was called; zero: not
	DeletionDate    time.Time // when it goes for good
	Tags            []Tag
	ResourcePolicy  string // JSON; empty: none
	RotationEnabled bool
	Versions        []SecretVersion
	PreviousSince   time.Time // when the version that is AWSPREVIOUS became it; zero: not known, or none
}

// SecretVersion is one version's content, sealed: nothing readable is stored.
type SecretVersion struct {
	ID      string
	Stages  []string // AWSCURRENT, AWSPREVIOUS, AWSPENDING, and others
	Created time.Time
	Binary  bool   // SecretBinary rather than SecretString
	Sealed  []byte // encrypted with the key that is not in the store
}

// User is an IAM user. Key: the name in lower case.
type User struct {
	Name     string
	Path     string
	ID       string // AIDA…
	Created  time.Time
	Tags     []Tag
	Inline   map[string]string // policy documents by name
	Attached []string          // ARNs of managed policies
	Keys     []AccessKey
}

// AccessKey belongs to a user, or to root. Its secret is sealed.
type AccessKey struct {
	ID      string // AKIA…
	Active  bool
	Created time.Time
	Sealed  []byte
}

// Role is an IAM role. Key: the name in lower case.
type Role struct {
	Name               string
	Path               string
	ID                 string // AROA…
	Description        string
	Trust              string // the trust policy
	MaxSessionDuration int    // seconds
	Created            time.Time
	Tags               []Tag
	Inline             map[string]string
	Attached           []string
}

// Policy is a managed policy. Key: the ARN.
type Policy struct {
	ARN         string
	Name        string
	Path        string
	ID          string // ANPA…
	Description string
	Created     time.Time
	Updated     time.Time
	Tags        []Tag
	Versions    []PolicyVersion
}

// DefaultVersion is the version in force.
func (p *Policy) DefaultVersion() *PolicyVersion {
	for i := range p.Versions {
		if p.Versions[i].Default {
			return &p.Versions[i]
		}
	}
	return &PolicyVersion{} // there always is one
}

// PolicyVersion is one version of a managed policy.
type PolicyVersion struct {
	ID       string // v1, v2, …
	Document string
	Default  bool
	Created  time.Time
}

// Event is what has happened to a proxy or an endpoint (contract 8.2). Key: the time, so that events are in order.
type Event struct {
	ID         string // RDS-EVENT-0203, …
	SourceID   string // the proxy's name
	SourceType string // db-proxy
	SourceARN  string
	Categories []string
	Message    string
	Time       time.Time
}
