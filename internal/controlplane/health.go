package controlplane

import (
	"time"

	"forebay/internal/resource"
)

// Health says how the members of a proxy's target are, as the data plane has seen them. It is safe for concurrent use.
type Health interface {
	// Members has an entry for each member that the data plane knows of, found ones included; nil: it knows of none yet.
	Members(proxyID string) []MemberHealth
}

// MemberHealth is how one member is, in the words of the contract (1.3).
type MemberHealth struct {
	Member      resource.Member
	State       string        // REGISTERING, AVAILABLE, UNAVAILABLE
	Reason      string        // one of the contract's; empty: none
	Description string        // why not AVAILABLE
	Role        string        // READ_WRITE, READ_ONLY, UNKNOWN
	Lag         time.Duration // of a reader behind the writer; negative: not known
}

// SeenWriter is the member of a cluster that the data plane has seen as its writer, for whichever proxy; a zero one where it has
// seen that there is none. seen is false where it has seen no member's role yet.
func (s *State) SeenWriter(cluster string, h Health) (writer resource.Member, seen bool) {
	if h == nil || cluster == "" {
		return writer, false
	}
	last, known := resource.Member{}, false // a writer that does not answer now
	for _, p := range s.registered("", cluster) {
		for _, m := range h.Members(p.ID) {
			switch resource.TargetRole(m.Role) {
			case resource.ReadWrite:
				if m.State == "AVAILABLE" {
					return m.Member, true
				}
				last, known = m.Member, true
			case resource.ReadOnly:
				known = true
			}
		}
	}
	return last, known
}
