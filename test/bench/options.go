//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are read from the environment, since `make bench` passes that on.
type options struct {
	rounds      int
	duration    time.Duration // of one measurement
	only        []string      // beginnings of scenario names, see wants; none means all
	engines     []*engine
	named       bool     // the engines were asked for: one that is missing is an error
	peers       []string // none means all of the engine's
	scale       int      // of pgbench's tables, 100,000 rows each
	idleClients int
	csv         string // where the raw rows go
	markdown    string // file whose generated part is replaced; "" for none
	forebay     string // the binary
	sidTree     string // Debian sid tree with MySQL 9, MySQL Router and the current PgBouncer; "" if there is none
	oldBouncer  bool   // the system's PgBouncer all the same
	pprof       string // folder for CPU profiles of Forebay, one for each scenario; "" for none
}

func readOptions() (options, error) {
	o := options{
		only:     list(os.Getenv("ONLY")),
		peers:    list(os.Getenv("PEERS")),
		csv:      os.Getenv("CSV"),
		markdown: os.Getenv("MARKDOWN"),
		forebay:  os.Getenv("FOREBAY"),
		sidTree:  os.Getenv("SID_TREE"),
		pprof:    os.Getenv("PROFILES"),

		oldBouncer: os.Getenv("PGBOUNCER") == "system",
	}
	var err error
	words := list(os.Getenv("ENGINE"))
	if o.engines, err = pickEngines(words); err != nil {
		return o, err
	}
	o.named = slices.Contains(words, mysql9Engine.name) || slices.Contains(words, sqlserverEngine.name)
	for _, p := range o.peers {
		if !slices.Contains(knownPeers(), p) {
			return o, fmt.Errorf("PEERS: %q: expected some of %s", p, strings.Join(knownPeers(), ","))
		}
	}
	if o.forebay == "" {
		o.forebay = "bin/forebay"
	}
	var seconds int
	for _, n := range []struct {
		name             string
		to               *int
		value, low, high int
	}{
		{"ROUNDS", &o.rounds, 5, 1, 1000},
		{"SECONDS", &seconds, 5, 1, 3600},
		{"SCALE", &o.scale, 10, 1, 10000},
		{"IDLE_CLIENTS", &o.idleClients, 10000, 1, 60000},
	} {
		*n.to = n.value
		s := os.Getenv("BENCH_" + n.name)
		if s == "" {
			continue
		}
		v, err := strconv.Atoi(s)
		if err != nil || v < n.low || v > n.high {
			return o, fmt.Errorf("%s: %q: expected a number from %d to %d", n.name, s, n.low, n.high)
		}
		*n.to = v
	}
	if seconds < 3 && slices.Contains(o.engines, &postgresEngine) {
		return o, errors.New("SECONDS: 3 or more for postgresql: the first second of a pgbench run does not count")
	}
	o.duration = time.Duration(seconds) * time.Second
	return o, nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// wants reports whether a scenario was asked for. A number is taken as a whole: simple-1 does not begin simple-16.
func (o options) wants(name string) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	return len(o.only) == 0 || slices.ContainsFunc(o.only, func(p string) bool {
		rest, ok := strings.CutPrefix(name, p)
		return ok && (rest == "" || !digit(rest[0]) || !digit(p[len(p)-1]))
	})
}

// wantsPeer reports whether a peer was asked for.
func (o options) wantsPeer(name string) bool {
	return len(o.peers) == 0 || slices.Contains(o.peers, name)
}
