package app

import (
	"log/slog"

	"forebay/internal/config"
	"forebay/internal/metrics"
	"forebay/internal/secret"
	"forebay/internal/secret/awssm"
	"forebay/internal/secret/env"
	"forebay/internal/secret/file"
	"forebay/internal/secret/vault"

	"github.com/prometheus/client_golang/prometheus"
)

// remoteSecrets is the way to secrets that are kept elsewhere. It is safe for concurrent use.
type remoteSecrets struct {
	reads *metrics.SecretReads
	aws   *awssm.Account
}

func newRemoteSecrets(log *slog.Logger, r prometheus.Registerer) *remoteSecrets {
	reads := metrics.NewSecretReads(r)
	return &remoteSecrets{reads: reads, aws: awssm.New(awssm.Options{Log: log, Observe: reads.Of("aws")})}
}

// source makes the store of a secret of the configuration file.
func (a *App) source(s config.Secret) secret.Store {
	switch {
	case s.AWS != config.AWS{}:
		return a.remote.aws.Store(awssm.Secret{ARN: s.AWS.SecretARN, Role: s.AWS.RoleARN, Region: s.AWS.Region, Refresh: s.Refresh})
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

// closeStores ends those stores that do anything of their own.
func closeStores(stores map[config.Secret]secret.Store) {
	for _, s := range stores {
		if c, ok := s.(interface{ Close() }); ok {
			c.Close()
		}
	}
}
