package mysql

import (
	"slices"
	"strings"
	"unique"

	"forebay/internal/engine"
)

// settings is what a session has set: names with their values as a SET takes them. It is sorted by name, never has a
// name twice, and is never changed once made.
//
// The name of a system variable is its own, in lower case; that of a user variable begins with "@". Names that begin with "#"
// are what has commands of its own.
type settings []setting

type setting struct{ name, value string }

// Names of settings that are no variables.
const (
	settingSchema = "#schema"           // the default database; the value is its name
	settingMulti  = "#multi_statements" // COM_SET_OPTION; the value is "0" or "1"
	settingRole   = "#role"             // the value is what SET ROLE takes
)

// The variables that say what the bytes of a session mean. They are among the settings of every session.
const (
	varClient     = "character_set_client"
	varConnection = "character_set_connection"
	varResults    = "character_set_results"
	varCollation  = "collation_connection"
)

// fit encodes the set into a comparable value.
func (s settings) fit() engine.Fit {
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
	s := make(settings, 0, 8)
	for enc != "" {
		var e setting
		e.name, enc, _ = strings.Cut(enc, "\x00")
		e.value, enc, _ = strings.Cut(enc, "\x00")
		s = append(s, e)
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

func (s settings) search(name string) (int, bool) {
	return slices.BinarySearchFunc(s, name, func(e setting, n string) int { return strings.Compare(e.name, n) })
}

func (s settings) find(name string) (value string, ok bool) {
	i, ok := s.search(name)
	if !ok {
		return "", false
	}
	return s[i].value, true
}

// with returns a copy of s in which name has that value.
func (s settings) with(name, value string) settings {
	i, found := s.search(name)
	out := slices.Clone(s)
	if found {
		out[i].value = value
		return out
	}
	return slices.Insert(out, i, setting{name, value})
}

// without returns a copy of s that lacks name.
func (s settings) without(name string) settings {
	i, found := s.search(name)
	if !found {
		return s
	}
	return slices.Delete(slices.Clone(s), i, i+1)
}

// Bounds of what is carried, in bytes. A session that has set more keeps its server connection.
const (
	maxCarried       = 64 << 10
	maxSettingsBytes = 256 << 10
)

// carried reports whether the settings are within the bounds.
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

// first are variables on which the reading of later values in the same SET depends; they are set in this order, before all
// others. A SET makes its assignments from left to right.
var first = []string{varClient, varConnection, varCollation, varResults, "sql_mode"}

// between builds the SET that turns a server connection's variables into the wanted ones; it is empty when none differs.
// What has commands of its own is left out.
func between(have, want settings) string {
	var b strings.Builder
	set := func(name, value string) {
		if b.Len() == 0 {
			b.WriteString("SET ")
		} else {
			b.WriteString(", ")
		}
		if name[0] != '@' {
			b.WriteString("@@SESSION." + quoteName(name) + " = " + value)
			return
		}
		name = "@" + quoteName(name[1:])
		if value == "NULL" { // keeps the type and the collation of what the variable was
			b.WriteString(name + " = _binary 0x20, ")
		}
		b.WriteString(name + " = " + value)
	}
	names := want.names()
	if names != "" && names != have.names() {
		b.WriteString("SET " + names)
	} else {
		names = ""
	}
	for _, name := range first {
		if names != "" && name != "sql_mode" {
			continue
		}
		if value, ok := want.find(name); ok {
			if old, ok := have.find(name); !ok || old != value {
				set(name, value)
			}
		} else if _, ok := have.find(name); ok {
			set(name, original(name))
		}
	}
	i, j := 0, 0
	for i < len(have) || j < len(want) {
		switch {
		case j == len(want) || i < len(have) && have[i].name < want[j].name:
			if own(have[i].name) {
				set(have[i].name, original(have[i].name))
			}
			i++
		case i == len(have) || want[j].name < have[i].name:
			if own(want[j].name) {
				set(want[j].name, want[j].value)
			}
			j++
		default:
			if own(want[j].name) && have[i].value != want[j].value {
				set(want[j].name, want[j].value)
			}
			i++
			j++
		}
	}
	return b.String()
}

// names is the SET NAMES that the character sets come from; empty if they come from none. It does more than to set each of them:
// the definitions of results name the collation then, and otherwise the default one of the character set.
func (s settings) names() string {
	charset, _ := s.find(varClient)
	for _, name := range []string{varConnection, varResults} {
		if v, _ := s.find(name); v != charset {
			return ""
		}
	}
	collation, _ := s.find(varCollation)
	if !strings.HasPrefix(charset, "'") || !strings.HasPrefix(collation, "'") { // NULL, or not known
		return ""
	}
	return "NAMES " + charset + " COLLATE " + collation
}

// original is the value of a variable that nobody has set.
func original(name string) string {
	switch {
	case name[0] == '@':
		return "NULL"
	case name == "foreign_key_checks", name == "unique_checks":
		return "@@GLOBAL." + name // their DEFAULT is the opposite of what it should be (MySQL 9.7)
	}
	return "DEFAULT"
}

// own reports whether between sets the name in its general part.
func own(name string) bool { return name[0] != '#' && !slices.Contains(first, name) }

func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// literal writes the value of a system variable, as the server reports it, so that a SET takes it. Numeric variables take
// no strings; strings are written in hexadecimal digits, which every sql_mode and character set reads the same way.
func literal(value string) string {
	if number(value) {
		return value
	}
	if plainWord(value) {
		return "'" + value + "'"
	}
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.WriteString("_utf8mb4 0x")
	for i := range len(value) {
		b.WriteByte(digits[value[i]>>4])
		b.WriteByte(digits[value[i]&15])
	}
	return b.String()
}

func number(s string) bool {
	digits, dots := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
		case c == '.':
			dots++
		case c == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0 && dots <= 1
}

// plainWord reports whether s means the same between quotes in every sql_mode and character set.
func plainWord(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(" _-+,.:;/=()<>@*", c) >= 0:
		default:
			return false
		}
	}
	return true
}
