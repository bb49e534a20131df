package localserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// treeComplete is the file that scripts/sid-tree makes last.
const treeComplete = ".forebay-complete"

// SidTree returns the root of the Debian sid tree that scripts/sid-tree made, where newer servers are than on this
// system: the folder that the environment variable FOREBAY_SID_TREE names, else "sid" in the cache. The error wraps
// ErrNotInstalled if there is none, or if we are not root, who alone can run what is in it.
func SidTree() (string, error) {
	tree := os.Getenv("FOREBAY_SID_TREE")
	if tree == "" {
		cache := CacheRoot()
		if cache == "" {
			return "", fmt.Errorf("sid tree: %w: no cache folder", ErrNotInstalled)
		}
		tree = filepath.Join(cache, "sid")
		if _, err := os.Stat(filepath.Join(tree, treeComplete)); err != nil {
			return "", fmt.Errorf("sid tree: %w: run make servers, or name one in FOREBAY_SID_TREE", ErrNotInstalled)
		}
	}
	tree, err := filepath.Abs(tree)
	if err != nil {
		return "", err
	}
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("sid tree %s: %w: only root can run programs in it", tree, ErrNotInstalled)
	}
	return tree, nil
}

// findInTree lists the servers in the tree at root, the newest first.
func (k *kind) findInTree(root string) ([]Install, error) {
	root = filepath.Clean(root)
	var found []Install
	for _, pattern := range k.treePlaces {
		dirs, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, dir := range dirs {
			in, err := k.probe(strings.TrimPrefix(dir, root), root)
			if errors.Is(err, ErrNotInstalled) {
				continue
			}
			if err != nil {
				return nil, err
			}
			found = append(found, in)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s in %s: %w", k.name, root, ErrNotInstalled)
	}
	sortNewestFirst(found)
	return found, nil
}

// PostgresReleases lists one PostgreSQL server, the newest, for each major version that is on the system or in the sid
// tree, the newest first. The system's goes before the tree's. With none found the error wraps ErrNotInstalled.
func PostgresReleases() ([]Install, error) { return postgresKind.releases() }

// MySQLReleases lists one server, the newest, for each release series of MariaDB, then of MySQL, like PostgresReleases.
func MySQLReleases() ([]Install, error) { return mysqlKind.releases() }

func (k *kind) releases() ([]Install, error) {
	all, err := k.find()
	if tree, treeErr := SidTree(); treeErr == nil {
		if more, treeErr := k.findInTree(tree); treeErr == nil {
			all, err = append(all, more...), nil
		}
	}
	if err != nil {
		return nil, err
	}
	var out []Install
	for _, in := range all {
		if !slices.ContainsFunc(out, func(o Install) bool { return o.Product == in.Product && o.Series() == in.Series() }) {
			out = append(out, in)
		}
	}
	sortNewestFirst(out)
	return out, nil
}
