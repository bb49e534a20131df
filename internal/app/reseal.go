package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
)

// resealRows and resealBytes are the most rows, and bytes of them, that one transaction seals anew: etcd takes 128 keys and 1.5 MiB
// where nobody has said otherwise. A row alone is within that, since it was stored before and gets no longer.
const (
	resealRows  = 50
	resealBytes = 256 << 10
)

// lostNamed is how many of the things that no key opens are named in the log.
const lostNamed = 10

// reseal seals anew whatever another key than the first has sealed, so that a former key can be taken away after a start. It
// is told in the log, and so is what no key opens. What a start that was cut off has not come to, the next one does.
func (c *control) reseal(ctx context.Context) error {
	sealed := 0
	for {
		r := &resealing{ring: c.ring}
		if _, err := c.plane.Update(ctx, r.some); err != nil {
			return fmt.Errorf("sealing anew with the first of the keys in %s; keep the others until a start has done so: %w", keyPlace(c.cfg), err)
		}
		sealed += r.sealed
		if r.sealed == 0 {
			if sealed > 0 {
				c.log.Info("sealed anew with the first of the sealing keys: the others are needed no longer once all Forebays of this store seal with it, unless the log says so", "count", sealed)
			}
			if len(r.lost) > 0 {
				c.log.Error("some secrets or access keys cannot be read: they are sealed with a key that is not there; put it back, on a line of its own, and start again",
					"count", len(r.lost), "file", keyPlace(c.cfg), "which", named(r.lost))
			}
			return nil
		}
	}
}

// resealing is one transaction of reseal.
type resealing struct {
	ring   *controlplane.Keyring
	sealed int      // how much was sealed anew
	lost   []string // what no key opens; of the last transaction alone is it all

	rows, bytes int
	full        bool
}

// named is the first few of what is lost, for a log.
func named(lost []string) []string {
	each := slices.Compact(slices.Clone(lost)) // a secret has several versions
	return each[:min(len(each), lostNamed)]
}

// lostIn is what no key of ring opens: the names of access keys and secrets, once for each version.
func lostIn(ring *controlplane.Keyring, st *controlplane.State) []string {
	r := &resealing{ring: ring}
	for _, u := range st.Users.All() {
		keys := u.Keys // a copy is changed, and thrown away
		r.keys(&keys)
	}
	for _, s := range st.Secrets.All() {
		r.versions(s.Clone())
	}
	return r.lost
}

func (r *resealing) some(tx *controlplane.Tx) error {
	*r = resealing{ring: r.ring} // Update may call it again
	a := *tx.Account()
	if r.row(&a, func() bool { return r.keys(&a.RootKeys) }) {
		tx.Accounts.Put("account", &a)
	}
	st := tx.State()
	for key, row := range st.Users.All() {
		if u := *row; r.row(&u, func() bool { return r.keys(&u.Keys) }) {
			tx.Users.Put(key, &u)
		}
	}
	for key, row := range st.Secrets.All() {
		if s := row.Clone(); r.row(s, func() bool { return r.versions(s) }) {
			tx.Secrets.Put(key, s)
		}
	}
	return nil
}

// row has fn seal a row anew, and reports whether it is to be stored: something in it has changed, and there is room for it.
func (r *resealing) row(row any, fn func() bool) bool {
	if r.full {
		return false
	}
	before := *r
	if !fn() {
		return false
	}
	text, _ := json.Marshal(row) // what cannot be encoded is an error of the transaction's
	r.rows++
	r.bytes += len(text)
	if r.rows > resealRows || r.rows > 1 && r.bytes > resealBytes {
		*r = before
		r.full = true
		return false
	}
	return true
}

// keys seals access keys anew, and reports whether any has changed.
func (r *resealing) keys(all *[]controlplane.AccessKey) bool {
	*all = slices.Clone(*all)
	before := r.sealed
	for i := range *all {
		k := &(*all)[i]
		r.one(&k.Sealed, identity.KeyBelongs(k.ID), k.ID)
	}
	return r.sealed != before
}

// versions does the same to those of a secret.
func (r *resealing) versions(s *controlplane.Secret) bool {
	before := r.sealed
	for i := range s.Versions {
		v := &s.Versions[i]
		r.one(&v.Sealed, s.Belongs(v.ID), s.ARN)
	}
	return r.sealed != before
}

func (r *resealing) one(sealed *[]byte, belongs, name string) {
	if r.ring.Current(*sealed) {
		return
	}
	text, err := r.ring.Open(*sealed, belongs)
	if err != nil {
		r.lost = append(r.lost, name)
		return
	}
	*sealed = r.ring.Seal(text, belongs)
	r.sealed++
}
