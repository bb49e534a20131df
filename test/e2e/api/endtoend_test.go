package api

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/sigv4"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// connectsTo is the policy of a role that may connect as a user to resources: db-…, prx-….
func connectsTo(account, user string, ids ...string) string {
	var to []string
	for _, id := range ids {
		to = append(to, fmt.Sprintf("%q", "arn:aws:rds-db:"+region+":"+account+":dbuser:"+id+"/"+user))
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds-db:connect","Resource":[` + strings.Join(to, ",") + `]}]}`
}

// resourceID is what permissions to connect name a proxy by.
func (p proxy) resourceID() string {
	_, id, _ := strings.Cut(p.arn, ":db-proxy:")
	return id
}

// innerProxy is a proxy that takes nothing but tokens.
func innerProxy(w *world, d database) proxy {
	w.t.Helper()
	p := w.newProxy("inner", d, w.secret("app", d.user, d.password, nil))
	if _, err := w.sdk(w.root).rds.ModifyDBProxy(w.t.Context(), &rds.ModifyDBProxyInput{
		DBProxyName: &p.name, Auth: []rdstypes.UserAuthConfig{{AuthScheme: rdstypes.AuthSchemeSecrets, SecretArn: &p.secret.arn, IAMAuth: rdstypes.IAMAuthModeRequired}},
	}); err != nil {
		w.t.Fatal(err)
	}
	p.becomes("AVAILABLE", "")
	return p
}

// endToEnd makes a proxy without a secret, in front of another Forebay's or this one's.
func endToEnd(w *world, to proxy, d database, role, iam string) proxy {
	w.t.Helper()
	host, port := endpointOf(to.endpoint, d.enginePort)
	w.must(w.url(), "AddDatabase", map[string]any{
		"Identifier": "middle", "Engine": d.engine, "Host": host, "Port": port, "IAM": iam, "TLSMode": "require",
	})
	name := "outer"
	api := w.sdk(w.root).rds
	made, err := api.CreateDBProxy(w.t.Context(), &rds.CreateDBProxyInput{
		DBProxyName: &name, EngineFamily: rdstypes.EngineFamily(d.family), RoleArn: &role, DefaultAuthScheme: rdstypes.DefaultAuthSchemeIamAuth,
		Auth:         []rdstypes.UserAuthConfig{}, // sent as Auth=, as Terraform does
		VpcSubnetIds: []string{"subnet-1", "subnet-2"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if s := made.DBProxy.DefaultAuthScheme; s == nil || *s != "IAM_AUTH" || len(made.DBProxy.Auth) != 0 {
		w.t.Errorf("made %+v", made.DBProxy)
	}
	if _, err := api.RegisterDBProxyTargets(w.t.Context(), &rds.RegisterDBProxyTargetsInput{DBProxyName: &name, DBInstanceIdentifiers: []string{"middle"}}); err != nil {
		w.t.Fatal(err)
	}
	return proxy{w, name, *made.DBProxy.DBProxyArn, *made.DBProxy.Endpoint, secretID{}}
}

// TestEndToEndIAM puts a proxy with DefaultAuthScheme IAM_AUTH in front of one that takes tokens alone.
func TestEndToEndIAM(t *testing.T) {
	t.Parallel()
	eachEndToEnd(t, func(t *testing.T, d database) {
		w := newWorld(t)
		inner := innerProxy(w, d)
		w.query("iam", "CreateRole", "RoleName", "outer", "AssumeRolePolicyDocument", trust)
		may := func(ids ...string) {
			t.Helper()
			w.query("iam", "PutRolePolicy", "RoleName", "outer", "PolicyName", "connects", "PolicyDocument", connectsTo(w.account(), d.user, ids...))
		}
		outer := endToEnd(w, inner, d, w.role("outer"), "forebay")
		// There is nobody to look as yet, but for whether it answers.
		outer.becomes("AVAILABLE", "")
		if role := outer.targetRole(); role != "UNKNOWN" {
			t.Errorf("the role of a target that nobody has looked at is %s", role)
		}
		at, err := w.sdk(w.root).rds.DescribeDBInstances(t.Context(), &rds.DescribeDBInstancesInput{DBInstanceIdentifier: ptr("middle")})
		if err != nil {
			t.Fatal(err)
		}
		db := at.DBInstances[0]
		if !*db.IAMDatabaseAuthenticationEnabled {
			t.Error("the instance does not show that it takes tokens")
		}

		key := w.userKey("fn", connectsTo(w.account(), "*", outer.resourceID()))
		host, port := endpointOf(outer.endpoint, d.enginePort)
		token := func(user string) string { return sigv4.SignToken(host, port, region, user, key, time.Now()) }
		d.fails(t, "the role may not connect", outer.endpoint, d.user, token(d.user))
		outer.becomes("UNAVAILABLE", "AUTH_FAILURE", "assumed-role/outer/",
			"not authorized to perform: rds-db:connect on resource: arn:aws:rds-db:"+region+":"+w.account()+":dbuser:"+*db.DbiResourceId+"/"+d.user)

		may(*db.DbiResourceId)
		d.fails(t, "the inner proxy does not let the role in", outer.endpoint, d.user, token(d.user))
		refusal := "The IAM authentication failed for the role " + d.user
		if d.family == "MYSQL" {
			refusal = "Access denied for user '" + d.user + "'"
		}
		outer.saysSoon(refusal)

		may(*db.DbiResourceId, inner.resourceID())
		d.soon(t, "the role may connect", outer.endpoint, d.user, token(d.user))
		c, err := d.open(t.Context(), outer.endpoint, d.user, token(d.user))
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if who, err := c.one(t.Context(), "SELECT CURRENT_USER"); err != nil || who != d.user && who != d.user+"@%" {
			t.Errorf("at the database the user is %q, %v", who, err)
		}
		outer.becomes("AVAILABLE", "")
		if role := outer.targetRole(); role != "READ_WRITE" {
			t.Errorf("the role of a target that somebody has looked at is %s", role)
		}
		d.keptOut(t, "a password", outer.endpoint, d.user, d.password)
		d.keptOut(t, "a token for another user", outer.endpoint, d.user, token("other"))
		d.fails(t, "a user who is none at the database", outer.endpoint, "other", token("other"))

		// A secret of a user's own counts, and nothing else does for that user.
		if _, err := w.sdk(w.root).rds.ModifyDBProxy(t.Context(), &rds.ModifyDBProxyInput{
			DBProxyName: &outer.name, Auth: []rdstypes.UserAuthConfig{{AuthScheme: rdstypes.AuthSchemeSecrets, SecretArn: &inner.secret.arn}},
		}); err != nil {
			t.Fatal(err)
		}
		w.query("iam", "PutRolePolicy", "RoleName", "outer", "PolicyName", "reads", "PolicyDocument", reads(inner.secret.arn))
		testkit.Eventually(t, "the user's token does not count any more", func() bool {
			c, err := d.open(t.Context(), outer.endpoint, d.user, token(d.user))
			if err == nil {
				c.close()
			}
			return err != nil && codeOf(err) == d.refused
		})

		w.silent(d.password, "X-Amz-Signature")
	})
}

// TestEndToEndIAMOfAWS has one Forebay log in to another, which is AWS for it: it assumes a role there and signs with what it
// is given.
func TestEndToEndIAMOfAWS(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	there := newWorld(t) // AWS
	binary := filepath.Join(there.dir, "forebay")
	if out, err := exec.Command("go", "build", "-pgo=off", "-o", binary, "forebay/cmd/forebay").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	here := newWorld(t)
	here.stop() // the program takes over its folder
	here.log = logBuffer{}
	port, err := localserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	here.program = fmt.Sprintf("127.0.0.1:%d", port)
	here.configure(here.program)
	key := there.userKey("forebay", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)
	here.serve(binary, "AWS_ENDPOINT_URL="+there.url(), "AWS_REGION="+region, "AWS_ACCESS_KEY_ID="+key.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+key.SecretKey, "AWS_EC2_METADATA_DISABLED=true")

	d := mariaDatabase(t)
	inner := innerProxy(there, d)
	there.query("iam", "CreateRole", "RoleName", "outer", "AssumeRolePolicyDocument", trust)
	outer := endToEnd(here, inner, d, there.role("outer"), "aws")
	outer.becomes("UNAVAILABLE", "AUTH_FAILURE", "AWS does not let Forebay assume the role "+there.role("outer"))

	there.query("iam", "UpdateAssumeRolePolicy", "RoleName", "outer", "PolicyDocument",
		strings.ReplaceAll(trust, `"Service":"rds.amazonaws.com"`, `"AWS":"arn:aws:iam::`+there.account()+`:user/forebay"`))
	outer.becomes("AVAILABLE", "")
	host, port := endpointOf(outer.endpoint, d.enginePort)
	client := here.userKey("fn", connectsTo(here.account(), d.user, outer.resourceID()))
	token := func() string { return sigv4.SignToken(host, port, region, d.user, client, time.Now()) }
	d.fails(t, "AWS does not let the role connect", outer.endpoint, d.user, token())
	outer.saysSoon("Access denied for user '" + d.user + "'")

	there.query("iam", "PutRolePolicy", "RoleName", "outer", "PolicyName", "connects", "PolicyDocument",
		connectsTo(there.account(), d.user, inner.resourceID()))
	d.soon(t, "the role may connect", outer.endpoint, d.user, token())
	d.letIn(t, "by a token of AWS", outer.endpoint, d.user, token())
	outer.becomes("AVAILABLE", "")
	for _, w := range []*world{here, there} {
		w.silent(d.password, "X-Amz-Signature", key.SecretKey)
	}
}

// fails must not be let in, or not get as far as the database.
func (d database) fails(t *testing.T, what, endpoint, user, password string) {
	t.Helper()
	c, err := d.open(t.Context(), endpoint, user, password)
	if err != nil {
		return
	}
	defer c.close()
	if got, err := c.one(t.Context(), "SELECT 42"); err == nil {
		t.Errorf("%s: answered %q", what, got)
	}
}

// targetRole is the role of the proxy's target.
func (p proxy) targetRole() string {
	p.w.t.Helper()
	all, err := p.w.sdk(p.w.root).rds.DescribeDBProxyTargets(p.w.t.Context(), &rds.DescribeDBProxyTargetsInput{DBProxyName: &p.name})
	if err != nil {
		p.w.t.Fatal(err)
	}
	return string(all.Targets[0].Role)
}
