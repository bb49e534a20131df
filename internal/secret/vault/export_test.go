package vault

import "forebay/internal/secret/lease"

// NewSource returns where NewDynamic has its leases from.
func NewSource(o Options) lease.Source { return &source{newReader(o)} }
