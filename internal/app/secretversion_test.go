package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
)

// What is derived from a secret is cached under its Versions, for each user: two secrets of one user are different, although
// clients may give their versions the same id.
func TestSecretsWithOneVersionID(t *testing.T) {
	t.Parallel()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	ring, err := controlplane.ParseKeys(controlplane.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	secretOf := func(arn, password string) *controlplane.Secret {
		s := &controlplane.Secret{ARN: arn}
		s.Versions = []controlplane.SecretVersion{{
			ID: "token", Stages: []string{controlplane.StageCurrent}, Sealed: s.SealVersion(ring, "token", []byte(`{"username":"app","password":"`+password+`"}`)),
		}}
		return s
	}
	_, err = plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012", Region: "us-east-1"})
		tx.Roles.Put("r", &controlplane.Role{
			Name: "r", Path: "/", ID: "AROA1",
			Trust:  `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"rds.amazonaws.com"},"Action":"sts:AssumeRole"}}`,
			Inline: map[string]string{"p": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}}`},
		})
		tx.Proxies.Put("prx-1", &controlplane.Proxy{ID: "prx-1", Name: "p", RoleARN: "arn:aws:iam::123456789012:role/r"})
		for arn, password := range map[string]string{"arn:one": "first", "arn:two": "second"} {
			tx.Secrets.Put(arn, secretOf(arn, password))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newStateSecrets(plane, ring, identity.New(plane, ring, time.Now), nil)
	one, err1 := s.Get(context.Background(), controlplane.SecretName("prx-1", "arn:one"))
	two, err2 := s.Get(context.Background(), controlplane.SecretName("prx-1", "arn:two"))
	if err1 != nil || err2 != nil || one.Password.Reveal() != "first" || two.Password.Reveal() != "second" {
		t.Fatalf("got %v (%v) and %v (%v)", one, err1, two, err2)
	}
	if one.Versions() == two.Versions() {
		t.Errorf("two secrets of user %s have the version %q", one.Username, one.Versions())
	}
}
