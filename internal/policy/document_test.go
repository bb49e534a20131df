package policy_test

import (
	"errors"
	"strings"
	"testing"

	"forebay/internal/policy"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		kind policy.Kind
		text string
	}{
		{"a list of statements", policy.Identity, `{"Version":"2012-10-17","Id":"x","Statement":[
			{"Sid":"One","Effect":"Allow","Action":["rds:*","rds-db:connect"],"Resource":["*"]},
			{"Effect":"Deny","NotAction":"iam:*","NotResource":"arn:aws:rds:us-east-1:123456789012:db-proxy:*"}]}`},
		{"a statement alone", policy.Identity, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`},
		{"the old version", policy.Identity, `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*:*","Resource":"*"}}`},
		{"two empty Sids", policy.Identity, `{"Statement":[{"Sid":"","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"","Effect":"Allow","Action":"*","Resource":"*"}]}`},
		{"an ARN that ends in a wildcard early", policy.Identity, statement(`"Action":"rds:*","Resource":"arn:aws:rds:*"`)},
		{"any partition", policy.Identity, statement(`"Action":"rds:*","Resource":"arn:*:rds:*:*:db-proxy:*"`)},
		{"another partition", policy.Identity, statement(`"Action":"rds:*","Resource":"arn:aws-us-gov:rds:*"`)},
		{"conditions with bare numbers and booleans", policy.Identity, statement(`"Action":"*","Resource":"*","Condition":{
			"Bool":{"aws:SecureTransport":true},"NumericLessThan":{"aws:MultiFactorAuthAge":3600},"Null":{"aws:TokenIssueTime":false}}`)},
		{"operators in another case", policy.Identity, statement(`"Action":"*","Resource":"*","Condition":{"forallvalues:stringlikeifexists":{"aws:TagKeys":["a*"]}}`)},
		{"no values", policy.Identity, statement(`"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:username":[]}}`)},
		{"no conditions", policy.Identity, statement(`"Action":"*","Resource":"*","Condition":{}`)},
		{"a session policy", policy.Session, statement(`"Action":"*","Resource":"*"`)},
		{"a boundary", policy.Boundary, statement(`"Action":"*","Resource":"*"`)},
		{"the proxy's role", policy.Trust, statement(`"Principal":{"Service":"rds.amazonaws.com"},"Action":"sts:AssumeRole"`)},
		{"trust in everything there is", policy.Trust, statement(`"Principal":{"AWS":["*","123456789012","arn:aws:iam::123456789012:user/a/b","AROAEXAMPLEEXAMPLE12"],
			"Federated":["cognito-identity.amazonaws.com"],"Service":["rds.amazonaws.com"]},"Action":["sts:AssumeRole","sts:TagSession"]`)},
		{"a secret's policy", policy.Resource, statement(`"Sid":"with space","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"`)},
		{"NotPrincipal that denies", policy.Resource, strings.Replace(statement(`"NotPrincipal":{"AWS":"123456789012"},"Action":"*","Resource":"*"`), "Allow", "Deny", 1)},
		{"every operator", policy.Identity, statement(`"Action":"*","Resource":"*","Condition":{` + everyOperator() + `}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := policy.Parse(tt.kind, []byte(tt.text)); err != nil {
				t.Errorf("%s\n%v", tt.text, err)
			}
		})
	}
}

// statement is a document of one statement that allows.
func statement(elements string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + elements + `}]}`
}

func everyOperator() string {
	var list []string
	for _, op := range []struct{ names, value string }{
		{"StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike", `"x"`},
		{"NumericEquals NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan NumericGreaterThanEquals", `"-1.5"`},
		{"DateEquals DateNotEquals DateLessThan DateLessThanEquals DateGreaterThan DateGreaterThanEquals", `"2026-11-26T00:00:00Z"`},
		{"Bool", `"true"`},
		{"BinaryEquals", `"QmluYXJ5"`},
		{"IpAddress NotIpAddress", `"2001:db8::/32"`},
		{"ArnEquals ArnNotEquals ArnLike ArnNotLike", `"arn:aws:sns:*:123456789012:x*"`},
	} {
		for _, name := range strings.Fields(op.names) {
			for _, prefix := range []string{"", "ForAllValues:", "ForAnyValue:"} {
				list = append(list, `"`+prefix+name+`":{"a:b":`+op.value+`}`, `"`+prefix+name+`IfExists":{"a:b":[`+op.value+`]}`)
			}
		}
	}
	return strings.Join(append(list, `"Null":{"a:b":"true"}`), ",")
}

const everything = `"Action":"*","Resource":"*"`

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const (
		syntax = "Syntax errors in policy."
		legacy = "The policy failed legacy parsing"
	)
	condition := func(c string) string { return statement(everything + `,"Condition":` + c) }
	tests := []struct {
		name string
		kind policy.Kind
		text string
		want string // MalformedError.Message
	}{
		{"nothing", policy.Identity, ``, syntax},
		{"no JSON", policy.Identity, `This is not a json document`, syntax},
		{"two documents", policy.Identity, statement(everything) + statement(everything), syntax},
		{"not UTF-8", policy.Identity, "{\"Id\":\"\xff\"}", syntax},
		{"a list", policy.Identity, `[]`, syntax},
		{"no statement", policy.Identity, `{"Version":"2012-10-17"}`, syntax},
		{"an empty list of statements", policy.Identity, `{"Version":"2012-10-17","Statement":[]}`, syntax},
		{"a statement that is a string", policy.Identity, `{"Version":"2012-10-17","Statement":["x"]}`, syntax},
		{"an unknown version", policy.Identity, `{"Version":"2020-10-17","Statement":[{"Effect":"Allow",` + everything + `}]}`, syntax},
		{"a version that is a number", policy.Identity, `{"Version":2012,"Statement":[{"Effect":"Allow",` + everything + `}]}`, syntax},
		{"an unknown element", policy.Identity, `{"Extra":1,"Statement":[{"Effect":"Allow",` + everything + `}]}`, syntax},
		{"an element in another case", policy.Identity, `{"statement":[{"Effect":"Allow",` + everything + `}]}`, syntax},
		{"an element twice", policy.Identity, `{"Statement":[],"Statement":[{"Effect":"Allow",` + everything + `}]}`, syntax},
		{"an element of a statement twice", policy.Identity, statement(everything + `,"Action":"rds:*"`), syntax},
		{"an unknown element of a statement", policy.Identity, statement(everything + `,"Extra":"x"`), syntax},
		{"no effect", policy.Identity, `{"Statement":{` + everything + `}}`, syntax},
		{"an unknown effect", policy.Identity, `{"Statement":{"Effect":"allow",` + everything + `}}`, syntax},
		{"Action and NotAction", policy.Identity, statement(everything + `,"NotAction":"rds:*"`), syntax},
		{"Resource and NotResource", policy.Identity, statement(everything + `,"NotResource":"*"`), syntax},
		{"Principal and NotPrincipal", policy.Resource, statement(everything + `,"Principal":"*","NotPrincipal":"*"`), syntax},
		{"an action that is a number", policy.Identity, statement(`"Action":1,"Resource":"*"`), syntax},
		{"an action that is null", policy.Identity, statement(`"Action":[null],"Resource":"*"`), syntax},
		{"a Sid that is a number", policy.Identity, statement(`"Sid":1,` + everything), syntax},
		{"nested too deeply", policy.Identity, strings.Repeat("[", 100) + strings.Repeat("]", 100), syntax},
		{"too long", policy.Identity, statement(everything) + strings.Repeat(" ", policy.MaxText), syntax},
		{"a variable that does not end", policy.Identity, statement(`"Action":"*","Resource":"arn:aws:rds:::${aws:username"`), syntax},
		{"a variable without a name", policy.Identity, statement(`"Action":"*","Resource":"arn:aws:rds:::${}"`), syntax},
		{"a default without quotes", policy.Identity, statement(`"Action":"*","Resource":"arn:aws:rds:::${a:b, c}"`), syntax},
		{"a variable in a variable", policy.Identity, condition(`{"StringLike":{"a:b":"${a:${c:d}}"}}`), syntax},

		{
			"the same Sid twice", policy.Identity, `{"Statement":[{"Sid":"a","Effect":"Allow",` + everything + `},{"Sid":"a","Effect":"Deny",` + everything + `}]}`,
			"Statement IDs (SID) in a single policy must be unique.",
		},
		{
			"a Sid with a space", policy.Identity, statement(`"Sid":"a b",` + everything),
			"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
		},
		{"no action", policy.Identity, statement(`"Resource":"*"`), "Policy statement must contain actions."},
		{"an empty list of actions", policy.Identity, statement(`"Action":[],"Resource":"*"`), "Policy statement must contain actions."},
		{"no resource", policy.Identity, statement(`"Action":"*"`), "Policy statement must contain resources."},
		{"an empty list of resources", policy.Identity, statement(`"Action":"*","Resource":[]`), "Policy statement must contain resources."},
		{
			"an action without its service", policy.Identity, statement(`"Action":"CreateDBProxy","Resource":"*"`),
			"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
		},
		{"an action with two colons", policy.Identity, statement(`"Action":"rds:a:b","Resource":"*"`), "Actions/Condition can contain only one colon."},
		{"a service with a wildcard", policy.Identity, statement(`"Action":"r*:CreateDBProxy","Resource":"*"`), "Vendor r* is not valid"},
		{"a resource that is no ARN", policy.Identity, statement(`"Action":"*","Resource":"db-1"`), `Resource db-1 must be in ARN format or "*".`},
		{
			"an unknown partition", policy.Identity, statement(`"Action":"*","Resource":"arn:foo:rds:us-east-1:123456789012:db:x"`),
			`Partition "foo" is not valid for resource "arn:foo:rds:us-east-1:123456789012:db:x".`,
		},
		{"an unknown partition of a short ARN", policy.Identity, statement(`"Action":"*","Resource":"arn:foo"`), `Partition "foo" is not valid for resource "arn:foo:*:*:*:*".`},
		{"an ARN without a service", policy.Identity, statement(`"Action":"*","Resource":"arn:aws:*"`), "Resource vendor must be fully qualified and cannot contain regexes."},
		{"an ARN with a wildcard in its service", policy.Identity, statement(`"Action":"*","Resource":"arn:aws:r*:*"`), "Resource vendor must be fully qualified and cannot contain regexes."},

		{"a principal where none belongs", policy.Identity, statement(everything + `,"Principal":"*"`), "Policy document should not specify a principal."},
		{"no principal", policy.Resource, statement(everything), "Missing required field Principal"},
		{"an empty principal", policy.Trust, statement(`"Principal":{},"Action":"sts:AssumeRole"`), "Missing required field Principal"},
		{"NotPrincipal that allows", policy.Resource, statement(everything + `,"NotPrincipal":{"AWS":"123456789012"}`), "Allow with NotPrincipal is not allowed."},
		{"a principal that is a string", policy.Resource, statement(everything + `,"Principal":"123456789012"`), syntax},
		{"an unknown kind of principal", policy.Resource, statement(everything + `,"Principal":{"User":"x"}`), syntax},
		{"a principal that is a number", policy.Resource, statement(everything + `,"Principal":{"AWS":1}`), syntax},
		{
			"a principal with a wildcard", policy.Resource, statement(everything + `,"Principal":{"AWS":"arn:aws:iam::123456789012:user/*"}`),
			`Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/*"`,
		},
		{"a principal that is nobody", policy.Trust, statement(`"Principal":{"AWS":"bob"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "AWS":"bob"`},
		{"a service without a dot", policy.Trust, statement(`"Principal":{"Service":"rds"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "Service":"rds"`},
		{"trust with a resource", policy.Trust, statement(`"Principal":"*","Action":"sts:AssumeRole","Resource":"*"`), "Has prohibited field Resource."},
		{"trust with another action", policy.Trust, statement(`"Principal":"*","Action":"rds:CreateDBProxy"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{"trust with any action", policy.Trust, statement(`"Principal":"*","Action":"*"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{"trust with NotAction", policy.Trust, statement(`"Principal":"*","NotAction":"sts:TagSession"`), "AssumeRole policy may only specify STS AssumeRole actions."},

		{"a condition that is a list", policy.Identity, condition(`[]`), syntax},
		{"an operator that is a string", policy.Identity, condition(`{"StringEquals":"x"}`), syntax},
		{"an unknown operator", policy.Identity, condition(`{"StringMatches":{"a:b":"x"}}`), syntax},
		{"an unknown set operator", policy.Identity, condition(`{"ForNoValue:StringEquals":{"a:b":"x"}}`), syntax},
		{"NullIfExists", policy.Identity, condition(`{"NullIfExists":{"a:b":"true"}}`), syntax},
		{"ForAnyValue:Null", policy.Identity, condition(`{"ForAnyValue:Null":{"a:b":"true"}}`), syntax},
		{"BinaryNotEquals, which there is not", policy.Identity, condition(`{"BinaryNotEquals":{"a:b":"QQ=="}}`), syntax},
		{"a value that is an object", policy.Identity, condition(`{"StringEquals":{"a:b":{}}}`), syntax},
		{"a value that is null", policy.Identity, condition(`{"StringEquals":{"a:b":null}}`), syntax},
		{
			"a key without its service", policy.Identity, condition(`{"StringEquals":{"username":"x"}}`),
			"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
		},
		{"no boolean", policy.Identity, condition(`{"Bool":{"a:b":"yes"}}`), legacy},
		{"no number", policy.Identity, condition(`{"NumericEquals":{"a:b":"one"}}`), legacy},
		{"a number with an exponent", policy.Identity, condition(`{"NumericEquals":{"a:b":"1e999999999"}}`), legacy},
		{"a fraction", policy.Identity, condition(`{"NumericEquals":{"a:b":"1/2"}}`), legacy},
		{"no date", policy.Identity, condition(`{"DateEquals":{"a:b":"2026-13-01"}}`), legacy},
		{"a negative date", policy.Identity, condition(`{"DateEquals":{"a:b":-1}}`), legacy},
		{"no address", policy.Identity, condition(`{"IpAddress":{"a:b":"10.0.0.256"}}`), legacy},
		{"no block", policy.Identity, condition(`{"IpAddress":{"a:b":"10.0.0.0/33"}}`), legacy},
		{"no base64", policy.Identity, condition(`{"BinaryEquals":{"a:b":"?"}}`), legacy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := policy.Parse(tt.kind, []byte(tt.text))
			var e *policy.MalformedError
			if !errors.As(err, &e) || e.Message != tt.want {
				t.Errorf("%.300s\n got %v\nwant %s", tt.text, err, tt.want)
			}
		})
	}
}

// TestErrorNamesThePlace: IAM's message alone does not say which of twenty statements is wrong.
func TestErrorNamesThePlace(t *testing.T) {
	t.Parallel()
	_, err := policy.Parse(policy.Identity, []byte(`{"Statement":[{"Effect":"Allow",`+everything+`},{"Effect":"Allow",`+everything+`,"Acton":"x"}]}`))
	const want = `Syntax errors in policy. (Statement 2: unknown element "Acton")`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	text := " {\n\t\"Statement\" : {\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Sid\":\"\"} }"
	d, err := policy.Parse(policy.Identity, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if want := len(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Sid":""}}`); d.Size() != want {
		t.Errorf("Size() = %d, want %d", d.Size(), want)
	}
	if d.Version != policy.Version2008 {
		t.Errorf("without a version, Version = %q", d.Version)
	}
}

// FuzzParse checks that nothing panics, and that what parses can be evaluated.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		statement(everything),
		statement(`"Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:role/r"],"Service":"rds.amazonaws.com"},"Action":"sts:AssumeRole"`),
		statement(`"Action":["rds:*","rds-db:con?ect"],"Resource":"arn:aws:rds:*:*:db-proxy:${aws:username, 'x'}-${*}*a*"`),
		statement(`"NotAction":"a:b","NotResource":"arn:aws:rds:us-*-1:*:db:*","Condition":{` + everyOperator() + `}`),
		`{"Version":"2008-10-17","Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"*"},"Action":"*","Resource":"*"}}`,
	} {
		for kind := range policy.Boundary + 1 {
			f.Add(int(kind), s)
		}
	}
	f.Fuzz(func(t *testing.T, k int, text string) {
		kind := policy.Kind(k)
		if kind < policy.Identity || kind > policy.Boundary {
			return
		}
		d, err := policy.Parse(kind, []byte(text))
		if err != nil {
			var e *policy.MalformedError
			if d != nil || !errors.As(err, &e) || e.Message == "" {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if len(d.Statements) == 0 {
			t.Errorf("%q has no statements", text)
		}
		p := []policy.Policy{{Name: "p", Document: d}}
		r := request("rds:CreateDBProxy", "arn:aws:rds:us-east-1:123456789012:db-proxy:prx-1")
		r.Context = map[string][]string{"a:b": {"x", "1", "2026-11-26", "10.0.0.1", "true", "arn:aws:sns:a:123456789012:x"}}
		for _, set := range []policy.Set{{Identity: p}, {Resource: p}, {Trust: &p[0]}, {Identity: p, Session: p, Boundary: p}} {
			d := policy.Evaluate(r, set)
			if d.Allowed() != (d.Message(r) == "") || d.Outcome == policy.ExplicitDeny && d.By == nil {
				t.Errorf("%q: %+v", text, d)
			}
		}
	})
}
