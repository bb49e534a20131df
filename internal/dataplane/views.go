package dataplane

import (
	"cmp"
	"slices"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/resource"
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
		w := t.routes.Load().writer
		switch {
		case len(t.order) == 0:
			r.Reason = ErrNoTarget.Error()
		case w == nil && t.cfg.Target.IsCluster():
			r.Reason = engine.ErrNoWriter.Error()
		case w == nil || w.checked.IsZero():
			r.Reason = "the target has not been asked yet"
		case w.health != nil:
			r.Reason = w.health.Error()
		default:
			r.Ready = true
		}
		t.mu.Unlock()
		all = append(all, r)
	}
	return all
}

// TargetHealth says how one member of a proxy's target is.
type TargetHealth struct {
	Proxy      string
	ResourceID string
	Member     resource.Member
	Role       engine.Role
	Checked    bool          // it has been asked
	Err        error         // why it is not available
	Refused    error         // it answers, and lets nobody in: as whom it was asked, and why not
	Lag        time.Duration // of a reader behind the writer; negative: not known
	Unseen     bool          // it answers, and nobody has logged in to it to find out more
}

// TargetHealth returns one entry for each member of each proxy's target, ordered by the proxy's name. A proxy without a target
// has none.
func (p *Plane) TargetHealth() []TargetHealth {
	var all []TargetHealth
	for _, t := range p.targets() {
		t.mu.Lock()
		for _, m := range t.order {
			h := TargetHealth{
				Proxy: t.px.name(), ResourceID: t.px.cfg.Load().ResourceID, Member: m.cfg, Role: t.roleLocked(m),
				Checked: !m.checked.IsZero(), Err: m.health, Refused: m.refusedLocked(), Lag: m.status.Lag, Unseen: m.unseen,
			}
			switch {
			case h.Refused != nil || m.unseen:
				h.Role = engine.RoleUnknown
				if m.blind != nil {
					h.Err = nil // it does answer
				}
			case m.health != nil:
			case m.fenced:
				h.Err = &UnusableError{"it claims to be the writer beside another member: " + t.conflict}
			case m.status.Unusable != "":
				h.Err = &UnusableError{m.status.Unusable}
			}
			all = append(all, h)
		}
		t.mu.Unlock()
	}
	return all
}

// ProxyView is a proxy with its target and pools, for operators. Field names in JSON are part of the admin endpoint.
type ProxyView struct {
	Proxy   string       `json:"proxy"`
	Target  TargetView   `json:"target"`
	Clients int64        `json:"clients"` // open connections, those still logging in included
	Members []MemberView `json:"members"`
	Pools   []PoolView   `json:"pools"`
}

// MemberView is one database server of a proxy's target.
type MemberView struct {
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address"`
	Role      string  `json:"role"` // READ_WRITE, READ_ONLY or UNKNOWN
	Available bool    `json:"available"`
	Reason    string  `json:"reason,omitempty"` // why no session goes there
	Lag       float64 `json:"lag_seconds"`      // behind the writer; negative: not known
	Clients   int64   `json:"clients"`          // sessions that it serves
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
	sum := func(d *database) *PoolTotals {
		a := at{d.target, engine.Key{User: d.key.User, Database: d.key.Database}} // whatever the protocol and the role: one line for them all
		if sums[a] == nil {
			sums[a] = new(PoolTotals)
		}
		return sums[a]
	}
	targets := p.targets()
	var databases []*database
	for _, t := range targets {
		databases = append(databases, t.databases()...)
	}
	for i, l := range p.loops {
		l.Call(func() {
			for _, d := range databases {
				if c := d.commons[i]; c != nil {
					sum(d).addEngine(&c.Counters)
				}
			}
			p.workers[i].Pools(func(sp *session.Pool) {
				if b, ok := sp.Owner().(*branch); ok {
					sum(b.db).addPool(sp)
				}
			})
		})
	}
	now := time.Now()
	all := []ProxyView{}
	for _, t := range targets {
		f, _ := t.figures(now)
		v := ProxyView{Proxy: t.px.name(), Clients: t.px.stats.open.Load(), Pools: []PoolView{}, Members: t.memberViews(), Target: TargetView{
			Address: f.Address, Available: f.Available, AvailabilityPercentage: f.Availability, Reason: t.unwell(),
			MaxConnections: f.Capacity.MaxConnections, ReservedConnections: f.Capacity.Reserved,
			MaxDatabaseConnectionsAllowed: f.Limits.MaxOpen, MaxIdleDatabaseConnections: f.Limits.MaxIdle,
		}}
		for _, m := range t.all() {
			v.Target.DatabaseConnections += m.budget.Stats().Used
		}
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

// memberViews are the members, as operators see them.
func (t *target) memberViews() []MemberView {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := []MemberView{}
	for _, m := range t.order {
		v := MemberView{
			Name: m.cfg.Name, Address: m.cfg.Address(), Role: t.roleLocked(m).String(), Available: m.availableLocked(),
			Reason: m.status.Unusable, Lag: m.status.Lag.Seconds(), Clients: m.clients.Load(),
		}
		switch {
		case m.health != nil:
			v.Reason = m.health.Error()
		case m.fenced:
			v.Reason = t.conflict
		case t.roleLocked(m) == engine.Reader && m.sparedLocked():
			v.Reason = "Patroni's tag noloadbalance keeps readers away"
		}
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
	r := t.routes.Load()
	switch {
	case r.writer != nil && r.writer.health != nil:
		return r.writer.health.Error()
	case r.writer == nil && t.cfg.Target.IsCluster():
		return r.why(false).Error()
	default:
		return ""
	}
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
