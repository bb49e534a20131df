package config

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/resource"
)

// API says where the control plane keeps its state, and where its API is served. Without a DataDir and without Etcd there
// is no control plane: the configuration file is all there is.
type API struct {
	Listen     string               // host:port; empty: nowhere
	AllowPlain bool                 // plain HTTP is meant, although other machines reach the address
	TLS        resource.Certificate // both empty: plain HTTP, but see IssuedTLS
	DataDir    string               // path
	Etcd       Etcd
	Region     string
	AccountID  string                 // twelve digits; empty: drawn at the first start
	KeyFile    string                 // the keys that seal; empty: a file in DataDir, made at the first start
	KeyEnv     string                 `json:",omitzero"` // the environment variable that the keys are in instead of a file; empty: none
	KMS        KMS                    `json:",omitzero"`
	Listeners  controlplane.Listeners `json:"-"`
	MaxProxies int                    // quota of the account
}

// Enabled reports whether there is a control plane.
func (a *API) Enabled() bool { return a.DataDir != "" || len(a.Etcd.Endpoints) > 0 }

// IssuedTLS reports whether the API is served with a certificate of the data folder's own authority: where other machines
// reach it, unless there is another certificate, or plain HTTP is meant.
func (a *API) IssuedTLS() bool {
	return a.Listen != "" && a.TLS == (resource.Certificate{}) && a.DataDir != "" && !a.AllowPlain && !loopback(a.Listen)
}

// Equal reports whether a and b say the same.
func (a API) Equal(b API) bool {
	return reflect.DeepEqual(a, b) // Listeners.Free is nil in both
}

// KMS is the key of AWS KMS that wraps the keys that seal, which are plain in their file without one.
type KMS struct {
	KeyID    string // an ARN, an id or an alias
	Region   string // empty: the ARN's, or what the SDK finds
	Endpoint string // URL; empty: AWS's
}

// Etcd is a cluster that is there already. Without endpoints the state is kept by a member inside this process.
type Etcd struct {
	Endpoints    []string // host:port
	CAFile       string   // PEM; empty: the system's, where TLS is used at all
	CertFile     string   // PEM of the client's certificate; empty: none
	KeyFile      string
	TLS          bool
	Username     string
	PasswordFile string
	AllowPlain   bool // the password may be sent to other machines without TLS
}

type apiSection struct {
	Listen     string           `yaml:"listen"`
	AllowPlain bool             `yaml:"allow_plain"`
	TLS        certSection      `yaml:"tls"`
	DataDir    string           `yaml:"data_dir"`
	Etcd       etcdSection      `yaml:"etcd"`
	Region     string           `yaml:"region"`
	AccountID  string           `yaml:"account_id"`
	KeyFile    string           `yaml:"key_file"`
	KeyEnv     string           `yaml:"key_env"`
	KMS        kmsSection       `yaml:"kms"`
	Endpoints  listenersSection `yaml:"endpoints"`
	MaxProxies int              `yaml:"max_proxies"`
}

type kmsSection struct {
	KeyID    string `yaml:"key_id"`
	Region   string `yaml:"region"`
	Endpoint string `yaml:"endpoint"`
}

type etcdSection struct {
	Endpoints    []string `yaml:"endpoints"`
	TLS          bool     `yaml:"tls"`
	CAFile       string   `yaml:"ca_file"`
	CertFile     string   `yaml:"cert_file"`
	KeyFile      string   `yaml:"key_file"`
	Username     string   `yaml:"username"`
	PasswordFile string   `yaml:"password_file"`
	AllowPlain   bool     `yaml:"allow_plain"`
}

type listenersSection struct {
	Addresses []string `yaml:"addresses"`
	Ports     string   `yaml:"ports"`
	Host      string   `yaml:"host"`
	Domain    string   `yaml:"domain"`
}

var (
	regionRule  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	accountRule = regexp.MustCompile(`^[0-9]{12}$`)
)

func (c *checker) api(s apiSection) API {
	out := API{
		Listen: s.Listen, AllowPlain: s.AllowPlain, Region: s.Region, AccountID: s.AccountID, MaxProxies: s.MaxProxies,
		DataDir: c.path(s.DataDir), KeyFile: c.path(s.KeyFile), Etcd: c.etcd(s.Etcd), Listeners: c.listenersOf(s.Endpoints),
	}
	out.TLS = c.certificate("api.tls", s.TLS)
	// Without a control plane nothing listens there, and the default address is free for others.
	if s.Listen != "" && (out.Enabled() || c.has("api")) && c.address("api.listen", s.Listen) && out.TLS == (resource.Certificate{}) && !s.AllowPlain && !loopback(s.Listen) && s.DataDir == "" {
		c.errorf("api.listen", "expected a loopback address such as 127.0.0.1:9190, a certificate in tls, a data_dir, whose authority issues one, or allow_plain: true, got %q", clip(s.Listen))
	}
	if !c.skip("api.region") && !regionRule.MatchString(s.Region) {
		c.errorf("api.region", "expected a region such as us-east-1, got %q", clip(s.Region))
	}
	if s.AccountID != "" && !c.skip("api.account_id") && !accountRule.MatchString(s.AccountID) {
		c.errorf("api.account_id", "expected twelve digits in quotes, got %q", clip(s.AccountID))
	}
	c.count("api.max_proxies", s.MaxProxies, 1, 1<<20)
	if s.KeyEnv != "" {
		out.KeyEnv = c.keyEnv(s, out.DataDir)
	} else if len(out.Etcd.Endpoints) > 0 && out.DataDir == "" && out.KeyFile == "" {
		c.errorf("api.key_file", "expected a file with the key that seals secrets, since there is no data_dir to make one in, got nothing")
	}
	if out.KeyFile != "" {
		c.readable("api.key_file", s.KeyFile)
	}
	out.KMS = c.kms(s.KMS)
	return out
}

// keyEnv checks the name of the environment variable that has the sealing keys, which it returns.
func (c *checker) keyEnv(s apiSection, dataDir string) string {
	const field = "api.key_env"
	if !c.namesVariable(field, s.KeyEnv) {
		return ""
	}
	if s.KeyFile != "" {
		c.errorf(field, "expected nothing beside key_file, got %s", clip(s.KeyEnv))
	}
	if dataDir == "" {
		c.errorf(field, "expected a data_dir beside it, where root's key is written down at the first start, got none")
	}
	c.variable(field, s.KeyEnv)
	return s.KeyEnv
}

var (
	kmsKey = regexp.MustCompile(`^(arn:[a-z-]+:kms:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:)?(key/|alias/)?[a-zA-Z0-9/_-]{1,256}$`)
	kmsARN = regexp.MustCompile(`^arn:[a-z-]+:kms:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:(key|alias)/`)
)

func (c *checker) kms(s kmsSection) KMS {
	if !c.has("api.kms") {
		return KMS{}
	}
	arn := strings.HasPrefix(s.KeyID, "arn:")
	if c.required("api.kms.key_id", s.KeyID, "a key of AWS KMS") && (!kmsKey.MatchString(s.KeyID) || arn != kmsARN.MatchString(s.KeyID)) {
		c.errorf("api.kms.key_id", "expected an ARN such as arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab, a key's id, or an alias such as alias/forebay, got %q", clip(s.KeyID))
	}
	if s.Region != "" && !regionRule.MatchString(s.Region) {
		c.errorf("api.kms.region", "expected a region such as eu-central-1, got %q", clip(s.Region))
	} else if s.Region != "" && arn && kmsARN.MatchString(s.KeyID) && strings.Split(s.KeyID, ":")[3] != s.Region {
		c.errorf("api.kms.region", "expected the region of key_id, %s, or nothing, got %q", strings.Split(s.KeyID, ":")[3], clip(s.Region))
	}
	if s.Endpoint != "" && !c.skip("api.kms.endpoint") {
		u, err := url.Parse(s.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			c.errorf("api.kms.endpoint", "expected a URL such as https://vpce-1234.kms.eu-central-1.vpce.amazonaws.com") // not quoted: there may be a password in it
		} else if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			c.errorf("api.kms.endpoint", "expected https, since the key would be sent in the clear, got %q", clip(s.Endpoint))
		}
	}
	return KMS(s)
}

func (c *checker) etcd(s etcdSection) Etcd {
	out := Etcd{
		Endpoints: s.Endpoints, TLS: s.TLS || s.CAFile != "" || s.CertFile != "", Username: s.Username, AllowPlain: s.AllowPlain,
		CAFile: c.path(s.CAFile), CertFile: c.path(s.CertFile), KeyFile: c.path(s.KeyFile), PasswordFile: c.path(s.PasswordFile),
	}
	for i, e := range s.Endpoints {
		c.address(fmt.Sprintf("api.etcd.endpoints[%d]", i), e)
	}
	for _, f := range []struct{ field, file string }{
		{"ca_file", s.CAFile}, {"cert_file", s.CertFile}, {"key_file", s.KeyFile}, {"password_file", s.PasswordFile},
	} {
		if f.file != "" {
			c.readable("api.etcd."+f.field, f.file)
		}
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		c.errorf("api.etcd.cert_file", "expected cert_file and key_file together")
	}
	if (s.Username == "") != (s.PasswordFile == "") {
		c.errorf("api.etcd.username", "expected username and password_file together")
	}
	if s.PasswordFile != "" && !out.TLS && !out.AllowPlain {
		for i, e := range s.Endpoints {
			if !loopback(e) {
				c.errorf("api.etcd.password_file", "expected tls: true, a ca_file, or allow_plain: true, since the password would be sent in the clear to endpoints[%d], %s", i, clip(e))
				break
			}
		}
	}
	return out
}

func (c *checker) listenersOf(s listenersSection) controlplane.Listeners {
	out := controlplane.DefaultListeners()
	out.Host, out.Domain = s.Host, s.Domain
	if s.Addresses != nil {
		out.Addresses = s.Addresses
	}
	if s.Ports != "" && !c.skip("api.endpoints.ports") {
		first, last, _ := strings.Cut(s.Ports, "-")
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			c.errorf("api.endpoints.ports", "expected a range such as 20000-20999, got %q", clip(s.Ports))
			return out
		}
		out.Ports = controlplane.PortRange{First: from, Last: to}
	}
	if !c.skip("api.endpoints") {
		if err := out.Validate(); err != nil {
			c.errorf("api.endpoints", "%v", err)
		}
	}
	return out
}
