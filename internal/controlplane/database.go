package controlplane

import (
	"crypto/x509"
	"errors"
	"fmt"
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
	verifies := d.TLSMode == resource.TLSVerifyCA || d.TLSMode == resource.TLSVerifyFull || d.TLSMode == resource.TLSStrict && family == resource.SQLServer
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
		{!known, "TLSMode", "expected disable, prefer, require, verify-ca, verify-full or, for SQL Server, strict"},
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
	if err := tx.join(now, row, d.Cluster); err != nil {
		return nil, err
	}
	tx.Databases.Put(key, row)
	return row, nil
}

// join makes a row, which is not in the state so far, part of a cluster: of a new one, if need be. Empty: of none.
func (tx *Tx) join(now time.Time, row *Database, cluster string) error {
	row.Cluster = ""
	if cluster == "" {
		return nil
	}
	c := tx.Clusters.Get(strings.ToLower(cluster))
	switch {
	case c == nil:
		c = &Cluster{Identifier: cluster, Engine: row.Engine, ResourceID: newResourceID("cluster-"), Created: now, FromFile: row.FromFile}
		tx.Clusters.Put(strings.ToLower(cluster), c)
	case c.FromFile && !row.FromFile:
		return ErrFromFile
	case c.Engine != row.Engine:
		return &FieldError{Field: "Engine", Reason: fmt.Sprintf("expected %s, as in the rest of cluster %s", c.Engine, c.Identifier)}
	}
	row.Cluster = c.Identifier
	for _, p := range tx.State().registered("", c.Identifier) {
		tx.AddEvent(now, InstanceAdded, p, "RDS detected DB instance %s and automatically added it to the target group of DB proxy %s.", row.Identifier, p.Name)
	}
	return nil
}

// leave takes a database out of its cluster, which goes with its last one: then proxies are left without it.
func (tx *Tx) leave(now time.Time, d *Database) {
	if d.Cluster == "" {
		return
	}
	st := tx.State()
	last := len(st.Members(d.Cluster)) == 1
	for _, p := range st.registered("", d.Cluster) {
		if !last {
			tx.AddEvent(now, InstanceRemoved, p, "RDS detected that DB instance %s was deleted and removed it from the target group of DB proxy %s.", d.Identifier, p.Name)
			continue
		}
		tx.AddEvent(now, ClusterRemoved, p, "RDS detected that DB cluster %s was deleted and removed it from the target group of DB proxy %s.", d.Cluster, p.Name)
		q := *p
		q.Group.Cluster, q.Group.Registered = "", time.Time{}
		tx.Proxies.Put(q.ID, &q)
	}
	if last {
		tx.Clusters.Delete(strings.ToLower(d.Cluster))
	}
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
	if users := st.proxiesOf(d); !force && len(users) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrDatabaseInUse, strings.Join(users, ", "))
	}
	for _, p := range st.registered(d.Identifier, "") {
		tx.AddEvent(now, InstanceRemoved, p, "RDS detected that DB instance %s was deleted and removed it from the target group of DB proxy %s.", d.Identifier, p.Name)
		q := *p
		q.Group.Instance, q.Group.Registered = "", time.Time{}
		tx.Proxies.Put(q.ID, &q)
	}
	tx.leave(now, d)
	tx.Databases.Delete(strings.ToLower(d.Identifier))
	return d, nil
}

// proxiesOf names the proxies that have a database as a target, by itself or with its cluster.
func (s *State) proxiesOf(d *Database) []string {
	var names []string
	for _, p := range append(s.registered(d.Identifier, ""), s.registered("", d.Cluster)...) {
		names = append(names, p.Name)
	}
	return names
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
