package postgres

import (
	"time"

	"forebay/internal/engine"
)

// volumeStatus is for a member of an Aurora cluster. Its members share one storage volume: they replicate nothing from one
// another, there are no timelines, and a member's place is that in the volume's own log. All of them know all the others.
func (a *answer) volumeStatus(st *engine.Status, host string) {
	if st.Role == engine.Writer {
		st.Lag = 0
	}
	for _, m := range a.volume {
		if !m.Self {
			if p, ok := engine.AuroraPeer(host, m.Name); ok {
				st.Peers = append(st.Peers, p)
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
