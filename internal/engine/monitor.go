package engine

import (
	"context"
	"log/slog"
	"time"

	"forebay/internal/resource"
	"forebay/internal/secret"
)

// Role is what a database server is in its replication set.
type Role uint8

// RoleUnknown is that of a server that has not been asked, or that does not know itself. A Writer takes writes; where a
// set has several (Galera), each says Writer, and one of them is chosen.
const (
	RoleUnknown Role = iota
	Writer
	Reader
)

// String returns the role as the RDS API spells it.
func (r Role) String() string {
	switch r {
	case Writer:
		return string(resource.ReadWrite)
	case Reader:
		return string(resource.ReadOnly)
	default:
		return "UNKNOWN"
	}
}

// MonitorOptions is what a Monitor needs to know.
type MonitorOptions struct {
	Member Member
	Secret func(context.Context) (secret.Secret, error) // of the user to log in as; asked for each log-in
	// Refused is told of a secret whose passwords the member has all refused, so that a newer one is looked for. It does not
	// block; nil: nobody wants to know.
	Refused  func(secret.Secret)
	Database string // empty: the engine's default
	Log      *slog.Logger
}

// Refuse tells Refused of s.
func (o *MonitorOptions) Refuse(s secret.Secret) {
	if o.Refused != nil {
		o.Refused(s)
	}
}

// Monitor asks one member of a cluster how it is, over a connection of its own that it keeps. Only one goroutine uses it.
type Monitor interface {
	// Look asks once. Without a connection it logs in first. After an error the connection is gone, and the next Look makes
	// another; an *AnswerError means that the member answers, but would not have the user, or does not let it ask, and names
	// the privilege that is missing.
	Look(ctx context.Context) (Status, error)
	// Close ends the connection.
	Close()
}

// Status is what a member says of itself.
type Status struct {
	Role Role
	// Unusable says why no session may go there though it answers, such as a Galera node that is not synced. Empty: it may.
	Unusable string
	// Term orders those who claim to be the writer: the newest wins. PostgreSQL's timeline, the view of Group Replication;
	// 0 where there is nothing of the kind.
	Term uint64
	// MultiWriter is set where a set has several writers by design (Galera): those that are not chosen serve as readers.
	MultiWriter bool
	// Position is how far it has come: what a writer has written, what a reader has applied. nil: not known.
	Position Position
	// Lag is how far a reader is behind the writer, as far as the reader can tell; negative: not known.
	Lag time.Duration
	// LagBytes is the same in bytes of its log; negative: not known.
	LagBytes int64
	// Source is the address that a reader replicates from, as it knows it, host:port; empty: not known.
	Source string
	// Peers are the other members of the replication set that it names.
	Peers    []Peer
	Capacity Capacity
	Version  string // of the server
	// System identifies the database system of which all members of a replication set are copies; empty: not known, or there
	// is nothing of the kind.
	System string
}

// Peer is a member of a replication set that another one names.
type Peer struct {
	Name string // as the set calls it; empty: it has no name there
	Host string
	Port int // 0: not told, the same as that of the member that names it
}

// Position is a point in the history of a replication set.
type Position interface {
	// Covers reports whether everything up to q is contained in it. A position of another kind is not.
	Covers(q Position) bool
	// String is as the database writes it.
	String() string
}
