// Package config reads the file that `forebay serve` is started with. Reading is strict: every key is known, every value
// has the type and range that docs/configuration.md gives, every file that is named can be read. All errors of a file are
// reported together, each with file, line, field and what was expected.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/resource"
)

// Config is what a file says, with defaults filled in and everything checked.
type Config struct {
	Path         string // of the file, as given to Load
	Log          Log
	Admin        Admin
	Loops        int           // event loops; 0 = half the cores, at least one
	Handshakes   int           // connection phases under way at once
	DrainTimeout time.Duration // for open transactions after a request to stop; Forever = as long as they take
	Secrets      []Secret
	// PreviousPasswordLifetime is for how long clients may log in with a secret's previous password; Forever = as long as the
	// store gives it out.
	PreviousPasswordLifetime time.Duration
	Snapshot                 resource.Snapshot
	OIDC                     OIDC `json:",omitzero"`
	API                      API
	Databases                []controlplane.DatabaseSpec
}

// Forever stands for unlimited where zero means something else: longer than any process lives, and safe to add to any
// time.
const Forever = maxSpan

// Log says what is logged and how.
type Log struct {
	Level  slog.Level
	Format string // text or json
}

// Admin is the address for metrics, health and the state of the pools.
type Admin struct {
	Listen      string   // host:port; empty: there is none
	AllowRemote bool     // an address that is not loopback is meant
	Hosts       []string // names, beside localhost and this machine's, by which requests may come
}

// Equal reports whether a and b say the same.
func (a Admin) Equal(b Admin) bool {
	return a.Listen == b.Listen && a.AllowRemote == b.AllowRemote && slices.Equal(a.Hosts, b.Hosts)
}

// Secret says where a secret is. One of File, Env, AWS and Vault is set.
type Secret struct {
	Name    string
	File    string        // path
	Env     string        // name of an environment variable
	AWS     AWS           `json:",omitzero"`
	Vault   Vault         `json:",omitzero"`
	Refresh time.Duration `json:",omitzero"` // between two reads from AWS or Vault
}

// AWS is a secret of AWS Secrets Manager.
type AWS struct {
	SecretARN string
	RoleARN   string // empty: none is assumed
	Region    string // empty: the ARN's
}

// Vault is a secret of HashiCorp Vault or OpenBao. One of TokenFile, AppRole and Kubernetes is set.
type Vault struct {
	Address     string // URL
	CAFile      string // empty: the system's
	Namespace   string
	Path        string // of the API, without v1/
	UsernameKey string
	PasswordKey string
	PreviousFor time.Duration
	// Of a dynamic role one of these is set: the name of the secret by which clients log in, or their user, who has no password.
	Clients     string `json:",omitzero"`
	ClientsUser string `json:",omitzero"`
	TokenFile   string
	AppRole     VaultRole
	Kubernetes  VaultRole
}

// Dynamic reports whether it is a dynamic role: a database user with a lease, for server connections alone.
func (v Vault) Dynamic() bool { return v.Clients != "" || v.ClientsUser != "" }

// VaultRole is how to log in at Vault.
type VaultRole struct {
	Mount string
	Role  string
	File  string // that proves it: the secret id, the JWT
}

// MaxLen is the most bytes that a configuration file may have.
const MaxLen = 8 << 20

// Load reads and checks the file at path. Its error is an Errors, and matches ErrInvalid.
func Load(path string) (*Config, error) { return LoadEnv(path, os.LookupEnv) }

// LoadEnv is Load with another environment.
func LoadEnv(path string, lookup func(string) (string, bool)) (*Config, error) {
	return LoadWith(path, lookup, Overrides{})
}

// Overrides come from the command line. With one of them there need not be a file: a path that leads nowhere is an empty
// file then.
type Overrides struct {
	DataDir string   // api.data_dir; empty: what the file says
	Etcd    []string // api.etcd.endpoints; nil: what the file says
}

// LoadWith is LoadEnv with parts of the file overridden.
func LoadWith(path string, lookup func(string) (string, bool), over Overrides) (*Config, error) {
	r := newReport(path)
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) && (over.DataDir != "" || over.Etcd != nil) {
		data, err = []byte("{}\n"), nil
	}
	if err != nil {
		r.errorAt(0, "", "expected a configuration file that can be read: %v", reason(err))
		return nil, r.err()
	}
	f := defaults.file
	if !decode(r, data, &f) {
		return nil, r.err()
	}
	if over.DataDir != "" {
		f.API.DataDir, err = filepath.Abs(over.DataDir)
		if err != nil {
			return nil, err
		}
	}
	if over.Etcd != nil {
		f.API.Etcd.Endpoints = over.Etcd
	}
	c := &checker{report: r, dir: filepath.Dir(path), lookup: lookup}
	cfg := c.file(path, &f)
	if err := r.err(); err != nil {
		return nil, err
	}
	return cfg, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxLen+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxLen {
		return nil, fmt.Errorf("more than %d bytes", MaxLen)
	}
	return data, nil
}

// reason leaves the path out of an error about a file: the message around it names the file already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
