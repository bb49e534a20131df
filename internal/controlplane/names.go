package controlplane

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Partition is the first part of every ARN.
const Partition = "aws"

// ARN is the name of something of the service rds (contract 1.1). The id * stands for all of a kind.
func (a *Account) ARN(kind, id string) string {
	return fmt.Sprintf("arn:%s:rds:%s:%s:%s:%s", Partition, a.Region, a.ID, kind, id)
}

// Kinds of resources, as they stand in ARNs.
const (
	KindProxy       = "db-proxy"
	KindEndpoint    = "db-proxy-endpoint"
	KindTargetGroup = "target-group"
	KindDatabase    = "db"
	KindCluster     = "cluster"
)

// VPCID is the network that everything seems to be in: Forebay has none, but clients expect one. It never changes.
func (a *Account) VPCID() string { return "vpc-" + a.made("vpc") }

// DefaultSecurityGroupID is the security group of what was made without one.
func (a *Account) DefaultSecurityGroupID() string { return "sg-" + a.made("security group") }

// DefaultSubnetIDs are the two subnets that databases seem to be in.
func (a *Account) DefaultSubnetIDs() []string {
	return []string{"subnet-" + a.made("subnet a"), "subnet-" + a.made("subnet b")}
}

// made makes the 17 digits of an id out of the account, so that it is the same on every Forebay of a fleet.
func (a *Account) made(what string) string {
	sum := sha256.Sum256([]byte(a.ID + "/" + a.Region + "/" + what))
	return hex.EncodeToString(sum[:])[:17]
}

// NewID returns prefix and 17 random hexadecimal digits: the form of ids in RDS.
func NewID(prefix string) string {
	var b [9]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return prefix + hex.EncodeToString(b[:])[:17]
}
