package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
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
	write, err := BackupWriter(ctx, s, prefix)
	if err != nil {
		return err
	}
	return write(w)
}

// BackupWriter takes a backup, which the function that it returns writes: what can fail in the store has failed before
// anything is written.
func BackupWriter(ctx context.Context, s Store, prefix string) (func(io.Writer) error, error) {
	entries, _, err := s.Load(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	header := backupHeader{Format: backupFormat, Made: time.Now().UTC(), Entries: len(entries)}
	return func(w io.Writer) error {
		buf := bufio.NewWriter(w)
		enc := json.NewEncoder(buf)
		err := enc.Encode(header)
		for _, e := range entries {
			if err == nil {
				err = enc.Encode(backupEntry{e.Key, e.Value})
			}
		}
		if err = errors.Join(err, buf.Flush()); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		return nil
	}, nil
}

// BackupInfo is what CheckBackup has found.
type BackupInfo struct {
	Made    time.Time
	Entries int
}

// CheckBackup reads a backup as Restore does, and changes nothing.
func CheckBackup(r io.Reader) (BackupInfo, error) {
	header, _, err := readBackup(r)
	return BackupInfo{Made: header.Made, Entries: header.Entries}, err
}

// Unfinished is a key, after the prefix, that is there while Restore is at work: what is there beside it is not the whole.
const Unfinished = "unfinished-restore"

// restoreOps and restoreBytes are how many keys one transaction writes, and how much: etcd allows 128 and 1.5 MiB where nobody
// has said otherwise. A value alone is within that, since it was stored before.
const (
	restoreOps   = 100
	restoreBytes = 512 << 10
)

// Restore writes what Backup has written into s, which has nothing below prefix. A backup that is torn, or not one,
// changes nothing.
func Restore(ctx context.Context, s Store, prefix string, r io.Reader) error {
	_, ops, err := readBackup(r)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	switch entries, _, err := s.Load(ctx, prefix); {
	case err != nil:
		return fmt.Errorf("restore: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("restore: expected an empty store, this one has %d entries", len(entries))
	}
	unfinished := Op{Key: prefix + Unfinished, Value: []byte("true")}
	for first := true; len(ops) > 0; first = false {
		n, size := 1, len(ops[0].Value)
		for n < min(len(ops), restoreOps) && size+len(ops[n].Value) <= restoreBytes {
			size += len(ops[n].Value)
			n++
		}
		// The first key of each part is not there yet, unless somebody else writes as well.
		txn := Txn{Key: ops[0].Key, Ops: slices.Clone(ops[:n])}
		switch last := n == len(ops); {
		case first && !last:
			txn.Ops = append(txn.Ops, unfinished)
		case last && !first:
			txn.Ops = append(txn.Ops, Op{Key: unfinished.Key, Delete: true})
		}
		if _, err := s.Commit(ctx, txn); err != nil {
			return fmt.Errorf("restore: %w; a part may be there: clear the store before the next attempt", err)
		}
		ops = ops[n:]
	}
	return nil
}

func readBackup(r io.Reader) (header backupHeader, ops []Op, err error) {
	dec := json.NewDecoder(bufio.NewReader(r))
	if err := dec.Decode(&header); err != nil || header.Format != backupFormat {
		return header, nil, fmt.Errorf("expected a file that begins with %q", backupFormat)
	}
	for {
		var e backupEntry
		switch err := dec.Decode(&e); {
		case errors.Is(err, io.EOF):
			if len(ops) != header.Entries {
				return header, nil, fmt.Errorf("expected %d entries, the file ends after %d", header.Entries, len(ops))
			}
			return header, ops, nil
		case err != nil:
			return header, nil, fmt.Errorf("entry %d: %w", len(ops)+1, err)
		case e.Key == "":
			return header, nil, fmt.Errorf("entry %d: expected a key", len(ops)+1)
		}
		ops = append(ops, Op{Key: e.Key, Value: e.Value})
	}
}
