package postgres

import (
	"strings"

	"forebay/internal/engine/postgres/sqltext"
)

// listQuoted are the settings whose value is a list of identifiers: each element is quoted where it has to be
// (GUC_LIST_QUOTE in the server's source).
var listQuoted = map[string]bool{
	"local_preload_libraries": true, "search_path": true, "session_preload_libraries": true, "temp_tablespaces": true,
}

// plainSet returns the change that a text makes which is one plain SET or RESET and nothing else. Most drivers send such
// statements at the start of each connection: their effect is known when they succeed, without asking the server.
func plainSet(a *sqltext.Analysis, text []byte) (*setting, bool) {
	switch a.Set.Kind {
	case sqltext.SetDefault:
		return &setting{name: string(a.SetName()), reset: true}, true
	case sqltext.SetValue:
		name := string(a.SetName())
		if value, ok := setValue(name, string(text[a.Set.From:a.Set.To])); ok {
			return &setting{name: name, value: value}, true
		}
	}
	return nil, false
}

// setValue turns the value of a SET as typed into what set_config takes for it (flatten_set_variable_args in the server's
// source). ok is false for what is better left to the server to tell.
func setValue(name, typed string) (value string, ok bool) {
	var out []string
	for rest := strings.TrimSpace(typed); ; {
		elem, after, ok := setElement(rest)
		if !ok {
			return "", false
		}
		if listQuoted[name] {
			elem = quoteIdent(elem)
		}
		out = append(out, elem)
		rest = strings.TrimSpace(after)
		if rest == "" {
			return strings.Join(out, ", "), true
		}
		if rest[0] != ',' {
			return "", false
		}
		rest = strings.TrimSpace(rest[1:])
	}
}

// setElement reads one literal or identifier.
func setElement(s string) (elem, rest string, ok bool) {
	if s == "" {
		return "", "", false
	}
	switch c := s[0]; {
	case c == '\'' || c == '"':
		var b strings.Builder
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '\\':
				return "", "", false // its meaning depends on the session
			case s[i] != c:
				b.WriteByte(s[i])
			case i+1 < len(s) && s[i+1] == c:
				b.WriteByte(c)
				i++
			default:
				return b.String(), s[i+1:], true
			}
		}
		return "", "", false
	case '1' <= c && c <= '9' || c == '-' || c == '0' && (len(s) == 1 || s[1] < '0' || s[1] > '9'):
		n := 1
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		if n == 1 && c == '-' || n < len(s) && s[n] != ',' && s[n] != ' ' {
			return "", "", false
		}
		return s[:n], s[n:], true
	case 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_':
		n := 1
		for n < len(s) && ('a' <= s[n]|0x20 && s[n]|0x20 <= 'z' || s[n] == '_' || '0' <= s[n] && s[n] <= '9') {
			n++
		}
		if n < len(s) && s[n] != ',' && s[n] != ' ' {
			return "", "", false
		}
		return lower(s[:n]), s[n:], true
	}
	return "", "", false
}

// quoteIdent quotes an identifier where the server would (quote_identifier in its source), so that SHOW tells the client
// the same.
func quoteIdent(s string) string {
	if plainIdent(s) && !keywords[s] {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// plainIdent reports whether an identifier is of the form that needs no quotes.
func plainIdent(s string) bool {
	for i, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || c == '_' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}

// keywords are those that the server quotes when they are identifiers: all but the unreserved ones.
var keywords = wordSet(`
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both
case cast char character check coalesce collate collation column concurrently constraint create cross
current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
freeze from full grant greatest group grouping having ilike in initially inner inout int integer
intersect interval into is isnull join json json_array json_arrayagg json_exists json_object
json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading least left
like limit localtime localtimestamp merge_action national natural nchar none normalize not notnull null
nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real
references returning right row select session_user setof similar smallint some substring symmetric
system_user table tablesample then time timestamp to trailing treat trim true union unique user using
values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists
xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`)

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}
