//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"forebay/test/program"
)

const (
	databaseName   = "bench"
	poolSize       = 20
	maxConnections = 400 // of the database
)

// world is a database and all proxies in front of it.
type world struct {
	o         options
	engine    *engine
	dir       string
	temporary []string // further folders to remove
	db        database
	pg        *postgres  // db, if it is that
	my        *mysql     // db, if it is that
	ms        *sqlserver // db, if it is that
	cert, key string     // PEM, the same for all

	peers   []*peer // as asked for
	leftOut []string
}

// newWorld starts everything. On an error what was started is stopped.
func newWorld(ctx context.Context, o options, e *engine) (*world, error) {
	w := &world{o: o, engine: e}
	if err := w.open(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) open(ctx context.Context) (err error) {
	if err := raiseDescriptorLimit(); err != nil {
		return err
	}
	if w.dir, err = os.MkdirTemp("", "forebay-bench-"); err != nil {
		return err
	}
	if err := os.Chmod(w.dir, 0o711); err != nil { // for the accounts of servers
		return err
	}
	if w.db, err = w.engine.open(ctx, w); err != nil {
		return err
	}
	if err := w.readCertificate(); err != nil {
		return err
	}
	for _, name := range w.engine.peers {
		if !w.o.wantsPeer(name) {
			continue
		}
		p, err := w.newPeer(name)
		if p != nil {
			w.peers = append(w.peers, p)
		}
		if errors.Is(err, errAbsent) && len(w.o.peers) == 0 && slices.Contains(w.engine.optional, name) {
			w.leftOut = append(w.leftOut, err.Error())
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// close stops and removes everything. The proxies first, so that the database has no clients left.
func (w *world) close() {
	for _, p := range w.peers {
		p.stop()
	}
	if w.db != nil {
		w.db.stop()
	}
	for _, dir := range append(w.temporary, w.dir) {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
}

// raiseDescriptorLimit is for us and the proxies: 10,000 clients need as many descriptors on either side.
func raiseDescriptorLimit() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

// readCertificate takes the database's certificate for the proxies.
func (w *world) readCertificate() error {
	cert, err := os.ReadFile(w.db.caFile())
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(filepath.Dir(w.db.caFile()), "server.key"))
	if err != nil {
		return err
	}
	w.cert, w.key = string(cert), string(key)
	return nil
}

// describe says what is compared, and on what.
func (w *world) describe() string {
	versions := []string{w.db.product()}
	for _, p := range w.peers {
		if p.version != "" {
			versions = append(versions, p.version)
		}
	}
	text := fmt.Sprintf("- %s; pool of %d, %s\n- %s\n", strings.Join(versions, "; "), poolSize, w.db.contents(), program.Machine())
	for _, why := range w.leftOut {
		text += "- left out: " + why + "\n"
	}
	return text
}
