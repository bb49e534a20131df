package policy_test

import (
	"strings"
	"testing"

	"forebay/internal/policy"
)

// TestConditions has a row for each operator and each trap. A condition holds if a statement with it allows.
func TestConditions(t *testing.T) {
	t.Parallel()
	type keys = map[string][]string
	one := func(v ...string) keys { return keys{"a:k": v} }
	none := keys{}
	tests := []struct {
		condition string // operator:{key:value}, with ' for "
		keys      keys
		want      bool
	}{
		// Strings.
		{`'StringEquals':{'a:k':'x'}`, one("x"), true},
		{`'StringEquals':{'a:k':'x'}`, one("X"), false},
		{`'StringEquals':{'a:k':'x*'}`, one("xy"), false}, // no wildcards here
		{`'StringEquals':{'a:k':'x*'}`, one("x*"), true},
		{`'StringEquals':{'a:k':['y','x']}`, one("x"), true},
		{`'StringEquals':{'a:k':'x'}`, none, false},
		{`'StringEquals':{'a:k':'x'}`, one(), false}, // no values is no key
		{`'StringEquals':{'a:k':''}`, one(""), true},
		{`'StringEquals':{'A:K':'x'}`, one("x"), true}, // keys do not mind case
		{`'StringEquals':{'a:k':'x'}`, keys{"A:k": {"x"}}, true},
		{`'StringEquals':{'a:k':[]}`, one("x"), false},
		{`'StringNotEquals':{'a:k':'x'}`, one("y"), true},
		{`'StringNotEquals':{'a:k':'x'}`, one("x"), false},
		{`'StringNotEquals':{'a:k':['x','y']}`, one("y"), false}, // neither, not "not one of them"
		{`'StringNotEquals':{'a:k':['x','y']}`, one("z"), true},
		{`'StringNotEquals':{'a:k':'x'}`, none, true},
		{`'StringNotEquals':{'a:k':[]}`, one("x"), true},
		{`'StringEqualsIgnoreCase':{'a:k':'straße'}`, one("STRAßE"), true},
		{`'StringEqualsIgnoreCase':{'a:k':'x'}`, one("y"), false},
		{`'StringNotEqualsIgnoreCase':{'a:k':'x'}`, one("X"), false},
		{`'StringNotEqualsIgnoreCase':{'a:k':'x'}`, none, true},
		{`'StringLike':{'a:k':'a*c?'}`, one("abbcd"), true},
		{`'StringLike':{'a:k':'a*c?'}`, one("ac"), false},
		{`'StringLike':{'a:k':'*'}`, one(""), true},
		{`'StringLike':{'a:k':'*'}`, none, false}, // the key must be there
		{`'StringLike':{'a:k':'?'}`, one("é"), true},
		{`'StringLike':{'a:k':'A'}`, one("a"), false},
		{`'StringNotLike':{'a:k':'a*'}`, one("b"), true},
		{`'StringNotLike':{'a:k':'a*'}`, one("ab"), false},
		{`'StringNotLike':{'a:k':'*'}`, none, true},

		// Numbers.
		{`'NumericEquals':{'a:k':'1.50'}`, one("1.5"), true},
		{`'NumericEquals':{'a:k':9007199254740993}`, one("9007199254740992"), false}, // more than a float64 holds
		{`'NumericEquals':{'a:k':'1'}`, one("one"), false},
		{`'NumericNotEquals':{'a:k':'1'}`, one("2"), true},
		{`'NumericNotEquals':{'a:k':'1'}`, none, true},
		{`'NumericLessThan':{'a:k':'10'}`, one("9"), true}, // not as text
		{`'NumericLessThan':{'a:k':'10'}`, one("10"), false},
		{`'NumericLessThan':{'a:k':'10'}`, none, false},
		{`'NumericLessThanEquals':{'a:k':'10'}`, one("10"), true},
		{`'NumericGreaterThan':{'a:k':'-1'}`, one("-0.5"), true},
		{`'NumericGreaterThan':{'a:k':'-1'}`, one("-1"), false},
		{`'NumericGreaterThanEquals':{'a:k':'-1'}`, one("-1"), true},
		{`'NumericLessThan':{'a:k':['1','10']}`, one("5"), true},

		// Dates.
		{`'DateEquals':{'a:k':'2026-11-26T10:20:30Z'}`, one("2026-11-26T11:20:30+01:00"), true},
		{`'DateEquals':{'a:k':'2026-11-26'}`, one("2026-11-26T00:00:00Z"), true},
		{`'DateEquals':{'a:k':'1795688430'}`, one("2026-11-26T10:20:30Z"), true}, // seconds since 1970
		{`'DateNotEquals':{'a:k':'2026-11-26'}`, one("2026-11-27"), true},
		{`'DateNotEquals':{'a:k':'2026-11-26'}`, none, true},
		{`'DateLessThan':{'a:k':'2026-11-26T10:20:30.5Z'}`, one("2026-11-26T10:20:30Z"), true},
		{`'DateLessThan':{'a:k':'2026-11-26T10:20:30Z'}`, one("2026-11-26T10:20:30Z"), false},
		{`'DateLessThanEquals':{'a:k':'2026-11-26T10:20:30Z'}`, one("2026-11-26T10:20:30Z"), true},
		{`'DateGreaterThan':{'a:k':'2026-11-26T10:20Z'}`, one("2026-11-26T10:20:30Z"), true},
		{`'DateGreaterThan':{'a:k':'2026-11'}`, none, false},
		{`'DateGreaterThanEquals':{'a:k':'2026-11'}`, one("2026-11-01T00:00:00"), true},
		{`'DateGreaterThan':{'a:k':'2026-11'}`, one("tomorrow"), false},

		// Booleans, binaries, addresses.
		{`'Bool':{'a:k':'true'}`, one("true"), true},
		{`'Bool':{'a:k':true}`, one("TRUE"), true},
		{`'Bool':{'a:k':'false'}`, one("true"), false},
		{`'Bool':{'a:k':'false'}`, none, false}, // a key that is missing is not false
		{`'Bool':{'a:k':'true'}`, one("1"), false},
		{`'BinaryEquals':{'a:k':'QmluYXJ5VmFsdWVJbkJhc2U2NA=='}`, one("QmluYXJ5VmFsdWVJbkJhc2U2NA=="), true},
		{`'BinaryEquals':{'a:k':'QQ=='}`, one("QUE="), false},
		{`'BinaryEquals':{'a:k':'QQ=='}`, none, false},
		{`'IpAddress':{'a:k':'203.0.113.0/24'}`, one("203.0.113.9"), true},
		{`'IpAddress':{'a:k':'203.0.113.77/24'}`, one("203.0.113.9"), true},
		{`'IpAddress':{'a:k':'203.0.113.0/24'}`, one("203.0.114.9"), false},
		{`'IpAddress':{'a:k':'203.0.113.9'}`, one("203.0.113.9"), true},
		{`'IpAddress':{'a:k':['10.0.0.0/8','2001:db8::/32']}`, one("2001:DB8::1"), true},
		{`'IpAddress':{'a:k':'203.0.113.0/24'}`, one("::ffff:203.0.113.9"), true},
		{`'IpAddress':{'a:k':'0.0.0.0/0'}`, one("::1"), false},
		{`'IpAddress':{'a:k':'0.0.0.0/0'}`, one("AWS Internal"), false},
		{`'IpAddress':{'a:k':'0.0.0.0/0'}`, none, false},
		{`'NotIpAddress':{'a:k':'203.0.113.0/24'}`, one("203.0.114.9"), true},
		{`'NotIpAddress':{'a:k':['10.0.0.0/8','203.0.113.0/24']}`, one("203.0.113.9"), false},
		{`'NotIpAddress':{'a:k':'203.0.113.0/24'}`, none, true},
		// IPv4 addresses that are written as IPv6 are IPv4 ones, on both sides, and in no other block of IPv6.
		{`'IpAddress':{'a:k':'::ffff:0:0/96'}`, one("203.0.113.9"), true},
		{`'IpAddress':{'a:k':'::ffff:0:0/96'}`, one("::ffff:203.0.113.9"), true},
		{`'IpAddress':{'a:k':'::ffff:0:0/96'}`, one("2001:db8::1"), false},
		{`'IpAddress':{'a:k':'::ffff:203.0.113.77/120'}`, one("203.0.113.9"), true},
		{`'IpAddress':{'a:k':'::ffff:203.0.113.0/120'}`, one("203.0.114.9"), false},
		{`'IpAddress':{'a:k':'::ffff:203.0.113.9'}`, one("203.0.113.9"), true},
		{`'IpAddress':{'a:k':'::ffff:203.0.113.9/128'}`, one("203.0.113.8"), false},
		{`'IpAddress':{'a:k':'203.0.113.9'}`, one("::ffff:cb00:7109"), true},
		{`'IpAddress':{'a:k':'::/0'}`, one("203.0.113.9"), false},
		{`'IpAddress':{'a:k':'::/0'}`, one("::ffff:203.0.113.9"), false},
		{`'IpAddress':{'a:k':'::ffff:0:0/95'}`, one("203.0.113.9"), false},
		{`'IpAddress':{'a:k':'::/0'}`, one("2001:db8::1"), true},
		{`'IpAddress':{'a:k':'fe80::/10'}`, one("fe80::1%eth0"), true},
		{`'NotIpAddress':{'a:k':'::ffff:0:0/96'}`, one("203.0.113.9"), false},
		{`'NotIpAddress':{'a:k':'::ffff:0:0/96'}`, one("2001:db8::1"), true},

		// ARNs: each of the six segments on its own.
		{`'ArnLike':{'a:k':'arn:aws:sns:*:123456789012:t*'}`, one("arn:aws:sns:eu-central-1:123456789012:topic:x"), true},
		{`'ArnLike':{'a:k':'arn:aws:sns:*:topic'}`, one("arn:aws:sns:eu-central-1:123456789012:topic"), false},
		{`'ArnLike':{'a:k':'arn:aws:sns:*'}`, one("arn:aws:sns:eu-central-1:123456789012:topic"), false},
		{`'ArnLike':{'a:k':'arn:aws:sns:?:?:*'}`, one("arn:aws:sns:::topic"), false},
		{`'ArnLike':{'a:k':'*'}`, one("arn:aws:sns:eu-central-1:123456789012:topic"), true},
		{`'ArnEquals':{'a:k':'arn:aws:sns:*:*:topic'}`, one("arn:aws:sns:eu-central-1:123456789012:topic"), true}, // as ArnLike
		{`'ArnEquals':{'a:k':'arn:aws:sns:*:*:topic'}`, one("arn:aws:sns:eu-central-1:123456789012:Topic"), false},
		{`'ArnNotLike':{'a:k':'arn:aws:sns:*:*:t*'}`, one("arn:aws:sns:eu-central-1:123456789012:queue"), true},
		{`'ArnNotEquals':{'a:k':'arn:aws:sns:*:*:topic'}`, one("arn:aws:sns:eu-central-1:123456789012:topic"), false},
		{`'ArnNotEquals':{'a:k':'arn:aws:sns:*:*:topic'}`, none, true},

		// Null.
		{`'Null':{'a:k':'true'}`, none, true},
		{`'Null':{'a:k':'true'}`, one(), true},
		{`'Null':{'a:k':'true'}`, one("x"), false},
		{`'Null':{'a:k':'false'}`, one("x"), true},
		{`'Null':{'a:k':false}`, none, false},

		// IfExists: as without it where the key is there, and true where it is not, negated or not.
		{`'StringEqualsIfExists':{'a:k':'x'}`, none, true},
		{`'StringEqualsIfExists':{'a:k':'x'}`, one("x"), true},
		{`'StringEqualsIfExists':{'a:k':'x'}`, one("y"), false},
		{`'StringNotEqualsIfExists':{'a:k':'x'}`, none, true},
		{`'StringNotEqualsIfExists':{'a:k':'x'}`, one("x"), false},
		{`'BoolIfExists':{'a:k':'false'}`, none, true}, // the trap of aws:MultiFactorAuthPresent
		{`'IpAddressIfExists':{'a:k':'10.0.0.0/8'}`, none, true},
		{`'NumericLessThanIfExists':{'a:k':'1'}`, one("2"), false},

		// ForAllValues: true for no values at all.
		{`'ForAllValues:StringEquals':{'a:k':['x','y']}`, one("x", "y"), true},
		{`'ForAllValues:StringEquals':{'a:k':['x','y']}`, one("x"), true},
		{`'ForAllValues:StringEquals':{'a:k':['x','y']}`, one("x", "z"), false},
		{`'ForAllValues:StringEquals':{'a:k':['x','y']}`, none, true},
		{`'ForAllValues:StringEquals':{'a:k':['x','y']}`, one(), true},
		{`'ForAllValues:StringEquals':{'a:k':[]}`, one("x"), false},
		{`'ForAllValues:StringNotEquals':{'a:k':['x','y']}`, one("z", "w"), true},
		{`'ForAllValues:StringNotEquals':{'a:k':['x','y']}`, one("z", "x"), false},
		{`'ForAllValues:StringNotEquals':{'a:k':['x','y']}`, none, true},
		{`'ForAllValues:StringLike':{'a:k':'a*'}`, one("ab", "ac"), true},
		{`'ForAllValues:StringLikeIfExists':{'a:k':'a*'}`, none, true},

		// ForAnyValue: false for no values at all.
		{`'ForAnyValue:StringEquals':{'a:k':['x','y']}`, one("z", "y"), true},
		{`'ForAnyValue:StringEquals':{'a:k':['x','y']}`, one("z"), false},
		{`'ForAnyValue:StringEquals':{'a:k':['x','y']}`, none, false},
		{`'ForAnyValue:StringNotEquals':{'a:k':['x','y']}`, one("x", "z"), true},
		{`'ForAnyValue:StringNotEquals':{'a:k':['x','y']}`, one("x", "y"), false},
		{`'ForAnyValue:StringNotEquals':{'a:k':['x','y']}`, none, false},
		{`'ForAnyValue:StringEqualsIfExists':{'a:k':'x'}`, none, true},

		// Several values without a set operator: all of them.
		{`'StringEquals':{'a:k':'x'}`, one("y", "x"), false},
		{`'StringEquals':{'a:k':['x','y']}`, one("y", "x"), true},
		{`'StringNotEquals':{'a:k':'x'}`, one("y", "z"), true},
		{`'StringNotEquals':{'a:k':'x'}`, one("y", "x"), false},

		// All operators and keys must hold.
		{`'StringEquals':{'a:k':'x','a:l':'y'}`, keys{"a:k": {"x"}, "a:l": {"y"}}, true},
		{`'StringEquals':{'a:k':'x','a:l':'y'}`, keys{"a:k": {"x"}, "a:l": {"z"}}, false},
		{`'StringEquals':{'a:k':'x'},'Bool':{'a:b':'true'}`, keys{"a:k": {"x"}}, false},
		{`'StringEquals':{}`, none, true},

		// Variables in values.
		{`'StringEquals':{'a:k':'u-${aws:username}'}`, keys{"a:k": {"u-bob"}, "aws:username": {"bob"}}, true},
		{`'StringEquals':{'a:k':'${AWS:UserName}'}`, keys{"a:k": {"bob"}, "aws:username": {"bob"}}, true},
		{`'StringLike':{'a:k':'${aws:username}'}`, keys{"a:k": {"anything"}, "aws:username": {"*"}}, false}, // a name is no wildcard
		{`'StringLike':{'a:k':'${*}${?}${$}*'}`, one("*?$x"), true},
		{`'StringLike':{'a:k':'${*}'}`, one("x"), false},
		{`'StringEquals':{'a:k':'${aws:username}'}`, one(""), false}, // no value is not the empty text
		{`'StringNotEquals':{'a:k':'${aws:username}'}`, one("x"), true},
		{`'StringEquals':{'a:k':'${aws:PrincipalTag/team, 'none'}'}`, one("none"), true},
		{`'StringEquals':{'a:k':'${aws:PrincipalTag/team, 'none'}'}`, keys{"a:k": {"red"}, "aws:principaltag/team": {"red"}}, true},
		{`'StringEquals':{'a:k':'${a:list, 'none'}'}`, keys{"a:k": {"none"}, "a:list": {"1", "2"}}, false}, // several values are no value
		{`'StringEqualsIgnoreCase':{'a:k':'${aws:username}'}`, keys{"a:k": {"BOB"}, "aws:username": {"bob"}}, true},
		{`'ArnLike':{'a:k':'arn:aws:iam::*:user/${aws:username}'}`, keys{"a:k": {"arn:aws:iam::1:user/b"}, "aws:username": {"b"}}, true},
		{`'StringEquals':{'a:k':'$x{'}`, one("$x{"), true},
	}
	for _, tt := range tests {
		text := statement(everything + `,"Condition":{` + quote(tt.condition) + `}`)
		d, err := policy.Parse(policy.Identity, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", tt.condition, err)
			continue
		}
		r := request("rds:DescribeDBProxies", "*")
		r.Context = tt.keys
		if got := policy.Evaluate(r, policy.Set{Identity: []policy.Policy{{Document: d}}}).Allowed(); got != tt.want {
			t.Errorf("{%s} with %v: holds = %t, want %t", tt.condition, tt.keys, got, tt.want)
		}
	}
}

// quote makes JSON of text with ' for ", but for the quotes of a variable's default.
func quote(s string) string {
	return strings.NewReplacer(`, '`, `, '`, `'}'`, `'}"`, `'`, `"`).Replace(s)
}

// TestSeveralValuesOfOneKey: whoever asks may bring several values for a key that is meant to have one, and gains nothing by it.
func TestSeveralValuesOfOneKey(t *testing.T) {
	t.Parallel()
	tagged := map[string][]string{"aws:RequestTag/env": {"dev"}, "aws:RequestTag/Env": {"prod"}} // two tags, one condition key
	for _, tt := range []struct {
		effect, condition string
		want              policy.Outcome
	}{
		{"Allow", `'StringEquals':{'aws:RequestTag/env':'dev'}`, policy.ImplicitDeny},
		{"Allow", `'StringNotEquals':{'aws:RequestTag/env':'prod'}`, policy.ImplicitDeny},
		{"Allow", `'StringEquals':{'aws:RequestTag/env':['dev','prod']}`, policy.Allowed},
		{"Deny", `'StringEquals':{'aws:RequestTag/env':'prod'}`, policy.ExplicitDeny},
		{"Deny", `'StringNotEquals':{'aws:RequestTag/env':'dev'}`, policy.ExplicitDeny},
		{"Deny", `'StringNotEquals':{'aws:RequestTag/env':['dev','prod']}`, policy.ImplicitDeny},
	} {
		d, err := policy.Parse(policy.Identity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"`+tt.effect+`","Action":"*","Resource":"*","Condition":{`+quote(tt.condition)+`}}}`))
		if err != nil {
			t.Fatal(err)
		}
		r := request("rds:CreateDBProxy", "*")
		r.Context = tagged
		if got := policy.Evaluate(r, policy.Set{Identity: []policy.Policy{{Document: d}}}).Outcome; got != tt.want {
			t.Errorf("%s {%s}: %v, want %v", tt.effect, tt.condition, got, tt.want)
		}
	}
}
