package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"forebay/internal/cluster"
)

// Backup takes a backup of a running Forebay into a new file, which this user alone may read. On an error there is no
// file.
func (c *Client) Backup(ctx context.Context, path string) (info cluster.BackupInfo, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return info, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(path)
		}
	}()
	body, err := c.Stream(ctx, "Backup", struct{}{})
	if err != nil {
		return info, err
	}
	defer body.Close()
	if _, err := io.Copy(f, body); err != nil {
		return info, fmt.Errorf("the backup has broken off: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return info, err
	}
	if info, err = cluster.CheckBackup(f); err != nil {
		return info, fmt.Errorf("the answer is no backup: %w", err)
	}
	return info, f.Sync()
}
