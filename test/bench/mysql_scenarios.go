//go:build linux

package main

import (
	"context"
	"fmt"
)

// mysqlScenarios lists those of a server that speaks MySQL's protocol, in the order of the report. Their names begin with
// the engine's.
func mysqlScenarios(engine string) []scenario {
	var all []scenario
	add := func(name, title string, fits func(*peer) bool, run func(context.Context, *world, *peer) ([]sample, error)) {
		all = append(all, scenario{name: engine + "-" + name, title: title, fits: fits, run: run})
	}
	for _, script := range []struct{ name, script, title string }{
		{"point", "oltp_point_select", "point select"},
		{"readonly", "oltp_read_only", "read only"},
	} {
		for _, mode := range []string{"text", "prepared"} {
			for _, threads := range []int{1, 16, 100, 1000} {
				fits := anyPeer
				if threads > maxConnections-10 {
					fits = func(p *peer) bool { return p.pools() && !(p.keepsPrepared && mode == "prepared") }
				}
				add(fmt.Sprintf("%s-%s-%d", script.name, mode, threads), fmt.Sprintf("sysbench %s, %s, threads: %d", script.title, mode, threads),
					fits, sysbenchRun{script: script.script, threads: threads, prepared: mode == "prepared"}.measure)
			}
		}
	}
	for _, threads := range []int{16, 100} {
		add(fmt.Sprintf("tls-point-text-%d", threads), fmt.Sprintf("sysbench point select, text over TLS, threads: %d", threads), anyPeer,
			sysbenchRun{script: "oltp_point_select", threads: threads, tls: true}.measure)
	}
	for _, tls := range []bool{false, true} {
		suffix := ""
		if tls {
			suffix = "-tls"
		}
		add("churn"+suffix, withTLS("log-ins, 16 at once", tls), anyPeer, churnRun{tls}.measure)
		add("trickle"+suffix, withTLS(fmt.Sprintf("%d clients a second, one after another, one SELECT each", trickleRate), tls), proxies, trickleRun{tls}.measure)
		add("storm"+suffix, withTLS("2,000 clients at once, one SELECT each", tls), poolers, stormRun{tls}.measure)
		add("idle"+suffix, withTLS("idle clients", tls), poolers, idleRun{tls}.measure)
		all[len(all)-1].once = true
	}
	return all
}
