package app

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/secret/awssm"
	"forebay/internal/sigv4"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// TestServerTokens makes tokens in the name of a proxy's role, which another proxy takes.
func TestServerTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const inner = "prx-00000000000000001"
	now := func() time.Time { return w.now }
	makes := &serverTokens{plane: w.plane, ids: w.ids, now: now}
	checks := &tokens{plane: w.plane, ids: w.ids, now: now}
	p := &resource.Proxy{Name: "orders", ResourceID: testProxy, Target: resource.Target{Members: []resource.Member{{Host: "127.0.1.1", Port: 5432}}}}
	database := func(change func(d *controlplane.Database)) {
		w.update(t, func(tx *controlplane.Tx) {
			d := &controlplane.Database{Identifier: "db", Engine: "postgres", Host: "127.0.1.1", Port: 5432, ResourceID: "db-ONE", IAM: "forebay"}
			change(d)
			tx.Databases.Put("db", d)
			row := *tx.Proxies.Get(testProxy)
			row.Group.Instance = "db"
			tx.Proxies.Put(testProxy, &row)
		})
	}
	refused := func(what, user string, words ...string) {
		t.Helper()
		_, err := makes.Token(t.Context(), p, p.Target.Members[0], user)
		if !errors.Is(err, engine.ErrNoToken) {
			t.Errorf("%s: %v, want %v", what, err, engine.ErrNoToken)
			return
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v, which lacks %q", what, err, word)
			}
		}
		if _, reason, description := describe(dataplane.TargetHealth{Checked: true, Refused: err}, true); reason != "AUTH_FAILURE" || description != err.Error() {
			t.Errorf("%s: the target's health is %s, %s", what, reason, description)
		}
	}
	ready := func(want bool) {
		t.Helper()
		if err := makes.Ready(t.Context(), p); (err == nil) != want || err != nil && !errors.Is(err, engine.ErrNoToken) {
			t.Errorf("ready: %v, want %v", err, want)
		}
	}
	refused("no target", "app", "no target is registered")
	ready(false)
	database(func(d *controlplane.Database) { d.IAM = "" })
	refused("a database that takes none", "app", "db is not declared to take IAM tokens")
	ready(false)
	database(func(*controlplane.Database) {})
	ready(true)
	refused("no permission", "app", "assumed-role/proxy/forebay is not authorized to perform: rds-db:connect on resource: arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ONE/app")
	w.changeRole(t, func(r *controlplane.Role) {
		r.Inline = map[string]string{"connect": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds-db:connect","Resource":[
			"arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ONE/app","arn:aws:rds-db:eu-west-1:123456789012:dbuser:` + inner + `/app"]}]}`}
	})
	refused("another user", "other", "dbuser:db-ONE/other")
	token, err := makes.Token(t.Context(), p, p.Target.Members[0], "app")
	if err != nil {
		t.Fatal(err)
	}
	login := engine.TokenLogin{ResourceID: inner, Hostnames: []string{"127.0.1.1"}, Port: 5432, User: "app", Token: token, TLS: true}
	if err := checks.Verify(t.Context(), login); err != nil {
		t.Errorf("the inner proxy refuses the token: %v", err)
	}
	if again, _ := makes.Token(t.Context(), p, p.Target.Members[0], "app"); again == token {
		t.Error("two log-ins have one token")
	}
	w.now = w.now.Add(15*time.Minute + time.Second)
	if err := checks.Verify(t.Context(), login); !engine.TokenInvalid(err) {
		t.Errorf("after a quarter of an hour: %v", err)
	}
	database(func(d *controlplane.Database) { d.IAM = "aws" })
	refused("a role that AWS does not know", "app", "the proxy needs one of AWS")
	database(func(*controlplane.Database) {})
	w.changeRole(t, func(r *controlplane.Role) { r.Trust = strings.ReplaceAll(rdsTrust, "rds.", "lambda.") })
	refused("a role that trusts somebody else", "app", "does not let rds.amazonaws.com assume the role")
	ready(false)
	p.ResourceID = "prx-gone"
	refused("a proxy that is gone", "app", "not of the API")
}

// TestServerTokensOfAWS makes tokens with what AWS gives out for a role.
func TestServerTokensOfAWS(t *testing.T) {
	t.Parallel()
	moto := testkit.StartMoto(t)
	w := newWorld(t)
	role := moto.Role("outer", testkit.Allow("rds-db:connect"))
	id, key := moto.User("forebay", testkit.Allow("sts:AssumeRole"))
	w.update(t, func(tx *controlplane.Tx) {
		own := *tx.Accounts.Get("account")
		own.ID = "111122223333" // moto's is that of other tests
		tx.Accounts.Put("account", &own)
		tx.Databases.Put("db", &controlplane.Database{Identifier: "db", Engine: "mysql", Host: "shop.x.eu-central-1.rds.amazonaws.com", Port: 3306, IAM: "aws"})
		row := *tx.Proxies.Get(testProxy)
		row.Group.Instance, row.RoleARN = "db", role
		tx.Proxies.Put(testProxy, &row)
	})
	account := func(url, secret string) *awssm.Account {
		return awssm.New(awssm.Options{Log: slog.New(slog.DiscardHandler), Load: []func(*config.LoadOptions) error{
			config.WithBaseEndpoint(url), config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, secret, "")),
		}})
	}
	p := &resource.Proxy{ResourceID: testProxy, Target: resource.Target{Members: []resource.Member{{Host: "shop.x.eu-central-1.rds.amazonaws.com", Port: 3306}}}}
	makes := &serverTokens{plane: w.plane, ids: identity.New(w.plane, w.ring, time.Now), aws: account(moto.URL, key), now: time.Now}
	if err := makes.Ready(t.Context(), p); err != nil {
		t.Error(err)
	}
	text, err := makes.Token(t.Context(), p, p.Target.Members[0], "app")
	if err != nil {
		t.Fatal(err)
	}
	token, err := sigv4.ParseToken(text.Reveal())
	if err != nil || token.Host != p.Target.Members[0].Host || token.Port != 3306 || token.Region != "eu-central-1" || token.DBUser != "app" ||
		!strings.HasPrefix(token.AccessKeyID, "ASIA") || token.SessionToken == "" {
		t.Errorf("token %+v, %v", token, err)
	}
	nowhere := &serverTokens{plane: w.plane, ids: w.ids, aws: account("http://127.0.0.1:1", key), now: time.Now}
	if _, err := nowhere.Token(t.Context(), p, p.Target.Members[0], "app"); err == nil || errors.Is(err, engine.ErrNoToken) || strings.Contains(err.Error(), key) {
		t.Errorf("without AWS: %v, which may pass", err)
	}
	var none secret.Password
	if none, err = makes.Token(t.Context(), &resource.Proxy{ResourceID: "prx-gone"}, resource.Member{}, "app"); none != "" || !errors.Is(err, engine.ErrNoToken) {
		t.Errorf("a proxy that is gone: %v", err)
	}
}
