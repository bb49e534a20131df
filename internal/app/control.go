package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"forebay/internal/cluster"
	"forebay/internal/cluster/etcd"
	"forebay/internal/config"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/forebayapi"
	"forebay/internal/controlplane/iamapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/controlplane/rdsapi"
	"forebay/internal/controlplane/secretsapi"
	"forebay/internal/metrics"
	"forebay/internal/resource"
)

// control is the control plane of this process: the store, the state, and the API.
type control struct {
	// Static after openControl.
	log     *slog.Logger
	cfg     config.API
	store   cluster.Store
	plane   *controlplane.Plane
	ring    *controlplane.Keyring
	ids     *identity.Registry
	secrets *stateSecrets
	api     *awsapi.Listener // nil: served nowhere
	expire  func(ctx context.Context) error
	first   func(id, secret, file string) // Options.FirstStart

	member string // this process among those that declare databases
	now    func() time.Time

	declared *[]controlplane.DatabaseSpec // guarded by App.reload; what declare has made so; nil: nothing yet

	tempCA string // guarded by App.reload; where certificate authorities are without a data folder; empty: nowhere yet

	said map[controlplane.Omission]bool // guarded by App.reload; what is in the log already
}

// openControl opens the store and reads the state. Nothing is served yet: see serve.
func openControl(ctx context.Context, cfg config.API, file string, log *slog.Logger, remote *remoteSecrets, first func(id, secret, file string), lookup func(string) (string, bool)) (_ *control, err error) {
	c := &control{log: log, cfg: cfg, first: first, member: memberName(cfg, file), now: time.Now}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if cfg.DataDir != "" {
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return nil, err
		}
	}
	if c.store, err = openStore(ctx, cfg, log); err != nil {
		return nil, err
	}
	if c.plane, err = controlplane.Open(ctx, c.store, log); err != nil {
		return nil, err
	}
	if err = c.checkKeyFile(); err != nil {
		return nil, err
	}
	if c.ring, err = openKeyring(ctx, cfg, lookup, log); err != nil {
		return nil, err
	}
	if err = c.ensureAccount(ctx); err != nil {
		return nil, err
	}
	if err = c.checkKeyring(); err != nil {
		return nil, err
	}
	if err = c.reseal(ctx); err != nil {
		return nil, err
	}
	c.ids = identity.New(c.plane, c.ring, time.Now)
	c.secrets = newStateSecrets(c.plane, c.ring, c.ids, newForeignSecrets(remote.aws))
	return c, nil
}

func openStore(ctx context.Context, cfg config.API, log *slog.Logger) (cluster.Store, error) {
	if len(cfg.Etcd.Endpoints) == 0 {
		return opened(etcd.Embed(ctx, cfg.DataDir, log))
	}
	o := etcd.DialOptions{Endpoints: cfg.Etcd.Endpoints, Username: cfg.Etcd.Username, Log: log}
	if cfg.Etcd.PasswordFile != "" {
		password, err := os.ReadFile(cfg.Etcd.PasswordFile)
		if err != nil {
			return nil, err
		}
		o.Password = strings.TrimSpace(string(password))
	}
	if cfg.Etcd.TLS {
		var err error
		if o.TLS, err = etcdTLS(cfg.Etcd); err != nil {
			return nil, err
		}
	}
	return opened(etcd.Dial(ctx, o))
}

// opened makes no store of a nil one.
func opened(s *etcd.Store, err error) (cluster.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func etcdTLS(e config.Etcd) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CAFile != "" {
		pem, err := os.ReadFile(e.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: expected at least one certificate in PEM", e.CAFile)
		}
	}
	if e.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(e.CertFile, e.KeyFile)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// The files of the data folder beside etcd's.
const (
	sealingKeyFile = "sealing.key"
	rootKeyFile    = "root-credentials" // as the AWS CLI reads them: AWS_SHARED_CREDENTIALS_FILE
	caFolder       = "ca"
)

// writeNew writes a file for this user alone, as a whole or not at all, and replaces none. Once it has returned, a loss of power
// takes the file away no more: what is sealed with a key outlives it otherwise.
func writeNew(path, text string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil { // unlike a rename, this fails where there is one
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// ensureAccount makes the account at the first start, and writes down the key of its root: before the account is made, so
// that there is never an account whose key nobody has. It does so in a file of its own: another Forebay that starts for the first
// time beside this one, with the same path, has one too, and the key that counts is the one that made the account.
func (c *control) ensureAccount(ctx context.Context) error {
	path := rootFile(c.cfg)
	if a := c.plane.State().Account(); a != nil {
		c.settleRootFiles(a, path)
		return nil
	}
	id, text := "AKIA"+identity.RandomID(16), identity.RandomSecret()
	key := controlplane.AccessKey{ID: id, Active: true, Created: time.Now().UTC(), Sealed: c.ring.Seal([]byte(text), identity.KeyBelongs(id))}
	fresh := path + firstRootKey + id
	if err := writeNew(fresh, credentialsFile(id, text, c.cfg.Region)); err != nil {
		return err
	}
	a, made, err := c.plane.EnsureAccount(ctx, c.cfg.Region, c.cfg.AccountID, key)
	if err != nil { // it may have been made all the same: the next start knows, and the key is not lost
		return fmt.Errorf("the first start: it is not known whether the key in %s is that of the account's root: start again: %w", fresh, err)
	}
	if !made { // another Forebay of the fleet was quicker: the key is in its file
		return os.Remove(fresh)
	}
	if err := os.Rename(fresh, path); err != nil { // over that of an account that is no more
		return err
	}
	c.log.Warn("first start: the account was made; the key of its root, who may do everything, is in the file",
		"account", a.ID, "region", a.Region, "access_key_id", id, "file", path)
	if c.first != nil {
		c.first(id, text, path)
	}
	return nil
}

// firstRootKey is between rootFile and the id of a key that is written down, and may have made the account.
const firstRootKey = ".first-start."

// settleRootFiles puts a key of root's in its place that a first start has written down, and then was cut off; those of starts that
// were too late go. What cannot be read or moved is left: it is not worth an error.
func (c *control) settleRootFiles(a *controlplane.Account, path string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	for _, e := range entries {
		id, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+firstRootKey)
		if !ok {
			continue
		}
		fresh := path + firstRootKey + id
		if !slices.ContainsFunc(a.RootKeys, func(k controlplane.AccessKey) bool { return k.ID == id }) {
			_ = os.Remove(fresh) // the account is there: this one never counts
			continue
		}
		if err := os.Link(fresh, path); err != nil {
			c.log.Warn("the key of the account's root, who may do everything, is in this file", "access_key_id", id, "file", fresh, "err", err)
			continue
		}
		_ = os.Remove(fresh)
		c.log.Warn("the first start was cut off; the key of the account's root, who may do everything, is in the file", "access_key_id", id, "file", path)
	}
}

// apiOptions is what the API needs of the rest of the process.
type apiOptions struct {
	tls      *tls.Config // nil: plain HTTP
	requests *metrics.APIRequests
	health   controlplane.Health
	// held reports whether the data plane listens there for a proxy of the API: until a deletion is in force it still does.
	held func(address string) bool
}

// serve starts the API.
func (c *control) serve(ctx context.Context, o apiOptions) error {
	secrets := secretsapi.New(c.plane, c.ring, time.Now)
	c.expire = secrets.Expire
	if c.cfg.Listen == "" {
		return nil
	}
	account := c.plane.State().Account()
	if account.Region != c.cfg.Region {
		c.log.Warn("the account belongs to another region than api.region says", "region", account.Region)
	}
	iam := iamapi.New(c.plane, c.ring, c.ids, time.Now)
	listeners := c.cfg.Listeners
	listeners.Free = func(address string, port int) bool {
		socket := net.JoinHostPort(address, strconv.Itoa(port))
		return free(context.WithoutCancel(ctx), socket) || o.held != nil && o.held(socket)
	}
	server, err := awsapi.New(awsapi.Options{Log: c.log, Region: account.Region, Auth: c.ids, Observe: o.requests.Observe},
		rdsapi.Service(c.plane, o.health, rdsapi.Options{Listeners: listeners, Proxies: c.cfg.MaxProxies}),
		secrets.Service(), iam.IAM(), iam.STS(), forebayapi.Service(c.plane, o.health))
	if err != nil {
		return err
	}
	c.api, err = awsapi.Listen(ctx, awsapi.ListenOptions{
		Log: c.log, Handler: server, Address: c.cfg.Listen, TLS: o.tls, AllowPlain: c.cfg.AllowPlain,
	})
	return err
}

// free reports whether this machine can listen at an address, host:port, now.
func free(ctx context.Context, address string) bool {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// addr is the address of the API; empty: there is none.
func (c *control) addr() string {
	if c == nil || c.api == nil {
		return ""
	}
	return c.api.Addr()
}

// close ends the API and then what it stands on.
func (c *control) close() {
	if c == nil {
		return
	}
	if c.api != nil {
		c.api.Close()
	}
	if c.secrets != nil {
		c.secrets.close()
	}
	if c.plane != nil {
		c.plane.Close()
	}
	if c.tempCA != "" {
		_ = os.RemoveAll(c.tempCA)
	}
	if c.store != nil {
		if err := c.store.Close(); err != nil {
			c.log.Warn("the store of the control plane did not close cleanly", "err", err)
		}
	}
}

// declareWait is how long a reload waits for a store that takes no changes. Nothing else can be reloaded meanwhile.
const declareWait = 10 * time.Second

// declare makes the databases of the configuration file those of the state, and takes back what the file no longer has.
// It does so once for each content of the file, and hourly.
func (c *control) declare(ctx context.Context, specs []controlplane.DatabaseSpec) error {
	if c.declared != nil && slices.Equal(*c.declared, specs) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, declareWait)
	defer cancel()
	var told []controlplane.Declaring
	_, err := c.plane.Update(ctx, func(tx *controlplane.Tx) (err error) {
		told, err = tx.DeclareDatabases(c.now().UTC(), c.member, specs)
		return err
	})
	if err != nil {
		return err
	}
	c.declared = &specs
	for _, d := range told {
		level := slog.LevelWarn
		if d.Outcome == controlplane.DeclareRemoved {
			level = slog.LevelInfo
		}
		c.log.Log(ctx, level, string(d.Outcome), "database", d.Database, "by", d.By)
	}
	return nil
}

// declareAgain says that this member is there, and still declares what it has: the others count on that
// (controlplane.MemberGone). What members that are gone have declared goes with them.
func (c *control) declareAgain(ctx context.Context) error {
	if c.declared == nil {
		return nil
	}
	specs := *c.declared
	c.declared = nil
	err := c.declare(ctx, specs)
	c.declared = &specs
	return err
}

// memberName tells this member of a fleet from the others, at each of its starts. A data folder has one member alone.
func memberName(cfg config.API, file string) string {
	if len(cfg.Etcd.Endpoints) == 0 {
		return "local"
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	path, err := filepath.Abs(file)
	if err != nil {
		path = file
	}
	return host + ":" + path
}

// snapshot is what the state wants of the data plane. What cannot be served is said in the log.
func (c *control) snapshot() resource.Snapshot {
	snap, omitted := c.plane.State().Snapshot(controlplane.SnapshotOptions{
		Families: []resource.EngineFamily{resource.PostgreSQL, resource.MySQL, resource.SQLServer}, CAFile: c.caFile,
	})
	said := map[controlplane.Omission]bool{}
	for _, o := range omitted {
		if said[o] = true; !c.said[o] {
			c.log.Info("part of a proxy is not served", "proxy", o.Proxy, "reason", o.Reason)
		}
	}
	c.said = said
	return snap
}

// checkKeyring refuses keys that do not open what the account was made with: with them nobody could log in, and what they
// would seal the rest of the fleet could not open.
func (c *control) checkKeyring() error {
	for _, k := range c.plane.State().Account().RootKeys {
		if _, err := c.ring.Open(k.Sealed, identity.KeyBelongs(k.ID)); err != nil {
			return fmt.Errorf("the sealing key here is not the one that this store's account was made with (each Forebay needs the same: api.key_file): %w", err)
		}
	}
	return nil
}

// checkKeyFile refuses a state whose sealing key is gone: another key would be made, which opens nothing of it.
func (c *control) checkKeyFile() error {
	if err := keyMissing(c.cfg); err != nil && c.plane.State().Account() != nil {
		return fmt.Errorf("expected the sealing key that this store's account was made with: copy it there: %w", err)
	}
	return nil
}

// caDir is the folder for certificate authorities. Without a data folder it is one of this process alone, made with a name
// that nobody can know before: at a fixed place in the folder for temporary files somebody else could have put, under the
// name of a database's authority, one of his own.
func (c *control) caDir() (string, error) {
	if c.cfg.DataDir != "" {
		dir := filepath.Join(c.cfg.DataDir, caFolder)
		return dir, os.MkdirAll(dir, 0o700)
	}
	if c.tempCA != "" {
		// If it has been cleaned up, somebody else may have made it again.
		is, err := os.Lstat(c.tempCA)
		if err == nil && is.Mode() == fs.ModeDir|0o700 && is.Sys().(*syscall.Stat_t).Uid == uint32(os.Getuid()) {
			return c.tempCA, nil
		}
	}
	dir, err := os.MkdirTemp("", "forebay-ca-") // mode 0700
	if err != nil {
		return "", err
	}
	c.tempCA = dir
	return dir, nil
}

// caFile puts a certificate authority where the data plane can read it. Its name is its content's.
func (c *control) caFile(pem string) (string, error) {
	dir, err := c.caDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(pem))
	path := filepath.Join(dir, hex.EncodeToString(sum[:])+".pem")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := writeNew(path, pem); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return path, nil
}
