package iamapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/iamapi"
	"forebay/internal/controlplane/identity"
)

// world is both APIs over an account with nobody but root.
type world struct {
	*iamapi.API
	t     *testing.T
	plane *controlplane.Plane
	ids   *identity.Registry
	clock time.Time
	root  *awsapi.Call
}

const rootID, rootSecret = "AKIAROOTROOTROOTROOT", "root's secret key"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	var err error
	if w.plane, err = controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.plane.Close)
	ring, err := controlplane.ParseKeys(controlplane.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	key := controlplane.AccessKey{ID: rootID, Active: true, Sealed: ring.Seal([]byte(rootSecret), identity.KeyBelongs(rootID))}
	if _, err := w.plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012", Region: "eu-central-1", RootKeys: []controlplane.AccessKey{key}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return w.clock }
	w.ids = identity.New(w.plane, ring, now)
	w.API = iamapi.New(w.plane, ring, w.ids, now)
	w.root = w.as(rootID, "", rootSecret)
	return w
}

// as is a call with a key, which must have that secret.
func (w *world) as(id, token, secret string) *awsapi.Call {
	w.t.Helper()
	is, p, err := w.ids.Key(id, token)
	if err != nil || is != secret {
		w.t.Fatalf("key %s: %v", id, err)
	}
	return &awsapi.Call{Caller: p, Time: w.clock, Source: netip.MustParseAddr("10.1.2.3"), Secure: true, Region: "eu-central-1"}
}

// user makes a user with a key, who has one inline policy.
func (w *world) user(name, statement string) *awsapi.Call {
	w.t.Helper()
	do(w.t, w.root, w.CreateUser, iamapi.CreateUserInput{UserName: name})
	if statement != "" {
		silent(w.t, w.root, w.PutUserPolicy, iamapi.PutUserPolicyInput{UserName: name, PolicyName: "p", PolicyDocument: document(statement)})
	}
	k := do(w.t, w.root, w.CreateAccessKey, iamapi.UserInput{UserName: &name}).AccessKey
	return w.as(k.AccessKeyID, "", k.SecretAccessKey)
}

func document(statement string) string {
	return `{"Version":"2012-10-17","Statement":[` + statement + `]}`
}

const everything = `{"Effect":"Allow","Action":"*","Resource":"*"}`

func ptr[T any](v T) *T { return &v }

func do[In, Out any](t *testing.T, c *awsapi.Call, op func(context.Context, *awsapi.Call, *In) (*Out, error), in In) *Out {
	t.Helper()
	out, err := op(t.Context(), c, &in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	return out
}

func silent[In any](t *testing.T, c *awsapi.Call, op func(context.Context, *awsapi.Call, *In) error, in In) {
	t.Helper()
	if err := op(t.Context(), c, &in); err != nil {
		t.Fatalf("%T: %v", in, err)
	}
}

func refusedAs(t *testing.T, err error, code string, status int) {
	t.Helper()
	var e *awsapi.Error
	if !errors.As(err, &e) || e.Code != code || e.Status != status {
		t.Errorf("got %v, want %s (%d)", err, code, status)
	}
}

func refused[In, Out any](t *testing.T, c *awsapi.Call, op func(context.Context, *awsapi.Call, *In) (*Out, error), in In, code string, status int) {
	t.Helper()
	_, err := op(t.Context(), c, &in)
	refusedAs(t, err, code, status)
}

func refusedSilent[In any](t *testing.T, c *awsapi.Call, op func(context.Context, *awsapi.Call, *In) error, in In, code string, status int) {
	t.Helper()
	refusedAs(t, op(t.Context(), c, &in), code, status)
}

func TestRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	who := do(t, w.root, w.GetCallerIdentity, struct{}{})
	if *who != (iamapi.GetCallerIdentityOutput{UserID: "123456789012", Account: "123456789012", Arn: "arn:aws:iam::123456789012:root"}) {
		t.Errorf("root is %+v", who)
	}
	if got := do(t, w.root, w.GetUser, iamapi.UserInput{}).User; got.Arn != who.Arn {
		t.Errorf("GetUser of root: %+v", got)
	}
	for _, id := range []string{"AKIANOBODY", "", "ASIAX"} {
		if _, _, err := w.ids.Key(id, ""); err == nil {
			t.Errorf("the key %q is somebody's", id)
		}
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	who := w.user("ann", `{"Effect":"Allow","Action":"iam:Get*","Resource":"arn:aws:iam::123456789012:user/${aws:username}"},{"Effect":"Allow","Action":"iam:CreateAccessKey","Resource":"*"}`)
	if got := do(t, who, w.GetUser, iamapi.UserInput{}).User; got.UserName != "ann" || got.Arn != "arn:aws:iam::123456789012:user/ann" {
		t.Errorf("GetUser: %+v", got)
	}
	do(t, w.root, w.CreateUser, iamapi.CreateUserInput{UserName: "bob", Path: ptr("/team/")})
	refused(t, who, w.GetUser, iamapi.UserInput{UserName: ptr("bob")}, "AccessDenied", 403)
	refused(t, who, w.GetUser, iamapi.UserInput{UserName: ptr("nobody")}, "AccessDenied", 403)
	refused(t, who, w.ListUsers, iamapi.ListInput{}, "AccessDenied", 403)

	second := do(t, who, w.CreateAccessKey, iamapi.UserInput{}).AccessKey
	refused(t, who, w.CreateAccessKey, iamapi.UserInput{}, "LimitExceeded", 409)
	silent(t, w.root, w.UpdateAccessKey, iamapi.UpdateAccessKeyInput{UserName: ptr("ann"), AccessKeyID: second.AccessKeyID, Status: "Inactive"})
	if _, _, err := w.ids.Key(second.AccessKeyID, ""); !errors.Is(err, identity.ErrUnknownKey) {
		t.Errorf("an inactive key: %v", err)
	}
	refusedSilent(t, w.root, w.DeleteUser, iamapi.UserNameInput{UserName: "ann"}, "DeleteConflict", 409)
	for _, k := range do(t, w.root, w.ListAccessKeys, iamapi.ListAccessKeysInput{UserName: ptr("ann")}).AccessKeyMetadata {
		silent(t, w.root, w.DeleteAccessKey, iamapi.AccessKeyInput{UserName: ptr("ann"), AccessKeyID: k.AccessKeyID})
	}
	refusedSilent(t, w.root, w.DeleteUser, iamapi.UserNameInput{UserName: "ann"}, "DeleteConflict", 409)
	silent(t, w.root, w.DeleteUserPolicy, iamapi.UserPolicyInput{UserName: "ann", PolicyName: "p"})
	silent(t, w.root, w.DeleteUser, iamapi.UserNameInput{UserName: "ANN"})
	refused(t, w.root, w.GetUser, iamapi.UserInput{UserName: ptr("ann")}, "NoSuchEntity", 404)
	refused(t, w.root, w.CreateUser, iamapi.CreateUserInput{UserName: "BOB"}, "EntityAlreadyExists", 409)
	refused(t, w.root, w.CreateUser, iamapi.CreateUserInput{UserName: "a b"}, "ValidationError", 400)
	refused(t, w.root, w.CreateUser, iamapi.CreateUserInput{UserName: "c", Path: ptr("team")}, "ValidationError", 400)
	refusedSilent(t, w.root, w.PutUserPolicy, iamapi.PutUserPolicyInput{UserName: "bob", PolicyName: "p", PolicyDocument: "{}"}, "MalformedPolicyDocument", 400)
	large := document(`{"Sid":"` + strings.Repeat("x", 2100) + `","Effect":"Allow","Action":"*","Resource":"*"}`)
	refusedSilent(t, w.root, w.PutUserPolicy, iamapi.PutUserPolicyInput{UserName: "bob", PolicyName: "p", PolicyDocument: large}, "LimitExceeded", 409)
}

const trustAnn = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/ann"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}}`

func TestAssumeRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann, bob := w.user("ann", ""), w.user("bob", everything)
	role := do(t, w.root, w.CreateRole, iamapi.CreateRoleInput{RoleName: "app", AssumeRolePolicyDocument: document(trustAnn), MaxSessionDuration: ptr(7200)}).Role
	if got, _ := url.PathUnescape(role.AssumeRolePolicyDocument); got != document(trustAnn) {
		t.Errorf("the trust policy comes back as %s", role.AssumeRolePolicyDocument)
	}
	silent(t, w.root, w.PutRolePolicy, iamapi.PutRolePolicyInput{RoleName: "app", PolicyName: "p", PolicyDocument: document(`{"Effect":"Allow","Action":["iam:GetRole","iam:ListRoles"],"Resource":"*"}`)})
	in := iamapi.AssumeRoleInput{RoleArn: role.Arn, RoleSessionName: "s1", ExternalID: ptr("x")}
	out := do(t, ann, w.AssumeRole, in)
	if want := "arn:aws:sts::123456789012:assumed-role/app/s1"; out.AssumedRoleUser.Arn != want || !strings.HasPrefix(out.Credentials.AccessKeyID, "ASIA") {
		t.Errorf("session %+v", out.AssumedRoleUser)
	}
	k := out.Credentials
	session := w.as(k.AccessKeyID, k.SessionToken, k.SecretAccessKey)
	if got := do(t, session, w.GetCallerIdentity, struct{}{}); got.Arn != out.AssumedRoleUser.Arn || got.UserID != role.RoleID+":s1" {
		t.Errorf("the session is %+v", got)
	}
	do(t, session, w.GetRole, iamapi.RoleNameInput{RoleName: "app"})
	refused(t, session, w.GetUser, iamapi.UserInput{UserName: ptr("ann")}, "AccessDenied", 403)

	for name, who := range map[string]*awsapi.Call{"bob": bob, "root": w.root} {
		if _, err := w.AssumeRole(t.Context(), who, &in); err == nil {
			t.Errorf("%s may assume the role", name)
		}
	}
	bad := in
	bad.ExternalID = ptr("y")
	refused(t, ann, w.AssumeRole, bad, "AccessDenied", 403)
	bad = in
	bad.RoleArn += "x"
	refused(t, ann, w.AssumeRole, bad, "AccessDenied", 403)
	bad = in
	bad.DurationSeconds = ptr(7201)
	refused(t, ann, w.AssumeRole, bad, "ValidationError", 400)
	bad = in
	bad.Tags = []iamapi.Tag{{Key: "k"}}
	refused(t, ann, w.AssumeRole, bad, "ValidationError", 400)

	// A session policy takes away.
	narrow := in
	narrow.Policy = ptr(document(`{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}`))
	n := do(t, ann, w.AssumeRole, narrow).Credentials
	refused(t, w.as(n.AccessKeyID, n.SessionToken, n.SecretAccessKey), w.GetRole, iamapi.RoleNameInput{RoleName: "app"}, "AccessDenied", 403)

	for name, key := range map[string][2]string{
		"another's token": {k.AccessKeyID, n.SessionToken}, "no token": {k.AccessKeyID, ""}, "no base64": {k.AccessKeyID, "!"},
		"a changed token": {k.AccessKeyID, k.SessionToken[:20] + "AAAA" + k.SessionToken[24:]}, "a user's key with it": {rootID, k.SessionToken},
	} {
		if _, _, err := w.ids.Key(key[0], key[1]); !errors.Is(err, identity.ErrSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.clock = w.clock.Add(time.Hour)
	if _, _, err := w.ids.Key(k.AccessKeyID, k.SessionToken); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("after an hour: %v", err)
	}
	w.clock = w.clock.Add(-time.Minute)
	silent(t, w.root, w.DeleteRolePolicy, iamapi.RolePolicyInput{RoleName: "app", PolicyName: "p"})
	refused(t, session2(w, k), w.GetRole, iamapi.RoleNameInput{RoleName: "app"}, "AccessDenied", 403)
	silent(t, w.root, w.DeleteRole, iamapi.RoleNameInput{RoleName: "app"})
	do(t, w.root, w.CreateRole, iamapi.CreateRoleInput{RoleName: "app", AssumeRolePolicyDocument: document(trustAnn)})
	if _, _, err := w.ids.Key(k.AccessKeyID, k.SessionToken); !errors.Is(err, identity.ErrUnknownKey) {
		t.Errorf("after the role was made again: %v", err)
	}
}

func session2(w *world, k iamapi.Credentials) *awsapi.Call {
	return w.as(k.AccessKeyID, k.SessionToken, k.SecretAccessKey)
}

// TestRevokedSessions: the policy that AWS's console revokes sessions by ends those that were made before, and no others.
func TestRevokedSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.user("ann", "")
	role := do(t, w.root, w.CreateRole, iamapi.CreateRoleInput{RoleName: "app", AssumeRolePolicyDocument: document(trustAnn)}).Role
	silent(t, w.root, w.PutRolePolicy, iamapi.PutRolePolicyInput{RoleName: "app", PolicyName: "p", PolicyDocument: document(everything)})
	session := func() iamapi.Credentials {
		return do(t, ann, w.AssumeRole, iamapi.AssumeRoleInput{RoleArn: role.Arn, RoleSessionName: "s1", ExternalID: ptr("x")}).Credentials
	}
	before := session()
	w.clock = w.clock.Add(time.Minute)
	revoke := `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"` + w.clock.UTC().Format(time.RFC3339) + `"}}}`
	silent(t, w.root, w.PutRolePolicy, iamapi.PutRolePolicyInput{RoleName: "app", PolicyName: "AWSRevokeOlderSessions", PolicyDocument: document(revoke)})
	refused(t, session2(w, before), w.GetRole, iamapi.RoleNameInput{RoleName: "app"}, "AccessDenied", 403)
	do(t, session2(w, session()), w.GetRole, iamapi.RoleNameInput{RoleName: "app"})
	if _, err := w.ids.Role(role.Arn, "rds.amazonaws.com"); err == nil {
		t.Error("a role that trusts ann alone is assumed by a service")
	}
}

// TestServiceRole is what a proxy does to read its secrets.
func TestServiceRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	trust := document(`{"Effect":"Allow","Principal":{"Service":"rds.amazonaws.com"},"Action":"sts:AssumeRole"}`)
	arn := do(t, w.root, w.CreateRole, iamapi.CreateRoleInput{RoleName: "proxy", Path: ptr("/service/"), AssumeRolePolicyDocument: trust}).Role.Arn
	const secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:app-AbCdEf"
	access := awsapi.Access{Action: "secretsmanager:GetSecretValue", Resource: secret}
	p, err := w.ids.Role(arn, "rds.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Authorize(w.root, access)
	if refusedAs(t, err, "AccessDenied", 403); !strings.Contains(fmt.Sprint(err), "assumed-role/proxy/forebay is not authorized to perform: secretsmanager:GetSecretValue on resource: "+secret) {
		t.Errorf("the reason: %v", err)
	}
	silent(t, w.root, w.PutRolePolicy, iamapi.PutRolePolicyInput{RoleName: "proxy", PolicyName: "p", PolicyDocument: document(`{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"` + secret + `"}`)})
	if p, err = w.ids.Role(arn, "rds.amazonaws.com"); err != nil || p.Authorize(w.root, access) != nil {
		t.Errorf("with a policy: %v, %v", err, p.Authorize(w.root, access))
	}
	for _, other := range []string{"lambda.amazonaws.com", "rds.amazonaws.com.example"} {
		if _, err := w.ids.Role(arn, other); err == nil {
			t.Errorf("%s may assume the role", other)
		}
	}
	if _, err := w.ids.Role(strings.Replace(arn, "/service/", "/", 1), "rds.amazonaws.com"); err == nil {
		t.Error("a role with another path was found")
	}
}

func TestManagedPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.user("ann", "")
	p := do(t, w.root, w.CreatePolicy, iamapi.CreatePolicyInput{PolicyName: "read", PolicyDocument: document(`{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}`)}).Policy
	silent(t, w.root, w.AttachUserPolicy, iamapi.UserPolicyArnInput{UserName: "ann", PolicyArn: p.Arn})
	silent(t, w.root, w.AttachUserPolicy, iamapi.UserPolicyArnInput{UserName: "ann", PolicyArn: p.Arn})
	annNow := func() *awsapi.Call {
		keys := do(t, w.root, w.ListAccessKeys, iamapi.ListAccessKeysInput{UserName: ptr("ann")}).AccessKeyMetadata
		_, who, err := w.ids.Key(keys[0].AccessKeyID, "")
		if err != nil {
			t.Fatal(err)
		}
		return &awsapi.Call{Caller: who, Time: w.clock}
	}
	refused(t, ann, w.ListUsers, iamapi.ListInput{}, "AccessDenied", 403) // as of before
	if got := do(t, annNow(), w.ListUsers, iamapi.ListInput{}).Users; len(got) != 1 {
		t.Errorf("users %+v", got)
	}
	v2 := do(t, w.root, w.CreatePolicyVersion, iamapi.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: document(`{"Effect":"Deny","Action":"*","Resource":"*"}`)}).PolicyVersion
	do(t, annNow(), w.ListUsers, iamapi.ListInput{})
	silent(t, w.root, w.SetDefaultPolicyVersion, iamapi.PolicyVersionInput{PolicyArn: p.Arn, VersionID: v2.VersionID})
	refused(t, annNow(), w.ListUsers, iamapi.ListInput{}, "AccessDenied", 403)
	refusedSilent(t, w.root, w.DeletePolicyVersion, iamapi.PolicyVersionInput{PolicyArn: p.Arn, VersionID: "v2"}, "DeleteConflict", 409)
	refusedSilent(t, w.root, w.DeletePolicy, iamapi.PolicyArnInput{PolicyArn: p.Arn}, "DeleteConflict", 409)
	if got := do(t, w.root, w.GetPolicy, iamapi.PolicyArnInput{PolicyArn: p.Arn}).Policy; got.AttachmentCount != 1 || got.DefaultVersionID != "v2" {
		t.Errorf("policy %+v", got)
	}
	silent(t, w.root, w.DetachUserPolicy, iamapi.UserPolicyArnInput{UserName: "ann", PolicyArn: p.Arn})
	refusedSilent(t, w.root, w.DetachUserPolicy, iamapi.UserPolicyArnInput{UserName: "ann", PolicyArn: p.Arn}, "NoSuchEntity", 404)
	refusedSilent(t, w.root, w.DeletePolicy, iamapi.PolicyArnInput{PolicyArn: p.Arn}, "DeleteConflict", 409)
	silent(t, w.root, w.DeletePolicyVersion, iamapi.PolicyVersionInput{PolicyArn: p.Arn, VersionID: "v1"})
	silent(t, w.root, w.DeletePolicy, iamapi.PolicyArnInput{PolicyArn: p.Arn})
	refused(t, w.root, w.GetPolicy, iamapi.PolicyArnInput{PolicyArn: p.Arn}, "NoSuchEntity", 404)
	refusedSilent(t, w.root, w.AttachUserPolicy, iamapi.UserPolicyArnInput{UserName: "ann", PolicyArn: p.Arn}, "NoSuchEntity", 404)
}

// TestConditions: the facts of the call are condition keys.
func TestConditions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.user("ann", `{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.1.0.0/16"},"Bool":{"aws:SecureTransport":"true"},"DateLessThan":{"aws:CurrentTime":"2026-12-01T00:00:00Z"},"StringEquals":{"aws:RequestedRegion":"eu-central-1"}}}`)
	do(t, ann, w.ListUsers, iamapi.ListInput{})
	for name, change := range map[string]func(c *awsapi.Call){
		"another address": func(c *awsapi.Call) { c.Source = netip.MustParseAddr("10.2.0.1") },
		"without TLS":     func(c *awsapi.Call) { c.Secure = false },
		"later":           func(c *awsapi.Call) { c.Time = c.Time.AddDate(0, 1, 0) },
		"another region":  func(c *awsapi.Call) { c.Region = "us-east-1" },
	} {
		c := *ann
		change(&c)
		if _, err := w.ListUsers(t.Context(), &c, &iamapi.ListInput{}); err == nil {
			t.Errorf("%s: allowed", name)
		}
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 25 {
		do(t, w.root, w.CreateUser, iamapi.CreateUserInput{UserName: fmt.Sprintf("U%02d", i)})
	}
	var names []string
	in := iamapi.ListInput{MaxItems: ptr(10)}
	for {
		out := do(t, w.root, w.ListUsers, in)
		for _, u := range out.Users {
			names = append(names, u.UserName)
		}
		if out.IsTruncated != (out.Marker != nil) {
			t.Errorf("truncated %t, marker %v", out.IsTruncated, out.Marker)
		}
		if in.Marker = out.Marker; in.Marker == nil {
			break
		}
	}
	if len(names) != 25 || names[24] != "U24" {
		t.Errorf("names %v", names)
	}
	refused(t, w.root, w.ListUsers, iamapi.ListInput{MaxItems: ptr(1001)}, "ValidationError", 400)
	refused(t, w.root, w.ListUsers, iamapi.ListInput{Marker: ptr("%")}, "ValidationError", 400)
}

// TestTagging: who may make something may not tag it for that, and denials about tags hold for policies, too.
func TestTagging(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tags := []iamapi.Tag{{Key: "team", Value: "blue"}}
	trust := document(`{"Effect":"Allow","Principal":{"Service":"rds.amazonaws.com"},"Action":"sts:AssumeRole"}`)
	ann := w.user("ann", `{"Effect":"Allow","Action":"iam:Create*","Resource":"*"}`)
	do(t, ann, w.CreateUser, iamapi.CreateUserInput{UserName: "u1"})
	refused(t, ann, w.CreateUser, iamapi.CreateUserInput{UserName: "u2", Tags: tags}, "AccessDenied", 403)
	refused(t, ann, w.CreateRole, iamapi.CreateRoleInput{RoleName: "r2", AssumeRolePolicyDocument: trust, Tags: tags}, "AccessDenied", 403)
	refused(t, ann, w.CreatePolicy, iamapi.CreatePolicyInput{PolicyName: "p2", PolicyDocument: document(everything), Tags: tags}, "AccessDenied", 403)

	bob := w.user("bob", everything+`,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":"team"}}}`)
	p := do(t, bob, w.CreatePolicy, iamapi.CreatePolicyInput{PolicyName: "p", PolicyDocument: document(everything)}).Policy
	silent(t, bob, w.TagPolicy, iamapi.TagPolicyInput{PolicyArn: p.Arn, Tags: []iamapi.Tag{{Key: "other"}}})
	refusedSilent(t, bob, w.TagPolicy, iamapi.TagPolicyInput{PolicyArn: p.Arn, Tags: tags}, "AccessDenied", 403)
	refusedSilent(t, bob, w.UntagPolicy, iamapi.UntagPolicyInput{PolicyArn: p.Arn, TagKeys: []string{"team"}}, "AccessDenied", 403)
}

// TestAssumeTaggedRole: a denial about the tags of a role holds for becoming it.
func TestAssumeTaggedRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	trust := document(`{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}`)
	roleOf := func(name, team string) string {
		return do(t, w.root, w.CreateRole, iamapi.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: trust, Tags: []iamapi.Tag{{Key: "team", Value: team}}}).Role.Arn
	}
	ann := w.user("ann", everything+`,{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}`)
	do(t, ann, w.AssumeRole, iamapi.AssumeRoleInput{RoleArn: roleOf("blue", "blue"), RoleSessionName: "s1"})
	refused(t, ann, w.AssumeRole, iamapi.AssumeRoleInput{RoleArn: roleOf("red", "red"), RoleSessionName: "s1"}, "AccessDenied", 403)
}

// TestRootKeys replaces the key of root, as AWS has it: two at most, and the last one stays.
func TestRootKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refusedSilent(t, w.root, w.DeleteAccessKey, iamapi.AccessKeyInput{AccessKeyID: rootID}, "DeleteConflict", 409)
	refusedSilent(t, w.root, w.UpdateAccessKey, iamapi.UpdateAccessKeyInput{AccessKeyID: rootID, Status: "Inactive"}, "DeleteConflict", 409)
	k := do(t, w.root, w.CreateAccessKey, iamapi.UserInput{}).AccessKey
	if k.UserName != "root" || len(k.SecretAccessKey) != 40 || k.Status != "Active" {
		t.Errorf("got %s for %s, %s", k.AccessKeyID, k.UserName, k.Status)
	}
	refused(t, w.root, w.CreateAccessKey, iamapi.UserInput{}, "LimitExceeded", 409)
	second := w.as(k.AccessKeyID, "", k.SecretAccessKey)
	if !second.Caller.(*identity.Principal).Root() {
		t.Error("the new key is not root's")
	}
	silent(t, second, w.UpdateAccessKey, iamapi.UpdateAccessKeyInput{AccessKeyID: rootID, Status: "Inactive"})
	if _, _, err := w.ids.Key(rootID, ""); !errors.Is(err, identity.ErrUnknownKey) {
		t.Errorf("an inactive key: %v", err)
	}
	refusedSilent(t, second, w.DeleteAccessKey, iamapi.AccessKeyInput{AccessKeyID: k.AccessKeyID}, "DeleteConflict", 409)
	got := map[string]string{}
	for _, m := range do(t, second, w.ListAccessKeys, iamapi.ListAccessKeysInput{}).AccessKeyMetadata {
		got[m.AccessKeyID] = m.UserName + " " + m.Status
	}
	if len(got) != 2 || got[rootID] != "root Inactive" || got[k.AccessKeyID] != "root Active" {
		t.Errorf("listed: %v", got)
	}
	silent(t, second, w.DeleteAccessKey, iamapi.AccessKeyInput{AccessKeyID: rootID})
	refusedSilent(t, second, w.DeleteAccessKey, iamapi.AccessKeyInput{AccessKeyID: rootID}, "NoSuchEntity", 404)
	if keys := w.plane.State().Account().RootKeys; len(keys) != 1 || keys[0].ID != k.AccessKeyID {
		t.Errorf("%d keys are left", len(keys))
	}
	// Root's keys are for root alone, whatever a policy allows; a user that is called root is one like all others.
	ann := w.user("ann", everything)
	mine := do(t, ann, w.CreateAccessKey, iamapi.UserInput{}).AccessKey
	if mine.UserName != "ann" || len(w.plane.State().Account().RootKeys) != 1 {
		t.Errorf("a user has made a key for %s", mine.UserName)
	}
	refusedSilent(t, ann, w.DeleteAccessKey, iamapi.AccessKeyInput{AccessKeyID: k.AccessKeyID}, "NoSuchEntity", 404)
	refused(t, second, w.ListAccessKeys, iamapi.ListAccessKeysInput{UserName: ptr("root")}, "NoSuchEntity", 404)
}

// TestDescriptions: no description makes a row of the state larger than IAM's own may be.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	trust := document(`{"Effect":"Allow","Principal":{"Service":"rds.amazonaws.com"},"Action":"sts:AssumeRole"}`)
	right, long := strings.Repeat("ü", 1000), strings.Repeat("ü", 1001)
	do(t, w.root, w.CreateRole, iamapi.CreateRoleInput{RoleName: "r", AssumeRolePolicyDocument: trust, Description: &right})
	refused(t, w.root, w.CreateRole, iamapi.CreateRoleInput{RoleName: "s", AssumeRolePolicyDocument: trust, Description: &long}, "ValidationError", 400)
	refused(t, w.root, w.UpdateRole, iamapi.UpdateRoleInput{RoleName: "r", Description: &long}, "ValidationError", 400)
	refused(t, w.root, w.UpdateRoleDescription, iamapi.UpdateRoleDescriptionInput{RoleName: "r", Description: long}, "ValidationError", 400)
	refused(t, w.root, w.CreatePolicy, iamapi.CreatePolicyInput{PolicyName: "p", PolicyDocument: document(everything), Description: &long}, "ValidationError", 400)
}

// TestAttachedByPath: a path that is asked for chooses among the policies, and words that mean nothing are refused.
func TestAttachedByPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ann", "")
	for name, path := range map[string]string{"one": "/", "two": "/team/", "three": "/team/a/"} {
		arn := do(t, w.root, w.CreatePolicy, iamapi.CreatePolicyInput{PolicyName: name, Path: &path, PolicyDocument: document(everything)}).Policy.Arn
		silent(t, w.root, w.AttachUserPolicy, iamapi.UserPolicyArnInput{UserName: "ann", PolicyArn: arn})
	}
	for prefix, want := range map[string]int{"/": 3, "/team/": 2, "/team/a/": 1, "/other/": 0} {
		if got := do(t, w.root, w.ListAttachedUserPolicies, iamapi.ListAttachedUserPoliciesInput{UserName: "ann", PathPrefix: &prefix}); len(got.AttachedPolicies) != want {
			t.Errorf("%s: %+v, want %d", prefix, got, want)
		}
	}
	refused(t, w.root, w.ListPolicies, iamapi.ListPoliciesInput{Scope: ptr("Mine")}, "ValidationError", 400)
	refused(t, w.root, w.ListPolicies, iamapi.ListPoliciesInput{PolicyUsageFilter: ptr("None")}, "ValidationError", 400)
}
