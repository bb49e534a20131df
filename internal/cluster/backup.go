package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A backup is JSON, one value for each line: a header, then the entries. What is sealed in them stays sealed.
type backupHeader struct {
	Format  string
	Made    time.Time
	Entries int
}

const backupFormat = "forebay backup 1"

type backupEntry struct {
	Key   string
	Value []byte
}

// Backup writes everything below prefix, as it was at one moment.
func Backup(ctx context.Context, s Store, prefix string, w io.Writer) error {
	entries, _, err := s.Load(ctx, prefix)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	err = enc.Encode(backupHeader{Format: backupFormat, Made: time.Now().UTC(), Entries: len(entries)})
	for _, e := range entries {
		if err == nil {
			err = enc.Encode(backupEntry{e.Key, e.Value})
		}
	}
	if err = errors.Join(err, buf.Flush()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// restoreOps is how many keys one transaction writes: etcd allows 128 where nobody has said otherwise.
const restoreOps = 100

// Restore writes what Backup has written into s, which has nothing below prefix. A backup that is torn, or not one,
// changes nothing.
func Restore(ctx context.Context, s Store, prefix string, r io.Reader) error {
	ops, err := readBackup(r)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	switch entries, _, err := s.Load(ctx, prefix); {
	case err != nil:
		return fmt.Errorf("restore: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("restore: expected an empty store, this one has %d entries", len(entries))
	}
	for len(ops) > 0 {
		n := min(len(ops), restoreOps)
		// The first key of each part is not there yet, unless somebody else writes as well.
		if _, err := s.Commit(ctx, Txn{Key: ops[0].Key, Ops: ops[:n]}); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		ops = ops[n:]
	}
	return nil
}

func readBackup(r io.Reader) ([]Op, error) {
	dec := json.NewDecoder(bufio.NewReader(r))
	var header backupHeader
	if err := dec.Decode(&header); err != nil || header.Format != backupFormat {
		return nil, fmt.Errorf("expected a file that begins with %q", backupFormat)
	}
	var ops []Op
	for {
		var e backupEntry
		switch err := dec.Decode(&e); {
		case errors.Is(err, io.EOF):
			if len(ops) != header.Entries {
				return nil, fmt.Errorf("expected %d entries, the file ends after %d", header.Entries, len(ops))
			}
			return ops, nil
		case err != nil:
			return nil, fmt.Errorf("entry %d: %w", len(ops)+1, err)
		case e.Key == "":
			return nil, fmt.Errorf("entry %d: expected a key", len(ops)+1)
		}
		ops = append(ops, Op{Key: e.Key, Value: e.Value})
	}
}
