package policy_test

import (
	"testing"

	"forebay/internal/policy"
)

const (
	account = "123456789012"
	user    = "arn:aws:iam::123456789012:user/app"
	role    = "arn:aws:iam::123456789012:role/lambda"
	session = "arn:aws:sts::123456789012:assumed-role/lambda/i-1"
	root    = "arn:aws:iam::123456789012:root"
	secret  = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
	proxy   = "arn:aws:rds:us-east-1:123456789012:db-proxy:prx-1"
)

func request(action, resource string) *policy.Request {
	return &policy.Request{Principal: policy.Principal{ARN: user, ID: "AIDAEXAMPLEEXAMPLE12", Account: account}, Action: action, Resource: resource}
}

func parse(t testing.TB, kind policy.Kind, text string) []policy.Policy {
	t.Helper()
	if text == "" {
		return nil
	}
	d, err := policy.Parse(kind, []byte(text))
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return []policy.Policy{{Name: "p", Document: d}}
}

func deny(elements string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"No","Effect":"Deny",` + elements + `}]}`
}

// TestActionsAndResources matches one statement that allows with one action and resource.
func TestActionsAndResources(t *testing.T) {
	t.Parallel()
	connect := func(region, proxy, user string) string {
		return "arn:aws:rds-db:" + region + ":123456789012:dbuser:" + proxy + "/" + user
	}
	tests := []struct {
		statement        string
		action, resource string
		want             bool
	}{
		{`"Action":"*","Resource":"*"`, "rds:CreateDBProxy", proxy, true},
		{`"Action":"*:*","Resource":"*"`, "rds:CreateDBProxy", proxy, true},
		{`"Action":"rds:CreateDBProxy","Resource":"*"`, "RDS:createdbproxy", proxy, true},
		{`"Action":"RDS:CREATE*","Resource":"*"`, "rds:CreateDBProxy", proxy, true},
		{`"Action":"rds:Create?BProxy","Resource":"*"`, "rds:CreateDBProxy", proxy, true},
		{`"Action":"rds:Create?DBProxy","Resource":"*"`, "rds:CreateDBProxy", proxy, false},
		{`"Action":"rds:*Proxy*","Resource":"*"`, "rds:DescribeDBProxyTargets", proxy, true},
		{`"Action":"rds:*","Resource":"*"`, "rds-db:connect", proxy, false}, // another service
		{`"Action":["iam:*","rds:DeleteDBProxy"],"Resource":"*"`, "rds:CreateDBProxy", proxy, false},
		{`"NotAction":"iam:*","Resource":"*"`, "rds:CreateDBProxy", proxy, true},
		{`"NotAction":["iam:*","rds:*"],"Resource":"*"`, "rds:CreateDBProxy", proxy, false},

		{`"Action":"*","Resource":"` + proxy + `"`, "rds:CreateDBProxy", proxy, true},
		{`"Action":"*","Resource":"` + proxy + `"`, "rds:CreateDBProxy", "*", false}, // an action about nothing wants "*"
		{`"Action":"*","Resource":"arn:aws:rds:us-east-1:123456789012:db-proxy:PRX-1"`, "rds:x", proxy, false},
		{`"Action":"*","Resource":"arn:aws:rds:us-east-1:123456789012:db-proxy:prx-?"`, "rds:x", proxy, true},
		{`"Action":"*","Resource":"arn:aws:rds:us-east-1:123456789012:db-proxy:prx-??"`, "rds:x", proxy, false},
		{`"Action":"*","Resource":"arn:aws:rds:*"`, "rds:x", proxy, true}, // the last "*" goes on beyond its segment
		{`"Action":"*","Resource":"arn:aws:rds:us-*:prx-1"`, "rds:x", proxy, true},
		{`"Action":"*","Resource":"arn:aws:rds:u*1:123456789012:db-proxy:prx-1"`, "rds:x", proxy, true},
		{`"Action":"*","Resource":"arn:aws:rds:u*2:db-proxy:prx-1"`, "rds:x", proxy, false}, // this one does not
		{`"Action":"*","Resource":"arn:aws:rds:us-east-1?123456789012:db-proxy:prx-1"`, "rds:x", proxy, false},
		{`"Action":"*","Resource":"arn:aws:rds:us-east-1:123456789012:db*1"`, "rds:x", proxy, true}, // the resource's own colons
		{`"Action":"*","Resource":"arn:aws:rds:::db-proxy:prx-1"`, "rds:x", proxy, false},
		{`"Action":"*","NotResource":"arn:aws:iam::*:*"`, "rds:x", proxy, true},
		{`"Action":"*","NotResource":["arn:aws:rds:*"]`, "rds:x", proxy, false},
		{`"Action":"secretsmanager:*","Resource":"arn:aws:secretsmanager:*:*:secret:app-??????"`, "secretsmanager:GetSecretValue", secret, true},

		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "prx-1", "app") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "app"), true},
		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "prx-1", "app") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "App"), false},
		{`"Action":"rds-db:connect","Resource":"` + connect("*", "prx-*", "*") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "app"), true},
		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "*", "app") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "web"), false},
		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "*", "${aws:username}") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "app"), true},
		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "*", "${aws:username}") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "root"), false},
		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "*", "${aws:PrincipalTag/db}") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", ""), false},
		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "*", "${aws:PrincipalTag/db, 'guest'}") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "guest"), true},
		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "*", "${*}") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "*"), true},
		{`"Action":"rds-db:connect","Resource":"` + connect("us-east-1", "*", "${*}") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "app"), false},
		// Not known what is left out: an Allow allows nothing.
		{`"Action":"*","NotResource":"` + connect("us-east-1", "*", "${aws:PrincipalTag/db}") + `"`, "rds-db:connect", connect("us-east-1", "prx-1", "app"), false},
		{`"Action":"*","Resource":"*"`, "rds:\xff", proxy, false},
	}
	for _, tt := range tests {
		r := request(tt.action, tt.resource)
		r.Context = map[string][]string{"aws:username": {"app"}}
		got := policy.Evaluate(r, policy.Set{Identity: parse(t, policy.Identity, statement(tt.statement))})
		if got.Allowed() != tt.want {
			t.Errorf("{%s}\nfor %s on %s: allowed = %t, want %t", tt.statement, tt.action, tt.resource, got.Allowed(), tt.want)
		}
	}
}

// TestOldVersion: 2008-10-17 knows no variables.
func TestOldVersion(t *testing.T) {
	t.Parallel()
	const text = `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:rds:::${aws:username}"}}`
	p := policy.Set{Identity: parse(t, policy.Identity, text)}
	for resource, want := range map[string]bool{"arn:aws:rds:::app": false, "arn:aws:rds:::${aws:username}": true} {
		r := request("rds:x", resource)
		r.Context = map[string][]string{"aws:username": {"app"}}
		if got := policy.Evaluate(r, p).Allowed(); got != want {
			t.Errorf("%s: allowed = %t, want %t", resource, got, want)
		}
	}
}

// TestEvaluate combines policies.
func TestEvaluate(t *testing.T) {
	t.Parallel()
	const (
		allowAll    = `"Action":"*","Resource":"*"`
		noIdentity  = "because no identity-based policy allows the secretsmanager:GetSecretValue action"
		noResource  = "because no resource-based policy allows the secretsmanager:GetSecretValue action"
		noTrust     = "because no role trust policy allows the sts:AssumeRole action"
		noIdentityA = "because no identity-based policy allows the sts:AssumeRole action"
		denyIdent   = "with an explicit deny in an identity-based policy"
		denyRes     = "with an explicit deny in a resource-based policy"
	)
	asUser := policy.Principal{ARN: user, ID: "AIDAEXAMPLEEXAMPLE12", Account: account}
	asSession := policy.Principal{ARN: session, RoleARN: role, ID: "AROAEXAMPLEEXAMPLE12", Account: account}
	asRoot := policy.Principal{ARN: root, Account: account}
	asService := policy.Principal{Service: "rds.amazonaws.com"}
	asProvider := policy.Principal{Federated: "accounts.example.com"}
	stranger := policy.Principal{ARN: "arn:aws:iam::999999999999:user/x", Account: "999999999999"}
	to := func(principal string) string { return statement(`"Principal":` + principal + `,` + allowAll) }
	assume := func(principal string) string {
		return statement(`"Principal":` + principal + `,"Action":"sts:AssumeRole"`)
	}

	tests := []struct {
		name                                         string
		who                                          policy.Principal
		identity, resource, trust, boundary, session string
		want                                         string // the reason; empty: allowed
	}{
		{name: "nothing allows", who: asUser, want: noIdentity},
		{name: "an identity policy allows", who: asUser, identity: statement(allowAll)},
		{name: "deny wins in the same policy", who: asUser, want: denyIdent, identity: `{"Statement":[
			{"Effect":"Allow",` + allowAll + `},{"Effect":"Deny","Action":"secretsmanager:Get*","Resource":"*"}]}`},
		{name: "NotAction that denies leaves the action out", who: asUser, identity: `{"Statement":[
			{"Effect":"Allow",` + allowAll + `},{"Effect":"Deny","NotAction":"secretsmanager:*","Resource":"*"}]}`},
		{name: "NotAction that denies all else", who: asUser, want: denyIdent, identity: `{"Statement":[
			{"Effect":"Allow",` + allowAll + `},{"Effect":"Deny","NotAction":"rds:*","Resource":"*"}]}`},
		{name: "NotAction that denies allows nothing", who: asUser, want: noIdentity, identity: deny(`"NotAction":"secretsmanager:*","Resource":"*"`)},
		{name: "NotResource that denies", who: asUser, want: denyIdent, identity: `{"Statement":[
			{"Effect":"Allow",` + allowAll + `},{"Effect":"Deny","Action":"*","NotResource":"arn:aws:rds:*"}]}`},
		{name: "NotResource with an unknown variable denies", who: asUser, want: denyIdent, identity: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow",` + allowAll + `},{"Effect":"Deny","Action":"*","NotResource":"arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/x}*"}]}`},
		{name: "deny without the key it asks for", who: asUser, want: denyIdent, identity: `{"Statement":[{"Effect":"Allow",` + allowAll + `},
			{"Effect":"Deny",` + allowAll + `,"Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}}]}`},
		{name: "deny unless MFA, IfExists", who: asUser, want: denyIdent, identity: `{"Statement":[{"Effect":"Allow",` + allowAll + `},
			{"Effect":"Deny",` + allowAll + `,"Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}]}`},
		{name: "deny unless MFA, without IfExists", who: asUser, identity: `{"Statement":[{"Effect":"Allow",` + allowAll + `},
			{"Effect":"Deny",` + allowAll + `,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}]}`},
		{name: "ForAllValues allows without the key", who: asUser, identity: statement(allowAll + `,"Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"a"}}`)},

		{name: "a resource policy names the user", who: asUser, resource: to(`{"AWS":"` + user + `"}`)},
		{name: "by its unique ID", who: asUser, resource: to(`{"AWS":"AIDAEXAMPLEEXAMPLE12"}`)},
		{name: "a resource policy names another", who: asUser, resource: to(`{"AWS":"arn:aws:iam::123456789012:user/other"}`), want: noIdentity},
		{name: "a resource policy names everybody", who: asUser, resource: to(`"*"`)},
		{name: "everybody of AWS", who: stranger, resource: to(`{"AWS":"*"}`)},
		{name: "the account alone hands on", who: asUser, resource: to(`{"AWS":"123456789012"}`), want: noIdentity},
		{name: "the account, and an identity policy", who: asUser, resource: to(`{"AWS":"` + root + `"}`), identity: statement(allowAll)},
		{name: "the account is not a stranger", who: stranger, resource: to(`{"AWS":"123456789012"}`), want: noIdentity},
		{
			name: "a resource policy denies", who: asUser, identity: statement(allowAll), want: denyRes,
			resource: deny(`"Principal":{"AWS":"` + user + `"},` + allowAll),
		},
		{name: "denies the whole account", who: asUser, identity: statement(allowAll), want: denyRes, resource: deny(`"Principal":{"AWS":"123456789012"},` + allowAll)},
		{name: "denies another", who: asUser, identity: statement(allowAll), resource: deny(`"Principal":{"AWS":"arn:aws:iam::123456789012:user/other"},` + allowAll)},
		{name: "a resource policy names the role", who: asSession, resource: to(`{"AWS":"` + role + `"}`)},
		{name: "a resource policy names the session", who: asSession, resource: to(`{"AWS":"` + session + `"}`)},
		{name: "a service", who: asService, resource: to(`{"Service":"rds.amazonaws.com"}`)},
		{name: "a service that is not named", who: asService, resource: to(`{"Service":"ec2.amazonaws.com"}`), want: noResource},
		{
			name: "NotPrincipal spares the user and its account", who: asUser, identity: statement(allowAll),
			resource: deny(`"NotPrincipal":{"AWS":["` + user + `","123456789012"]},` + allowAll),
		},
		{
			name: "NotPrincipal without the account spares nobody", who: asUser, identity: statement(allowAll), want: denyRes,
			resource: deny(`"NotPrincipal":{"AWS":"` + user + `"},` + allowAll),
		},
		{
			name: "NotPrincipal wants role and session", who: asSession, identity: statement(allowAll), want: denyRes,
			resource: deny(`"NotPrincipal":{"AWS":["` + session + `","123456789012"]},` + allowAll),
		},
		{
			name: "NotPrincipal with role, session and account", who: asSession, identity: statement(allowAll),
			resource: deny(`"NotPrincipal":{"AWS":["` + session + `","` + role + `","123456789012"]},` + allowAll),
		},
		{
			name: "NotPrincipal spares a service", who: asService, want: noResource,
			resource: deny(`"NotPrincipal":{"Service":"rds.amazonaws.com"},` + allowAll),
		},

		{name: "root needs no policy", who: asRoot},
		{name: "root can be denied by a resource policy", who: asRoot, resource: deny(`"Principal":"*",` + allowAll), want: denyRes},
		{name: "somebody called root is not root", who: policy.Principal{ARN: "arn:aws:iam::123456789012:user/root", Account: account}, want: noIdentity},

		{
			name: "a boundary does not allow", who: asUser, identity: statement(allowAll), boundary: statement(`"Action":"rds:*","Resource":"*"`),
			want: "because no permissions boundary allows the secretsmanager:GetSecretValue action",
		},
		{name: "a boundary allows", who: asUser, identity: statement(allowAll), boundary: statement(`"Action":"secretsmanager:*","Resource":"*"`)},
		{name: "a boundary grants nothing", who: asUser, boundary: statement(allowAll), want: noIdentity},
		{name: "a boundary denies", who: asUser, identity: statement(allowAll), boundary: deny(allowAll), want: "with an explicit deny in a permissions boundary"},
		{
			name: "a session policy does not allow", who: asSession, identity: statement(allowAll), session: statement(`"Action":"rds:*","Resource":"*"`),
			want: "because no session policy allows the secretsmanager:GetSecretValue action",
		},
		{
			name: "a session policy limits what is allowed to the role", who: asSession, resource: to(`{"AWS":"` + role + `"}`), session: statement(`"Action":"rds:*","Resource":"*"`),
			want: noIdentity,
		},
		{name: "and not what is allowed to the session itself", who: asSession, resource: to(`{"AWS":"` + session + `"}`), session: statement(`"Action":"rds:*","Resource":"*"`)},
		{name: "a session policy denies", who: asSession, identity: statement(allowAll), session: deny(allowAll), want: "with an explicit deny in a session policy"},

		{name: "the proxy's role", who: asService, trust: assume(`{"Service":"rds.amazonaws.com"}`)},
		{name: "another service's role", who: asService, trust: assume(`{"Service":"lambda.amazonaws.com"}`), want: noTrust},
		{name: "a trusted user", who: asUser, trust: assume(`{"AWS":"` + user + `"}`)},
		{name: "a trusted account", who: asUser, trust: assume(`{"AWS":"123456789012"}`), want: noIdentityA},
		{name: "a trusted account, and an identity policy", who: asUser, trust: assume(`{"AWS":"123456789012"}`), identity: statement(allowAll)},
		{name: "an identity policy alone", who: asUser, trust: assume(`{"Service":"rds.amazonaws.com"}`), identity: statement(allowAll), want: noTrust},
		{name: "root is not trusted by itself", who: asRoot, trust: assume(`{"Service":"rds.amazonaws.com"}`), want: noTrust},
		{name: "root of a trusted account", who: asRoot, trust: assume(`{"AWS":"123456789012"}`)},
		{name: "a trusted role", who: asSession, trust: assume(`{"AWS":"` + role + `"}`)},
		{
			name: "a trusted role whose session policy is silent", who: asSession, trust: assume(`{"AWS":"` + role + `"}`), session: statement(`"Action":"rds:*","Resource":"*"`),
			want: "because no session policy allows the sts:AssumeRole action",
		},
		{name: "a trusted provider", who: asProvider, trust: assume(`{"Federated":"accounts.example.com"}`)},
		{name: "everybody is trusted", who: asUser, trust: assume(`"*"`)},
		{name: "trust is denied", who: asUser, identity: statement(allowAll), trust: deny(`"Principal":"*","Action":"sts:AssumeRole"`), want: "with an explicit deny in the role trust policy"},
		{
			name: "trust under a condition", who: asUser, want: noTrust,
			trust: statement(`"Principal":{"AWS":"` + user + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"42"}}`),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := policy.Set{
				Identity: parse(t, policy.Identity, tt.identity),
				Resource: parse(t, policy.Resource, tt.resource),
				Boundary: parse(t, policy.Boundary, tt.boundary),
				Session:  parse(t, policy.Session, tt.session),
			}
			r := &policy.Request{Principal: tt.who, Action: "secretsmanager:GetSecretValue", Resource: secret}
			if tt.trust != "" {
				set.Trust = &parse(t, policy.Trust, tt.trust)[0]
				r.Action, r.Resource = "sts:AssumeRole", role
			}
			d := policy.Evaluate(r, set)
			if got := d.Reason(r.Action); got != tt.want || d.Allowed() != (tt.want == "") {
				t.Errorf("got %s %q, by %v; want %q", d.Outcome, got, d.By, tt.want)
			}
		})
	}
}

func TestDecision(t *testing.T) {
	t.Parallel()
	r := request("rds:CreateDBProxy", proxy)
	d := policy.Evaluate(r, policy.Set{})
	const want = "User: arn:aws:iam::123456789012:user/app is not authorized to perform: rds:CreateDBProxy on resource: " + proxy +
		" because no identity-based policy allows the rds:CreateDBProxy action"
	if got := d.Message(r); got != want || d.By != nil {
		t.Errorf("got  %s (%v)\nwant %s", got, d.By, want)
	}

	both := append(parse(t, policy.Identity, statement(everything)), parse(t, policy.Identity, deny(everything))...)
	both[1].Name = "stop"
	d = policy.Evaluate(r, policy.Set{Identity: both})
	if got := d.By.String(); d.Outcome != policy.ExplicitDeny || got != "statement 1 (No) of the identity-based policy stop" {
		t.Errorf("%v by %s", d.Outcome, got)
	}
	d = policy.Evaluate(r, policy.Set{Identity: both[:1]})
	if d.By == nil || d.By.Policy != "p" || d.Message(r) != "" {
		t.Errorf("%+v by %v, %q", d, d.By, d.Message(r))
	}
	for o, want := range map[policy.Outcome]string{policy.ImplicitDeny: "implicitDeny", policy.ExplicitDeny: "explicitDeny", policy.Allowed: "allowed"} {
		if o.String() != want {
			t.Errorf("got %s, want %s", o, want)
		}
	}
	if (policy.Decision{}).Allowed() {
		t.Error("the zero Decision allows")
	}
}

// TestMismatchedKinds: a document used as another kind than it was parsed as allows nothing.
func TestMismatchedKinds(t *testing.T) {
	t.Parallel()
	trust := parse(t, policy.Trust, statement(`"Principal":"*","Action":"sts:AssumeRole"`))
	identity := parse(t, policy.Identity, statement(everything))
	r := request("sts:AssumeRole", role)
	for name, set := range map[string]policy.Set{
		"trust as identity":    {Identity: trust},
		"identity as resource": {Resource: identity},
		"identity as trust":    {Trust: &identity[0]},
		"no document":          {Identity: []policy.Policy{{Name: "empty"}}},
	} {
		if policy.Evaluate(r, set).Allowed() {
			t.Errorf("%s allows", name)
		}
	}
}

// BenchmarkEvaluate also is the worst that a pattern can do: many wildcards, and a text that fits until its end.
func BenchmarkEvaluate(b *testing.B) {
	long := make([]byte, 2000)
	for i := range long {
		long[i] = 'a'
	}
	for name, resource := range map[string]string{
		"plain":   "arn:aws:rds:us-east-1:123456789012:db-proxy:*",
		"hostile": "arn:aws:rds:::*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
	} {
		b.Run(name, func(b *testing.B) {
			set := policy.Set{Identity: parse(b, policy.Identity, statement(`"Action":"rds:*","Resource":"`+resource+`"`))}
			r := request("rds:CreateDBProxy", "arn:aws:rds:::"+string(long))
			b.ReportAllocs()
			for b.Loop() {
				policy.Evaluate(r, set)
			}
		})
	}
}
