package iamapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
)

// maxKeys is how many access keys a user has at most, and root.
const maxKeys = 2

// AccessKey is an access key with its secret, which is shown this once.
type AccessKey struct {
	UserName        string
	AccessKeyID     string `aws:"name=AccessKeyId"`
	Status          string
	SecretAccessKey string
	CreateDate      time.Time
}

// AccessKeyOutput is a new access key.
type AccessKeyOutput struct{ AccessKey AccessKey }

// CreateAccessKey gives a user a new access key, or root: that is how root's key is replaced.
func (a *API) CreateAccessKey(ctx context.Context, c *awsapi.Call, in *UserInput) (*AccessKeyOutput, error) {
	id, secret := "AKIA"+identity.RandomID(16), identity.RandomSecret()
	key := controlplane.AccessKey{ID: id, Active: true, Created: a.now().UTC(), Sealed: a.ring.Seal([]byte(secret), identity.KeyBelongs(id))}
	var name string
	err := a.changeKeys(ctx, c, "CreateAccessKey", in, func(of string, keys *[]controlplane.AccessKey) error {
		if len(*keys) >= maxKeys {
			return limit("Cannot exceed quota for AccessKeysPerUser: %d", maxKeys)
		}
		name = of
		*keys = append(*keys, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &AccessKeyOutput{AccessKey{name, id, "Active", secret, key.Created}}, nil
}

// rootName is what the account's root is called where a user has a name.
const rootName = "root"

// rootItself reports whether root has called, and names no user: then it is about root's own keys, as in AWS.
func (in *UserInput) rootItself(c *awsapi.Call) bool {
	p, ok := c.Caller.(*identity.Principal)
	return in.UserName == nil && ok && p.Root()
}

// changeKeys has fn change a copy of the keys of a user, or of root.
func (a *API) changeKeys(ctx context.Context, c *awsapi.Call, operation string, in *UserInput, fn func(name string, keys *[]controlplane.AccessKey) error) error {
	return a.update(ctx, func(tx *controlplane.Tx) error {
		if in.rootItself(c) {
			account := *tx.Account()
			account.RootKeys = slices.Clone(account.RootKeys)
			if err := fn(rootName, &account.RootKeys); err != nil {
				return err
			}
			if !slices.ContainsFunc(account.RootKeys, func(k controlplane.AccessKey) bool { return k.Active }) {
				return conflict("This is the last active access key of the account's root. Create another one first: there is no other way in.")
			}
			tx.Accounts.Put("account", &account)
			return nil
		}
		name := in.name(c)
		if _, err := users.find(tx.State(), c, operation, name, nil); err != nil {
			return err
		}
		u := *tx.Users.Get(strings.ToLower(name))
		u.Keys = slices.Clone(u.Keys)
		if err := fn(u.Name, &u.Keys); err != nil {
			return err
		}
		tx.Users.Put(strings.ToLower(name), &u)
		return nil
	})
}

// ListAccessKeysInput names a user (without a name: the caller), and cuts the list.
type ListAccessKeysInput struct {
	UserName *string
	Marker   *string
	MaxItems *int
}

// ListAccessKeysOutput is a list of keys, without their secrets.
type ListAccessKeysOutput struct {
	AccessKeyMetadata []AccessKeyMetadata
	IsTruncated       bool
	Marker            *string
}

// AccessKeyMetadata is an access key without its secret.
type AccessKeyMetadata struct {
	UserName    string
	AccessKeyID string `aws:"name=AccessKeyId"`
	Status      string
	CreateDate  time.Time
}

// ListAccessKeys lists the keys of a user.
func (a *API) ListAccessKeys(_ context.Context, c *awsapi.Call, in *ListAccessKeysInput) (*ListAccessKeysOutput, error) {
	user, s := &UserInput{in.UserName}, a.plane.State()
	name, keys := rootName, s.Account().RootKeys
	if !user.rootItself(c) {
		if _, err := users.find(s, c, "ListAccessKeys", user.name(c), nil); err != nil {
			return nil, err
		}
		u := s.Users.Get(strings.ToLower(user.name(c)))
		name, keys = u.Name, u.Keys
	}
	all := []AccessKeyMetadata{}
	for _, k := range keys {
		all = append(all, AccessKeyMetadata{name, k.ID, keyStatus(k), k.Created})
	}
	slices.SortFunc(all, func(a, b AccessKeyMetadata) int { return strings.Compare(a.AccessKeyID, b.AccessKeyID) })
	page, more, marker, err := paginate(all, Page{in.Marker, in.MaxItems}, func(k AccessKeyMetadata) string { return k.AccessKeyID })
	if err != nil {
		return nil, err
	}
	return &ListAccessKeysOutput{page, more, marker}, nil
}

func keyStatus(k controlplane.AccessKey) string {
	if k.Active {
		return "Active"
	}
	return "Inactive"
}

// UpdateAccessKeyInput is the input of UpdateAccessKey.
type UpdateAccessKeyInput struct {
	UserName    *string
	AccessKeyID string `aws:"name=AccessKeyId,required"`
	Status      string `aws:"required"`
}

// UpdateAccessKey makes a key active or inactive.
func (a *API) UpdateAccessKey(ctx context.Context, c *awsapi.Call, in *UpdateAccessKeyInput) error {
	if in.Status != "Active" && in.Status != "Inactive" {
		return invalid("1 validation error detected: Value '%s' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]", in.Status)
	}
	return a.changeKeys(ctx, c, "UpdateAccessKey", &UserInput{in.UserName}, func(_ string, keys *[]controlplane.AccessKey) error {
		i, err := keyOf(*keys, in.AccessKeyID)
		if err != nil {
			return err
		}
		(*keys)[i].Active = in.Status == "Active"
		return nil
	})
}

// AccessKeyInput names a key of a user; without a name, of the caller.
type AccessKeyInput struct {
	UserName    *string
	AccessKeyID string `aws:"name=AccessKeyId,required"`
}

// DeleteAccessKey removes a key.
func (a *API) DeleteAccessKey(ctx context.Context, c *awsapi.Call, in *AccessKeyInput) error {
	return a.changeKeys(ctx, c, "DeleteAccessKey", &UserInput{in.UserName}, func(_ string, keys *[]controlplane.AccessKey) error {
		i, err := keyOf(*keys, in.AccessKeyID)
		if err != nil {
			return err
		}
		*keys = slices.Delete(*keys, i, i+1)
		return nil
	})
}

func keyOf(keys []controlplane.AccessKey, id string) (int, error) {
	i := slices.IndexFunc(keys, func(k controlplane.AccessKey) bool { return k.ID == id })
	if i < 0 {
		return 0, noSuch("The Access Key with id %s cannot be found.", id)
	}
	return i, nil
}
