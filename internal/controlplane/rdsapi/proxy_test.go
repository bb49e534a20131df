package rdsapi

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"forebay/internal/controlplane"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestCreateDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	got := w.create("Sales-1")
	want := DBProxy{
		DBProxyName: "Sales-1", Status: "available", EngineFamily: "MYSQL", VpcSubnetIds: []string{"subnet-1", "subnet-2"},
		DefaultAuthScheme: "NONE", RoleArn: role, Endpoint: "127.0.0.1", IdleClientTimeout: 1800, CreatedDate: start, UpdatedDate: start,
		Auth:                []UserAuthConfig{{AuthScheme: p("SECRETS"), SecretArn: p(secret), IAMAuth: p("DISABLED"), ClientPasswordAuthType: p("MYSQL_CACHING_SHA2_PASSWORD")}},
		EndpointNetworkType: "IPV4", TargetConnectionNetworkType: "IPV4",
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(DBProxy{}, "DBProxyArn", "VpcID", "VpcSecurityGroupIds")); d != "" {
		t.Error(d)
	}
	for what, re := range map[string]string{
		got.DBProxyArn:                    `^arn:aws:rds:us-east-1:123456789012:db-proxy:prx-[0-9a-f]{17}$`,
		got.VpcID:                         `^vpc-[0-9a-f]{17}$`,
		w.group("sales-1").TargetGroupArn: `^arn:aws:rds:us-east-1:123456789012:target-group:prx-tg-[0-9a-f]{17}$`,
	} {
		if !regexp.MustCompile(re).MatchString(what) {
			t.Errorf("%s does not match %s", what, re)
		}
	}
	if other := w.create("other"); len(got.VpcSecurityGroupIds) != 1 || !cmp.Equal(other.VpcSecurityGroupIds, got.VpcSecurityGroupIds) || other.VpcID != got.VpcID {
		t.Errorf("security groups %v and %v, networks %s and %s", got.VpcSecurityGroupIds, other.VpcSecurityGroupIds, got.VpcID, other.VpcID)
	}
}

func TestCreateEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	auth := []UserAuthConfig{
		{SecretArn: p(secret)},
		{AuthScheme: p("SECRETS"), SecretArn: p(secret), UserName: p("u"), Description: p("d"), IAMAuth: p("REQUIRED"), ClientPasswordAuthType: p("POSTGRES_MD5")},
	}
	got := w.create("all", postgres, func(in *CreateDBProxyInput) {
		in.VpcSubnetIds = []string{"subnet-0a", "subnet-0b", "subnet-0c"}
		in.DefaultAuthScheme, in.Auth, in.VpcSecurityGroupIds = p("IAM_AUTH"), auth, []string{"sg-1", "sg-2"}
		in.RequireTLS, in.IdleClientTimeout, in.DebugLogging = p(true), p(28800), p(true)
		in.EndpointNetworkType, in.TargetConnectionNetworkType = p("IPV6"), p("IPV6")
		in.Tags = []Tag{{Key: "team", Value: p("a")}, {Key: "empty"}}
	})
	auth[0].ClientPasswordAuthType = p("POSTGRES_SCRAM_SHA_256")
	want := DBProxy{
		DBProxyName: "all", Status: "available", EngineFamily: "POSTGRESQL", VpcSubnetIds: []string{"subnet-0a", "subnet-0b", "subnet-0c"},
		VpcSecurityGroupIds: []string{"sg-1", "sg-2"}, DefaultAuthScheme: "IAM_AUTH", Auth: auth, RoleArn: role, Endpoint: "::1", RequireTLS: true,
		IdleClientTimeout: 28800, DebugLogging: true, CreatedDate: start, UpdatedDate: start, EndpointNetworkType: "IPV6", TargetConnectionNetworkType: "IPV6",
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(DBProxy{}, "DBProxyArn", "VpcID")); d != "" {
		t.Error(d)
	}
	tags := do(w, w.listTagsForResource, ListTagsForResourceInput{ResourceName: got.DBProxyArn})
	if d := cmp.Diff([]Tag{{"empty", p("")}, {"team", p("a")}}, tags.TagList); d != "" {
		t.Error(d)
	}
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Proxies: 2})
	w.create("p1")
	tests := []struct {
		name, code string
		change     func(in *CreateDBProxyInput)
	}{
		{"no name", "MissingParameter", func(in *CreateDBProxyInput) { in.DBProxyName = "" }},
		{"digit first", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.DBProxyName = "1a" }},
		{"two hyphens", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.DBProxyName = "a--b" }},
		{"hyphen last", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.DBProxyName = "a-" }},
		{"underscore", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.DBProxyName = "a_b" }},
		{"a line's end", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.DBProxyName = "ab\n" }},
		{"long name", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.DBProxyName = long(64) }},
		{"name is taken", "DBProxyAlreadyExistsFault", func(in *CreateDBProxyInput) { in.DBProxyName = "p1" }},
		{"name is taken but for case", "DBProxyAlreadyExistsFault", func(in *CreateDBProxyInput) { in.DBProxyName = "P1" }},
		{"no family", "MissingParameter", func(in *CreateDBProxyInput) { in.EngineFamily = "" }},
		{"family's case", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.EngineFamily = "mysql" }},
		{"no role", "MissingParameter", func(in *CreateDBProxyInput) { in.RoleArn = "" }},
		{"a user as role", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.RoleArn = "arn:aws:iam::123456789012:user/x" }},
		{"long role", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.RoleArn = role + long(2048) }},
		{"no subnets", "MissingParameter", func(in *CreateDBProxyInput) { in.VpcSubnetIds = nil }},
		{"empty subnets", "InvalidSubnet", func(in *CreateDBProxyInput) { in.VpcSubnetIds = []string{} }},
		{"one subnet", "InvalidSubnet", func(in *CreateDBProxyInput) { in.VpcSubnetIds = []string{"subnet-1"} }},
		{"one subnet twice", "InvalidSubnet", func(in *CreateDBProxyInput) { in.VpcSubnetIds = []string{"subnet-1", "subnet-1"} }},
		{"no subnet's id", "InvalidSubnet", func(in *CreateDBProxyInput) { in.VpcSubnetIds = []string{"subnet-1", "vpc-1"} }},
		{"no group's id", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.VpcSecurityGroupIds = []string{"default"} }},
		{"no auth", "InvalidParameterCombination", func(in *CreateDBProxyInput) { in.Auth = nil }},
		{"empty auth and NONE", "InvalidParameterCombination", func(in *CreateDBProxyInput) { in.Auth, in.DefaultAuthScheme = []UserAuthConfig{}, p("NONE") }},
		{"201 auth entries", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Auth = make([]UserAuthConfig, 201) }},
		{"unknown auth scheme", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Auth[0].AuthScheme = p("PLAIN") }},
		{"no secret", "MissingParameter", func(in *CreateDBProxyInput) { in.Auth[0].SecretArn = nil }},
		{"a secret's name", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Auth[0].SecretArn = p("the-secret-of-the-proxy") }},
		{"unknown IAMAuth", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Auth[0].IAMAuth = p("required") }},
		{"ENABLED without SQL Server", "InvalidParameterCombination", func(in *CreateDBProxyInput) { in.Auth[0].IAMAuth = p("ENABLED") }},
		{"another family's password type", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Auth[0].ClientPasswordAuthType = p("POSTGRES_MD5") }},
		{"empty user name", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Auth[0].UserName = p("") }},
		{"long user name", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Auth[0].UserName = p(long(129)) }},
		{"long description", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Auth[0].Description = p(long(1001)) }},
		{"unknown default scheme", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.DefaultAuthScheme = p("SECRETS") }},
		{"IAM_AUTH with SQL Server", "InvalidParameterCombination", func(in *CreateDBProxyInput) {
			in.EngineFamily, in.Auth, in.DefaultAuthScheme = "SQLSERVER", nil, p("IAM_AUTH")
		}},
		{"timeout 0", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.IdleClientTimeout = p(0) }},
		{"timeout 28801", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.IdleClientTimeout = p(28801) }},
		{"unknown network type", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.EndpointNetworkType = p("IPV5") }},
		{"DUAL toward targets", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.TargetConnectionNetworkType = p("DUAL") }},
		{"no address for DUAL", "InvalidSubnet", func(in *CreateDBProxyInput) { in.EndpointNetworkType = p("DUAL") }},
		{"empty tag key", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: ""}} }},
		{"aws: tag", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: "aws:x"}} }},
		{"rds: tag", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: "RDS:x"}} }},
		{"tag key's characters", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: "a<b"}} }},
		{"long tag key", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: long(129)}} }},
		{"long tag value", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: "a", Value: p(long(257))}} }},
		{"tag twice", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{Key: "a"}, {Key: "a"}} }},
		{"listen tag's form", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{"forebay:listen", p("3306")}} }},
		{"listen tag's port", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{"forebay:listen", p(":65536")}} }},
		{"empty listen tag", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{"forebay:listen", nil}} }},
		{"listen tag's address is taken", "InvalidParameterValue", func(in *CreateDBProxyInput) { in.Tags = []Tag{{"forebay:listen", p("127.0.0.1:3306")}} }},
	}
	for _, tt := range tests {
		in := createInput("p2")
		tt.change(&in)
		t.Log(tt.name)
		refused(w, w.createDBProxy, in, tt.code)
	}
	w.create("p2", func(in *CreateDBProxyInput) { in.Auth, in.DefaultAuthScheme = []UserAuthConfig{}, p("IAM_AUTH") })
	refused(w, w.createDBProxy, createInput("p3"), "DBProxyQuotaExceededFault")
}

func TestCreateBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create(long(63))
	w.create("tags", func(in *CreateDBProxyInput) {
		in.Tags = []Tag{{Key: long(128), Value: p(long(256))}, {Key: "a b_.:/=+-@ü"}, {Key: "3"}}
		in.IdleClientTimeout = p(1)
	})
	w.create("auth", func(in *CreateDBProxyInput) {
		for range 199 {
			in.Auth = append(in.Auth, in.Auth[0])
		}
	})
	w.create("sql", func(in *CreateDBProxyInput) { in.EngineFamily, in.Auth[0].IAMAuth = "SQLSERVER", p("ENABLED") })
}

func TestQuotaDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for i := range 20 {
		w.create("p" + strconv.Itoa(i))
	}
	refused(w, w.createDBProxy, createInput("p20"), "DBProxyQuotaExceededFault")
	if got := w.describe("p19").Endpoint; got != "127.0.1.19" {
		t.Errorf("the 20th proxy is at %s", got)
	}
}

func TestModify(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create("p1", postgres)
	w.create("p2")
	w.now = start.Add(time.Minute)
	was := w.describe("p1")
	tests := []struct {
		name   string
		in     ModifyDBProxyInput
		change func(p *DBProxy)
	}{
		{"nothing", ModifyDBProxyInput{}, func(*DBProxy) {}},
		{"the same name, as Terraform always sends", ModifyDBProxyInput{NewDBProxyName: p("p1")}, func(*DBProxy) {}},
		{"IAM_AUTH", ModifyDBProxyInput{DefaultAuthScheme: p("IAM_AUTH")}, func(p *DBProxy) { p.DefaultAuthScheme = "IAM_AUTH" }},
		{"no auth, as Terraform's Auth=", ModifyDBProxyInput{Auth: []UserAuthConfig{}}, func(p *DBProxy) { p.Auth = []UserAuthConfig{} }},
		{"auth replaces", ModifyDBProxyInput{Auth: []UserAuthConfig{{SecretArn: p(secret + "2")}}, DefaultAuthScheme: p("NONE")}, func(px *DBProxy) {
			px.Auth = []UserAuthConfig{{SecretArn: p(secret + "2"), ClientPasswordAuthType: p("POSTGRES_SCRAM_SHA_256")}}
			px.DefaultAuthScheme = "NONE"
		}},
		{"switches", ModifyDBProxyInput{RequireTLS: p(true), DebugLogging: p(true), IdleClientTimeout: p(60)}, func(p *DBProxy) {
			p.RequireTLS, p.DebugLogging, p.IdleClientTimeout = true, true, 60
		}},
		{"role and groups", ModifyDBProxyInput{RoleArn: p(role + "2"), SecurityGroups: []string{"sg-9"}}, func(p *DBProxy) {
			p.RoleArn, p.VpcSecurityGroupIds = role+"2", []string{"sg-9"}
		}},
		{"no groups: the default one", ModifyDBProxyInput{SecurityGroups: []string{}}, func(p *DBProxy) { p.VpcSecurityGroupIds = was.VpcSecurityGroupIds }},
	}
	for _, tt := range tests {
		want := w.describe("p1")
		tt.change(&want)
		want.UpdatedDate = w.now
		tt.in.DBProxyName = "p1"
		answer := do(w, w.modifyDBProxy, tt.in).DBProxy
		if d := cmp.Diff(want, w.describe("p1")); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
		want.Status = "modifying"
		if d := cmp.Diff(want, answer); d != "" {
			t.Errorf("%s: the answer: %s", tt.name, d)
		}
	}

	before := w.describe("p1")
	do(w, w.modifyDBProxy, ModifyDBProxyInput{DBProxyName: "p1", NewDBProxyName: p("p3")})
	before.DBProxyName = "p3"
	if d := cmp.Diff(before, w.describe("p3")); d != "" {
		t.Errorf("another name changes more than that: %s", d)
	}
	do(w, w.modifyDBProxy, ModifyDBProxyInput{DBProxyName: "p3", NewDBProxyName: p("P3")})
	if name := w.describe("p3").DBProxyName; name != "P3" {
		t.Errorf("named %s", name)
	}

	for _, tt := range []struct {
		code string
		in   ModifyDBProxyInput
	}{
		{"MissingParameter", ModifyDBProxyInput{}},
		{"InvalidParameterValue", ModifyDBProxyInput{DBProxyName: "-"}},
		{"DBProxyNotFoundFault", ModifyDBProxyInput{DBProxyName: "p1"}},
		{"DBProxyAlreadyExistsFault", ModifyDBProxyInput{DBProxyName: "p3", NewDBProxyName: p("P2")}},
		{"InvalidParameterValue", ModifyDBProxyInput{DBProxyName: "p3", NewDBProxyName: p("")}},
		{"InvalidParameterValue", ModifyDBProxyInput{DBProxyName: "p3", NewDBProxyName: p("a--b")}},
		{"InvalidParameterCombination", ModifyDBProxyInput{DBProxyName: "p3", Auth: []UserAuthConfig{}}},
		{"InvalidParameterValue", ModifyDBProxyInput{DBProxyName: "p3", Auth: make([]UserAuthConfig, 201)}},
		{"MissingParameter", ModifyDBProxyInput{DBProxyName: "p3", Auth: []UserAuthConfig{{}}}},
		{"InvalidParameterValue", ModifyDBProxyInput{DBProxyName: "p3", IdleClientTimeout: p(0)}},
		{"InvalidParameterValue", ModifyDBProxyInput{DBProxyName: "p3", DefaultAuthScheme: p("none")}},
		{"InvalidParameterValue", ModifyDBProxyInput{DBProxyName: "p3", RoleArn: p("role")}},
		{"InvalidParameterValue", ModifyDBProxyInput{DBProxyName: "p3", SecurityGroups: []string{"x"}}},
	} {
		refused(w, w.modifyDBProxy, tt.in, tt.code)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create("p1")
	w.create("p2")
	for _, name := range []string{"e1", "e2"} {
		do(w, w.createDBProxyEndpoint, CreateDBProxyEndpointInput{DBProxyName: "p1", DBProxyEndpointName: name, VpcSubnetIds: []string{"subnet-1", "subnet-2"}})
	}
	do(w, w.createDBProxyEndpoint, CreateDBProxyEndpointInput{DBProxyName: "p2", DBProxyEndpointName: "e3", VpcSubnetIds: []string{"subnet-1", "subnet-2"}})
	do(w, w.registerDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p1", DBInstanceIdentifiers: []string{"my"}})
	if got := do(w, w.deleteDBProxy, DeleteDBProxyInput{"p1"}).DBProxy; got.Status != "deleting" || got.DBProxyName != "p1" {
		t.Errorf("answer %+v", got)
	}
	refused(w, w.describeDBProxies, DescribeDBProxiesInput{DBProxyName: p("p1")}, "DBProxyNotFoundFault")
	refused(w, w.deleteDBProxy, DeleteDBProxyInput{"p1"}, "DBProxyNotFoundFault")
	refused(w, w.deleteDBProxy, DeleteDBProxyInput{}, "MissingParameter")
	if left := do(w, w.describeDBProxyEndpoints, DescribeDBProxyEndpointsInput{}).DBProxyEndpoints; len(left) != 1 || left[0].DBProxyEndpointName != "e3" {
		t.Errorf("endpoints that are left: %+v", left)
	}
	if got := w.create("p1"); got.Endpoint != "127.0.0.1" {
		t.Errorf("a new proxy is at %s, want the address of the one that is gone", got.Endpoint)
	}
}

func TestNotAvailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, name := range []string{"busy", "file"} {
		w.create(name)
	}
	w.change(func(tx *controlplane.Tx) error {
		for _, name := range []string{"busy", "file"} {
			row := *tx.State().ProxyNamed(name)
			if name == "file" {
				row.FromFile = true
			} else {
				row.Status = "modifying"
			}
			tx.Proxies.Put(row.ID, &row)
		}
		return nil
	})
	const code = "InvalidDBProxyStateFault"
	for _, name := range []string{"busy", "file"} {
		refused(w, w.modifyDBProxy, ModifyDBProxyInput{DBProxyName: name}, code)
		refused(w, w.deleteDBProxy, DeleteDBProxyInput{name}, code)
		refused(w, w.createDBProxyEndpoint, CreateDBProxyEndpointInput{DBProxyName: name, DBProxyEndpointName: "e", VpcSubnetIds: []string{"subnet-1", "subnet-2"}}, code)
		refused(w, w.modifyDBProxyTargetGroup, ModifyDBProxyTargetGroupInput{DBProxyName: name, TargetGroupName: "default"}, code)
		refused(w, w.registerDBProxyTargets, DBProxyTargetsInput{DBProxyName: name, DBInstanceIdentifiers: []string{"my"}}, code)
		refused(w, w.deregisterDBProxyTargets, DBProxyTargetsInput{DBProxyName: name, DBInstanceIdentifiers: []string{"my"}}, code)
	}
}
