// Package forebayapi is the small API that Forebay has beside those of AWS, for what AWS has no operation for: databases that
// are not on AWS are declared once, proxies are paused, and a backup is taken of everything. It speaks the JSON protocol under the service name forebay and the target
// Forebay_20261126; the command line is its client. What is declared here is what the RDS API calls DB instances and DB
// clusters.
package forebayapi

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/resource"
)

type server struct {
	plane  *controlplane.Plane
	health controlplane.Health // nil: nothing is known of any database
	backup atomic.Bool         // one is being sent: it is all of the state, in memory, for as long as its client takes
}

// Service is the API over p. health may be nil: then nothing is known of any database.
func Service(p *controlplane.Plane, health controlplane.Health) *awsapi.Service {
	s := &server{plane: p, health: health}
	return &awsapi.Service{
		Name: "forebay", Protocol: awsapi.JSON, Target: "Forebay_20261126",
		Operations: map[string]awsapi.Operation{
			"AddDatabase":    awsapi.Op(s.addDatabase),
			"RemoveDatabase": awsapi.Op(s.removeDatabase),
			"ListDatabases":  awsapi.Op(s.listDatabases),
			"ModifyCluster":  awsapi.Op(s.modifyCluster),
			"ListProxies":    awsapi.Op(s.listProxies),
			"PauseProxy":     awsapi.Op(s.pauseProxy),
			"ResumeProxy":    awsapi.Op(s.resumeProxy),
			"Backup":         awsapi.Stream(s.takeBackup),
		},
	}
}

// Database is a database that has been declared.
type Database struct {
	Identifier string
	ARN        string
	Engine     string
	Version    *string
	Host       string
	Port       int
	Cluster    *string
	TLSMode    string
	OwnCA      bool // a certificate authority was given
	IAM        *string
	IAMRegion  *string
	Created    time.Time
	FromFile   bool    // declared in the configuration file
	Health     *Health // as the data plane has seen it; absent: it is the target of no proxy
}

// AddDatabaseInput declares a database. controlplane.DatabaseSpec says what is optional.
type AddDatabaseInput struct {
	Identifier string `aws:"required"`
	Engine     string `aws:"required"`
	Host       string `aws:"required"`
	Version    *string
	Port       *int
	Cluster    *string
	TLSMode    *string
	CA         *string
	IAM        *string
	IAMRegion  *string

	// Settings of Cluster, as in ModifyCluster.
	Discover       *bool
	MonitorSecret  *string
	MaxReplicaLag  *int
	ReaderFallback *string
}

// DatabaseOutput is the database that was added or removed.
type DatabaseOutput struct{ Database Database }

func (s *server) addDatabase(ctx context.Context, c *awsapi.Call, in *AddDatabaseInput) (*DatabaseOutput, error) {
	var out *DatabaseOutput
	_, err := s.plane.Update(ctx, func(tx *controlplane.Tx) error {
		if err := may(c, tx.State(), "AddDatabase", in.Identifier); err != nil {
			return err
		}
		if k := awsapi.Value(in.Cluster); k != "" { // proxies log in to all members of their cluster: none is added without being let
			if err := mayTo(c, tx.State(), "AddDatabase", controlplane.KindCluster, k); err != nil {
				return err
			}
		}
		d, err := tx.AddDatabase(when(c), controlplane.DatabaseSpec{
			Identifier: in.Identifier, Engine: in.Engine, Host: in.Host, Version: awsapi.Value(in.Version), Port: awsapi.Value(in.Port), Cluster: awsapi.Value(in.Cluster),
			TLSMode: resource.TLSMode(awsapi.Value(in.TLSMode)), CA: awsapi.Value(in.CA),
			IAM: awsapi.Value(in.IAM), IAMRegion: awsapi.Value(in.IAMRegion),
		})
		if err != nil {
			return err
		}
		change := controlplane.ClusterChange{Discover: in.Discover, MonitorSecret: in.MonitorSecret, MaxReplicaLag: in.MaxReplicaLag, ReaderFallback: in.ReaderFallback}
		if !change.Empty() {
			if d.Cluster == "" {
				return &controlplane.FieldError{Field: "Cluster", Reason: "expected the cluster that Discover, MonitorSecret, MaxReplicaLag and ReaderFallback are about"}
			}
			if _, err := changeCluster(tx, c, d.Cluster, change); err != nil {
				return err
			}
		}
		out = &DatabaseOutput{databaseOf(tx.Account(), d)}
		return nil
	})
	if err != nil {
		return nil, refusal(err, in.Identifier)
	}
	return out, nil
}

// RemoveDatabaseInput takes a declaration back.
type RemoveDatabaseInput struct {
	Identifier string `aws:"required"`
	Force      *bool  // also where it is the target of a proxy, which is left without
}

func (s *server) removeDatabase(ctx context.Context, c *awsapi.Call, in *RemoveDatabaseInput) (*DatabaseOutput, error) {
	var out *DatabaseOutput
	_, err := s.plane.Update(ctx, func(tx *controlplane.Tx) error {
		if err := may(c, tx.State(), "RemoveDatabase", in.Identifier); err != nil {
			return err
		}
		d, err := tx.RemoveDatabase(when(c), in.Identifier, awsapi.Value(in.Force), false)
		if err != nil {
			return err
		}
		out = &DatabaseOutput{databaseOf(tx.Account(), d)}
		return nil
	})
	if err != nil {
		return nil, refusal(err, in.Identifier)
	}
	return out, nil
}

// ListDatabasesInput is empty.
type ListDatabasesInput struct{}

// ListDatabasesOutput is all databases and clusters in the order of their identifiers.
type ListDatabasesOutput struct {
	Databases []Database
	Clusters  []Cluster
	// Found are members of clusters that the data plane has found and nobody has declared.
	Found []FoundMember
}

// FoundMember is a database that nobody has declared.
type FoundMember struct {
	Name    string // as its replication set calls it, or else its address
	Cluster string
	Host    string
	Port    int
	Health  Health
}

func (s *server) listDatabases(_ context.Context, c *awsapi.Call, _ *ListDatabasesInput) (*ListDatabasesOutput, error) {
	st := s.plane.State()
	if err := may(c, st, "ListDatabases", "*"); err != nil {
		return nil, err
	}
	seen := see(st, s.health)
	out := &ListDatabasesOutput{Databases: []Database{}, Clusters: []Cluster{}, Found: seen.found}
	for _, d := range st.Databases.All() {
		row := databaseOf(st.Account(), d)
		row.Health = seen.declared[d.ResourceID]
		out.Databases = append(out.Databases, row)
	}
	for _, k := range st.Clusters.All() {
		out.Clusters = append(out.Clusters, clusterOf(st.Account(), k))
	}
	return out, nil
}

// BackupInput is empty.
type BackupInput struct{}

// takeBackup answers with a backup of everything, as cluster.Backup writes it: no JSON object.
func (s *server) takeBackup(ctx context.Context, c *awsapi.Call, _ *BackupInput) (func(io.Writer) error, error) {
	if err := c.Authorize("forebay:Backup", "*"); err != nil {
		return nil, err
	}
	if !s.backup.CompareAndSwap(false, true) {
		return nil, awsapi.Errorf(400, "ThrottlingException", "Another backup is being made.")
	}
	write, err := s.plane.Backup(ctx)
	if err != nil {
		s.backup.Store(false)
		return nil, err
	}
	return func(w io.Writer) error {
		defer s.backup.Store(false)
		return write(w)
	}, nil
}

// may asks whether the caller may do an operation to a database; * is all of them.
func may(c *awsapi.Call, st *controlplane.State, operation, id string) error {
	return mayTo(c, st, operation, controlplane.KindDatabase, id)
}

// mayTo is may for any kind of resource. What exists is asked about by its own name, whatever the case of the request's: a policy
// that denies one spelling is meant for all.
func mayTo(c *awsapi.Call, st *controlplane.State, operation, kind, id string) error {
	a := st.Account()
	if a == nil {
		return &awsapi.Error{Code: "InternalFailure", Message: "This Forebay has not been set up.", Status: 500, Fault: true}
	}
	switch kind {
	case controlplane.KindDatabase:
		if d := st.Database(id); d != nil {
			id = d.Identifier
		}
	case controlplane.KindCluster:
		if k := st.Cluster(id); k != nil {
			id = k.Identifier
		}
	}
	return c.Authorize("forebay:"+operation, a.ARN(kind, id))
}

// refusal puts an error of controlplane into the words of the API.
func refusal(err error, id string) error {
	var field *controlplane.FieldError
	switch {
	case errors.As(err, &field):
		return awsapi.Errorf(400, "InvalidParameterValue", "%v.", field)
	case errors.Is(err, controlplane.ErrDatabaseExists):
		return awsapi.Errorf(400, "DBInstanceAlreadyExists", "DB instance %s: %v.", id, err)
	case errors.Is(err, controlplane.ErrDatabaseNotFound):
		return awsapi.Errorf(404, "DBInstanceNotFound", "DB instance %s: %v.", id, err)
	case errors.Is(err, controlplane.ErrClusterNotFound):
		return awsapi.Errorf(404, "DBClusterNotFoundFault", "DB cluster %s: %v.", id, err)
	case errors.Is(err, controlplane.ErrDatabaseInUse), errors.Is(err, controlplane.ErrFromFile):
		return awsapi.Errorf(400, "InvalidDBInstanceState", "DB instance %s: %v.", id, err)
	}
	return err
}

func databaseOf(a *controlplane.Account, d *controlplane.Database) Database {
	return Database{
		Identifier: d.Identifier, ARN: a.ARN(controlplane.KindDatabase, d.Identifier), Engine: d.Engine, Version: awsapi.Optional(d.Version), Host: d.Host,
		Port: d.Port, Cluster: awsapi.Optional(d.Cluster), TLSMode: string(d.TLSMode), OwnCA: d.CA != "",
		IAM: awsapi.Optional(d.IAM), IAMRegion: awsapi.Optional(d.IAMRegion), Created: d.Created, FromFile: d.FromFile,
	}
}

func when(c *awsapi.Call) time.Time {
	t := c.Time
	if t.IsZero() {
		t = time.Now()
	}
	return t.UTC().Truncate(time.Millisecond)
}
