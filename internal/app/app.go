// Package app builds all components in order, runs them, and stops them in reverse: log, configuration, secrets,
// certificates, data plane, admin server. It is what `forebay serve` runs, and what a test or the demo starts.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"forebay/internal/admin"
	"forebay/internal/certs"
	"forebay/internal/config"
	"forebay/internal/metrics"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/secret/lease"

	"github.com/prometheus/client_golang/prometheus"
)

// Options say what to run. Only ConfigPath is required.
type Options struct {
	ConfigPath string
	Version    string
	Log        io.Writer                   // nil: standard error
	LookupEnv  func(string) (string, bool) // nil: the process's environment
	Signals    <-chan os.Signal            // for Run; nil: the process's own SIGHUP, SIGINT and SIGTERM
	NewPlane   NewPlane                    // nil: the real data plane
	DataDir    string                      // in place of the file's api.data_dir; empty: what the file says
	Etcd       []string                    // in place of the file's api.etcd.endpoints; nil: what the file says
	// FirstStart is told the key of the account's root when the account has been made, once. nil: it is in its file alone.
	FirstStart func(accessKeyID, secretKey, file string)
}

// App is a running Forebay. Open makes one; Close ends it.
type App struct {
	// Static after Open.
	opts     Options
	log      *slog.Logger
	level    *slog.LevelVar
	secrets  *secret.Mux
	remote   *remoteSecrets
	certs    *certs.Manager
	registry *prometheus.Registry
	reloads  *metrics.Reloads
	tokens   clientTokens
	plane    Plane
	view     View
	admin    *admin.Server // nil: none configured
	control  *control      // nil: the configuration file is all there is
	follow   sync.WaitGroup
	unfollow context.CancelFunc // ends follow

	config   atomic.Pointer[config.Config] // what is in force
	draining atomic.Bool

	reload  sync.Mutex                     // one change at a time
	sources map[config.Secret]secret.Store // guarded by reload
	lapsing []*lease.Store                 // guarded by reload; closed ones with users that have not ended
	known   map[string]secret.Store        // guarded by reload; what secrets gives out, by name
	inForce resource.Snapshot              // guarded by reload; what the data plane does
	paused  map[string]bool                // guarded by reload; proxies of inForce that are, as the log has it

	unserved atomic.Pointer[map[string]error] // proxies that are not served as they should be, by resource id
}

// Open reads the configuration and starts everything. When it returns, clients are served. An error that matches
// config.ErrInvalid lists what is wrong with the configuration.
func Open(ctx context.Context, o Options) (*App, error) {
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.NewPlane == nil {
		o.NewPlane = defaultPlane
	}
	_ = steadyHeap()
	cfg, err := load(o)
	if err != nil {
		return nil, err
	}
	a := &App{opts: o, level: &slog.LevelVar{}, secrets: &secret.Mux{}, known: map[string]secret.Store{}}
	a.level.Set(cfg.Log.Level)
	a.log = newLog(o.Log, cfg.Log.Format, a.level)
	a.registry, a.reloads = metrics.NewRegistry(o.Version)
	a.remote = newRemoteSecrets(a.log, a.registry)
	a.raiseDescriptorLimit()

	if err := a.open(ctx, cfg); err != nil {
		a.Close()
		return nil, fmt.Errorf("app: %w", err)
	}
	a.log.Info("ready", "version", o.Version, "endpoints", a.endpoints(), "admin", a.AdminAddr(), "api", a.APIAddr())
	return a, nil
}

// open starts one thing after the other. What it has started when it fails is Close's to end.
func (a *App) open(ctx context.Context, cfg *config.Config) (err error) {
	o := PlaneOptions{Log: a.log, Secrets: a.secrets, Loops: cfg.Loops, Handshakes: cfg.Handshakes, Registry: a.registry, Tokens: &a.tokens}
	if cfg.API.Enabled() {
		if a.control, err = openControl(ctx, cfg.API, cfg.Path, a.log, a.remote, a.opts.FirstStart, a.opts.LookupEnv); err != nil {
			return err
		}
		a.tokens.rds = &tokens{plane: a.control.plane, ids: a.control.ids, now: time.Now}
		o.ServerTokens = &serverTokens{plane: a.control.plane, ids: a.control.ids, aws: a.remote.aws, now: time.Now}
	}
	var authority *certs.Authority
	if cfg.API.DataDir != "" { // the folder is there, and this process's alone
		if authority, err = certs.OpenAuthority(cfg.API.DataDir); err != nil {
			return err
		}
	}
	a.certs = certs.NewWithAuthority(a.log, authority, listenHosts(cfg.Snapshot)...)
	o.Certificates = a.certs.Config
	if a.plane, a.view, err = a.opts.NewPlane(o); err != nil {
		return err
	}
	if err := a.apply(ctx, cfg); err != nil {
		return err
	}
	if cfg.Admin.Listen != "" {
		if a.admin, err = admin.Open(ctx, a.adminOptions(cfg.Admin)); err != nil {
			return err
		}
	}
	return a.openAPI(ctx, cfg)
}

// openAPI serves the API, and has the data plane follow the state from then on.
func (a *App) openAPI(ctx context.Context, cfg *config.Config) error {
	if a.control == nil {
		return nil
	}
	if s, ok := a.control.store.(interface{ Writable(context.Context) error }); ok {
		metrics.NewState(a.registry, s.Writable)
	}
	o := apiOptions{
		requests: metrics.NewAPIRequests(a.registry),
		health:   &health{plane: a.control.plane, targets: a.view.Targets, unserved: &a.unserved},
		held:     a.heldForAPI,
	}
	if face := apiFace(cfg.API); face != nil {
		if _, err := a.certs.Config(face); err != nil {
			return err
		}
		o.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			conf, err := a.certs.Config(face)
			if err != nil {
				return nil, err
			}
			return &conf.Certificates[0], nil
		}}
	}
	if err := a.control.serve(ctx, o); err != nil {
		return err
	}
	following, stop := context.WithCancel(context.Background())
	a.unfollow = stop
	a.follow.Go(func() { a.followState(following) })
	return nil
}

// heldForAPI reports whether the data plane listens at an address for a proxy that is not of the configuration file.
func (a *App) heldForAPI(address string) bool {
	for name, endpoints := range a.plane.Addrs() {
		if slices.ContainsFunc(a.config.Load().Snapshot.Proxies, func(p resource.Proxy) bool { return p.Name == name }) {
			continue
		}
		for _, at := range endpoints {
			if at == address {
				return true
			}
		}
	}
	return false
}

// apiFace is what the API shows clients, as if it were a proxy: its certificate, or the names that one is issued for. nil:
// it is served without TLS.
func apiFace(c config.API) *resource.Proxy {
	switch {
	case c.TLS != (resource.Certificate{}):
		return &resource.Proxy{Certificate: c.TLS}
	case c.IssuedTLS():
		return &resource.Proxy{Endpoints: []resource.Endpoint{{Name: "api", Listen: c.Listen}}}
	}
	return nil
}

// load reads the configuration. With a data folder or an etcd from elsewhere, there need not be a file.
func load(o Options) (*config.Config, error) {
	return config.LoadWith(o.ConfigPath, o.LookupEnv, config.Overrides{DataDir: o.DataDir, Etcd: o.Etcd})
}

// Drain takes no new clients and lets transactions finish: as long as the configuration allows, or until ctx ends.
func (a *App) Drain(ctx context.Context) error {
	a.draining.Store(true)
	ctx, cancel := context.WithTimeout(ctx, a.config.Load().DrainTimeout)
	defer cancel()
	return a.plane.Drain(ctx)
}

// Close ends everything at once, in reverse order of the start. The admin server goes last: until then it says how far
// things are.
func (a *App) Close() error {
	if a.unfollow != nil {
		a.unfollow()
		a.follow.Wait()
	}
	if a.plane != nil {
		a.plane.Close()
	}
	a.control.close()
	a.reload.Lock()
	closeStores(a.sources)
	a.keepLeases(a.sources)
	a.sources = nil
	a.revokeLeases()
	a.reload.Unlock()
	if a.admin == nil {
		return nil
	}
	return a.admin.Close()
}

// APIAddr is the address of the management API, or empty if there is none.
func (a *App) APIAddr() string { return a.control.addr() }

// Addrs returns the addresses that are listened on, by proxy and endpoint name.
func (a *App) Addrs() map[string]map[string]string { return a.plane.Addrs() }

// AdminAddr is the admin server's address, or empty if there is none.
func (a *App) AdminAddr() string {
	if a.admin == nil {
		return ""
	}
	return a.admin.Addr()
}

// endpoints lists the addresses for the log, such as app/default=127.0.0.1:6432.
func (a *App) endpoints() []string {
	var all []string
	for proxy, endpoints := range a.plane.Addrs() {
		for name, addr := range endpoints {
			all = append(all, proxy+"/"+name+"="+addr)
		}
	}
	slices.Sort(all)
	return all
}

// listenHosts are the names and addresses by which clients may know this process.
func listenHosts(s resource.Snapshot) []string {
	var hosts []string
	for _, p := range s.Proxies {
		for _, e := range p.Endpoints {
			if host, _, err := net.SplitHostPort(e.Listen); err == nil {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

func (a *App) raiseDescriptorLimit() {
	limit, err := raiseDescriptorLimit()
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		a.log.Warn("the limit of open files could not be raised", "limit", limit, "err", err)
	default:
		a.log.Info("limit of open files; each client and each server connection is one", "limit", limit)
	}
}

func newLog(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
