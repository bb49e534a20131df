package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"forebay/internal/config"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
)

// ReplaceRootKey gives the account's root a new key in place of all it has, for who has lost them: whoever may read the
// sealing key and write to the store may do everything anyway. It returns the new key's id and its file. A data folder
// must not be in use.
func ReplaceRootKey(ctx context.Context, o Options) (id, file string, err error) {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	cfg, err := load(o)
	if err != nil {
		return "", "", err
	}
	api := cfg.API
	if !api.Enabled() {
		return "", "", errors.New("root-key: expected a data folder or an etcd, with the account in it")
	}
	if api.KeyFile == "" { // else this would make a key
		if err := keyMissing(api); err != nil {
			return "", "", fmt.Errorf("root-key: expected the folder of a Forebay that has been started: %w", err)
		}
	}
	c := &control{cfg: api, log: slog.New(slog.NewTextHandler(o.Log, nil))}
	defer c.close()
	if c.store, err = openStore(ctx, api, c.log); err != nil {
		return "", "", err
	}
	if c.ring, err = openKeyring(ctx, api, o.LookupEnv, c.log); err != nil {
		return "", "", err
	}
	if c.plane, err = controlplane.Open(ctx, c.store, c.log); err != nil {
		return "", "", err
	}
	if c.plane.State().Account() == nil {
		return "", "", errors.New("root-key: there is no account yet: the first start makes one, with a key")
	}
	if err := c.checkKeyring(); err != nil {
		return "", "", err
	}
	return c.replaceRootKey(ctx)
}

func (c *control) replaceRootKey(ctx context.Context) (id, path string, err error) {
	id, path = "AKIA"+identity.RandomID(16), rootFile(c.cfg)
	text := identity.RandomSecret()
	key := controlplane.AccessKey{ID: id, Active: true, Created: time.Now().UTC(), Sealed: c.ring.Seal([]byte(text), identity.KeyBelongs(id))}
	// Beside the former file until the key is in force: whatever happens, one of the two has a key that counts.
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	if err := writeNew(fresh, credentialsFile(id, text, c.plane.State().Account().Region)); err != nil {
		return "", "", err
	}
	_, err = c.plane.Update(ctx, func(tx *controlplane.Tx) error {
		account := *tx.Account()
		account.RootKeys = []controlplane.AccessKey{key}
		tx.Accounts.Put("account", &account)
		return nil
	})
	if err != nil {
		// The store may have it all the same: then the key counts, and is nowhere but in this file.
		return "", "", fmt.Errorf("root-key: it is not known whether the key in %s is in force: use it, or make another one: %w", fresh, err)
	}
	return id, path, os.Rename(fresh, path)
}

// rootFile is where root's key is written down.
func rootFile(cfg config.API) string {
	if cfg.DataDir != "" {
		return filepath.Join(cfg.DataDir, rootKeyFile)
	}
	return cfg.KeyFile + "." + rootKeyFile
}

// credentialsFile is a key as the AWS CLI reads it.
func credentialsFile(id, secret, region string) string {
	return fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\nregion = %s\n", id, secret, region)
}
