package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"forebay/internal/cluster"
	"forebay/internal/cluster/memory"
	"forebay/internal/config"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
)

// Restore puts a backup into the store that o names, by its configuration, DataDir or Etcd. The store is empty and no Forebay
// runs on it, and the sealing key is in its place already. A backup that cannot be used changes nothing.
func Restore(ctx context.Context, o Options, from io.Reader) (info cluster.BackupInfo, err error) {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	cfg, err := load(o)
	if err != nil {
		return info, err
	}
	api := cfg.API
	if !api.Enabled() {
		return info, errors.New("restore: expected a data folder or an etcd to restore into")
	}
	backup, err := io.ReadAll(from)
	if err != nil {
		return info, err
	}
	if info, err = cluster.CheckBackup(bytes.NewReader(backup)); err != nil {
		return info, fmt.Errorf("restore: %w", err)
	}
	log := slog.New(slog.NewTextHandler(o.Log, nil))
	if err := fits(ctx, api, o.LookupEnv, log, backup); err != nil {
		return info, fmt.Errorf("restore: %w", err)
	}
	store, err := openStore(ctx, api, log)
	if err != nil {
		return info, err
	}
	err = cluster.Restore(ctx, store, controlplane.Prefix, bytes.NewReader(backup))
	return info, errors.Join(err, store.Close())
}

// fits checks that this Forebay can read the backup, and that the sealing key in its place opens root's key in it. What else is sealed
// in it with a key that is not there is told in the log: it may have been lost before, and the rest is of use without it.
func fits(ctx context.Context, api config.API, lookup func(string) (string, bool), log *slog.Logger, backup []byte) error {
	if errors.Is(keyMissing(api), fs.ErrNotExist) {
		return fmt.Errorf("%s: expected the sealing key that the backup was made with: copy it there first", keyPlace(api))
	}
	ring, err := openKeyring(ctx, api, lookup, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	store := memory.New()
	defer store.Close()
	if err := cluster.Restore(ctx, store, controlplane.Prefix, bytes.NewReader(backup)); err != nil {
		return err
	}
	plane, err := controlplane.Open(ctx, store, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer plane.Close()
	account := plane.State().Account()
	if account == nil {
		return errors.New("the backup is of a Forebay that was never started")
	}
	for _, k := range account.RootKeys {
		if _, err := ring.Open(k.Sealed, identity.KeyBelongs(k.ID)); err != nil {
			return fmt.Errorf("%s does not open this backup: copy the sealing key there that it was made with: %w", keyPlace(api), err)
		}
	}
	if lost := lostIn(ring, plane.State()); len(lost) > 0 {
		log.Warn("some secrets or access keys of the backup cannot be read with the sealing keys here: put the key of that time into their place, on a line of its own, before the next start",
			"count", len(lost), "file", keyPlace(api), "which", named(lost))
	}
	return nil
}
