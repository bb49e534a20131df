package app

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
	"forebay/internal/dataplane"
	"forebay/internal/secret"
	"forebay/internal/secret/awssm"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// TestForeignSecrets: an auth entry whose secret is of another account is read from AWS, through the proxy's role.
func TestForeignSecrets(t *testing.T) {
	t.Parallel()
	moto := testkit.StartMoto(t)
	arn := moto.Secrets("CreateSecret", map[string]any{"Name": "app", "SecretString": `{"username": "app", "password": "one"}`, "ClientRequestToken": "00000000-0000-0000-0000-000000000001"})
	reader := moto.Role("reader", testkit.Allow("secretsmanager:GetSecretValue"))
	id, key := moto.User("forebay", testkit.Allow("*")) // more than the role: it must not be what counts
	const own = "111122223333"
	log := slog.New(slog.DiscardHandler)
	plane, err := controlplane.Open(t.Context(), memory.New(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Close)
	proxies := func(all ...*controlplane.Proxy) {
		t.Helper()
		if _, err := plane.Update(t.Context(), func(tx *controlplane.Tx) error {
			tx.Accounts.Put("account", &controlplane.Account{ID: own, Region: "us-west-2", Suffix: "abcdefghijkl"})
			for _, p := range all {
				p.Name, p.EngineFamily = p.ID, "POSTGRESQL"
				tx.Proxies.Put(p.ID, p)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := controlplane.ParseKeys(controlplane.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	account := awssm.New(awssm.Options{Log: log, Load: []func(*config.LoadOptions) error{
		config.WithBaseEndpoint(moto.URL), config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, key, "")),
	}})
	foreign := newForeignSecrets(account)
	secrets := newStateSecrets(plane, ring, identity.New(plane, ring, time.Now), foreign)
	t.Cleanup(secrets.close)
	entry := []controlplane.Auth{{SecretARN: arn}}
	proxies(&controlplane.Proxy{ID: "prx-1", RoleARN: reader, Auth: entry},
		&controlplane.Proxy{ID: "prx-2", RoleARN: "arn:aws:iam::" + own + ":role/reader", Auth: entry},
		&controlplane.Proxy{ID: "prx-3", Auth: entry})

	name := controlplane.SecretName("prx-1", arn)
	s, err := secrets.Get(t.Context(), name)
	if err != nil || s.Name != name || s.Username != "app" || s.Password.Reveal() != "one" {
		t.Fatalf("got %+v, %v", s, err)
	}
	for _, p := range []string{"prx-2", "prx-3"} {
		_, err = secrets.Get(t.Context(), controlplane.SecretName(p, arn))
		if !errors.Is(err, ErrSecretDenied) || !strings.Contains(err.Error(), "the proxy needs one of AWS") {
			t.Errorf("%s: %v", p, err)
		}
		if _, reason, _ := describe(dataplane.TargetHealth{Checked: true, Err: err}, false); reason != "AUTH_FAILURE" {
			t.Errorf("%s: the target's health is %s", p, reason)
		}
	}

	moto.Secrets("PutSecretValue", map[string]any{"SecretId": arn, "SecretString": `{"username": "app", "password": "two"}`})
	for end := time.Now().Add(20 * time.Second); s.Password.Reveal() != "two"; { // less than it takes without a doubt
		if time.Now().After(end) {
			t.Fatal("a refused version is not doubted")
		}
		secret.Doubt(secrets, s)
		if s, err = secrets.Get(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}

	other := strings.Replace(arn, ":app-", ":other-", 1)
	proxies(&controlplane.Proxy{ID: "prx-1", RoleARN: reader, Auth: []controlplane.Auth{{SecretARN: other}}})
	_, err = secrets.Get(t.Context(), controlplane.SecretName("prx-1", other))
	if !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("a secret that AWS does not have: %v", err)
	}
	if len(foreign.stores) != 1 {
		t.Errorf("%d stores for one entry that is read", len(foreign.stores))
	}

	// The secret that a cluster is watched by is read through the role of each of its proxies, too.
	if _, err := plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		if _, err := tx.AddDatabase(time.Now(), controlplane.DatabaseSpec{Identifier: "db", Engine: "postgres", Host: "db", Cluster: "shop"}); err != nil {
			return err
		}
		_, err := tx.ModifyCluster("shop", controlplane.ClusterChange{MonitorSecret: &arn})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	proxies(&controlplane.Proxy{ID: "prx-1", RoleARN: reader, Group: controlplane.TargetGroup{Cluster: "shop"}})
	if s, err := secrets.Get(t.Context(), name); err != nil || s.Username != "app" {
		t.Errorf("the monitor's secret: %+v, %v", s, err)
	}
	if len(foreign.stores) != 1 {
		t.Errorf("%d stores for one secret that is read", len(foreign.stores))
	}
	proxies(&controlplane.Proxy{ID: "prx-1", RoleARN: reader})
	_, _ = secrets.Get(t.Context(), controlplane.SecretName("prx-1", other))
	if foreign.stores[foreignSecret{arn: arn, role: reader}] != nil {
		t.Error("a secret that no cluster has any more is still read")
	}
}
