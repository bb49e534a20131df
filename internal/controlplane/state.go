package controlplane

import (
	"encoding/json"
	"fmt"
	"strings"

	"forebay/internal/cluster"
)

// State is everything at one revision. It is immutable.
type State struct {
	Revision int64 // of the store

	Accounts  Table[Account]
	Proxies   Table[Proxy]
	Endpoints Table[Endpoint]
	Databases Table[Database]
	Clusters  Table[Cluster]
	Secrets   Table[Secret]
	Users     Table[User]
	Roles     Table[Role]
	Policies  Table[Policy]
	Events    Table[Event]
	Fleet     Table[Member]
}

// Account is where everything belongs.
func (s *State) Account() *Account { return s.Accounts.Get("account") }

// tables is the state by kind: the part of a key between the prefix and the row's own key.
func (s *State) tables() map[string]table {
	return map[string]table{
		"accounts": &s.Accounts, "proxies": &s.Proxies, "endpoints": &s.Endpoints, "databases": &s.Databases,
		"clusters": &s.Clusters, "secrets": &s.Secrets, "users": &s.Users, "roles": &s.Roles, "policies": &s.Policies,
		"events": &s.Events, "members": &s.Fleet,
	}
}

// Prefix begins all keys in the store; its number changes when an older Forebay could not read what is below it.
const Prefix = "/forebay/v1/"

// headKey is changed by every transaction, and every transaction depends on it: so all changes are serial.
const headKey = Prefix + "head"

// after is the state changed by a batch. Unknown kinds are of a newer Forebay, and left alone.
func (s *State) after(revision int64, ops []cluster.Op) (*State, error) {
	next := *s
	next.Revision = revision
	tables := next.tables()
	for _, op := range ops {
		kind, key, ok := strings.Cut(strings.TrimPrefix(op.Key, Prefix), "/")
		t := tables[kind]
		if !ok || t == nil {
			continue
		}
		value := op.Value
		if op.Delete {
			value = nil
		}
		if err := t.decode(key, value); err != nil {
			return nil, fmt.Errorf("controlplane: %s: %w", kind, err)
		}
	}
	for _, t := range tables {
		t.seal()
	}
	return &next, nil
}

// Tx is a State that can be changed. It belongs to the function that Update has called, until that returns.
type Tx struct {
	Accounts  TxTable[Account]
	Proxies   TxTable[Proxy]
	Endpoints TxTable[Endpoint]
	Databases TxTable[Database]
	Clusters  TxTable[Cluster]
	Secrets   TxTable[Secret]
	Users     TxTable[User]
	Roles     TxTable[Role]
	Policies  TxTable[Policy]
	Events    TxTable[Event]
	Fleet     TxTable[Member]

	from *State
}

func newTx(s *State) *Tx {
	return &Tx{
		Accounts: txTable("accounts", s.Accounts), Proxies: txTable("proxies", s.Proxies), Endpoints: txTable("endpoints", s.Endpoints),
		Databases: txTable("databases", s.Databases), Clusters: txTable("clusters", s.Clusters), Secrets: txTable("secrets", s.Secrets),
		Users: txTable("users", s.Users), Roles: txTable("roles", s.Roles), Policies: txTable("policies", s.Policies),
		Events: txTable("events", s.Events), Fleet: txTable("members", s.Fleet), from: s,
	}
}

func txTable[T any](kind string, t Table[T]) TxTable[T] { return TxTable[T]{Table: t, kind: kind} }

// Account is where everything belongs.
func (tx *Tx) Account() *Account { return tx.Accounts.Get("account") }

// State is the state as the transaction has made it so far: what was put shows, what was deleted does not. What the
// transaction does afterwards does not change it.
func (tx *Tx) State() *State {
	return &State{
		Revision: tx.from.Revision, Accounts: tx.Accounts.share(), Proxies: tx.Proxies.share(), Endpoints: tx.Endpoints.share(),
		Databases: tx.Databases.share(), Clusters: tx.Clusters.share(), Secrets: tx.Secrets.share(), Users: tx.Users.share(),
		Roles: tx.Roles.share(), Policies: tx.Policies.share(), Events: tx.Events.share(), Fleet: tx.Fleet.share(),
	}
}

// ops is what the transaction changes.
func (tx *Tx) ops() ([]cluster.Op, error) {
	var all []cluster.Op
	for _, t := range []interface {
		ops([]cluster.Op) ([]cluster.Op, error)
	}{
		&tx.Accounts, &tx.Proxies, &tx.Endpoints, &tx.Databases, &tx.Clusters, &tx.Secrets, &tx.Users, &tx.Roles,
		&tx.Policies, &tx.Events, &tx.Fleet,
	} {
		var err error
		if all, err = t.ops(all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (t *TxTable[T]) ops(all []cluster.Op) ([]cluster.Op, error) {
	for key, row := range t.changed {
		op := cluster.Op{Key: Prefix + t.kind + "/" + key, Delete: row == nil}
		if row != nil {
			value, err := json.Marshal(row)
			if err != nil {
				return nil, fmt.Errorf("controlplane: %s %q: %w", t.kind, key, err)
			}
			op.Value = value
		}
		all = append(all, op)
	}
	return all, nil
}
