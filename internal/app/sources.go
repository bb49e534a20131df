package app

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"forebay/internal/config"
	"forebay/internal/metrics"
	"forebay/internal/secret"
	"forebay/internal/secret/awssm"
	"forebay/internal/secret/env"
	"forebay/internal/secret/file"
	"forebay/internal/secret/lease"
	"forebay/internal/secret/vault"

	"github.com/prometheus/client_golang/prometheus"
)

// remoteSecrets is the way to secrets that are kept elsewhere. It is safe for concurrent use.
type remoteSecrets struct {
	reads  *metrics.SecretReads
	leases *metrics.SecretLeases
	aws    *awssm.Account
}

func newRemoteSecrets(log *slog.Logger, r prometheus.Registerer) *remoteSecrets {
	reads := metrics.NewSecretReads(r)
	return &remoteSecrets{reads: reads, leases: metrics.NewSecretLeases(r), aws: awssm.New(awssm.Options{Log: log, Observe: reads.Of("aws")})}
}

// source makes the store of a secret of the configuration file.
func (a *App) source(s config.Secret) secret.Store {
	switch {
	case s.AWS != config.AWS{}:
		return a.remote.aws.Store(awssm.Secret{ARN: s.AWS.SecretARN, Role: s.AWS.RoleARN, Region: s.AWS.Region, Refresh: s.Refresh})
	case s.Vault.Dynamic():
		return a.dynamic(s)
	case s.Vault != config.Vault{}:
		return vault.New(a.vault(s))
	case s.File != "":
		return file.New(s.File, a.log)
	}
	return env.New(s.Env, a.opts.LookupEnv)
}

func (a *App) vault(s config.Secret) vault.Options {
	v := s.Vault
	o := vault.Options{
		Log: a.log, Observe: a.remote.reads.Of("vault"), Refresh: s.Refresh,
		Address: v.Address, Namespace: v.Namespace, CAFile: v.CAFile, Path: v.Path,
		UsernameKey: v.UsernameKey, PasswordKey: v.PasswordKey, PreviousFor: v.PreviousFor,
	}
	switch {
	case v.AppRole != config.VaultRole{}:
		o.Auth = vault.Auth{Mount: v.AppRole.Mount, Role: v.AppRole.Role, Credential: v.AppRole.File, AppRole: true}
	case v.Kubernetes != config.VaultRole{}:
		o.Auth = vault.Auth{Mount: v.Kubernetes.Mount, Role: v.Kubernetes.Role, Credential: v.Kubernetes.File}
	default:
		o.Auth = vault.Auth{TokenFile: v.TokenFile}
	}
	return o
}

// dynamic makes the store of a dynamic role. Its clients' secret is whatever the configuration in force has under that name.
func (a *App) dynamic(s config.Secret) secret.Store {
	of := s.Vault.Clients
	clients := func(ctx context.Context) (secret.Secret, error) { return a.secrets.Get(ctx, of) }
	doubt := func(version string) { a.secrets.Doubt(of, version) }
	if of == "" {
		// They log in by tokens alone: nobody knows this password.
		nobody := secret.Secret{Username: s.Vault.ClientsUser, Password: secret.Password(rand.Text())}
		nobody.Version = secret.Version(nobody.Username, nobody.Password)
		clients = func(context.Context) (secret.Secret, error) { return nobody, nil }
		doubt = func(string) {}
	}
	return vault.NewDynamic(a.vault(s), lease.Options{Clients: clients, DoubtClients: doubt, Watch: a.remote.leases.Of(s.Name)})
}

// forgetLeases ends the metrics of secrets that are gone.
func (a *App) forgetLeases(gone map[config.Secret]secret.Store) {
	for s := range gone {
		if _, ok := a.known[s.Name].(*lease.Store); s.Vault.Dynamic() && !ok {
			a.remote.leases.Forget(s.Name)
		}
	}
}

// revokeLimit is how long the end of the process waits for users that are to end with it.
const revokeLimit = 5 * time.Second

// keepLeases notes the users of closed stores, which end with the process: server connections may have them still.
func (a *App) keepLeases(stores map[config.Secret]secret.Store) {
	a.lapsing = slices.DeleteFunc(a.lapsing, func(s *lease.Store) bool { return !s.Lives() })
	for _, s := range stores {
		if l, ok := s.(*lease.Store); ok {
			a.lapsing = append(a.lapsing, l)
		}
	}
}

// revokeLeases ends the users that were made for this process. No server connection is there any more.
func (a *App) revokeLeases() {
	ctx, cancel := context.WithTimeout(context.Background(), revokeLimit)
	defer cancel()
	var all sync.WaitGroup
	for _, s := range a.lapsing {
		all.Go(func() { s.Shutdown(ctx) })
	}
	all.Wait()
	a.lapsing = nil
}

// closeStores ends those stores that do anything of their own.
func closeStores(stores map[config.Secret]secret.Store) {
	for _, s := range stores {
		if c, ok := s.(interface{ Close() }); ok {
			c.Close()
		}
	}
}
