package controlplane

import (
	"context"
	"fmt"
	"time"
)

// EnsureAccount makes the account at the first start, with the key of its root, and returns it. made tells that it was
// this call which made it. region and id are for the first start; later, the account has what it has: id may be empty, and
// then twelve digits are drawn.
func (p *Plane) EnsureAccount(ctx context.Context, region, id string, root AccessKey) (a *Account, made bool, err error) {
	_, err = p.Update(ctx, func(tx *Tx) error {
		if a, made = tx.Account(), false; a != nil {
			return nil
		}
		if id == "" {
			id = Draw(12, "0123456789")
		}
		a, made = &Account{ID: id, Region: region, Suffix: Draw(12, "abcdefghijklmnopqrstuvwxyz0123456789"), Made: time.Now().UTC(), RootKeys: []AccessKey{root}}, true
		tx.Accounts.Put("account", a)
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("controlplane: the account: %w", err)
	}
	return a, made, nil
}
