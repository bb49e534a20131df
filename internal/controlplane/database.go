package controlplane

import (
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"forebay/internal/resource"
)

// A database or cluster that is not as a change of the declarations needs it.
var (
	ErrDatabaseExists   = errors.New("the database has been declared already")
	ErrDatabaseNotFound = errors.New("the database has not been declared")
	ErrDatabaseInUse    = errors.New("the database is the target of a proxy")
	ErrFromFile         = errors.New("it is declared in the configuration file: change it there")
)

// FieldError says which field of a declaration is wrong, and why.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// DatabaseSpec declares a database that is not on AWS.
type DatabaseSpec struct {
	Identifier string
	Engine     string // postgres, aurora-postgresql, mysql, mariadb, aurora-mysql, sqlserver-ee, -se, -ex or -web
	Version    string // for people to read
	Host       string
	Port       int              // 0: the engine's
	Cluster    string           // identifier of the cluster that it belongs to; made with its first database. Empty: none
	TLSMode    resource.TLSMode // empty: prefer; verify-full with IAM
	CA         string           // PEM bundle for verify-ca and verify-full; empty: the system's
	IAM        string           // who checks the IAM tokens that it takes: IAMByAWS or IAMByForebay; empty: it takes none
	IAMRegion  string           // that tokens for AWS are made for; empty: the one in Host, or else the account's
	FromFile   bool             // declared in the configuration file
	// Settings are those of Cluster, which the configuration file has; a declaration by the API changes them by ModifyCluster.
	Settings ClusterSettings
}

// Who checks the IAM tokens by which a database lets users in.
const (
	IAMByAWS     = "aws"     // AWS, whose database it is: they are signed by the proxy's role in AWS
	IAMByForebay = "forebay" // what knows the identities of this Forebay, such as another of its proxies: by the role here
)

var (
	awsHost   = regexp.MustCompile(`^.+\.([a-z]{2}(?:-[a-z]+)+-[0-9])\.rds\.amazonaws\.com(?:\.cn)?$`)
	awsRegion = regexp.MustCompile(`^[a-z]{2}(?:-[a-z]+)+-[0-9]+$`)
)

// Region is the region that IAM tokens for a database of AWS are made for. Empty: the account's.
func (d *Database) Region() string {
	if d.IAMRegion != "" {
		return d.IAMRegion
	}
	if m := awsHost.FindStringSubmatch(strings.ToLower(d.Host)); m != nil {
		return m[1]
	}
	return ""
}

var identifier = regexp.MustCompile(`^[a-zA-Z](?:-?[a-zA-Z0-9]+)*$`)

// ValidName reports whether a name keeps the contract's rule (2.3): a letter, then letters, digits and single hyphens, not at
// the end; at most 63.
func ValidName(name string) bool { return len(name) <= 63 && identifier.MatchString(name) }

// complete fills defaults in and checks.
func (d *DatabaseSpec) complete() error {
	family := FamilyOf(d.Engine)
	if d.Port == 0 {
		d.Port = EnginePort(family)
	}
	switch {
	case d.TLSMode != "":
	case d.IAM != "":
		d.TLSMode = resource.TLSVerifyFull // who gets a token can use it
	default:
		d.TLSMode = resource.TLSPrefer
	}
	verifies := d.TLSMode == resource.TLSVerifyCA || d.TLSMode == resource.TLSVerifyFull
	known := verifies || d.TLSMode == resource.TLSDisable || d.TLSMode == resource.TLSPrefer || d.TLSMode == resource.TLSRequire
	for _, c := range []struct {
		bad           bool
		field, reason string
	}{
		{!ValidName(d.Identifier), "Identifier", "expected 1 to 63 letters, digits and single hyphens, beginning with a letter"},
		{family == "", "Engine", "expected postgres, mysql, mariadb, aurora-postgresql, aurora-mysql, sqlserver-ee, sqlserver-se, sqlserver-ex or sqlserver-web"},
		{len(d.Version) > 64, "Version", "expected at most 64 bytes"},
		{!ValidHost(d.Host), "Host", "expected a host name or an IP address, without port"},
		{d.Port < 1 || d.Port > 65535, "Port", "expected 1 to 65535"},
		{d.Cluster != "" && !ValidName(d.Cluster), "Cluster", "expected 1 to 63 letters, digits and single hyphens, beginning with a letter"},
		{!known, "TLSMode", "expected disable, prefer, require, verify-ca or verify-full"},
		{d.IAM != "" && d.IAM != IAMByAWS && d.IAM != IAMByForebay, "IAM", "expected aws or forebay"},
		{d.IAM != "" && family == resource.SQLServer, "IAM", "expected a database of another engine: SQL Server has no end-to-end IAM"},
		{d.IAM != "" && !verifies && d.TLSMode != resource.TLSRequire, "TLSMode", "expected require, verify-ca or verify-full with IAM: a token is sent over TLS alone"},
		{d.IAMRegion != "" && d.IAM != IAMByAWS, "IAMRegion", "expected aws as IAM beside it"},
		{len(d.IAMRegion) > 32 || d.IAMRegion != "" && !awsRegion.MatchString(d.IAMRegion), "IAMRegion", "expected a region such as eu-central-1"},
		{d.CA != "" && known && !verifies, "CA", "expected verify-ca or verify-full beside it"},
		{d.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(d.CA)), "CA", "expected at least one certificate in PEM"},
	} {
		if c.bad {
			return &FieldError{Field: c.field, Reason: c.reason}
		}
	}
	return nil
}

// Check says which member is wrong and what was expected. Both are empty for a database that can be added.
func (d DatabaseSpec) Check() (field, reason string) {
	var e *FieldError
	if errors.As(d.complete(), &e) {
		return e.Field, e.Reason
	}
	return "", ""
}

// AddDatabase declares a database. Its cluster, if it names one, is made with the first; proxies of that cluster have one
// more target from then on. Errors are *FieldError, ErrDatabaseExists and ErrFromFile.
func (tx *Tx) AddDatabase(now time.Time, d DatabaseSpec) (*Database, error) {
	if err := d.complete(); err != nil {
		return nil, err
	}
	key := strings.ToLower(d.Identifier)
	if tx.Databases.Get(key) != nil {
		return nil, ErrDatabaseExists
	}
	row := &Database{
		Identifier: d.Identifier, Engine: d.Engine, Version: d.Version, Host: d.Host, Port: d.Port, ResourceID: newResourceID("db-"),
		TLSMode: d.TLSMode, CA: d.CA, IAM: d.IAM, IAMRegion: d.IAMRegion, Created: now, FromFile: d.FromFile,
	}
	if d.Cluster != "" {
		c := tx.Clusters.Get(strings.ToLower(d.Cluster))
		switch {
		case c == nil:
			c = &Cluster{Identifier: d.Cluster, Engine: d.Engine, ResourceID: newResourceID("cluster-"), Created: now, FromFile: d.FromFile}
			tx.Clusters.Put(strings.ToLower(d.Cluster), c)
		case c.FromFile && !d.FromFile:
			return nil, ErrFromFile
		case c.Engine != d.Engine:
			return nil, &FieldError{Field: "Engine", Reason: fmt.Sprintf("expected %s, as in the rest of cluster %s", c.Engine, c.Identifier)}
		}
		row.Cluster = c.Identifier
		for _, p := range tx.State().registered("", c.Identifier) {
			tx.AddEvent(now, InstanceAdded, p, "RDS detected DB instance %s and automatically added it to the target group of DB proxy %s.", row.Identifier, p.Name)
		}
	}
	tx.Databases.Put(key, row)
	return row, nil
}

// RemoveDatabase takes a declaration back, and the cluster's with its last database. What is the target of a proxy stays,
// unless force is set: then the proxy is left without it. fromFile allows what the configuration file has declared.
// Errors are ErrDatabaseNotFound, ErrDatabaseInUse (wrapped) and ErrFromFile.
func (tx *Tx) RemoveDatabase(now time.Time, id string, force, fromFile bool) (*Database, error) {
	st := tx.State()
	d := st.Database(id)
	if d == nil {
		return nil, ErrDatabaseNotFound
	}
	if d.FromFile && !fromFile {
		return nil, ErrFromFile
	}
	last := d.Cluster != "" && len(st.Members(d.Cluster)) == 1
	users := st.registered(d.Identifier, "")
	of := st.registered("", d.Cluster)
	if !force && len(users)+len(of) > 0 {
		var names []string
		for _, p := range append(users, of...) {
			names = append(names, p.Name)
		}
		return nil, fmt.Errorf("%w: %s", ErrDatabaseInUse, strings.Join(names, ", "))
	}
	for _, p := range users {
		tx.AddEvent(now, InstanceRemoved, p, "RDS detected that DB instance %s was deleted and removed it from the target group of DB proxy %s.", d.Identifier, p.Name)
		q := *p
		q.Group.Instance, q.Group.Registered = "", time.Time{}
		tx.Proxies.Put(q.ID, &q)
	}
	for _, p := range of {
		if !last {
			tx.AddEvent(now, InstanceRemoved, p, "RDS detected that DB instance %s was deleted and removed it from the target group of DB proxy %s.", d.Identifier, p.Name)
			continue
		}
		tx.AddEvent(now, ClusterRemoved, p, "RDS detected that DB cluster %s was deleted and removed it from the target group of DB proxy %s.", d.Cluster, p.Name)
		q := *tx.Proxies.Get(p.ID)
		q.Group.Cluster, q.Group.Registered = "", time.Time{}
		tx.Proxies.Put(q.ID, &q)
	}
	if last {
		tx.Clusters.Delete(strings.ToLower(d.Cluster))
	}
	tx.Databases.Delete(strings.ToLower(d.Identifier))
	return d, nil
}

// registered returns the proxies whose target is that instance or that cluster.
func (s *State) registered(instance, cluster string) []*Proxy {
	var found []*Proxy
	for _, p := range s.Proxies.All() {
		if instance != "" && strings.EqualFold(p.Group.Instance, instance) || cluster != "" && strings.EqualFold(p.Group.Cluster, cluster) {
			found = append(found, p)
		}
	}
	return found
}

// newResourceID makes an id as RDS gives databases: a prefix and 26 capital letters and digits.
func newResourceID(prefix string) string {
	return prefix + strings.ToUpper(NewID("") + NewID(""))[:26]
}

// DeclareDatabases makes the databases of the configuration file those of the state: it adds what is new, replaces what
// has changed, and takes back what is no longer there, of which a proxy is left without its target. What was declared by
// the API under one of the names is the file's from then on.
func (tx *Tx) DeclareDatabases(now time.Time, specs []DatabaseSpec) error {
	wanted := map[string]bool{}
	for _, d := range specs {
		if err := d.complete(); err != nil {
			return fmt.Errorf("database %s: %w", d.Identifier, err)
		}
		d.FromFile = true
		key := strings.ToLower(d.Identifier)
		wanted[key] = true
		old := tx.Databases.Get(key)
		if old == nil || !strings.EqualFold(old.Cluster, d.Cluster) {
			if old != nil { // to another cluster: it leaves the former one as any database does
				if _, err := tx.RemoveDatabase(now, old.Identifier, true, true); err != nil {
					return fmt.Errorf("database %s: %w", d.Identifier, err)
				}
			}
			if _, err := tx.AddDatabase(now, d); err != nil {
				return fmt.Errorf("database %s: %w", d.Identifier, err)
			}
			continue
		}
		row := *old
		row.Identifier, row.Engine, row.Version, row.Host, row.Port = d.Identifier, d.Engine, d.Version, d.Host, d.Port
		row.TLSMode, row.CA, row.IAM, row.IAMRegion, row.FromFile = d.TLSMode, d.CA, d.IAM, d.IAMRegion, true
		if !reflect.DeepEqual(row, *old) {
			tx.Databases.Put(key, &row)
		}
	}
	tx.settleClusters(specs)
	for key, d := range tx.State().Databases.All() {
		if d.FromFile && !wanted[key] {
			if _, err := tx.RemoveDatabase(now, d.Identifier, true, true); err != nil {
				return fmt.Errorf("database %s: %w", d.Identifier, err)
			}
		}
	}
	return nil
}
