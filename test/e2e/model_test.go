package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// model is what one session should see, by PostgreSQL's own rules. Values hold the session's id, so that what belongs to
// another session is never mistaken for its own.
type model struct {
	id int

	// Undone with a transaction or a savepoint.
	now    undoable
	levels []level // saved states: that of BEGIN first, then one for each savepoint
	failed bool

	// Not undone.
	sql   map[string]string // SQL-level prepared statements: what they return
	named map[string]string // protocol-level ones
	locks map[int]bool      // session-level advisory locks
	drawn string            // last value drawn from the sequence

	startup map[string]string
	listens map[string]bool // channels
	notes   []string        // notifications of its own that must come
}

// level is a saved state.
type level struct {
	name string
	was  undoable
}

// undoable is the state that a rollback restores.
type undoable struct {
	settings map[string]value
	tables   map[string]bool // true: dropped on commit
	cursors  map[string]bool
	listen   []string // LISTEN and UNLISTEN of this transaction
	notify   []string
	xact     map[int]bool // transaction-level advisory locks
}

// value of a setting: that of the session, and that of the transaction if SET LOCAL made one.
type value struct {
	session string
	local   string
	isLocal bool
}

func (v value) seen() string {
	if v.isLocal {
		return v.local
	}
	return v.session
}

// defaults of the settings that the sessions change.
var defaults = map[string]string{
	"application_name": "", "work_mem": "4MB", "timezone": "UTC", "datestyle": "ISO, MDY", "search_path": `"$user", public`,
	"role": "none", "app.a": "", "app.b": "", "statement_timeout": "0", "default_transaction_isolation": "read committed",
}

func newModel(id int, startup map[string]string) *model {
	m := &model{id: id, startup: startup}
	m.reset()
	return m
}

// reset is DISCARD ALL.
func (m *model) reset() {
	m.now = undoable{settings: map[string]value{}, tables: map[string]bool{}, cursors: map[string]bool{}, xact: map[int]bool{}}
	for n := range defaults {
		m.now.settings[n] = value{session: m.resetValue(n)}
	}
	m.levels, m.failed = nil, false
	m.sql, m.named, m.locks, m.listens = map[string]string{}, map[string]string{}, map[int]bool{}, map[string]bool{}
	m.drawn = ""
}

// resetValue is where RESET goes.
func (m *model) resetValue(name string) string {
	if v, ok := m.startup[name]; ok {
		return v
	}
	return defaults[name]
}

func (m *model) inTx() bool { return len(m.levels) > 0 }

func (u undoable) clone() undoable {
	u.settings, u.tables, u.cursors, u.xact = maps.Clone(u.settings), maps.Clone(u.tables), maps.Clone(u.cursors), maps.Clone(u.xact)
	u.listen, u.notify = slices.Clone(u.listen), slices.Clone(u.notify)
	return u
}

func (m *model) push(name string) { m.levels = append(m.levels, level{name, m.now.clone()}) }

// set is SET; outside of a transaction SET LOCAL does nothing.
func (m *model) set(name, v string, local bool) {
	e := m.now.settings[name]
	if !local {
		m.now.settings[name] = value{session: v}
	} else if m.inTx() {
		e.local, e.isLocal = v, true
		m.now.settings[name] = e
	}
}

func (m *model) resetAll() {
	for n := range defaults {
		if n != "role" {
			m.set(n, m.resetValue(n), false)
		}
	}
}

func (m *model) commit() {
	if m.failed {
		m.rollback()
		return
	}
	m.levels = nil
	for n, v := range m.now.settings {
		m.now.settings[n] = value{session: v.session}
	}
	maps.DeleteFunc(m.now.tables, func(_ string, drop bool) bool { return drop })
	for _, l := range m.now.listen {
		m.listenNow(l)
	}
	for _, n := range m.now.notify {
		m.noteNow(n)
	}
	m.endTx()
}

func (m *model) endTx() {
	m.now.listen, m.now.notify = nil, nil
	clear(m.now.xact)
	m.failed = false
}

func (m *model) rollback() {
	m.now = m.levels[0].was
	m.levels = nil
	m.endTx()
}

func (m *model) rollbackTo(name string) {
	for i := len(m.levels) - 1; i > 0; i-- {
		if m.levels[i].name == name {
			m.now = m.levels[i].was.clone()
			m.levels = m.levels[:i+1]
			m.failed = false
			return
		}
	}
}

func (m *model) release(name string) {
	for i := len(m.levels) - 1; i > 0; i-- {
		if m.levels[i].name == name {
			m.levels = m.levels[:i]
			return
		}
	}
}

// listen is LISTEN channel, UNLISTEN channel ("-channel") or UNLISTEN * ("-").
func (m *model) listen(what string) {
	if m.inTx() {
		m.now.listen = append(m.now.listen, what)
		return
	}
	m.listenNow(what)
}

func (m *model) listenNow(what string) {
	switch {
	case what == "-":
		clear(m.listens)
	case strings.HasPrefix(what, "-"):
		delete(m.listens, what[1:])
	default:
		m.listens[what] = true
	}
}

// notify is NOTIFY of a channel of its own; what is "channel payload". PostgreSQL sends equal ones of a transaction once.
func (m *model) notify(what string) {
	if m.inTx() {
		if !slices.Contains(m.now.notify, what) {
			m.now.notify = append(m.now.notify, what)
		}
		return
	}
	m.noteNow(what)
}

func (m *model) noteNow(what string) {
	if channel, _, _ := strings.Cut(what, " "); m.listens[channel] {
		m.notes = append(m.notes, what)
	}
}

// seen is what the query of stateSQL returns, as lines to compare.
func (m *model) seen(user string) map[string]string {
	s := map[string]string{}
	for n, v := range m.now.settings {
		s[n] = v.seen()
	}
	s["user"] = user
	if r := s["role"]; r != "none" {
		s["user"] = r
	}
	s["tables"] = strings.Join(slices.Sorted(maps.Keys(m.now.tables)), " ")
	s["cursors"] = strings.Join(slices.Sorted(maps.Keys(m.now.cursors)), " ")
	s["channels"] = strings.Join(slices.Sorted(maps.Keys(m.listens)), " ")
	locks := []int{}
	for k := range m.locks {
		locks = append(locks, k)
	}
	for k := range m.now.xact {
		locks = append(locks, k)
	}
	slices.Sort(locks)
	s["locks"] = strings.Trim(fmt.Sprint(locks), "[]")
	return s
}
