// Package resource holds what an operator declares (proxies, endpoints, targets, pool settings) as plain values, and
// the rules that hold for them. A Snapshot is the whole desired state at one moment: it is immutable once built, and
// the data plane applies it by swapping.
package resource

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// EngineFamily is the wire protocol that a proxy speaks, spelled as in the RDS API (case-sensitive).
type EngineFamily string

const (
	PostgreSQL EngineFamily = "POSTGRESQL"
	MySQL      EngineFamily = "MYSQL"
	SQLServer  EngineFamily = "SQLSERVER"
)

// Snapshot is the desired state of the data plane. It is immutable: build a new one to change anything.
type Snapshot struct {
	Proxies []Proxy
}

// Proxy is one proxy: where it listens, who may log in, and the database it stands in front of.
type Proxy struct {
	Name         string
	ResourceID   string // prx-...: what permissions to connect name; empty for a proxy of the configuration file
	EngineFamily EngineFamily
	Endpoints    []Endpoint // at least one; the first is the default endpoint
	RequireTLS   bool       // refuse clients that do not encrypt
	Certificate  Certificate
	Auth         []AuthEntry
	// EndToEndIAM is DefaultAuthScheme IAM_AUTH (contract section 6.3): a user of whom no entry of Auth has the secret logs in
	// by an IAM token, and is logged in to the database by one that the proxy's role makes.
	EndToEndIAM bool `json:",omitzero"`

	IdleClientTimeout  time.Duration // client that sends nothing for so long is closed
	ClientLifetime     time.Duration // a client connection ends after so long, at its next idle moment; 0 = unlimited
	ClientLoginTimeout time.Duration // from accept to authenticated
	MaxClients         int           // client connections to this proxy at once; 0 = as many as descriptors allow
	DebugLogging       bool          // log each statement's digest

	Target Target
	Pool   ConnectionPoolConfig
	// SplitReads has a reader serve transactions of READ_WRITE sessions that declare that they only read, once it has what the
	// session has written.
	SplitReads bool
	// Paused has all sessions wait at their next transaction, for the borrow timeout, and closes server connections that are
	// not in one.
	Paused bool
}

// Endpoint is an address on which a proxy listens.
type Endpoint struct {
	Name   string     // "default" or a name of the user's
	Listen string     // host:port; an empty host means every address, port 0 a free one
	Role   TargetRole // empty: ReadWrite
	// Hostnames are the names by which clients may know the endpoint: those of its certificate, and those that a token may
	// be made for. A token for another name is refused.
	Hostnames []string
}

// Certificate names the files of the certificate shown to clients. Both empty: a self-signed certificate is made.
type Certificate struct {
	CertFile string // PEM, leaf first
	KeyFile  string // PEM
}

// ClientPasswordAuthType is how a client proves that it knows the password (contract section 3.2).
type ClientPasswordAuthType string

const (
	PostgresSCRAM ClientPasswordAuthType = "POSTGRES_SCRAM_SHA_256"
	PostgresMD5   ClientPasswordAuthType = "POSTGRES_MD5"
	// PostgresCleartext asks for the password as it is; only ever over TLS. Not in RDS: for clients that can do no better.
	PostgresCleartext ClientPasswordAuthType = "POSTGRES_CLEARTEXT"
	MySQLCachingSHA2  ClientPasswordAuthType = "MYSQL_CACHING_SHA2_PASSWORD"
	MySQLNative       ClientPasswordAuthType = "MYSQL_NATIVE_PASSWORD"
	// MySQLCleartext is PostgresCleartext for MySQL: the client must have enabled mysql_clear_password.
	MySQLCleartext ClientPasswordAuthType = "MYSQL_CLEARTEXT"
	// SQLServerAuthentication is SQL Server's only one: LOGIN7 has the password in it.
	SQLServerAuthentication ClientPasswordAuthType = "SQL_SERVER_AUTHENTICATION"
)

// IAMAuth says whether a client logs in with a token in place of the password (contract section 3.2).
type IAMAuth string

const (
	IAMDisabled IAMAuth = "DISABLED" // by the password; so does the empty value
	IAMRequired IAMAuth = "REQUIRED" // by a token alone, over TLS
	IAMEnabled  IAMAuth = "ENABLED"  // by either, over TLS; in RDS for SQL Server alone
)

// Known reports whether a is one of the values above, or empty.
func (a IAMAuth) Known() bool {
	return a == "" || a == IAMDisabled || a == IAMRequired || a == IAMEnabled
}

// Tokens reports whether a token can let a client in. A value that is not Known counts as one, so that no slip of the pen
// has a user log in by less than was asked for.
func (a IAMAuth) Tokens() bool { return a != "" && a != IAMDisabled }

// AuthEntry lets one secret's user log in.
type AuthEntry struct {
	Secret                 string // name of the secret in the secret store
	Description            string
	IAMAuth                IAMAuth                // empty: IAMDisabled
	ClientPasswordAuthType ClientPasswordAuthType // of no meaning where IAMAuth takes tokens
	// EndToEnd marks the entry that stands for the users without one: see Proxy.EndToEndIAM. No Proxy.Auth has it.
	EndToEnd bool `json:",omitzero"`
}

// EndToEnd is the entry of a user that has none, behind a proxy whose EndToEndIAM is set.
var EndToEnd = AuthEntry{IAMAuth: IAMRequired, EndToEnd: true}

// TLSMode says how a server connection is encrypted; the meanings are libpq's sslmode.
type TLSMode string

const (
	TLSDisable    TLSMode = "disable"
	TLSPrefer     TLSMode = "prefer"
	TLSRequire    TLSMode = "require"
	TLSVerifyCA   TLSMode = "verify-ca"
	TLSVerifyFull TLSMode = "verify-full"
	// TLSStrict is SQL Server's alone: TDS 8, where TLS comes before everything else, with what TLSVerifyFull asks for.
	TLSStrict TLSMode = "strict"
)

// Target is what a proxy's sessions go to: one database server, or a cluster of servers that replicate from one another.
type Target struct {
	Cluster string // identifier of the cluster, empty for a single server
	// Members are the servers that have been declared: none where nothing is registered.
	Members []Member
	// Discover adds the servers that the members themselves name as members of the same replication set.
	Discover bool
	// Patroni are base URLs of Patroni's REST API, of any members; empty: it is not asked.
	Patroni []string
	// PatroniCAFile is a PEM bundle that the certificates of the https ones are checked against; empty: the system's.
	PatroniCAFile string
	Monitor       Monitor

	// MaxReplicaLag is how far behind a reader may be and still be chosen; 0: no limit.
	MaxReplicaLag time.Duration
	// WriterReads has READ_ONLY sessions go to the writer while no reader can be had, instead of waiting for one.
	WriterReads bool
}

// IsCluster reports whether the target may have more than one member, so that each member's role has to be asked for. A single
// server is the writer, whatever it says.
func (t *Target) IsCluster() bool {
	return t.Cluster != "" || len(t.Members) > 1 || t.Discover || len(t.Patroni) > 0
}

// Identity names the target among all: by its cluster, else by where its members are.
func (t *Target) Identity() string {
	if t.Cluster != "" {
		return t.Cluster
	}
	addresses := make([]string, len(t.Members))
	for i, m := range t.Members {
		addresses[i] = m.Address()
	}
	return strings.Join(addresses, ",")
}

// Member is a database server.
type Member struct {
	Name           string // identifier of the DB instance; empty: its address has to do
	ResourceID     string // db-...; empty for one that no API knows
	Host           string
	Port           int
	TLSMode        TLSMode
	CAFile         string // PEM bundle for verify-ca and verify-full; empty: the system's
	ConnectTimeout time.Duration
}

// Address is host:port.
func (m *Member) Address() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }

// String is its name, or else its address.
func (m *Member) String() string {
	if m.Name != "" {
		return m.Name
	}
	return m.Address()
}

// Monitor says as whom the members of a cluster are asked for their role, and how often.
type Monitor struct {
	// Secret is the name of the secret of the user to log in as. Empty: the first of the proxy's that can be had.
	Secret   string
	Database string        // empty: the engine's default
	Interval time.Duration // between two looks at a member that is well; 0: the default
}

// TargetRole is what an endpoint's sessions may do, or what a member is, spelled as in the RDS API.
type TargetRole string

const (
	ReadWrite TargetRole = "READ_WRITE"
	ReadOnly  TargetRole = "READ_ONLY"
)

// ConnectionPoolConfig holds the pool settings under the contract's names (section 3.3), and those that RDS fixes.
type ConnectionPoolConfig struct {
	MaxConnectionsPercent     int           // 1 to 100, of the target's max_connections less the reserve
	MaxIdleConnectionsPercent int           // 0 to MaxConnectionsPercent
	ConnectionBorrowTimeout   time.Duration // 0: fail at once unless an idle connection exists
	MaxWaiting                int           // sessions of one user and database that may wait at once; 0 = no bound
	ExcludeVariableSets       bool          // SET statements do not pin: the filter of that name; MySQL only
	InitQuery                 string        // run once on each new server connection
	MaxConnections            int           // an absolute cap beside the percentage; 0 = none
	ReservedConnections       int           // left free for administrators and monitoring, on top of the server's own reserve
	IdleTimeout               time.Duration // idle server connections above none are closed after so long
	Lifetime                  time.Duration // server connections are retired after so long, once returned; 0 = never
	MaxPreparedStatements     int           // prepared statements kept on each server connection
	RoutineScanInterval       time.Duration // how often the database's routines are looked at for hidden session state
}

// MaxOpen is how many server connections may be open, of those that the target allows: its percentage, capped, one at least.
func (c *ConnectionPoolConfig) MaxOpen(allowed int) int {
	n := max(1, allowed*c.MaxConnectionsPercent/100)
	if c.MaxConnections > 0 {
		n = min(n, c.MaxConnections)
	}
	return n
}
