package engine

import "regexp"

// auroraHost matches the endpoints of RDS: of an instance, of a cluster, its readers, or a choice of them.
var auroraHost = regexp.MustCompile(`(?i)^[a-z0-9-]+\.(?:cluster-(?:ro-|custom-)?)?([a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com(?:\.cn)?)\.?$`)

// auroraName matches an instance's identifier. What a database says becomes part of a host name: nothing else may.
var auroraName = regexp.MustCompile(`^[A-Za-z0-9-]{1,63}$`)

// AuroraPeer is where another instance of an Aurora cluster is, of one account and region, whose member was reached as host: its
// identifier takes the place of that member's, or of the cluster's. ok is false where that is not known, since host is an address or a name
// of the user's own, and where name is no identifier.
func AuroraPeer(host, name string) (p Peer, ok bool) {
	m := auroraHost.FindStringSubmatch(host)
	if m == nil || !auroraName.MatchString(name) {
		return Peer{}, false
	}
	return Peer{Name: name, Host: name + "." + m[1]}, true
}
