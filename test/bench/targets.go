//go:build linux

package main

import (
	"fmt"
	"strings"
)

// target is what Forebay is to reach in one scenario and metric.
type target struct {
	against string  // the peer that the limit is a multiple of; "" for an absolute one
	limit   float64 // at least for metrics of which more is good, else at most
}

// pgTargets are those that the project has set itself.
func pgTargets(scenario string, m metric) []target {
	many := strings.HasSuffix(scenario, "-100") || strings.HasSuffix(scenario, "-1000")
	tls := strings.Contains(scenario, "tls")
	switch m {
	case mTPS:
		if many {
			return []target{{pgbouncer, 1.15}}
		}
		return []target{{pgbouncer, 1}}
	case mTxCPU:
		if many {
			return []target{{pgbouncer, 0.75}, {haproxy, 1}}
		}
		return []target{{pgbouncer, 1}}
	case mConnects, mConnCPU, mStorm:
		return []target{{pgbouncer, 1}}
	case mThrough, mCPUGB:
		return []target{{haproxy, 1}}
	case mMany:
		if tls {
			return []target{{"", 10}}
		}
		return []target{{"", 1.5}}
	case mFailed:
		return []target{{"", 0}}
	case mIdleCPU:
		return []target{{"", 10}} // "zero": less than one tick of /proc
	}
	return nil
}

// mysqlTargets returns the targets of a server that speaks MySQL's protocol, beside whom these proxies are measured.
func mysqlTargets(proxies ...string) func(string, metric) []target {
	return func(scenario string, m metric) []target {
		tls := strings.Contains(scenario, "tls")
		switch m {
		case mQPS:
			if tls {
				return nil // HAProxy does not decrypt
			}
			var all []target
			for _, p := range proxies {
				all = append(all, target{p, 1})
			}
			return all
		case mQueryCPU:
			return []target{{proxysql, 0.6}, {haproxy, 1}}
		case mMany:
			if tls {
				return []target{{"", 10}}
			}
			return []target{{"", 2}}
		case mFailed, mIdleCPU:
			return pgTargets(scenario, m)
		}
		return nil
	}
}

func (t target) text(m metric) string {
	sign := "≤"
	if m.moreGood {
		sign = "≥"
	}
	if t.against == "" {
		return fmt.Sprintf("%s %g", sign, t.limit)
	}
	return fmt.Sprintf("%s %g x %s", sign, t.limit, title(t.against))
}

func (t target) met(m metric, value float64) bool {
	if m.moreGood {
		return value >= t.limit
	}
	return value <= t.limit
}

// title is a peer's name for people.
func title(peer string) string {
	switch peer {
	case haproxy:
		return "HAProxy"
	case pgbouncer:
		return "PgBouncer"
	case router:
		return "MySQL Router"
	case proxysql:
		return "ProxySQL"
	case forebay:
		return "Forebay"
	}
	return peer
}
