package mysql

import (
	"strings"

	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// ReadsOnly implements engine.Session: the command that a transaction would begin with declares it READ ONLY.
func (s *session) ReadsOnly(b []byte) bool {
	if !s.begun || s.refuse != nil || s.skip > 0 || s.continued || s.dropFile || len(b) <= mysqlwire.HeaderLen {
		return false
	}
	h, _ := mysqlwire.ParseHeader(b)
	size := mysqlwire.HeaderLen + h.Length
	if h.Length == 0 || h.Length > maxLocal || len(b) < size || mysqlwire.Command(b[mysqlwire.HeaderLen]) != mysqlwire.ComQuery {
		return false
	}
	text, ok := s.queryText(b[mysqlwire.HeaderLen:size])
	if !ok {
		return false
	}
	// No quotes matter to it.
	charset, _ := settingIn(s.want, varClient)
	return sqltext.DeclaresReadOnly(text, sqltext.Mode{
		Version: s.facts.number, MariaDB: s.facts.mariaDB, Charset: sqltext.CharsetOf(strings.Trim(charset, "'")),
	})
}
