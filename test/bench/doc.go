// Command bench compares Forebay with what people use today: PgBouncer in transaction mode, MySQL Router sharing connections,
// ProxySQL, HAProxy forwarding bytes, and no proxy at all. For each engine it starts a private database and the proxies, all
// on 127.0.0.1, runs the scenarios in interleaved rounds, and prints medians and ratios. `make bench` is how to run it;
// docs/benchmarks.md has the results.
//
// The machine is shared by client, proxy and database, so absolute figures move with its load. What counts is the ratio of
// two proxies within one round, and the CPU time of the proxy's process.
package main
