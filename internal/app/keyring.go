package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"forebay/internal/awskms"
	"forebay/internal/config"
	"forebay/internal/controlplane"
)

// openKeyring reads the keys that seal; in the data folder they are made if need be. Those that AWS KMS has wrapped are
// opened by it, at this one time: a Forebay that runs needs KMS no longer.
func openKeyring(ctx context.Context, cfg config.API, log *slog.Logger) (*controlplane.Keyring, error) {
	path := keyFile(cfg)
	at := awskms.Options{Region: cfg.KMS.Region, Endpoint: cfg.KMS.Endpoint}
	if cfg.KeyFile == "" {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			key := controlplane.NewKey()
			if cfg.KMS.KeyID != "" {
				if key, err = awskms.New(ctx, at, cfg.KMS.KeyID); err != nil {
					return nil, fmt.Errorf("api.kms.key_id: %w", err)
				}
				key += "\n"
			}
			if err := writeNew(path, key); err != nil {
				return nil, err
			}
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	wrapped := 0
	ring, err := controlplane.ParseWrappedKeys(string(text), func(line string) ([]byte, bool, error) {
		if !awskms.Wrapped(line) {
			return nil, false, nil
		}
		wrapped++
		key, err := awskms.Open(ctx, at, line)
		return key, true, err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if wrapped > 0 {
		log.Info("sealing keys were opened by AWS KMS", "count", wrapped, "file", path)
	}
	if first := strings.Fields(string(text))[0]; cfg.KMS.KeyID != "" && !awskms.Wrapped(first) {
		log.Warn("the sealing key in use is in its file as it is, although api.kms.key_id names a KMS key: forebay sealing-key makes a line to put in front of it", "file", path)
	}
	return ring, nil
}
