package dataplane

import (
	"cmp"
	"slices"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
)

// Readiness says whether a proxy's target answers.
type Readiness struct {
	Proxy  string
	Ready  bool
	Reason string // why not
}

// Readiness returns one entry for each proxy, ordered by name.
func (p *Plane) Readiness() []Readiness {
	var all []Readiness
	for _, t := range p.targets() {
		r := Readiness{Proxy: t.px.name()}
		t.mu.Lock()
		switch {
		case t.checked.IsZero():
			r.Reason = "the target has not been asked yet"
		case t.health != nil:
			r.Reason = t.health.Error()
		default:
			r.Ready = true
		}
		t.mu.Unlock()
		all = append(all, r)
	}
	return all
}

// TargetHealth says how the target of a proxy is.
type TargetHealth struct {
	Proxy      string
	ResourceID string
	Checked    bool  // it has been asked
	Err        error // why it is not available
	Refused    error // it answers, and would not have the user whom it was asked as
	Unseen     bool  // it answers, and nobody has logged in to it to find out more
}

// TargetHealth returns one entry for each proxy, ordered by name.
func (p *Plane) TargetHealth() []TargetHealth {
	var all []TargetHealth
	for _, t := range p.targets() {
		t.mu.Lock()
		all = append(all, TargetHealth{
			Proxy: t.px.name(), ResourceID: t.px.cfg.Load().ResourceID, Checked: !t.checked.IsZero(), Err: t.health, Refused: t.refused, Unseen: t.unseen,
		})
		t.mu.Unlock()
	}
	return all
}

// ProxyView is a proxy with its target and pools, for operators. Field names in JSON are part of the admin endpoint.
type ProxyView struct {
	Proxy   string     `json:"proxy"`
	Target  TargetView `json:"target"`
	Clients int64      `json:"clients"` // open connections, those still logging in included
	Pools   []PoolView `json:"pools"`
}

// TargetView is a target's health and limits.
type TargetView struct {
	Address                       string  `json:"address"`
	Available                     bool    `json:"available"`
	AvailabilityPercentage        float64 `json:"availability_percentage"` // of the last minute
	Reason                        string  `json:"reason,omitempty"`        // why it is not available
	MaxConnections                int     `json:"max_connections"`         // its own; 0: not known yet
	ReservedConnections           int     `json:"reserved_connections"`    // of those not for ordinary users
	MaxDatabaseConnectionsAllowed int     `json:"max_database_connections_allowed"`
	MaxIdleDatabaseConnections    int     `json:"max_idle_database_connections"`
	DatabaseConnections           int     `json:"database_connections"` // open and opening, of all pools
}

// PoolView is the pools of one user and database, over all loops and variants of the engine's protocol.
type PoolView struct {
	User          string `json:"user"`
	Database      string `json:"database"`
	Clients       int    `json:"clients"`
	Waiting       int    `json:"waiting"`
	Open          int    `json:"open"`
	Idle          int    `json:"idle"`
	Borrowed      int    `json:"borrowed"`
	Opening       int    `json:"opening"`
	InTransaction int    `json:"in_transaction"`
	Pinned        int    `json:"pinned"`
	Queries       uint64 `json:"queries"`
	Transactions  uint64 `json:"transactions"`
	Timeouts      uint64 `json:"borrow_timeouts"`
}

// Pools returns the proxies with their pools, ordered by name, user and database. It asks each loop for its pools, not for
// its clients.
func (p *Plane) Pools() []ProxyView {
	type at struct {
		t   *target
		key engine.Key
	}
	sums := make(map[at]*PoolTotals)
	for i, l := range p.loops {
		l.Call(func() {
			p.workers[i].Pools(func(sp *session.Pool) {
				k := sp.Shard().Key()
				a := at{targetOf(sp), engine.Key{User: k.User, Database: k.Database}} // whatever the protocol: one line for them all
				if sums[a] == nil {
					sums[a] = new(PoolTotals)
				}
				sums[a].add(sp)
			})
		})
	}
	now := time.Now()
	all := []ProxyView{}
	for _, t := range p.targets() {
		f := t.figures(now)
		v := ProxyView{Proxy: t.px.name(), Clients: t.px.stats.open.Load(), Pools: []PoolView{}, Target: TargetView{
			Address: f.Address, Available: f.Available, AvailabilityPercentage: f.Availability, Reason: t.unwell(),
			MaxConnections: f.Capacity.MaxConnections, ReservedConnections: f.Capacity.Reserved,
			MaxDatabaseConnectionsAllowed: f.Limits.MaxOpen, MaxIdleDatabaseConnections: f.Limits.MaxIdle,
			DatabaseConnections: t.budget.Stats().Used,
		}}
		for a, s := range sums {
			if a.t == t {
				v.Pools = append(v.Pools, poolView(a.key, s))
			}
		}
		slices.SortFunc(v.Pools, func(a, b PoolView) int {
			return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Database, b.Database))
		})
		all = append(all, v)
	}
	return all
}

func poolView(k engine.Key, s *PoolTotals) PoolView {
	return PoolView{
		User: k.User, Database: k.Database, Clients: s.Session.ClientsIn, Waiting: s.Pool.Waiting,
		Open: s.Pool.Open, Idle: s.Pool.Idle, Borrowed: s.Pool.Borrowed, Opening: s.Pool.Opening,
		InTransaction: s.Engine.InTransaction, Pinned: s.Engine.Pinned,
		Queries: s.Engine.Queries, Transactions: s.Engine.Transactions, Timeouts: s.Pool.Timeouts,
	}
}

// unwell is why the target is not available, empty when it is or is not known to be not.
func (t *target) unwell() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.health != nil {
		return t.health.Error()
	}
	return ""
}

// SessionsView lists the sessions that an operator may have to do something about, those longest in their state first.
type SessionsView struct {
	PinnedTotal  int           `json:"pinned_total"`
	WaitingTotal int           `json:"waiting_total"`
	Pinned       []SessionView `json:"pinned"`  // at most maxListed
	Waiting      []SessionView `json:"waiting"` // for a server connection; at most maxListed
}

// SessionView is one session, without statement texts: digests have no literals.
type SessionView struct {
	Proxy       string    `json:"proxy"`
	Target      string    `json:"target"`
	User        string    `json:"user"`
	Database    string    `json:"database"`
	PID         uint32    `json:"pid"` // as the client's pg_backend_pid and our log know it
	Application string    `json:"application"`
	State       string    `json:"state"`
	Since       time.Time `json:"since"` // pinned, or waiting
	Pins        []PinView `json:"pins,omitempty"`
}

// PinView is one reason to keep a server connection.
type PinView struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Digest string    `json:"digest"` // of the statement that led to it
	Fix    string    `json:"fix"`    // how an application avoids it
}

// maxListed bounds each list of a SessionsView.
const maxListed = 1000

// Pins lists pinned and waiting sessions. It looks at every session, and so is for people, not for scrapers.
func (p *Plane) Pins() SessionsView {
	v := SessionsView{Pinned: []SessionView{}, Waiting: []SessionView{}}
	for i, l := range p.loops {
		l.Call(func() { v.gather(p.workers[i]) })
	}
	v.Pinned = oldestFirst(v.Pinned)
	v.Waiting = oldestFirst(v.Waiting)
	return v
}

// gather adds the sessions of a worker, on whose loop it is called.
func (v *SessionsView) gather(w *session.Worker) {
	now, nanos := time.Now(), w.Loop.Nanos()
	pinned, waiting := 0, 0 // listed
	w.Sessions(func(s *session.Session) {
		if s.Pinned() {
			v.PinnedTotal++
			if pinned++; pinned <= maxListed {
				v.Pinned = append(v.Pinned, sessionView(s))
			}
		}
		if since, ok := s.Waiting(); ok {
			v.WaitingTotal++
			if waiting++; waiting <= maxListed {
				e := sessionView(s)
				e.Since = now.Add(time.Duration(since - nanos)).UTC()
				v.Waiting = append(v.Waiting, e)
			}
		}
	})
}

func sessionView(s *session.Session) SessionView {
	info, k := s.Info(), s.Pool().Shard().Key()
	v := SessionView{Target: k.Target, User: k.User, Database: k.Database, PID: info.PID, Application: info.Application, State: info.State}
	if t := targetOf(s.Pool()); t != nil {
		v.Proxy = t.px.name()
	}
	for _, pin := range info.Pins {
		v.Pins = append(v.Pins, PinView{Reason: pin.Reason, Since: time.Unix(0, pin.Since).UTC(), Digest: pin.Digest, Fix: pin.Fix})
	}
	if len(v.Pins) > 0 {
		v.Since = v.Pins[0].Since
	}
	return v
}

func oldestFirst(all []SessionView) []SessionView {
	slices.SortStableFunc(all, func(a, b SessionView) int { return a.Since.Compare(b.Since) })
	return all[:min(len(all), maxListed)]
}
