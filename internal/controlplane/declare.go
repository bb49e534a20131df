package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MemberGone is after how long a member that has not said that it is there is one no more: what its configuration file
// declared counts no longer.
const MemberGone = 24 * time.Hour

// Declaring is what has become of a database when a member declared its own: for the log.
type Declaring struct {
	Database string
	Outcome  DeclareOutcome
	By       string // names of the proxies or members that are the reason
}

// DeclareOutcome is of what the operator should know about a declaration.
type DeclareOutcome string

// What is not as the member's configuration file says, or has changed what another one's says.
const (
	// DeclareKept: no file declares the database any more, but it is the target of the proxies By. It is the API's now.
	DeclareKept DeclareOutcome = "no configuration file declares the database any more; it stays, since it is the target of a proxy: forebay database remove takes it back"
	// DeclareShared: this member's file does not declare the database any more, but those of the members By do.
	DeclareShared DeclareOutcome = "the configuration file does not declare the database any more; it stays, since another member's does"
	// DeclareOlder: this member has said the same before, and the members By something else since, which is in force.
	DeclareOlder DeclareOutcome = "the configuration file declares the database as before another member changed it: the change stays in force"
	// DeclareChanged: this member has replaced what the members By declared.
	DeclareChanged DeclareOutcome = "the configuration file declares the database otherwise than another member's did, and is in force"
	// DeclareStays: the database would have left the cluster that is the target of the proxies By without any other.
	DeclareStays DeclareOutcome = "the database stays in its cluster, which is the target of a proxy and would be left empty"
	// DeclareRemoved: no file declares the database any more, and nobody needs it.
	DeclareRemoved DeclareOutcome = "no configuration file declares the database any more: it was taken back"
)

// DeclareDatabases makes the databases of a member's configuration file part of the state: it adds what is new, replaces
// what the file says otherwise than before, and takes back what no member declares any more. Never because of a file does
// a proxy lose its target. What was declared by the API under one of the names is the file's from then on.
func (tx *Tx) DeclareDatabases(now time.Time, member string, specs []DatabaseSpec) (told []Declaring, err error) {
	wanted := map[string]bool{}
	for _, d := range specs {
		if err := d.complete(); err != nil {
			return nil, fmt.Errorf("database %s: %w", d.Identifier, err)
		}
		d.FromFile = true
		wanted[strings.ToLower(d.Identifier)] = true
		told, err = tx.declare(now, member, d, told)
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", d.Identifier, err)
		}
	}
	tx.settleClusters(specs)
	for key, d := range tx.State().Databases.All() {
		if !d.FromFile {
			continue
		}
		by := maps.Clone(d.DeclaredBy)
		if !wanted[key] {
			delete(by, member)
		}
		maps.DeleteFunc(by, func(of, _ string) bool { return of != member && !tx.there(now, of) })
		if len(by) > 0 {
			if d.DeclaredBy[member] != "" && by[member] == "" {
				told = append(told, Declaring{d.Identifier, DeclareShared, names(by)})
			}
			if len(by) != len(d.DeclaredBy) {
				row := *d
				row.DeclaredBy = by
				tx.Databases.Put(key, &row)
			}
			continue
		}
		if told, err = tx.undeclare(now, d, told); err != nil {
			return nil, fmt.Errorf("database %s: %w", d.Identifier, err)
		}
	}
	tx.seen(now, member)
	return told, nil
}

// declare is what one entry of a member's file does.
func (tx *Tx) declare(now time.Time, member string, d DatabaseSpec, told []Declaring) ([]Declaring, error) {
	key, says := strings.ToLower(d.Identifier), d.digest()
	old := tx.Databases.Get(key)
	if old == nil {
		row, err := tx.AddDatabase(now, d)
		if err != nil {
			return told, err
		}
		row.DeclaredBy = map[string]string{member: says} // in the transaction, and nowhere else yet
		return told, nil
	}
	row := *old
	row.FromFile, row.DeclaredBy = true, maps.Clone(old.DeclaredBy)
	if row.DeclaredBy == nil {
		row.DeclaredBy = map[string]string{}
	}
	row.DeclaredBy[member] = says
	if inForce := old.spec().digest(); old.FromFile && inForce != says {
		of, others := map[string]string{}, map[string]string{}
		for name, said := range old.DeclaredBy {
			if name == member || !tx.there(now, name) {
				continue
			}
			if others[name] = said; said == inForce {
				of[name] = said
			}
		}
		if old.DeclaredBy[member] == says && len(of) > 0 {
			return append(told, Declaring{d.Identifier, DeclareOlder, names(of)}), nil
		}
		if len(others) > 0 {
			told = append(told, Declaring{d.Identifier, DeclareChanged, names(others)})
		}
	}
	row.Identifier, row.Engine, row.Version, row.Host, row.Port = d.Identifier, d.Engine, d.Version, d.Host, d.Port
	row.TLSMode, row.CA, row.IAM, row.IAMRegion = d.TLSMode, d.CA, d.IAM, d.IAMRegion
	if !strings.EqualFold(old.Cluster, d.Cluster) {
		st := tx.State()
		if of := st.registered("", old.Cluster); len(of) > 0 && len(st.Members(old.Cluster)) == 1 {
			told = append(told, Declaring{d.Identifier, DeclareStays, proxyNames(of)})
		} else {
			tx.leave(now, old)
			tx.Databases.Delete(key)
			if err := tx.join(now, &row, d.Cluster); err != nil {
				return told, err
			}
		}
	}
	if !sameDatabase(&row, tx.Databases.Get(key)) {
		tx.Databases.Put(key, &row)
	}
	return told, nil
}

// undeclare is for a database that no file declares any more.
func (tx *Tx) undeclare(now time.Time, d *Database, told []Declaring) ([]Declaring, error) {
	users := tx.State().proxiesOf(d)
	if len(users) == 0 {
		_, err := tx.RemoveDatabase(now, d.Identifier, false, true)
		return append(told, Declaring{d.Identifier, DeclareRemoved, ""}), err
	}
	row := *d
	row.FromFile, row.DeclaredBy = false, nil
	tx.Databases.Put(strings.ToLower(d.Identifier), &row)
	st := tx.State()
	if c := st.Cluster(d.Cluster); c != nil && c.FromFile && !slices.ContainsFunc(st.Members(d.Cluster), func(m *Database) bool { return m.FromFile }) {
		free := *c
		free.FromFile = false
		tx.Clusters.Put(strings.ToLower(c.Identifier), &free)
	}
	return append(told, Declaring{d.Identifier, DeclareKept, strings.Join(users, ", ")}), nil
}

// there reports whether a member has said lately that it is there.
func (tx *Tx) there(now time.Time, member string) bool {
	m := tx.Fleet.Get(member)
	return m != nil && now.Sub(m.Seen) < MemberGone
}

// seenEvery is how exact Member.Seen is: a start or a reload is no reason for a change by itself.
const seenEvery = MemberGone / 48

// seen notes that a member is there, if it declares anything, and forgets those that are gone.
func (tx *Tx) seen(now time.Time, member string) {
	declares := tx.Databases.Find(func(d *Database) bool { return d.DeclaredBy[member] != "" }) != nil
	switch m := tx.Fleet.Get(member); {
	case declares && (m == nil || now.Sub(m.Seen) >= seenEvery || m.Seen.After(now)):
		tx.Fleet.Put(member, &Member{Name: member, Seen: now})
	case !declares:
		tx.Fleet.Delete(member)
	}
	for name := range tx.State().Fleet.All() {
		if name != member && !tx.there(now, name) {
			tx.Fleet.Delete(name)
		}
	}
}

// digest tells declarations that differ from each other.
func (d DatabaseSpec) digest() string {
	d.FromFile, d.Settings = true, ClusterSettings{} // which are the cluster's
	d.Cluster = strings.ToLower(d.Cluster)
	text, _ := json.Marshal(d) // strings and numbers
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// spec is the declaration that a row is of.
func (d *Database) spec() DatabaseSpec {
	return DatabaseSpec{
		Identifier: d.Identifier, Engine: d.Engine, Version: d.Version, Host: d.Host, Port: d.Port, Cluster: d.Cluster, TLSMode: d.TLSMode, CA: d.CA,
		IAM: d.IAM, IAMRegion: d.IAMRegion,
	}
}

func sameDatabase(a, b *Database) bool {
	return b != nil && a.spec() == b.spec() && a.FromFile == b.FromFile && maps.Equal(a.DeclaredBy, b.DeclaredBy)
}

func names(by map[string]string) string { return strings.Join(slices.Sorted(maps.Keys(by)), ", ") }

func proxyNames(of []*Proxy) string {
	var all []string
	for _, p := range of {
		all = append(all, p.Name)
	}
	return strings.Join(all, ", ")
}
