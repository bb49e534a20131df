package mysql

import (
	"regexp"

	"forebay/internal/engine/mysql/sqltext"
)

// Named locks are the server connection's until they are freed or it ends, and nothing tells of them: how many a session
// has is counted. A statement that is one call and nothing else tells with its answer what the call has done; of any
// other that takes a lock it is not known how many it takes, and then only RELEASE_ALL_LOCKS() ends the pin.

// lockCall is a statement of one call, which is all that it selects.
type lockCall uint8

const (
	noLockCall lockCall = iota
	takesLock
	freesLock
	freesAllLocks
)

var lockCallDigest = regexp.MustCompile("^select (get_lock|release_lock|release_all_locks) ?\\( ?((\\?|@[a-zA-Z0-9_$.]+)( ?, ?-?(\\?|@[a-zA-Z0-9_$.]+))?)? ?\\)( (as )?[a-z0-9_]+| `[^`]+`)? ?;?$")

// lockCallOf says what kind of call a statement is.
func lockCallOf(a *sqltext.Analysis, digest string) lockCall {
	if !a.Tableless || a.Statements != 1 || a.Effects&^(sqltext.NamedLock|sqltext.Ends|sqltext.ReadsUserVariable) != 0 {
		return noLockCall
	}
	m := lockCallDigest.FindStringSubmatch(digest)
	if m == nil {
		return noLockCall
	}
	switch m[1] {
	case "get_lock":
		return takesLock
	case "release_lock":
		return freesLock
	}
	return freesAllLocks
}

// lockAnswer is what the row of such a call says.
type lockAnswer uint8

const (
	noLockAnswer lockAnswer = iota
	lockYes                 // 1
	lockNo                  // 0 or NULL
)

// lockAnswerOf reads the payload of a row of one column.
func lockAnswerOf(row []byte, binary bool) lockAnswer {
	if !binary {
		switch {
		case len(row) == 2 && row[0] == 1 && row[1] == '1':
			return lockYes
		case len(row) == 2 && row[0] == 1 && row[1] == '0', len(row) == 1:
			return lockNo
		}
		return noLockAnswer
	}
	if len(row) < 2 || row[0] != 0 { // a header and a bitmap of NULLs, then an integer
		return noLockAnswer
	}
	if row[1] != 0 {
		return lockNo
	}
	for _, c := range row[min(3, len(row)):] {
		if c != 0 {
			return noLockAnswer
		}
	}
	switch {
	case len(row) > 2 && row[2] == 1:
		return lockYes
	case len(row) > 2 && row[2] == 0:
		return lockNo
	}
	return noLockAnswer
}

// unknownLocks is the number of locks when it is not known.
const unknownLocks = -1

// locksCalled takes over what a statement has done that takes or frees locks.
func (s *session) locksCalled(eff sqltext.Effects) {
	c := s.cmd
	if eff&(sqltext.NamedLock|sqltext.Ends) == 0 || !s.pinnedFor(pinNamedLock) {
		return
	}
	switch {
	case c.lock == freesAllLocks && !c.failed:
		s.locks = 0
	case c.lock == takesLock && c.locked == lockYes && s.locks >= 0:
		s.locks++
	case c.lock == freesLock && c.locked == lockYes && s.locks > 0:
		s.locks--
	case c.lock == takesLock && (c.locked == lockNo || c.failed), c.lock == freesLock:
	case eff&sqltext.NamedLock != 0 && !c.neverRan():
		s.locks = unknownLocks
	}
	if s.locks == 0 {
		s.unpin(pinNamedLock)
	}
}
