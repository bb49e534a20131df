package config

import (
	"time"

	"forebay/internal/resource"
)

// The structs below are the file's sections, one for one. Their tags are the keys; docs/configuration.md explains each.

type file struct {
	Log          logSection        `yaml:"log"`
	Admin        adminSection      `yaml:"admin"`
	Loops        int               `yaml:"loops"`
	DrainTimeout span              `yaml:"drain_timeout"`
	Handshakes   int               `yaml:"handshakes"`
	Secrets      []secretSection   `yaml:"secrets"`
	PreviousLife span              `yaml:"previous_password_lifetime"`
	Proxies      []proxySection    `yaml:"proxies"`
	OIDC         oidcSection       `yaml:"oidc"`
	API          apiSection        `yaml:"api"`
	Databases    []databaseSection `yaml:"databases"`
	Clusters     []clusterSection  `yaml:"clusters"`
}

type logSection struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

type adminSection struct {
	Listen      string   `yaml:"listen"`
	AllowRemote bool     `yaml:"allow_remote"`
	Hosts       []string `yaml:"hosts"`
}

type secretSection struct {
	Name    string       `yaml:"name"`
	File    string       `yaml:"file"`
	Env     string       `yaml:"env"`
	AWS     awsSection   `yaml:"aws"`
	Vault   vaultSection `yaml:"vault"`
	Refresh span         `yaml:"refresh"`
}

type awsSection struct {
	SecretARN string `yaml:"secret_arn"`
	RoleARN   string `yaml:"role_arn"`
	Region    string `yaml:"region"`
}

type vaultSection struct {
	Address     string            `yaml:"address"`
	AllowPlain  bool              `yaml:"allow_plain"`
	CAFile      string            `yaml:"ca_file"`
	Namespace   string            `yaml:"namespace"`
	Path        string            `yaml:"path"`
	UsernameKey string            `yaml:"username_key"`
	PasswordKey string            `yaml:"password_key"`
	PreviousFor span              `yaml:"previous_for"`
	Clients     string            `yaml:"clients"`
	ClientsUser string            `yaml:"clients_user"`
	TokenFile   string            `yaml:"token_file"`
	AppRole     appRoleSection    `yaml:"approle"`
	Kubernetes  kubernetesSection `yaml:"kubernetes"`
}

type appRoleSection struct {
	RoleID       string `yaml:"role_id"`
	SecretIDFile string `yaml:"secret_id_file"`
	Mount        string `yaml:"mount"`
}

type kubernetesSection struct {
	Role    string `yaml:"role"`
	JWTFile string `yaml:"jwt_file"`
	Mount   string `yaml:"mount"`
}

type proxySection struct {
	Name               string            `yaml:"name"`
	EngineFamily       string            `yaml:"engine_family"`
	Endpoints          []endpointSection `yaml:"endpoints"`
	RequireTLS         bool              `yaml:"require_tls"`
	TLS                certSection       `yaml:"tls"`
	IdleClientTimeout  span              `yaml:"idle_client_timeout"`
	ClientLifetime     span              `yaml:"client_lifetime"`
	ClientLoginTimeout span              `yaml:"client_login_timeout"`
	MaxClients         int               `yaml:"max_clients"`
	DebugLogging       bool              `yaml:"debug_logging"`
	Paused             bool              `yaml:"paused"`
	ReadWriteSplit     bool              `yaml:"read_write_split"`
	Auth               []authSection     `yaml:"auth"`
	Target             targetSection     `yaml:"target"`
	ConnectionPool     poolSection       `yaml:"connection_pool"`
}

type endpointSection struct {
	Name   string `yaml:"name"`
	Listen string `yaml:"listen"`
	Role   string `yaml:"role"`
}

type certSection struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

type authSection struct {
	Secret                 string `yaml:"secret"`
	Description            string `yaml:"description"`
	ClientPasswordAuthType string `yaml:"client_password_auth_type"`
	OIDCAuth               string `yaml:"oidc_auth"`
}

type targetSection struct {
	Host           string           `yaml:"host"`
	Port           int              `yaml:"port"`
	TLS            targetTLSSection `yaml:"tls"`
	ConnectTimeout span             `yaml:"connect_timeout"`
	Cluster        string           `yaml:"cluster"`
	Members        []memberSection  `yaml:"members"`
	Discover       bool             `yaml:"discover"`
	Patroni        []string         `yaml:"patroni"`
	PatroniCAFile  string           `yaml:"patroni_ca_file"`
	Monitor        monitorSection   `yaml:"monitor"`
	MaxReplicaLag  span             `yaml:"max_replica_lag"`
	ReaderFallback string           `yaml:"reader_fallback"`
}

// memberSection is one server of a cluster. What it leaves out is the target's.
type memberSection struct {
	Name           string           `yaml:"name"`
	Host           string           `yaml:"host"`
	Port           int              `yaml:"port"`
	TLS            targetTLSSection `yaml:"tls"`
	ConnectTimeout span             `yaml:"connect_timeout"`
}

type monitorSection struct {
	Secret   string `yaml:"secret"`
	Database string `yaml:"database"`
	Interval span   `yaml:"interval"`
}

type targetTLSSection struct {
	Mode   string `yaml:"mode"`
	CAFile string `yaml:"ca_file"`
}

type poolSection struct {
	MaxConnectionsPercent     int      `yaml:"max_connections_percent"`
	MaxIdleConnectionsPercent int      `yaml:"max_idle_connections_percent"` // default: half of the one above
	ConnectionBorrowTimeout   span     `yaml:"connection_borrow_timeout"`
	SessionPinningFilters     []string `yaml:"session_pinning_filters"`
	InitQuery                 string   `yaml:"init_query"`
	MaxConnections            int      `yaml:"max_connections"`
	ReservedConnections       int      `yaml:"reserved_connections"`
	IdleTimeout               span     `yaml:"idle_timeout"`
	Lifetime                  span     `yaml:"lifetime"`
	MaxPreparedStatements     int      `yaml:"max_prepared_statements"`
	MaxWaiting                int      `yaml:"max_waiting"`
	RoutineScanInterval       span     `yaml:"routine_scan_interval"`
}

// DefaultRegion is the account's region where the file says none. It is not us-east-1: for that region version 1 of the AWS
// CLI calls https://rds.amazonaws.com/, whatever AWS_ENDPOINT_URL says.
const DefaultRegion = "us-west-2"

// defaults is what a key has when the file leaves it out. Those of the contract (its sections 3.1 to 3.4) are marked.
var defaults = struct {
	file     file
	proxy    proxySection
	endpoint endpointSection
	secret   secretSection
	cluster  clusterSection
}{
	file: file{
		Log:          logSection{Level: "info", Format: "text"},
		Admin:        adminSection{Listen: "127.0.0.1:9188"},
		Loops:        0, // half the cores
		DrainTimeout: span{of: 30 * time.Second},
		Handshakes:   512,
		OIDC:         oidcSection{UserClaim: "sub"},
		PreviousLife: span{of: 24 * time.Hour},
		API:          apiSection{Listen: "127.0.0.1:9190", Region: DefaultRegion, MaxProxies: 20},
	},
	proxy: proxySection{
		IdleClientTimeout:  span{of: 1800 * time.Second}, // contract
		ClientLifetime:     span{of: 24 * time.Hour},     // contract
		ClientLoginTimeout: span{of: 60 * time.Second},
		Target: targetSection{
			Port:           5432, // of PostgreSQL; other families have their own
			TLS:            targetTLSSection{Mode: string(resource.TLSPrefer)},
			ConnectTimeout: span{of: 10 * time.Second},
			Monitor:        monitorSection{Interval: span{of: time.Second / 2}},
			MaxReplicaLag:  span{unlimited: true},
			ReaderFallback: fallbackWait,
		},
		ConnectionPool: poolSection{
			MaxConnectionsPercent:   100,                         // contract
			ConnectionBorrowTimeout: span{of: 120 * time.Second}, // contract
			ReservedConnections:     3,
			IdleTimeout:             span{of: 5 * time.Minute}, // contract
			Lifetime:                span{of: 24 * time.Hour},  // contract
			MaxPreparedStatements:   200,
			MaxWaiting:              10000,
			RoutineScanInterval:     span{of: 30 * time.Second},
		},
	},
	endpoint: endpointSection{Name: "default", Role: string(resource.ReadWrite)},
	cluster:  clusterSection{MaxReplicaLag: span{unlimited: true}, ReaderFallback: fallbackWait},
	secret: secretSection{
		Refresh: span{of: 30 * time.Second},
		Vault: vaultSection{
			UsernameKey: "username", PasswordKey: "password", PreviousFor: span{of: time.Hour},
			AppRole:    appRoleSection{Mount: "approle"},
			Kubernetes: kubernetesSection{Mount: "kubernetes", JWTFile: "/var/run/secrets/kubernetes.io/serviceaccount/token"},
		},
	},
}

// setDefaults prepares a section that is an element of a list.
func (p *proxySection) setDefaults()    { *p = defaults.proxy }
func (e *endpointSection) setDefaults() { *e = defaults.endpoint }
func (s *secretSection) setDefaults()   { *s = defaults.secret }
func (s *clusterSection) setDefaults()  { *s = defaults.cluster }

// defaulter is a list's element that does not start out empty.
type defaulter interface{ setDefaults() }
