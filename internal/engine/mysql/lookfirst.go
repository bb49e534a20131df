package mysql

import (
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/engine/mysql/sqltext"
)

// The catalogue does not have a routine that was made a moment ago, nor any while it is read anew. Rather than to pin the session
// that calls one for what it might do, the server is asked to show it, over the server connection that is to run it: it is what
// will run.

// showsASCII are character sets in which a text is shown as it is, as far as it is ASCII; others may show @ as ?.
var showsASCII = map[string]bool{
	"utf8mb4": true, "utf8mb3": true, "utf8": true, "latin1": true, "latin2": true, "ascii": true, "binary": true, "NULL": true,
}

// looksFirst has the routines shown that a text calls and that are not known. It reports false while that takes steps: the command
// is looked at again after them.
func (s *session) looksFirst(a *sqltext.Analysis, text []byte, o *engine.Output) bool {
	if a.Effects&sqltext.Call == 0 || s.pinnedFor(pinRoutine) || s.pinnedFor(pinNext) || s.pinnedFor(pinXA) {
		return true // there is nothing to be won, or another statement is not welcome
	}
	for _, name := range []string{varClient, varResults} {
		if charset, _ := settingIn(s.want, name); !showsASCII[strings.Trim(charset, "'")] {
			return true
		}
	}
	c, schema := s.knownRoutines(), []byte(s.cmd.schema)
	if !s.looks.Of(text) {
		if c.Called(a, schema)&sqltext.Call == 0 {
			return true
		}
		s.looks = routines.NewLook(text)
	}
	_, next, needs := s.looks.Called(c, a, schema)
	if needs {
		s.steps = append(s.steps, step{kind: stepRoutine, text: next.Ask(), routine: next})
		s.next(o)
	}
	return !needs
}

// looked takes what the server has shown of a routine; nil: nothing.
func (s *session) looked(n routines.Name, row []string) {
	if s.looks != nil {
		s.looks.Take(s.knownRoutines(), n, row, s.srv.number, s.srv.mariaDB)
	}
}

// called are the effects of all routines that a text calls: what the mark Call in its own stands for.
func (s *session) called(c *routines.Catalog, a *sqltext.Analysis, text, schema []byte) sqltext.Effects {
	if !s.looks.Of(text) {
		return c.Called(a, schema)
	}
	e, _, needs := s.looks.Called(c, a, schema)
	if needs { // the catalogue has changed since
		return c.Called(a, schema)
	}
	return e
}
