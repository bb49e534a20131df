package postgres

import (
	"regexp"
	"time"

	"forebay/internal/engine"
)

// volumeStatus is for a member of an Aurora cluster. Its members share one storage volume: they replicate nothing from one
// another, there are no timelines, and a member's place is that in the volume's own log. All of them know all the others.
func (a *answer) volumeStatus(st *engine.Status, host string) {
	domain, known := auroraDomain(host)
	if st.Role == engine.Writer {
		st.Lag = 0
	}
	for _, m := range a.volume {
		if !m.Self {
			if known && m.Name != "" {
				st.Peers = append(st.Peers, engine.Peer{Name: m.Name, Host: m.Name + domain})
			}
			continue
		}
		if m.LSN != nil {
			st.Position = volumePosition(*m.LSN)
		}
		if m.Lag != nil && st.Role == engine.Reader {
			st.Lag = time.Duration(*m.Lag * float64(time.Millisecond))
		}
	}
}

// auroraHost matches the endpoints of RDS: of an instance, of a cluster, its readers, or a choice of them.
var auroraHost = regexp.MustCompile(`(?i)^[a-z0-9-]+\.(?:cluster-(?:ro-|custom-)?)?([a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com(?:\.cn)?)\.?$`)

// auroraDomain is what follows an instance's identifier in the names of the endpoints of all instances of one account and
// region, taken from any name by which the cluster is reached. ok is false for an address or a name of the user's own: from
// those no other member's can be known.
func auroraDomain(host string) (domain string, ok bool) {
	m := auroraHost.FindStringSubmatch(host)
	if m == nil {
		return "", false
	}
	return "." + m[1], true
}
