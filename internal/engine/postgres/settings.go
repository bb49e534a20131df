package postgres

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
	"unique"

	"forebay/internal/engine"
)

// settings is a set of session settings that differ from what a new server connection has: names with their values, as
// set_config takes them. It is sorted by name, never has a name twice, and is never changed once made.
type settings []setting

type setting struct {
	name  string // lower case
	value string
	reset bool // a change that puts the setting back; never in a set
}

// Names that are not ordinary settings but behave like them here.
const (
	settingRole    = "role"
	settingSession = "session_authorization"
)

// noSettings is the fit of a session that changed nothing.
var noSettings = unique.Make("")

// fit encodes the set into a comparable value.
func (s settings) fit() engine.Fit {
	if len(s) == 0 {
		return noSettings // most log-ins: looking it up would cost them one part in fifty
	}
	var b strings.Builder
	for _, e := range s {
		b.WriteString(e.name)
		b.WriteByte(0)
		b.WriteString(e.value)
		b.WriteByte(0)
	}
	return unique.Make(b.String())
}

// settingsOf decodes what fit encoded.
func settingsOf(f engine.Fit) settings {
	enc := f.Value()
	if enc == "" {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(enc, "\x00"), "\x00")
	s := make(settings, 0, len(parts)/2)
	for i := 0; i+1 < len(parts); i += 2 {
		s = append(s, setting{name: parts[i], value: parts[i+1]})
	}
	return s
}

// settingIn is find for a set that is not worth decoding.
func settingIn(f engine.Fit, name string) (value string, ok bool) {
	for enc := f.Value(); enc != ""; {
		n, rest, _ := strings.Cut(enc, "\x00")
		v, rest, _ := strings.Cut(rest, "\x00")
		if n == name {
			return v, true
		}
		enc = rest
	}
	return "", false
}

// carried reports whether the settings are within the bounds of what is carried.
func (s settings) carried() bool {
	n := 0
	for _, e := range s {
		if len(e.value) > maxCarried {
			return false
		}
		n += len(e.name) + len(e.value)
	}
	return n <= maxSettingsBytes
}

// ascii reports whether the settings are the same in every encoding.
func (s settings) ascii() bool {
	return !slices.ContainsFunc(s, func(e setting) bool { return !ascii(e.name) || !ascii(e.value) })
}

func (s settings) find(name string) (value string, ok bool) {
	i, ok := slices.BinarySearchFunc(s, name, func(e setting, n string) int { return strings.Compare(e.name, n) })
	if !ok {
		return "", false
	}
	return s[i].value, true
}

// with returns a copy of s with the change made.
func (s settings) with(change setting) settings {
	i, found := slices.BinarySearchFunc(s, change.name, func(e setting, n string) int { return strings.Compare(e.name, n) })
	out := slices.Clone(s)
	switch {
	case change.reset && found:
		return slices.Delete(out, i, i+1)
	case change.reset:
		return out
	case found:
		out[i].value = change.value
		return out
	}
	return slices.Insert(out, i, change)
}

// plain names are settings of the server itself whose values depend on nothing that another session or a catalog change
// could alter, and that any user may set: a value that was accepted once is accepted again. Changes of these alone need
// not be waited for, unless a time limit may end them.
var plain = map[string]bool{
	"application_name": true, "bytea_output": true, "client_encoding": true, "client_min_messages": true,
	"constraint_exclusion": true, "datestyle": true, "default_transaction_deferrable": true,
	"default_transaction_isolation": true, "default_transaction_read_only": true, "enable_bitmapscan": true,
	"enable_hashagg": true, "enable_hashjoin": true, "enable_indexonlyscan": true, "enable_indexscan": true,
	"enable_material": true, "enable_mergejoin": true, "enable_nestloop": true, "enable_seqscan": true,
	"enable_sort": true, "extra_float_digits": true, "from_collapse_limit": true, "geqo": true,
	"idle_in_transaction_session_timeout": true, "intervalstyle": true, "jit": true, "join_collapse_limit": true,
	"lc_messages": false, "lock_timeout": true, "plan_cache_mode": true, "random_page_cost": true,
	"row_security": true, "search_path": true, "seq_page_cost": true, "standard_conforming_strings": true,
	"statement_timeout": true, "synchronous_commit": true, "timezone": true, "work_mem": true, "xmloption": true,
}

// change is a way from one set of settings to another.
type change struct {
	sql  string
	safe bool // cannot fail: all names are plain
}

// timeLimits are settings by which the server may end a change of settings. A lock_timeout cannot end one that is safe.
var timeLimits = []string{"lock_timeout", "statement_timeout", "transaction_timeout"}

// limited reports whether a time limit among the settings may end any change of settings.
func limited(ss settings) bool {
	return ss.limit("statement_timeout") || ss.limit("transaction_timeout")
}

func (s settings) limit(name string) bool {
	v, ok := s.find(name)
	return ok && v != "0"
}

// liftLimits lifts the time limits among the connection's settings, in a request of its own: already the reading of a long
// one takes time. Should that fail, the connection is closed. It returns the settings as they are then.
func (v *server) liftLimits(have settings, o *engine.Output) settings {
	sql := ""
	for _, name := range timeLimits {
		if have.limit(name) {
			sql += "SET " + name + "=0;"
			have = have.with(setting{name: name, value: "0"})
		}
	}
	if sql != "" {
		v.simple(sql, hiddenSet, o)
		v.fit = have.fit()
	}
	return have
}

// settingDateStyle has two parts, and a SET may name one of them: what comes of it depends on what was there.
const settingDateStyle = "datestyle"

// between builds the statements that turn a server connection's settings into the wanted ones. They run as one simple
// query, so in one transaction: all or none. encoding is the client_encoding of new server connections.
func between(have, want settings, encoding string) change {
	c := change{safe: true}
	var b, late, limits strings.Builder
	if own, ok := want.find("client_encoding"); ok {
		encoding = own
	}
	// Time limits come last of all: they may end what is behind them.
	place := func(name string) *strings.Builder {
		if slices.Contains(timeLimits, name) {
			return &limits
		}
		return &b
	}
	i, j := 0, 0
	for i < len(have) || j < len(want) {
		switch {
		case j == len(want) || i < len(have) && have[i].name < want[j].name:
			writeReset(place(have[i].name), have[i].name, encoding)
			c.safe = c.safe && plain[have[i].name]
			i++
		case i == len(have) || want[j].name < have[i].name:
			writeSet(place(want[j].name), &late, want[j], encoding)
			c.safe = c.safe && plain[want[j].name] && ascii(want[j].value)
			j++
		default:
			if have[i].value != want[j].value {
				if want[j].name == settingDateStyle {
					writeReset(&b, settingDateStyle, encoding)
				}
				writeSet(place(want[j].name), &late, want[j], encoding)
				c.safe = c.safe && plain[want[j].name] && ascii(want[j].value)
			}
			i++
			j++
		}
	}
	// Roles come last: they may take away the right to set the others. Leaving a role comes first for the same reason.
	if v, had := have.find(settingRole); had {
		if w, ok := want.find(settingRole); !ok || w != v {
			c.sql = "RESET ROLE;"
		}
	}
	if v, had := have.find(settingSession); had {
		if w, ok := want.find(settingSession); !ok || w != v {
			c.sql = "RESET SESSION AUTHORIZATION;"
		}
	}
	c.sql += b.String() + late.String() + limits.String()
	return c
}

func writeReset(b *strings.Builder, name, encoding string) {
	if name == settingRole || name == settingSession {
		return // said first
	}
	if !ascii(name) {
		writeConfig(b, setting{name: name, reset: true}, encoding)
		return
	}
	b.WriteString("RESET ")
	writeName(b, name)
	b.WriteByte(';')
}

func writeSet(b, late *strings.Builder, e setting, encoding string) {
	switch e.name {
	case settingSession:
		// Before the role, which it resets.
		rest := late.String()
		late.Reset()
		writeRole(late, "SESSION AUTHORIZATION ", e, encoding)
		late.WriteString(rest)
	case settingRole:
		writeRole(late, "ROLE ", e, encoding)
	default:
		writeConfig(b, e, encoding)
	}
}

func writeRole(b *strings.Builder, what string, e setting, encoding string) {
	if !ascii(e.value) {
		writeConfig(b, e, encoding)
		return
	}
	b.WriteString("SET " + what)
	writeLiteral(b, e.value)
	b.WriteByte(';')
}

// writeConfig writes a set_config.
func writeConfig(b *strings.Builder, e setting, encoding string) {
	b.WriteString("SELECT pg_catalog.set_config(")
	writeText(b, e.name, encoding)
	b.WriteByte(',')
	if e.reset {
		b.WriteString("NULL")
	} else {
		writeText(b, e.value, encoding)
	}
	b.WriteString(",false)")
	if !ascii(e.name) || !ascii(e.value) {
		b.WriteString(" IS NULL") // the value may have no equivalent in the present client_encoding
	}
	b.WriteByte(';')
}

// writeText writes an expression that is s, which is in that encoding, whatever client_encoding the server connection has:
// another session's may be one where a backslash is part of a character, and the rest of s would be read as SQL.
func writeText(b *strings.Builder, s, encoding string) {
	if ascii(s) {
		writeLiteral(b, s)
		return
	}
	b.WriteString("pg_catalog.convert_from(pg_catalog.decode('" + hex.EncodeToString([]byte(s)) + "','hex'),")
	writeLiteral(b, encoding)
	b.WriteByte(')')
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func writeName(b *strings.Builder, name string) {
	for i, part := range strings.Split(name, ".") {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteByte('"')
		b.WriteString(strings.ReplaceAll(part, `"`, `""`))
		b.WriteByte('"')
	}
}

// writeLiteral writes a string constant that means the same whatever standard_conforming_strings says.
func writeLiteral(b *strings.Builder, s string) {
	if strings.Contains(s, `\`) {
		b.WriteString(" E")
		s = strings.ReplaceAll(s, `\`, `\\`)
	}
	b.WriteByte('\'')
	b.WriteString(strings.ReplaceAll(s, `'`, `''`))
	b.WriteByte('\'')
}

// reported is what a server connection has said in ParameterStatus messages: settings of which every client must know the
// current value. Interned, so that equal reports are equal pointers.
type reported = engine.Fit
