package controlplane

import (
	"errors"
	"fmt"
	"regexp"
)

// ErrClusterNotFound says that there is no such cluster.
var ErrClusterNotFound = errors.New("no database that has been declared belongs to it")

// What sessions of a READ_ONLY endpoint do while no reader can be had: wait for one, or go to the writer.
const (
	FallbackWait   = "wait"
	FallbackWriter = "writer"
)

// MaxReplicaLagLimit is the most seconds that ClusterSettings.MaxReplicaLag may say: a day.
const MaxReplicaLagLimit = 24 * 60 * 60

var secretARN = regexp.MustCompile(`^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[a-zA-Z0-9/_+=.@-]{1,512}$`)

// Check says which member is wrong and what was expected. Both are empty for settings that a cluster can have.
func (c ClusterSettings) Check() (field, reason string) {
	switch {
	case c.MonitorSecret != "" && !secretARN.MatchString(c.MonitorSecret):
		return "MonitorSecret", "expected the ARN of a secret"
	case c.MaxReplicaLag < 0 || c.MaxReplicaLag > MaxReplicaLagLimit:
		return "MaxReplicaLag", fmt.Sprintf("expected 0 to %d seconds", MaxReplicaLagLimit)
	case c.ReaderFallback != "" && c.ReaderFallback != FallbackWait && c.ReaderFallback != FallbackWriter:
		return "ReaderFallback", "expected wait or writer"
	}
	return "", ""
}

// ClusterChange is what becomes of a cluster's settings: nil leaves a setting as it is.
type ClusterChange struct {
	Discover       *bool
	MonitorSecret  *string // empty: the proxy's first
	MaxReplicaLag  *int    // seconds; 0: no limit
	ReaderFallback *string
}

// Empty reports whether nothing changes.
func (c ClusterChange) Empty() bool { return c == ClusterChange{} }

// ModifyCluster changes settings of a cluster that the API has declared. Errors are ErrClusterNotFound, ErrFromFile and
// *FieldError.
func (tx *Tx) ModifyCluster(id string, change ClusterChange) (*Cluster, error) {
	old := tx.State().Cluster(id)
	switch {
	case old == nil:
		return nil, ErrClusterNotFound
	case old.FromFile && !change.Empty():
		return nil, ErrFromFile
	}
	next := old.Settings
	set(&next.Discover, change.Discover)
	set(&next.MonitorSecret, change.MonitorSecret)
	set(&next.MaxReplicaLag, change.MaxReplicaLag)
	set(&next.ReaderFallback, change.ReaderFallback)
	if field, reason := next.Check(); field != "" {
		return nil, &FieldError{Field: field, Reason: reason}
	}
	return tx.putSettings(old, next), nil
}

// MonitorSecret is the ARN of the secret by which the members of a proxy's cluster are asked for their role. It is read as any
// other of the proxy's: if the proxy's role may. Empty: by the first of the auth entries that can be had.
func (s *State) MonitorSecret(p *Proxy) string {
	if c := s.Cluster(p.Group.Cluster); c != nil && p.Group.Instance == "" {
		return c.Settings.MonitorSecret
	}
	return ""
}

func set[T any](at *T, value *T) {
	if value != nil {
		*at = *value
	}
}

func (tx *Tx) putSettings(old *Cluster, s ClusterSettings) *Cluster {
	if s == old.Settings {
		return old
	}
	row := *old
	row.Settings = s
	tx.Clusters.Put(clusterKey(row.Identifier), &row)
	return &row
}

// settleClusters gives clusters of the configuration file the settings that it has for them: each of its databases has those of
// its cluster.
func (tx *Tx) settleClusters(specs []DatabaseSpec) {
	for _, d := range specs {
		c := tx.State().Cluster(d.Cluster)
		if d.Cluster == "" || c == nil || !c.FromFile && d.Settings == (ClusterSettings{}) {
			continue
		}
		if !c.FromFile { // made by the API: the file's from now on
			row := *c
			row.FromFile = true
			tx.Clusters.Put(clusterKey(row.Identifier), &row)
			c = &row
		}
		tx.putSettings(c, d.Settings)
	}
}
