package dataplane

import "forebay/internal/dataplane/session"

// A session's process id says where the session is: the loop above, the slot below. The highest bit stays clear, since
// clients take the number for signed. The one below it is set: no server's process ids are so high (Linux ends at 1<<22),
// so a client that asks the database to end or to cancel what it takes for its own process never hits somebody else's.
const notAProcess = 1 << 30

// MaxLoops is how many event loops there can be at most: a process id has room for no more.
const MaxLoops = notAProcess >> session.SlotBits

func pidOf(loop int, slot uint32) uint32 {
	return notAProcess | uint32(loop)<<session.SlotBits | slot
}

// placeOf is the other way round.
func placeOf(pid uint32) (loop int, slot uint32) {
	return int(pid&^notAProcess) >> session.SlotBits, pid & (1<<session.SlotBits - 1)
}
