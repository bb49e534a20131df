package controlplane

import (
	"slices"
	"strings"
)

// Stages that Secrets Manager gives a meaning.
const (
	StageCurrent  = "AWSCURRENT"
	StagePrevious = "AWSPREVIOUS"
	StagePending  = "AWSPENDING"
)

// FindSecret finds a secret by its name, its ARN, or its ARN without the hyphen and six characters at the end. Names come
// first, as in AWS.
func (s *State) FindSecret(id string) *Secret {
	if !strings.HasPrefix(id, "arn:") {
		return s.Secrets.Find(func(row *Secret) bool { return row.Name == id })
	}
	if row := s.Secrets.Get(id); row != nil {
		return row
	}
	return s.Secrets.Find(func(row *Secret) bool {
		return len(row.ARN) == len(id)+len("-123456") && strings.HasPrefix(row.ARN, id+"-")
	})
}

// Version returns the version of that id, or nil.
func (s *Secret) Version(id string) *SecretVersion {
	i := slices.IndexFunc(s.Versions, func(v SecretVersion) bool { return v.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Versions[i]
}

// Staged returns the version that carries the stage, or nil. No two versions carry the same one.
func (s *Secret) Staged(stage string) *SecretVersion {
	i := slices.IndexFunc(s.Versions, func(v SecretVersion) bool { return slices.Contains(v.Stages, stage) })
	if i < 0 {
		return nil
	}
	return &s.Versions[i]
}

// SealVersion seals the content of a version, for the place it has in this secret.
func (s *Secret) SealVersion(ring *Keyring, version string, text []byte) []byte {
	return ring.Seal(text, s.Belongs(version))
}

// Belongs is what the content of a version is sealed for.
func (s *Secret) Belongs(version string) string { return s.ARN + "\n" + version }

// OpenVersion is the content of a version, or ErrSealed.
func (s *Secret) OpenVersion(ring *Keyring, v *SecretVersion) ([]byte, error) {
	return ring.Open(v.Sealed, s.Belongs(v.ID))
}

// Clone returns a copy whose versions and tags may be changed.
func (s *Secret) Clone() *Secret {
	c := *s
	c.Tags = slices.Clone(s.Tags)
	c.Versions = slices.Clone(s.Versions)
	for i := range c.Versions {
		c.Versions[i].Stages = slices.Clone(c.Versions[i].Stages)
	}
	return &c
}

// Stage moves stages to the version of that id. The version that loses AWSCURRENT becomes AWSPREVIOUS.
func (s *Secret) Stage(id string, stages ...string) {
	for _, stage := range stages {
		old := s.Staged(stage)
		if old != nil && old.ID == id {
			continue
		}
		s.Unstage(stage)
		if stage == StageCurrent && old != nil {
			s.Unstage(StagePrevious)
			old.Stages = append(old.Stages, StagePrevious)
		}
		v := s.Version(id)
		if stage == StageCurrent { // a version is not both
			v.Stages = slices.DeleteFunc(v.Stages, func(is string) bool { return is == StagePrevious })
		}
		v.Stages = append(v.Stages, stage)
	}
}

// Unstage takes a stage away from whichever version has it.
func (s *Secret) Unstage(stage string) {
	if v := s.Staged(stage); v != nil {
		v.Stages = slices.DeleteFunc(v.Stages, func(is string) bool { return is == stage })
	}
}

// maxDeprecated is how many versions without a stage are kept: AWS keeps up to about a hundred, but here each is part of
// the secret's row.
const maxDeprecated = 10

// Prune removes the oldest versions that carry no stage, beyond those that are kept.
func (s *Secret) Prune() {
	deprecated := 0
	for i := len(s.Versions) - 1; i >= 0; i-- {
		if len(s.Versions[i].Stages) > 0 {
			continue
		}
		if deprecated++; deprecated > maxDeprecated {
			s.Versions = slices.Delete(s.Versions, i, i+1)
		}
	}
}
