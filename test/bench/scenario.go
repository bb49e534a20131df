//go:build linux

package main

import (
	"context"
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
	mQPS       = metric{"qps", "queries/s", "%.0f", true}
	mQueryCPU  = metric{"cpu_s_1000q", "CPU s for 1000 queries", "%.4f", false}
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
	allMetrics = []metric{mTPS, mTxCPU, mQPS, mQueryCPU, mConnects, mConnCPU, mThrough, mCPUGB, mEmpty, mFew, mMany, mIdleCPU, mStorm, mStormCPU, mFailed}
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
