//go:build linux

package main

import (
	"context"
	"fmt"
)

// pgScenarios lists all of PostgreSQL, in the order of the report.
func pgScenarios() []scenario {
	var all []scenario
	add := func(name, title string, fits func(*peer) bool, run func(context.Context, *world, *peer) ([]sample, error)) {
		all = append(all, scenario{name: name, title: title, fits: fits, run: run})
	}
	for _, mode := range []string{"simple", "extended", "prepared"} {
		for _, clients := range []int{1, 16, 100, 1000} {
			fits := anyPeer
			if clients > maxConnections-10 {
				fits = poolers
			}
			if mode == "prepared" {
				able := fits
				fits = func(p *peer) bool { return able(p) && !p.noNames }
			}
			add(fmt.Sprintf("%s-%d", mode, clients), fmt.Sprintf("pgbench -S, %s, clients: %d", mode, clients), fits,
				pgbenchRun{mode: mode, clients: clients}.measure)
		}
	}
	for _, clients := range []int{16, 100} {
		add(fmt.Sprintf("tls-simple-%d", clients), fmt.Sprintf("pgbench -S, simple over TLS, clients: %d", clients), anyPeer,
			pgbenchRun{mode: "simple", clients: clients, tls: true}.measure)
	}
	for _, tls := range []bool{false, true} {
		suffix := ""
		if tls {
			suffix = "-tls"
		}
		add("churn"+suffix, withTLS("SCRAM log-ins, 16 at once", tls), anyPeer, churnRun{tls}.measure)
		add("trickle"+suffix, withTLS(fmt.Sprintf("%d clients a second, one after another, one SELECT each", trickleRate), tls), proxies, trickleRun{tls}.measure)
		add("reconnect"+suffix, withTLS("pgbench -C, SCRAM, 16 clients", tls), anyPeer, reconnectRun{tls}.measure)
		add("bulk"+suffix, withTLS("results of 100 MB", tls), anyPeer, bulkRun{tls}.measure)
		add("storm"+suffix, withTLS("2,000 clients at once, one SELECT each", tls), poolers, stormRun{tls}.measure)
		add("idle"+suffix, withTLS("idle clients", tls), poolers, idleRun{tls}.measure)
		all[len(all)-1].once = true
	}
	return all
}
