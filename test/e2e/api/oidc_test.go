package api

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forebay/internal/app"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

type claims = map[string]any

// TestOIDC logs clients in by tokens of an OpenID Connect issuer, at a proxy of a configuration file that has no control plane.
func TestOIDC(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d database) {
		i := testkit.StartIssuer(t)
		dir := t.TempDir()
		write := func(name, text string) string {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		write("app.json", secretOf(d.user, d.password))
		configure := func(auth, audience string) string {
			return write("forebay.yaml", fmt.Sprintf(`
admin: {listen: ""}
oidc: {issuer: %q, audience: %s, ca_file: %q, user_claim: db_user, required_claims: [{name: tenant, value: shop}]}
secrets: [{name: app, file: app.json}]
proxies:
  - name: shop
    engine_family: %s
    endpoints: [{listen: "127.0.0.1:0"}]
    auth: [{secret: app, oidc_auth: %s}]
    target: {host: %s, port: %d}
`, i.URL, audience, i.CAFile, d.family, auth, d.host, d.port))
		}
		var log logBuffer
		a, err := app.Open(t.Context(), app.Options{ConfigPath: configure("REQUIRED", "forebay"), Log: &log})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		at := a.Addrs()["shop"]["default"]
		token := func(more claims) string {
			all := claims{"db_user": d.user, "tenant": "shop"}
			for k, v := range more {
				all[k] = v
			}
			return i.Token("one", nil, all)
		}
		good := token(nil)
		d.letIn(t, "a token", at, d.user, good)
		d.keptOut(t, "the password where a token is required", at, d.user, d.password)
		d.keptOut(t, "a token for another user", at, d.user, token(claims{"db_user": "other"}))
		d.keptOut(t, "a token of another tenant", at, d.user, token(claims{"tenant": "other"}))
		d.keptOut(t, "a token without a signature", at, d.user, i.Unsigned(claims{"db_user": d.user, "tenant": "shop"}))
		d.keptOut(t, "a token that has expired", at, d.user, token(claims{"exp": 1}))
		d.keptOut(t, "a good token of a user who does not exist", at, "nobody", token(claims{"db_user": "nobody"}))
		for _, why := range []string{"reason=user", "reason=denied", "reason=signature", "reason=expired", "reason=malformed", "reason=unknown_user"} {
			log.says(t, why)
		}

		configure("ENABLED", "forebay")
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		i.SetDown(true) // the keys are known
		d.letIn(t, "a token, beside passwords", at, d.user, good)
		d.letIn(t, "the password, beside tokens", at, d.user, d.password)
		d.keptOut(t, "another password, beside tokens", at, d.user, "x"+d.password)

		configure("ENABLED", "other") // another issuer's, as far as keys go: they are fetched anew
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.fails(t, "an issuer that does not answer", at, d.user, good)
		log.says(t, "reason=unavailable")
		d.letIn(t, "the password, without the issuer", at, d.user, d.password)
		for what, text := range map[string]string{"a token": good, "a signature": good[strings.LastIndexByte(good, '.')+1:], "the password": d.password} {
			if strings.Contains(log.String(), text) {
				t.Errorf("%s is in the log", what)
			}
		}
	})
}

// TestOIDCOfTheAPI: proxies of the API take such tokens where they take those of RDS, if the file says so.
func TestOIDCOfTheAPI(t *testing.T) {
	t.Parallel()
	i := testkit.StartIssuer(t)
	w := newWorld(t)
	d := postgresDatabase(t)
	p := w.newProxy("shop", d, w.secret("app", d.user, d.password, nil))
	p.becomes("AVAILABLE", "")
	if _, err := w.sdk(w.root).rds.ModifyDBProxy(t.Context(), &rds.ModifyDBProxyInput{
		DBProxyName: &p.name, Auth: []rdstypes.UserAuthConfig{{AuthScheme: rdstypes.AuthSchemeSecrets, SecretArn: &p.secret.arn, IAMAuth: rdstypes.IAMAuthModeRequired}},
	}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(w.config())
	if err != nil {
		t.Fatal(err)
	}
	oidc := func(proxies bool) {
		t.Helper()
		more := fmt.Sprintf("oidc: {issuer: %q, audience: forebay, ca_file: %q, api_proxies: %v}\n", i.URL, i.CAFile, proxies)
		if err := os.WriteFile(w.config(), append([]byte(more), text...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := w.app.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	token := i.Token("one", nil, claims{"sub": d.user})
	oidc(true)
	d.soon(t, "a token of the issuer lets in", p.endpoint, d.user, token)
	oidc(false)
	d.keptOut(t, "a token of the issuer, at a proxy that takes those of RDS alone", p.endpoint, d.user, token)
	w.silent(d.password, token)
}
