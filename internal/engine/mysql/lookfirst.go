package mysql

import (
	"slices"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/engine/mysql/sqltext"
)

// The catalogue does not have a routine that was made a moment ago, nor any while it is read anew. Rather than to pin the session
// that calls one for what it might do, the server is asked to show it, over the server connection that is to run it: it is what
// will run.

// maxShown is the largest answer, in bytes, that is read: that takes a millisecond or two, while the loop's other sessions wait.
const maxShown = 64 << 10

// looksFirst has the routines shown that a text calls and that are not known. It reports false while that takes steps: the command
// is looked at again after them.
func (s *session) looksFirst(a *sqltext.Analysis, text []byte, o *engine.Output) bool {
	if a.Effects&sqltext.Call == 0 || !s.mayLook(a, text) {
		return true
	}
	c, schema := s.knownRoutines(), []byte(s.cmd.schema)
	if s.looks == nil {
		if c.Called(a, schema)&sqltext.Call == 0 {
			return true
		}
		s.looks = &routines.Look{Version: s.srv.number, MariaDB: s.srv.mariaDB}
	}
	_, next, needs := s.looks.Called(c, a, schema)
	if needs {
		s.steps = append(s.steps, step{kind: stepRoutine, text: next.Ask(), routine: next})
		s.next(o)
	}
	return !needs
}

// mayLook reports whether there is something to be won by a statement before a text, which would do no harm and tell the truth.
func (s *session) mayLook(a *sqltext.Analysis, text []byte) bool {
	const lost = reads &^ sqltext.LastInsertIDRead // by any statement
	if a.Effects&lost != 0 || replaces(a, text) || slices.ContainsFunc(nextStatement, s.pinnedFor) {
		return false
	}
	for _, name := range []string{varClient, varResults} {
		if charset, _ := settingIn(s.want, name); !routines.ASCII(strings.Trim(charset, "'")) {
			return false
		}
	}
	return true
}

// nextStatement are pins with which another statement is not welcome, and the one that such a call gets anyway.
var nextStatement = []pinReason{pinRoutine, pinNext, pinXA}

// replaces reports whether what a text calls may be another routine by then, since it makes or drops some itself.
func replaces(a *sqltext.Analysis, text []byte) bool {
	return a.Statements > 1 && programs(a.Effects, text)
}

// looked takes what the server has shown of a routine; nil: nothing.
func (s *session) looked(n routines.Name, row []string) {
	if s.looks != nil {
		s.looks.Take(s.knownRoutines(), n, row)
	}
}

// called are the effects of all routines that a text calls: what the mark Call in its own stands for.
func (s *session) called(c *routines.Catalog, a *sqltext.Analysis, text, schema []byte) sqltext.Effects {
	if replaces(a, text) {
		return routines.Anything
	}
	if s.looks != nil {
		if e, _, needs := s.looks.Called(c, a, schema); !needs { // else the catalogue has changed since
			return e
		}
	}
	return c.Called(a, schema)
}
