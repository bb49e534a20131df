package routines

import "strings"

// grants reads MySQL's SHOW GRANTS, to find out whether the user sees the triggers of all tables that he may write.
type grants struct {
	sees    map[string]bool // databases, quoted as in the grant, with TRIGGER; "*" for all
	writes  []string        // those that he may write without TRIGGER in the same grant
	revoked bool            // TRIGGER is not given in some database
}

// add takes a line.
func (g *grants) add(line string) {
	revoke := strings.HasPrefix(line, "REVOKE ")
	privileges, on, ok := cutOutside(line[strings.IndexByte(line, ' ')+1:], " ON ")
	if !ok { // a role, whose privileges have lines of their own if it is active
		return
	}
	end := " TO "
	if revoke {
		end = " FROM "
	}
	on, _, _ = cutOutside(on, end)
	schema, _, ok := cutOutside(on, ".")
	if !ok || strings.HasPrefix(on, "PROCEDURE ") || strings.HasPrefix(on, "FUNCTION ") || strings.HasPrefix(on, "LIBRARY ") {
		return
	}
	sees, writes := false, false
	for privileges != "" {
		var p string
		p, privileges, _ = cutOutside(privileges, ",")
		p, _, _ = strings.Cut(strings.TrimSpace(p), " (") // of columns
		switch p {
		case "ALL PRIVILEGES", "ALL":
			sees, writes = true, true
		case "TRIGGER":
			sees = true
		case "INSERT", "UPDATE", "DELETE":
			writes = true
		}
	}
	switch {
	case revoke:
		g.revoked = g.revoked || sees
	case sees && !strings.HasSuffix(on, ".*"): // of this table alone
	case sees:
		if g.sees == nil {
			g.sees = map[string]bool{}
		}
		g.sees[schema] = true
	case writes:
		g.writes = append(g.writes, schema)
	}
}

// blind reports whether there may be triggers that the user does not see.
func (g *grants) blind() bool {
	if g.sees["*"] {
		return g.revoked
	}
	for _, schema := range g.writes {
		if !g.sees[schema] {
			return true
		}
	}
	return false
}

// cutOutside is strings.Cut, but for what stands in back quotes or parentheses.
func cutOutside(s, sep string) (before, after string, found bool) {
	quoted, depth := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '`':
			quoted = !quoted
		case quoted:
		case s[i] == '(':
			depth++
		case s[i] == ')':
			depth--
		}
		if !quoted && depth == 0 && strings.HasPrefix(s[i:], sep) {
			return s[:i], s[i+len(sep):], true
		}
	}
	return s, "", false
}
