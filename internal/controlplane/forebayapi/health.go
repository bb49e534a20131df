package forebayapi

import (
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// Health is how a database is, as the data plane has seen it for some proxy.
type Health struct {
	State           string // as TargetHealth of RDS
	Reason          *string
	Description     *string
	Role            string // READ_WRITE, READ_ONLY, UNKNOWN
	LagMilliseconds *int   // of a reader behind the writer; absent: not known
}

// sight is what the data plane has seen.
type sight struct {
	declared map[string]*Health // by resource id of the database
	found    []FoundMember
}

// see gathers what is known of all databases. Of one that is the target of several proxies, the proxy that knows more counts.
func see(st *controlplane.State, h controlplane.Health) sight {
	out := sight{declared: map[string]*Health{}, found: []FoundMember{}}
	if h == nil {
		return out
	}
	type member struct{ cluster, name string }
	found := map[member]bool{}
	for _, p := range st.Proxies.All() {
		for _, m := range h.Members(p.ID) {
			health := healthOf(m)
			if id := m.Member.ResourceID; id != "" {
				if old := out.declared[id]; old == nil || old.State == "REGISTERING" {
					out.declared[id] = &health
				}
				continue
			}
			at := member{p.Group.Cluster, m.Member.String()}
			if at.cluster != "" && !found[at] {
				found[at] = true
				out.found = append(out.found, FoundMember{Name: at.name, Cluster: at.cluster, Host: m.Member.Host, Port: m.Member.Port, Health: health})
			}
		}
	}
	return out
}

func healthOf(m controlplane.MemberHealth) Health {
	out := Health{State: m.State, Reason: awsapi.Optional(m.Reason), Description: awsapi.Optional(m.Description), Role: m.Role}
	if m.Lag >= 0 && m.Role == "READ_ONLY" {
		lag := int(m.Lag.Milliseconds())
		out.LagMilliseconds = &lag
	}
	return out
}
