package app

import (
	"context"
	"slices"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
)

// resealRows and resealBytes are the most that one transaction seals anew: etcd takes 128 keys and 1.5 MiB where nobody has
// said otherwise.
const (
	resealRows  = 50
	resealBytes = 256 << 10
)

// reseal seals anew whatever another key than the first has sealed, so that a former key can be taken away after a start. It
// is told in the log, and so is what no key opens.
func (c *control) reseal(ctx context.Context) error {
	sealed := 0
	for {
		r := &resealing{ring: c.ring}
		if _, err := c.plane.Update(ctx, r.some); err != nil {
			return err
		}
		sealed += r.sealed
		if r.sealed == 0 {
			if sealed > 0 {
				c.log.Info("sealed anew with the first of the sealing keys: the others are needed no longer, unless the log says so", "count", sealed)
			}
			if r.lost > 0 {
				c.log.Error("some secrets or access keys cannot be read: they are sealed with a key that is not there",
					"count", r.lost, "file", keyPlace(c.cfg))
			}
			return nil
		}
	}
}

// resealing is one transaction of reseal.
type resealing struct {
	ring         *controlplane.Keyring
	sealed, lost int // what was sealed anew, and what no key opens
	rows, bytes  int
}

func (r *resealing) full() bool { return r.rows >= resealRows || r.bytes >= resealBytes }

func (r *resealing) some(tx *controlplane.Tx) error {
	*r = resealing{ring: r.ring} // Update may call it again
	if a := *tx.Account(); r.keys(&a.RootKeys) {
		tx.Accounts.Put("account", &a)
	}
	st := tx.State()
	for key, row := range st.Users.All() {
		if u := *row; !r.full() && r.keys(&u.Keys) {
			tx.Users.Put(key, &u)
		}
	}
	for key, row := range st.Secrets.All() {
		if s := row.Clone(); !r.full() && r.versions(s) {
			tx.Secrets.Put(key, s)
		}
	}
	return nil
}

// keys seals access keys anew, and reports whether any has changed.
func (r *resealing) keys(all *[]controlplane.AccessKey) bool {
	*all = slices.Clone(*all)
	before := r.sealed
	for i := range *all {
		k := &(*all)[i]
		r.one(&k.Sealed, identity.KeyBelongs(k.ID))
	}
	return r.changed(before)
}

// versions does the same to those of a secret.
func (r *resealing) versions(s *controlplane.Secret) bool {
	before := r.sealed
	for i := range s.Versions {
		v := &s.Versions[i]
		r.one(&v.Sealed, s.Belongs(v.ID))
	}
	return r.changed(before)
}

func (r *resealing) one(sealed *[]byte, belongs string) {
	if r.ring.Current(*sealed) {
		return
	}
	text, err := r.ring.Open(*sealed, belongs)
	if err != nil {
		r.lost++
		return
	}
	*sealed = r.ring.Seal(text, belongs)
	r.sealed++
	r.bytes += len(*sealed)
}

func (r *resealing) changed(before int) bool {
	if r.sealed == before {
		return false
	}
	r.rows++
	return true
}
