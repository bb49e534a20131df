//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"forebay/internal/storm"
)

// engine is one kind of database to put proxies in front of, and what is measured there.
type engine struct {
	name      string   // in ENGINE and in the markdown file
	peers     []string // in the order of the first round and of the columns
	optional  []string // peers that are left out where they cannot be had, unless PEERS names them
	rivals    []string // peers that Forebay is compared with
	scenarios func() []scenario
	targets   func(scenario string, m metric) []target
	open      func(ctx context.Context, w *world) (database, error)
}

// engines are all, in the order in which they are measured.
var engines = []*engine{&postgresEngine, &mariadbEngine, &mysql9Engine, &sqlserverEngine}

// database is a private server with the accounts and the data that are measured with.
type database interface {
	port() int
	product() string  // with its version
	contents() string // the data in it, in few words
	// caFile is the certificate that the server shows, which all proxies show too. Its key lies beside it.
	caFile() string
	// protocol is a client that logs in at a port. Clients derive keys once for all their connections.
	protocol(port int, encrypted bool) (storm.Protocol, error)
	// logins are whom Forebay lets in.
	logins() []login
	// family is Forebay's word for the engine.
	family() string
	stop()
}

// user is an account of the database.
type user struct {
	name, password string
	stored         string // the password as PostgreSQL keeps it
}

// login is a user, and how clients prove to Forebay that they know the password.
type login struct {
	user
	authType string
}

// errNoServer means that a database cannot be had on this machine.
var errNoServer = errors.New("no such server")

// pickEngines reads ENGINE. The word mysql stands for both servers that speak its protocol.
func pickEngines(words []string) ([]*engine, error) {
	if len(words) == 0 {
		return engines, nil
	}
	var out []*engine
	for _, e := range engines {
		if slices.Contains(words, e.name) || slices.Contains(words, "mysql") && (e == &mariadbEngine || e == &mysql9Engine) {
			out = append(out, e)
		}
	}
	for _, w := range words {
		if w != "mysql" && !slices.ContainsFunc(engines, func(e *engine) bool { return e.name == w }) {
			return nil, fmt.Errorf("ENGINE: %q: expected some of postgresql,mariadb,mysql9,sqlserver, or mysql for MariaDB and MySQL 9", w)
		}
	}
	return out, nil
}

// knownPeers are the names of all peers, of any engine.
func knownPeers() []string {
	var all []string
	for _, e := range engines {
		for _, p := range e.peers {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// beginMark and endMark enclose the engine's tables in a markdown file.
func (e *engine) beginMark() string { return e.mark("begin") }
func (e *engine) endMark() string   { return e.mark("end") }

func (e *engine) mark(word string) string {
	return "<!-- made by make bench, " + strings.ToLower(e.name) + ": " + word + " -->\n"
}
