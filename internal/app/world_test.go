package app

import (
	"log/slog"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
	"forebay/internal/resource"
)

const (
	testAccount = "123456789012"
	testRegion  = "eu-west-1"
	testProxy   = "prx-0123456789abcdef0"
	secretARN   = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf"
	roleARN     = "arn:aws:iam::123456789012:role/proxy"
	rdsTrust    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"rds.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	mayRead     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`
)

// world is a control plane with one proxy, its role, its secret, and a user.
type world struct {
	keys  string // of ring
	plane *controlplane.Plane
	ring  *controlplane.Keyring
	ids   *identity.Registry
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	var err error
	w.keys = controlplane.NewKey()
	if w.ring, err = controlplane.ParseKeys(w.keys); err != nil {
		t.Fatal(err)
	}
	if w.plane, err = controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.plane.Close)
	w.ids = identity.New(w.plane, w.ring, func() time.Time { return w.now })
	if _, _, err := w.plane.EnsureAccount(t.Context(), testRegion, testAccount, w.key("AKIAROOT", "root-secret")); err != nil {
		t.Fatal(err)
	}
	s := &controlplane.Secret{ARN: secretARN, Name: "app", Created: w.now, Changed: w.now}
	w.update(t, func(tx *controlplane.Tx) {
		tx.Roles.Put("proxy", &controlplane.Role{Name: "proxy", Path: "/", ID: "AROAPROXY", Trust: rdsTrust, Inline: map[string]string{"read": mayRead}})
		tx.Secrets.Put(secretARN, w.version(s, "v1", `{"username":"app","password":"first"}`, controlplane.StageCurrent))
		tx.Proxies.Put(testProxy, &controlplane.Proxy{
			ID: testProxy, Name: "orders", RoleARN: roleARN, EngineFamily: resource.PostgreSQL,
			Auth: []controlplane.Auth{{AuthScheme: "SECRETS", SecretARN: secretARN}},
		})
		tx.Users.Put("ann", &controlplane.User{
			Name: "ann", Path: "/", ID: "AIDAANN", Keys: []controlplane.AccessKey{w.key("AKIAANN", "ann-secret")},
			Inline: map[string]string{"connect": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds-db:connect",
				"Resource":"arn:aws:rds-db:eu-west-1:123456789012:dbuser:` + testProxy + `/app"}]}`},
		})
	})
	return w
}

func (w *world) key(id, text string) controlplane.AccessKey {
	return controlplane.AccessKey{ID: id, Active: true, Created: w.now, Sealed: w.ring.Seal([]byte(text), identity.KeyBelongs(id))}
}

// version adds a version to a secret.
func (w *world) version(s *controlplane.Secret, id, text string, stages ...string) *controlplane.Secret {
	c := s.Clone()
	c.Versions = append(c.Versions, controlplane.SecretVersion{ID: id, Created: w.now, Sealed: c.SealVersion(w.ring, id, []byte(text))})
	c.Stage(id, stages...)
	return c
}

func (w *world) update(t *testing.T, change func(tx *controlplane.Tx)) {
	t.Helper()
	if _, err := w.plane.Update(t.Context(), func(tx *controlplane.Tx) error { change(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// changeRole changes the proxy's role.
func (w *world) changeRole(t *testing.T, change func(r *controlplane.Role)) {
	t.Helper()
	w.update(t, func(tx *controlplane.Tx) {
		r := *tx.Roles.Get("proxy")
		change(&r)
		tx.Roles.Put("proxy", &r)
	})
}

// changeSecret changes the secret.
func (w *world) changeSecret(t *testing.T, change func(s *controlplane.Secret) *controlplane.Secret) {
	t.Helper()
	w.update(t, func(tx *controlplane.Tx) { tx.Secrets.Put(secretARN, change(tx.Secrets.Get(secretARN).Clone())) })
}
