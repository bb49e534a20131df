package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/resource"
)

type databaseSection struct {
	Name    string           `yaml:"name"`
	Engine  string           `yaml:"engine"`
	Version string           `yaml:"version"`
	Host    string           `yaml:"host"`
	Port    int              `yaml:"port"`
	Cluster string           `yaml:"cluster"`
	TLS     targetTLSSection `yaml:"tls"`
	IAM     string           `yaml:"iam"`
	Region  string           `yaml:"iam_region"`
}

// clusterSection is about all databases that name the same cluster.
type clusterSection struct {
	Name           string `yaml:"name"`
	Discover       bool   `yaml:"discover"`
	MonitorSecret  string `yaml:"monitor_secret"`
	MaxReplicaLag  span   `yaml:"max_replica_lag"`
	ReaderFallback string `yaml:"reader_fallback"`
}

// databases checks the declared databases: the DB instances of the API. Each has the settings of its cluster.
func (c *checker) databases(list []databaseSection, clusters []clusterSection, api *API) []controlplane.DatabaseSpec {
	if len(list) > 0 && !api.Enabled() && !c.skip("databases") {
		c.errorf("databases", "expected api.data_dir or api.etcd beside it: they are the databases of the API")
	}
	settings := c.clusters(clusters, list)
	var all []controlplane.DatabaseSpec
	names := map[string]string{}
	for i := range list {
		at, s := fmt.Sprintf("databases[%d]", i), &list[i]
		d := controlplane.DatabaseSpec{
			Identifier: s.Name, Engine: s.Engine, Version: s.Version, Host: s.Host, Port: s.Port, Cluster: s.Cluster,
			TLSMode: resource.TLSMode(s.TLS.Mode), FromFile: true, Settings: settings[strings.ToLower(s.Cluster)],
			IAM: s.IAM, IAMRegion: s.Region,
		}
		if s.TLS.CAFile != "" {
			if pem, ok := c.readable(join(at, "tls.ca_file"), s.TLS.CAFile); ok {
				d.CA = string(pem)
			}
		}
		c.unique(names, join(at, "name"), strings.ToLower(s.Name), "database")
		if field, reason := d.Check(); field != "" && !c.skip(at) {
			c.errorf(join(at, databaseFields[field]), "%s", reason)
		}
		all = append(all, d)
	}
	return all
}

// clusters checks the settings of clusters, and returns them by the cluster's name in lower case.
func (c *checker) clusters(list []clusterSection, databases []databaseSection) map[string]controlplane.ClusterSettings {
	names, settings := map[string]string{}, map[string]controlplane.ClusterSettings{}
	for i, s := range list {
		at := fmt.Sprintf("clusters[%d]", i)
		key := strings.ToLower(s.Name)
		c.identifier(join(at, "name"), s.Name)
		c.unique(names, join(at, "name"), key, "cluster")
		if s.Name != "" && !slices.ContainsFunc(databases, func(d databaseSection) bool { return strings.EqualFold(d.Cluster, s.Name) }) && !c.skip(join(at, "name")) && !c.skip("databases") {
			c.errorf(join(at, "name"), "expected the cluster of at least one entry of databases, got %q", clip(s.Name))
		}
		lag := c.span(join(at, "max_replica_lag"), s.MaxReplicaLag, time.Second, true).orZero()
		if lag%time.Second != 0 {
			c.errorf(join(at, "max_replica_lag"), "expected whole seconds, got %s", lag)
		}
		row := controlplane.ClusterSettings{Discover: s.Discover, MonitorSecret: s.MonitorSecret, MaxReplicaLag: int(lag / time.Second), ReaderFallback: s.ReaderFallback}
		if field, reason := row.Check(); field != "" && !c.skip(join(at, clusterFields[field])) {
			c.errorf(join(at, clusterFields[field]), "%s", reason)
		}
		settings[key] = row
	}
	return settings
}

// clusterFields are the file's keys of the API's members.
var clusterFields = map[string]string{
	"MonitorSecret": "monitor_secret", "MaxReplicaLag": "max_replica_lag", "ReaderFallback": "reader_fallback",
}

// databaseFields are the file's keys of the API's members.
var databaseFields = map[string]string{
	"Identifier": "name", "Engine": "engine", "Version": "version", "Host": "host", "Port": "port", "Cluster": "cluster",
	"TLSMode": "tls.mode", "CA": "tls.ca_file",
	"IAM": "iam", "IAMRegion": "iam_region",
}
