package postgres

import (
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// RESET goes to what the server has as a default. To the client's eyes a setting given at start-up has another one: its
// start-up value. Between transactions that is put right when the session's settings are known again. Within one, a SET of
// Forebay's own follows in the same request, as part of the same transaction: it does not run if the RESET fails, and is
// rolled back with it. It is SET and not set_config, since a query would be the first of the transaction: SET TRANSACTION
// could not follow.

// reset is what a text that is one RESET puts back.
type reset struct {
	name  string // empty: all settings
	local bool
}

// resetOf returns nil if the text is none.
func resetOf(a *sqltext.Analysis) *reset {
	if a.Reset.Kind == sqltext.NotReset {
		return nil
	}
	return &reset{name: string(a.ResetName()), local: a.Reset.Local}
}

// inBlock reports whether what is sent now may run in a transaction block.
func (v *server) inBlock() bool {
	return v.tx != pgwire.Idle || v.effects&sqltext.TxControl != 0
}

// restores returns the statements that are to follow a RESET, none if it does not concern what was given at start-up.
func (s *session) restores(r *reset) (sql []string) {
	if r == nil || s.startup == noSettings || !s.srv.inBlock() {
		return nil
	}
	scope := "SESSION"
	if r.local {
		scope = "LOCAL"
	}
	for _, e := range settingsOf(s.startup) {
		// RESET ALL asks for no right to set what it puts back, but SET does: only what any user may set can follow it.
		if e.name != r.name && (r.name != "" || !plain[e.name] && !strings.Contains(e.name, ".")) {
			continue
		}
		if !ascii(e.value) && !s.readsAsAtStart(e.value) {
			continue
		}
		if set, ok := setStatement(scope, e); ok {
			sql = append(sql, set)
		}
	}
	return sql
}

// readsAsAtStart reports whether the server reads a value that is not ASCII as it did at start-up. With a backslash it may
// not even be one value: in some encodings that may be part of a character.
func (s *session) readsAsAtStart(value string) bool {
	then, _ := settingIn(s.startup, "client_encoding")
	now, _ := settingIn(s.want, "client_encoding")
	return then == now && !strings.Contains(value, `\`)
}

// setStatement is the SET that makes a setting what set_config would make it.
func setStatement(scope string, e setting) (sql string, ok bool) {
	values := []string{e.value}
	if listQuoted[e.name] {
		if values, ok = splitIdents(e.value); !ok {
			return "", false
		}
	}
	var b strings.Builder
	b.WriteString("SET " + scope + " ")
	switch e.name {
	case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
		return "", false // end with the transaction, and are not to be set in the midst of it
	case settingRole:
		b.WriteString("ROLE ")
	case settingSession:
		b.WriteString("SESSION AUTHORIZATION ")
	default:
		writeName(&b, e.name)
		b.WriteString(" TO ")
	}
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		writeLiteral(&b, v)
	}
	return b.String(), true
}

// splitIdents splits a list of identifiers as the server does (SplitIdentifierString in its source).
func splitIdents(list string) (idents []string, ok bool) {
	const space = " \t\n\r\f\v"
	for rest := strings.Trim(list, space); ; {
		var id string
		if strings.HasPrefix(rest, `"`) {
			if id, rest, ok = setElement(rest); !ok {
				return nil, false
			}
		} else {
			n := strings.IndexAny(rest, ","+space)
			if n < 0 {
				n = len(rest)
			}
			if id, rest = lower(rest[:n]), rest[n:]; id == "" && list != "" {
				return nil, false
			}
		}
		idents = append(idents, id)
		rest = strings.TrimLeft(rest, space)
		if rest == "" {
			return idents, true
		}
		if rest[0] != ',' {
			return nil, false
		}
		rest = strings.TrimLeft(rest[1:], space)
	}
}

// passWith passes a query with statements of Forebay's own behind it.
func (v *server) passWith(text []byte, sql []string, o *engine.Output) {
	// The text may end in a comment.
	o.Server.Set(pgwire.AppendQuery(o.Server.Grow(), string(text)+"\n;"+strings.Join(sql, ";")))
}

// withheld reports whether a message answers the statements behind a RESET, so is not for the client. An error is: they and
// the RESET are one request.
func (s *session) withheld(typ byte) bool {
	v := s.srv
	if v.q.peek() != expectQuery || !v.q.at(0).restores {
		return false
	}
	was := v.restoring
	switch typ {
	case pgwire.CommandComplete:
		v.restoring = true // the first is the client's: its text is one statement
		return was
	case pgwire.NoticeResponse:
		return was
	case pgwire.ReadyForQuery:
		v.restoring = false
	}
	return false
}
