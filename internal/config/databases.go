package config

import (
	"fmt"
	"strings"

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

// databases checks the declared databases: the DB instances of the API.
func (c *checker) databases(list []databaseSection, api *API) []controlplane.DatabaseSpec {
	if len(list) > 0 && !api.Enabled() && !c.skip("databases") {
		c.errorf("databases", "expected api.data_dir or api.etcd beside it: they are the databases of the API")
	}
	var all []controlplane.DatabaseSpec
	names := map[string]string{}
	for i := range list {
		at, s := fmt.Sprintf("databases[%d]", i), &list[i]
		d := controlplane.DatabaseSpec{
			Identifier: s.Name, Engine: s.Engine, Version: s.Version, Host: s.Host, Port: s.Port, Cluster: s.Cluster,
			TLSMode: resource.TLSMode(s.TLS.Mode), FromFile: true,
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

// databaseFields are the file's keys of the API's members.
var databaseFields = map[string]string{
	"Identifier": "name", "Engine": "engine", "Version": "version", "Host": "host", "Port": "port", "Cluster": "cluster",
	"TLSMode": "tls.mode", "CA": "tls.ca_file",
	"IAM": "iam", "IAMRegion": "iam_region",
}
