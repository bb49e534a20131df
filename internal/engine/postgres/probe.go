package postgres

import (
	"crypto/rand"
	"maps"
	"slices"
	"strconv"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// A statement's text only says when to look; what a session really holds is asked of the server. The probe is one
// prepared query that lists everything a PostgreSQL session can hold beyond its transactions: settings, roles, channels,
// temporary objects, holdable cursors, prepared statements, advisory locks. It runs after a transaction that contained
// anything which may change them, and before the connection serves another session.

// newProbeName names the probe of one server connection, so that no function can put something else in its place.
func newProbeName() string { return namePrefix + "probe_" + rand.Text() }

// probeSQL lists the state as rows of a kind, a name and a value; the kind of what is too large to be carried is in upper
// case, without the value. Everything is named with its schema: the session's search_path may hold anything. The parameter
// is the names of custom settings, which pg_settings does not show.
var probeSQL = `SELECT CASE WHEN large THEN pg_catalog.upper(k) ELSE k END, n, CASE WHEN large THEN NULL ELSE v END` +
	` FROM (SELECT k, n, v, COALESCE(pg_catalog.octet_length(v) OPERATOR(pg_catalog.>) ` + strconv.Itoa(maxCarried) + `, false) FROM (` + stateSQL + `) AS p(k, n, v)) AS q(k, n, v, large)`

const stateSQL = `SELECT 's'::pg_catalog.text, name, setting FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'` +
	` AND name OPERATOR(pg_catalog.<>) ALL ('{transaction_isolation,transaction_read_only,transaction_deferrable}'::pg_catalog.text[])` +
	` UNION ALL SELECT 'r', 'role', pg_catalog.current_setting('role')` +
	` UNION ALL SELECT 'u', 'session_authorization', session_user::pg_catalog.text` +
	` UNION ALL SELECT 'c', n, pg_catalog.current_setting(n, true) FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n` +
	` UNION ALL SELECT 'l', NULL, NULL FROM pg_catalog.pg_listening_channels()` +
	` UNION ALL (SELECT 't', NULL, NULL FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() LIMIT 1)` +
	` UNION ALL SELECT 'h', name, NULL FROM pg_catalog.pg_cursors WHERE is_holdable` +
	` UNION ALL SELECT CASE WHEN name OPERATOR(pg_catalog.~) '^` + namePrefix + `' THEN 'n' ELSE 'o' END, pg_catalog.count(*)::pg_catalog.text, NULL FROM pg_catalog.pg_prepared_statements WHERE NOT from_sql GROUP BY 1` +
	` UNION ALL SELECT 'p', name, statement FROM pg_catalog.pg_prepared_statements WHERE from_sql` +
	` UNION ALL SELECT 'a', NULL, NULL FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()`

// maxProbeTries is how often a probe that was cancelled is tried again.
const maxProbeTries = 3

// codeQueryCanceled is SQLSTATE query_canceled.
const codeQueryCanceled = "57014"

// Bounds of what a session may have Forebay carry. One with more is pinned.
const (
	maxCarried       = 200 << 10 // bytes of one value or text; in another encoding they may be four times as many
	maxSettingsBytes = 1 << 20   // of all settings
	maxSQLStatements = 1000      // SQL-level prepared statements
	maxSQLBytes      = 4 << 20   // of their names and texts
)

// probeResult is what the probe found.
type probeResult struct {
	settings  settings // sorted
	large     []string // settings that are too large to be carried
	bytes     int      // of settings
	channels  bool
	temporary bool
	cursors   bool
	advisory  bool
	sql       []sqlStmt
	sqlBytes  int
	sqlMore   bool // there are more than can be carried
	prepared  int  // statements of the protocol, Forebay's own
	others    bool // there are some of the client's own names
	wanted    int  // how many there should be
	malformed bool
	cols      [3][]byte
}

// probing reports whether a probe is under way.
func (v *server) probing() bool {
	for i := range v.q.n {
		if v.q.at(i).kind == hiddenProbe {
			return true
		}
	}
	return false
}

// startProbe asks the server what the session holds.
func (s *session) startProbe(o *engine.Output) {
	v := s.srv
	v.probe = probeResult{}
	v.since = *s.l.counters.Now // a request behind it waits for it, but not for what was before
	dst := o.Server.Grow()
	if !v.hasProbe {
		// Close first: a probe that failed half-way may have left it. The answers are ignored, like the Bind's.
		dst = pgwire.AppendClose(dst, 'S', v.probeName)
		dst = pgwire.AppendParse(dst, v.probeName, probeSQL, []byte{0, 0})
		v.hasProbe = true
	}
	v.probe.wanted = v.prepared.len() + len(v.unclosed) + 1
	dst = pgwire.AppendBindExecute(dst, v.probeName, s.customNames())
	dst = pgwire.AppendEmpty(dst, pgwire.Sync)
	v.q.push(expect{kind: hiddenProbe})
	o.Server.Set(dst)
	s.l.counters.Probes++
}

// customNames is an array literal of the custom settings to ask for: those that the session or the database's routines
// mention.
func (s *session) customNames() string {
	names := map[string]bool{}
	for _, n := range s.custom {
		names[n] = true
	}
	for _, e := range settingsOf(s.want) {
		if strings.Contains(e.name, ".") {
			names[e.name] = true
		}
	}
	for _, n := range s.l.db.customSettings() {
		names[n] = true
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, n := range slices.Sorted(maps.Keys(names)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(n))
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// row takes over one row.
func (p *probeResult) row(body []byte) {
	cols, ok := pgwire.Row(p.cols[:0], body)
	if !ok || len(cols) != 3 || len(cols[0]) != 1 {
		p.malformed = true
		return
	}
	name, value := string(cols[1]), string(cols[2])
	switch cols[0][0] {
	case 's':
		p.setting(strings.ToLower(name), value)
	case 'c':
		if cols[2] != nil {
			p.setting(strings.ToLower(name), value)
		}
	case 'S', 'C':
		p.large = append(p.large, strings.ToLower(name))
	case 'r':
		if value != "none" {
			p.settings = append(p.settings, setting{name: settingRole, value: value})
		}
	case 'u':
		p.settings = append(p.settings, setting{name: settingSession, value: value})
	case 'l':
		p.channels = true
	case 't':
		p.temporary = true
	case 'h':
		p.cursors = true
	case 'p':
		p.sqlBytes += len(name) + len(value)
		if p.sqlMore = p.sqlMore || len(p.sql) == maxSQLStatements || p.sqlBytes > maxSQLBytes; !p.sqlMore {
			p.sql = append(p.sql, sqlStmt{name: name, text: value})
		}
	case 'P':
		p.sqlMore = true
	case 'n':
		n, err := strconv.Atoi(name)
		p.prepared, p.malformed = n, p.malformed || err != nil
	case 'o':
		p.others = true
	case 'a':
		p.advisory = true
	default:
		p.malformed = true
	}
}

// setting takes over an ordinary setting.
func (p *probeResult) setting(name, value string) {
	if p.bytes += len(name) + len(value); p.bytes > maxSettingsBytes {
		p.large = append(p.large, name)
		return
	}
	p.settings = append(p.settings, setting{name: name, value: value})
}

// finish puts the settings in order. user is who the connection logged in as: being that is no setting.
func (p *probeResult) finish(user string) {
	p.settings = slices.DeleteFunc(p.settings, func(e setting) bool { return e.name == settingSession && e.value == user })
	slices.SortFunc(p.settings, func(a, b setting) int { return strings.Compare(a.name, b.name) })
	p.settings = slices.CompactFunc(p.settings, func(a, b setting) bool { return a.name == b.name })
}

// look decides, with the session idle, whether the server has to be asked what the session holds.
func (s *session) look(o *engine.Output) {
	v := s.srv
	eff, stale := v.effects, s.changesRoutines()
	v.effects, v.unseen, v.routineDDL = 0, false, false
	if eff&sqltext.DDL != 0 {
		s.l.db.generation.Add(1)
	}
	if stale {
		s.l.db.staleRoutines()
	}
	if s.gone && !s.cleaning {
		if eff&sqltext.Look != 0 {
			s.clean(o)
		}
		return
	}
	if eff&sqltext.Unknown != 0 {
		v.tainted = s
	}
	digest := string(v.digest)
	if eff&sqltext.Load != 0 {
		s.pin(pinLibrary, digest)
	}
	if eff&sqltext.Opaque != 0 {
		s.pin(pinOpaque, digest)
	}
	if eff&sqltext.UnknownSetting != 0 {
		s.pin(pinUnknownSetting, digest)
	}
	if eff&sqltext.SequenceWrite != 0 && s.l.db.sequences.Load() {
		s.pin(pinSequence, digest)
	}
	if eff&sqltext.Look != 0 || eff&sqltext.Ends != 0 && len(s.pins) > 0 {
		s.startProbe(o)
		s.waitApply = s.startup != noSettings // a RESET goes back to these, and the server does not know them
	}
}

// looked takes over what the probe found.
func (s *session) looked(o *engine.Output) {
	v := s.srv
	p := &v.probe
	p.finish(v.user)
	if e := v.hiddenErr; e != nil && e.Code == codeQueryCanceled && v.probeTries < maxProbeTries {
		// A cancel request of the client's that came late, or its statement_timeout: ask again.
		v.hiddenErr, v.hasProbe = nil, false
		v.probeTries++
		if v.q.n == 0 {
			s.startProbe(o)
		} else { // when the client's requests behind it are done: its Sync would end them
			v.effects |= sqltext.Look
			s.waitApply = false
		}
		return
	}
	s.waitApply = false
	v.probeTries = 0
	if v.hiddenErr == nil && p.prepared != p.wanted {
		// A function has dropped some, with DEALLOCATE or DISCARD: none can be relied on.
		v.prepared.clear()
		v.hasProbe = false
		v.retire = true
	}
	v.retire = v.retire || p.others // nobody else may meet them
	if v.hiddenErr != nil || p.malformed {
		v.hiddenErr = nil
		v.hasProbe = false
		v.retire = true
		if s.gone {
			o.CloseServer = true
			return
		}
		s.pin(pinUnverified, string(v.digest))
		return
	}
	p.settings = slices.DeleteFunc(p.settings, func(e setting) bool {
		// What a custom setting becomes after a reset. Only a session that names it may want it so.
		return e.value == "" && strings.Contains(e.name, ".") && !slices.Contains(s.custom, e.name)
	})
	v.fit = p.settings.fit()
	if s.gone {
		if s.cleaning {
			if p.channels || p.temporary || p.cursors || p.advisory || len(p.sql) > 0 || p.sqlMore || hasState(p.settings) || len(p.large) > 0 {
				o.CloseServer = true // the reset did not do what it should
			}
			v.fit = noSettings
			v.effects = 0
			return
		}
		s.clean(o)
		return
	}
	want := p.settings
	for _, e := range settingsOf(s.startup) {
		if slices.Contains(p.large, e.name) {
			continue
		}
		// A custom setting that was reset is empty, not absent.
		if v, ok := want.find(e.name); !ok || v == "" && strings.Contains(e.name, ".") {
			want = want.with(e)
		}
	}
	s.want = want.fit()
	digest := string(v.digest)
	s.pinWhile(p.temporary, pinTemporary, digest)
	s.pinWhile(p.channels, pinListen, digest)
	s.pinWhile(p.cursors, pinCursor, digest)
	s.pinWhile(p.advisory, pinAdvisory, digest)
	s.pinWhile(len(p.large) > 0, pinLargeSettings, digest)
	for _, name := range p.large {
		if !s.asksFor(name) { // the next look would take it for reset
			s.pin(pinUnknownSetting, digest)
		}
	}
	s.unpin(pinUnverified)
	s.carrySQL(p.sql, p.sqlMore)
	if v.fit != s.want && v.idle() {
		s.apply(o)
	}
}

// hasState reports whether settings differ from those of a new connection. A custom setting once used is empty, not
// absent, after a reset.
func hasState(ss settings) bool {
	for _, e := range ss {
		if !strings.Contains(e.name, ".") || e.value != "" {
			return true
		}
	}
	return false
}
