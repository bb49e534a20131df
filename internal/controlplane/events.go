package controlplane

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// EventsKept is for how long events are told.
const EventsKept = 14 * 24 * time.Hour

// SourceProxy is the SourceType of all events here.
const SourceProxy = "db-proxy"

// EventCategories are those of proxies (contract 8.2).
var EventCategories = []string{"configuration change", "creation", "deletion", "failure"}

// eventKind is an event's id and category.
type eventKind struct{ id, category string }

var (
	ProxyCreated     = eventKind{"RDS-EVENT-0203", "creation"}
	ProxyModified    = eventKind{"RDS-EVENT-0204", "configuration change"}
	ProxyDeleted     = eventKind{"RDS-EVENT-0205", "deletion"}
	EndpointCreated  = eventKind{"RDS-EVENT-0206", "creation"}
	EndpointModified = eventKind{"RDS-EVENT-0207", "configuration change"}
	EndpointDeleted  = eventKind{"RDS-EVENT-0208", "deletion"}
	InstanceAdded    = eventKind{"RDS-EVENT-0213", "configuration change"}
	InstanceRemoved  = eventKind{"RDS-EVENT-0214", "configuration change"}
	ClusterRemoved   = eventKind{"RDS-EVENT-0215", "configuration change"}
)

// forgetAtOnce is how many events a new one has forgotten at most. A transaction has few events, and etcd allows it 128
// changes where nobody has said otherwise: were all that is old to go at once, nothing could be changed any more.
const forgetAtOnce = 2

// AddEvent records what has happened to a proxy, in the transaction that does it, and forgets what is too old to be told.
func (tx *Tx) AddEvent(now time.Time, kind eventKind, p *Proxy, format string, args ...any) {
	var old []string
	for key, e := range tx.State().Events.All() {
		if now.Sub(e.Time) <= EventsKept || len(old) == forgetAtOnce {
			break // they are in order
		}
		old = append(old, key)
	}
	for _, key := range old {
		tx.Events.Delete(key)
	}
	var unique [6]byte
	rand.Read(unique[:]) // never fails (crypto/rand)
	tx.Events.Put(fmt.Sprintf("%020d-%06d-%s", now.UnixNano(), tx.Events.Len(), hex.EncodeToString(unique[:])), &Event{
		ID: kind.id, SourceID: p.Name, SourceType: SourceProxy, SourceARN: tx.Account().ARN(KindProxy, p.ID),
		Categories: []string{kind.category}, Message: fmt.Sprintf(format, args...), Time: now,
	})
}
