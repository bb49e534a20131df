// Package metrics is the one place that knows the names and units of all metrics. The others count with plain values;
// a Collector turns them into Prometheus metrics when they are asked for.
//
// Names are the contract's (section 8.1) in snake case with a unit, after "forebay_". Times are in seconds and sizes in
// bytes, as Prometheus has it. Labels are the proxy and its target; users and databases are the clients' to choose and may
// be many, so they are seen in the admin server's /pools instead.
package metrics

import (
	"forebay/internal/dataplane"

	"github.com/prometheus/client_golang/prometheus"
)

const prefix = "forebay_"

// scalar is a metric with one value for each X: a proxy, a target, or the process.
type scalar[X any] struct {
	name string // without prefix
	kind prometheus.ValueType
	help string
	of   func(x *X) float64
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// process are the metrics of the whole process.
var process = []scalar[dataplane.Figures]{
	{"handshakes_running", gauge, "Connection phases of clients under way.", func(f *dataplane.Figures) float64 { return float64(f.HandshakesRunning) }},
	{"handshakes_queued", gauge, "Clients whose connection phase waits for the end of another's.", func(f *dataplane.Figures) float64 { return float64(f.HandshakesQueued) }},
	{"handshakes_limit", gauge, "Connection phases that may be under way at once.", func(f *dataplane.Figures) float64 { return float64(f.HandshakesLimit) }},
}

// clients are the metrics of a proxy's clients, labelled with the proxy.
var clients = []scalar[dataplane.ProxyFigures]{
	{"client_connections", gauge, "Open client connections, those still logging in included.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.Open) }},
	{"client_connections_tls", gauge, "Clients logged in over TLS.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Target.Session.ClientsTLS) }},
	{"client_connections_no_tls", gauge, "Clients logged in without TLS.", func(p *dataplane.ProxyFigures) float64 {
		return float64(p.Target.Session.ClientsIn - p.Target.Session.ClientsTLS)
	}},
	{"client_connections_received_total", counter, "Client connections accepted, cancel requests included.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.Received) }},
	{"client_connections_setup_succeeded_total", counter, "Clients that logged in.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.Succeeded) }},
	{"client_connections_setup_failed_auth_total", counter, "Clients not let in for their credentials or TLS.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.FailedAuth) }},
	{"client_connections_setup_failed_other_total", counter, "Clients that left, or broke the protocol, before they had logged in.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.FailedOther) }},
	{"client_connections_refused_total", counter, "Client connections over the limit of clients or of open files.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.Refused) }},
	{"client_connections_closed_total", counter, "Client connections that have ended.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.Closed) }},
	{"client_token_logins_total", counter, "Log-ins of clients by a token.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.Tokens) }},
	{"cancel_requests_total", counter, "Cancel requests received.", func(p *dataplane.ProxyFigures) float64 { return float64(p.Clients.Cancels) }},
}

// targets are the metrics of a proxy's target and of the traffic to it, labelled with both.
var targets = []scalar[dataplane.TargetFigures]{
	{"target_available", gauge, "1 if the target answered when last asked, else 0.", func(t *dataplane.TargetFigures) float64 { return number(t.Available) }},
	{"availability_percentage", gauge, "Share of the last minute in which the target answered, in percent.", func(t *dataplane.TargetFigures) float64 { return t.Availability }},
	{"target_max_connections", gauge, "The target's own limit of connections; 0 while unknown.", func(t *dataplane.TargetFigures) float64 { return float64(t.Capacity.MaxConnections) }},
	{"target_reserved_connections", gauge, "Of the target's limit, connections that ordinary users cannot have.", func(t *dataplane.TargetFigures) float64 { return float64(t.Capacity.Reserved) }},
	{"max_database_connections_allowed", gauge, "Server connections that the pools may have open.", func(t *dataplane.TargetFigures) float64 { return float64(t.Limits.MaxOpen) }},
	{"max_idle_database_connections", gauge, "Idle server connections that the pools keep.", func(t *dataplane.TargetFigures) float64 { return float64(t.Limits.MaxIdle) }},

	{"failovers_total", counter, "Times that another member of the cluster has become the writer.", func(t *dataplane.TargetFigures) float64 { return float64(t.Failovers) }},

	{"database_connection_requests_total", counter, "Attempts to open a server connection.", func(t *dataplane.TargetFigures) float64 { return float64(t.Session.OpenAttempts) }},
	{"database_connection_requests_with_tls_total", counter, "Of the attempts, those that got an encrypted connection.", func(t *dataplane.TargetFigures) float64 { return float64(t.Session.TLSOpened) }},
	{"database_connections_setup_succeeded_total", counter, "Server connections opened.", func(t *dataplane.TargetFigures) float64 { return float64(t.Pool.Opened) }},
	{"database_connections_setup_failed_total", counter, "Attempts to open a server connection that failed.", func(t *dataplane.TargetFigures) float64 { return float64(t.Session.OpenFailures) }},
	{"database_connections_previous_password_total", counter, "Server connections opened by a secret's previous password, since the target had refused the current one.", func(t *dataplane.TargetFigures) float64 { return float64(t.Previous) }},
	{"database_connections", gauge, "Open server connections.", func(t *dataplane.TargetFigures) float64 { return float64(t.Pool.Open) }},
	{"database_connections_with_tls", gauge, "Open server connections with TLS.", func(t *dataplane.TargetFigures) float64 { return float64(t.Session.ServersTLS) }},
	{"database_connections_currently_borrowed", gauge, "Server connections lent to a session.", func(t *dataplane.TargetFigures) float64 { return float64(t.Pool.Borrowed) }},
	{"database_connections_currently_idle", gauge, "Server connections that wait for a session.", func(t *dataplane.TargetFigures) float64 { return float64(t.Pool.Idle) }},
	{"database_connections_currently_opening", gauge, "Server connections being opened.", func(t *dataplane.TargetFigures) float64 { return float64(t.Pool.Opening) }},
	{"database_connections_currently_in_transaction", gauge, "Server connections with a transaction open.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.InTransaction) }},
	{"database_connections_currently_session_pinned", gauge, "Server connections kept for one session beyond its transaction.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.Pinned) }},
	{"clients_waiting", gauge, "Sessions that wait for a server connection.", func(t *dataplane.TargetFigures) float64 { return float64(t.Pool.Waiting) }},
	{"database_connections_borrow_timeouts_total", counter, "Waits for a server connection that took too long.", func(t *dataplane.TargetFigures) float64 { return float64(t.Pool.Timeouts) }},
	{"database_connections_borrow_failed_total", counter, "Waits for a server connection that ended with another error.", func(t *dataplane.TargetFigures) float64 { return float64(t.Pool.Failed) }},

	{"query_requests_total", counter, "Requests of clients: query strings, however many statements they have, and executions.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.Queries) }},
	{"query_requests_tls_total", counter, "Requests of clients with TLS.", func(t *dataplane.TargetFigures) float64 { return float64(t.Session.QueriesTLS) }},
	{"query_requests_no_tls_total", counter, "Requests of clients without TLS.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.Queries - t.Session.QueriesTLS) }},
	{"transactions_total", counter, "Transactions that have ended, those of a single statement included.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.Transactions) }},

	{"state_probes_total", counter, "Looks at what a session holds on its server connection.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.Probes) }},
	{"settings_replays_total", counter, "Server connections whose settings were changed to fit a session.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.Replays) }},
	{"prepared_statements_reused_total", counter, "Uses of a prepared statement that its server connection already had.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.PreparedHits) }},
	{"prepared_statements_reprepared_total", counter, "Prepared statements made again on another server connection.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.Reprepares) }},
	{"prepared_statements_outdated_total", counter, "Prepared statements whose result type a change of schema has changed; they are made anew.", func(t *dataplane.TargetFigures) float64 { return float64(t.Engine.StatementsHealed) }},
}

// members are the metrics of one database server of a proxy's target, labelled with the proxy, the server's name or else
// address, and its role.
var members = []scalar[dataplane.MemberFigures]{
	{"member_available", gauge, "1 if the member answered when last asked, else 0.", func(m *dataplane.MemberFigures) float64 { return number(m.Available) }},
	{"member_availability_percentage", gauge, "Share of the last minute in which the member answered, in percent.", func(m *dataplane.MemberFigures) float64 { return m.Availability }},
	{"member_client_sessions", gauge, "Sessions that the member serves.", func(m *dataplane.MemberFigures) float64 { return float64(m.Clients) }},
	{"member_database_connections", gauge, "Open server connections to the member.", func(m *dataplane.MemberFigures) float64 { return float64(m.Pool.Open) }},
	{"member_max_database_connections_allowed", gauge, "Server connections that the pools may have open to the member.", func(m *dataplane.MemberFigures) float64 { return float64(m.Limits.MaxOpen) }},
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
