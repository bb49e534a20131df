package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"forebay/internal/awskms"
	"forebay/internal/config"
	"forebay/internal/controlplane"
)

// keyPlace says where the keys are that seal: a path, or a variable as a shell writes it.
func keyPlace(cfg config.API) string {
	if cfg.KeyEnv != "" {
		return "$" + cfg.KeyEnv
	}
	return keyFile(cfg)
}

// keyFile is the path of the keys that seal, where they are in a file.
func keyFile(cfg config.API) string {
	if cfg.KeyFile != "" {
		return cfg.KeyFile
	}
	return filepath.Join(cfg.DataDir, sealingKeyFile)
}

// keyMissing is the error of a place that has no keys, nil where it has some.
func keyMissing(cfg config.API) error {
	if cfg.KeyEnv != "" {
		return nil // that it is set is checked with the configuration
	}
	_, err := os.Stat(keyFile(cfg))
	return err
}

// keyText reads the keys that seal; in the data folder they are made if need be.
func keyText(ctx context.Context, cfg config.API, at awskms.Options, lookup func(string) (string, bool)) (string, error) {
	if cfg.KeyEnv != "" {
		text, _ := lookup(cfg.KeyEnv)
		return text, nil
	}
	path := keyFile(cfg)
	if cfg.KeyFile == "" {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			key := controlplane.NewKey()
			if cfg.KMS.KeyID != "" {
				if key, err = awskms.New(ctx, at, cfg.KMS.KeyID); err != nil {
					return "", fmt.Errorf("api.kms.key_id: %w", err)
				}
				key += "\n"
			}
			if err := writeNew(path, key); err != nil {
				return "", err
			}
		}
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// openKeyring reads the keys that seal. Those that AWS KMS has wrapped are opened by it, at this one time: a Forebay that runs
// needs KMS no longer.
func openKeyring(ctx context.Context, cfg config.API, lookup func(string) (string, bool), log *slog.Logger) (*controlplane.Keyring, error) {
	at := awskms.Options{Region: cfg.KMS.Region, Endpoint: cfg.KMS.Endpoint}
	text, err := keyText(ctx, cfg, at, lookup)
	if err != nil {
		return nil, err
	}
	wrapped := 0
	ring, err := controlplane.ParseWrappedKeys(text, func(line string) ([]byte, bool, error) {
		if !awskms.Wrapped(line) {
			return nil, false, nil
		}
		wrapped++
		key, err := awskms.Open(ctx, at, line)
		return key, true, err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyPlace(cfg), err)
	}
	if wrapped > 0 {
		log.Info("sealing keys were opened by AWS KMS", "count", wrapped, "file", keyPlace(cfg))
	}
	if first := strings.Fields(text)[0]; cfg.KMS.KeyID != "" && !awskms.Wrapped(first) {
		log.Warn("the sealing key in use is in its place as it is, although api.kms.key_id names a KMS key: forebay sealing-key makes a line to put in front of it", "file", keyPlace(cfg))
	}
	return ring, nil
}
