//go:build linux

package main

import (
	"context"
	"fmt"
)

// metric is something measured. Its name is in the raw rows.
type metric struct {
	name     string
	label    string // with the unit
	format   string
	moreGood bool
}

var (
	mTPS       = metric{"tps", "transactions/s", "%.0f", true}
	mTxCPU     = metric{"cpu_s_1000tx", "CPU s for 1000 transactions", "%.4f", false}
	mConnects  = metric{"connects", "connects/s", "%.0f", true}
	mConnCPU   = metric{"cpu_ms_connect", "CPU ms for a connect", "%.3f", false}
	mThrough   = metric{"mb_s", "MB/s", "%.0f", true}
	mCPUGB     = metric{"cpu_s_gb", "CPU s for a GB", "%.2f", false}
	mEmpty     = metric{"rss_kib_0", "RSS without clients, KiB", "%.0f", false}
	mFew       = metric{"rss_kib_client_1000", "KiB for a client, of 1000", "%.2f", false}
	mMany      = metric{"rss_kib_client_many", "KiB for a client, of all", "%.2f", false}
	mIdleCPU   = metric{"idle_cpu_ms_10s", "CPU ms in 10 s, 1000 idle clients", "%.1f", false}
	mStorm     = metric{"storm_s", "seconds", "%.2f", false}
	mFailed    = metric{"failed", "clients that failed", "%.0f", false}
	mStormCPU  = metric{"storm_cpu_s", "CPU s", "%.2f", false}
	allMetrics = []metric{mTPS, mTxCPU, mConnects, mConnCPU, mThrough, mCPUGB, mEmpty, mFew, mMany, mIdleCPU, mStorm, mStormCPU, mFailed}
)

// sample is one figure of one measurement.
type sample struct {
	metric metric
	value  float64
}

// scenario is one thing to measure, of each peer that can do it.
type scenario struct {
	name  string
	title string
	fits  func(*peer) bool
	once  bool // in the first round alone: slow, and nearly the same each time
	run   func(context.Context, *world, *peer) ([]sample, error)
}

func anyPeer(*peer) bool { return true }

// proxies are the peers but the direct way.
func proxies(p *peer) bool { return p.name != direct }

// poolers are the peers that take more clients than the database takes connections.
func poolers(p *peer) bool { return p.pools() }

func withTLS(name string, tls bool) string {
	if tls {
		return name + " over TLS"
	}
	return name
}

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
