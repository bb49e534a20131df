package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"forebay/internal/engine"
)

// walPosition is a place in the write-ahead log.
type walPosition struct {
	timeline uint32 // 0: not known
	lsn      uint64
}

// Covers implements engine.Position: the LSN is not smaller, and the timeline is not an older one.
//
// A new timeline begins somewhere within an older one, and has all that is before that place. Where it began is in files that
// a monitor does not get to see, so a place on an older timeline counts as covered once the new one is past its LSN. What the
// old writer wrote behind the fork is not there, but neither is it anywhere else: the failover has lost it. An older timeline
// never covers a place on a newer one, however far it has gone: a standby that still follows a writer of the past has another
// history from the fork on. Where a timeline is not known the LSNs decide.
func (p walPosition) Covers(q engine.Position) bool {
	o, ok := q.(walPosition)
	if !ok || p.timeline != 0 && p.timeline < o.timeline {
		return false
	}
	return p.lsn >= o.lsn
}

// String implements engine.Position.
func (p walPosition) String() string { return fmt.Sprintf("%X/%X", p.lsn>>32, uint32(p.lsn)) }

// parseLSN reads an LSN as the server writes it.
func parseLSN(s string) (uint64, error) {
	high, low, ok := strings.Cut(s, "/")
	h, err1 := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("postgres: %q is not an LSN", s)
	}
	return h<<32 | l, nil
}

// volumePosition is an LSN of Aurora's storage volume, which all members of a cluster share.
type volumePosition uint64

// Covers implements engine.Position.
func (p volumePosition) Covers(q engine.Position) bool {
	o, ok := q.(volumePosition)
	return ok && p >= o
}

// String implements engine.Position.
func (p volumePosition) String() string { return strconv.FormatUint(uint64(p), 10) }
