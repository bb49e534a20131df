package controlplane_test

import (
	"bufio"
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/forebayapi"
	"forebay/internal/controlplane/iamapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/controlplane/rdsapi"
	"forebay/internal/controlplane/secretsapi"
	"forebay/internal/sigv4"
)

// fuzzed is an API with all its services, in which everybody is the account's root.
type fuzzed struct {
	plane    *controlplane.Plane
	server   *awsapi.Server
	guarded  *awsapi.Server // which wants signatures
	services []*awsapi.Service
	log      bytes.Buffer
	ids      *identity.Registry
	service  string // of the request under way
}

func (f *fuzzed) Authenticate(*http.Request, []byte, time.Time) (awsapi.Caller, awsapi.Scope, error) {
	_, p, err := f.ids.Key("AKIAROOT", "")
	return p, awsapi.Scope{Region: "eu-west-1", Service: f.service}, err
}

func newFuzzed(t testing.TB) *fuzzed {
	t.Helper()
	f := &fuzzed{}
	var err error
	if f.plane, err = controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ring, err := controlplane.ParseKeys(controlplane.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	key := controlplane.AccessKey{ID: "AKIAROOT", Active: true, Sealed: ring.Seal([]byte("secret"), identity.KeyBelongs("AKIAROOT"))}
	if _, _, err := f.plane.EnsureAccount(t.Context(), "eu-west-1", "123456789012", key); err != nil {
		t.Fatal(err)
	}
	if _, err := f.plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		_, err := tx.AddDatabase(time.Now(), controlplane.DatabaseSpec{Identifier: "d", Engine: "postgres", Host: "db.test", Cluster: "k"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	f.ids = identity.New(f.plane, ring, time.Now)
	listeners := controlplane.DefaultListeners()
	listeners.Free = func(string, int) bool { return true }
	iam := iamapi.New(f.plane, ring, f.ids, time.Now)
	f.services = []*awsapi.Service{
		rdsapi.Service(f.plane, nil, rdsapi.Options{Listeners: listeners}), secretsapi.New(f.plane, ring, time.Now).Service(),
		iam.IAM(), iam.STS(), forebayapi.Service(f.plane, nil),
	}
	log := slog.New(slog.NewTextHandler(&f.log, nil))
	if f.server, err = awsapi.New(awsapi.Options{Log: log, Region: "eu-west-1", Auth: f}, f.services...); err != nil {
		t.Fatal(err)
	}
	if f.guarded, err = awsapi.New(awsapi.Options{Log: log, Region: "eu-west-1", Auth: f.ids}, f.services...); err != nil {
		t.Fatal(err)
	}
	return f
}

// operation is one of all there are, and its service.
func (f *fuzzed) operation(service, op uint8) (*awsapi.Service, string) {
	s := f.services[int(service)%len(f.services)]
	names := slices.Sorted(maps.Keys(s.Operations))
	return s, names[int(op)%len(names)]
}

// FuzzAPI sends whatever there is to every operation, as somebody who may do everything: none panics, none fails by itself, and what
// comes of it is a state that another process can read.
func FuzzAPI(f *testing.F) {
	world := newFuzzed(f)
	f.Cleanup(func() { world.plane.Close() })
	index := func(service, op string) (uint8, uint8) {
		for i, s := range world.services {
			if s.Name == service {
				return uint8(i), uint8(slices.Index(slices.Sorted(maps.Keys(s.Operations)), op))
			}
		}
		panic(service)
	}
	const proxy = "DBProxyName=p"
	for _, seed := range []string{
		"rds CreateDBProxy " + proxy + "&EngineFamily=POSTGRESQL&RoleArn=arn:aws:iam::123456789012:role/proxy&VpcSubnetIds.member.1=subnet-1&VpcSubnetIds.member.2=subnet-2&Auth.member.1.SecretArn=arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf&Auth.member.1.IAMAuth=REQUIRED&Tags.Tag.1.Key=forebay:listen&Tags.Tag.1.Value=127.0.0.1:6000",
		"rds CreateDBProxyEndpoint " + proxy + "&DBProxyEndpointName=e&VpcSubnetIds.member.1=subnet-1&VpcSubnetIds.member.2=subnet-2&EndpointNetworkType=IPV6",
		"rds ModifyDBProxy " + proxy + "&NewDBProxyName=q&Auth=&DefaultAuthScheme=IAM_AUTH&SecurityGroups=",
		"rds ModifyDBProxyTargetGroup " + proxy + "&TargetGroupName=default&ConnectionPoolConfig.MaxConnectionsPercent=40&ConnectionPoolConfig.SessionPinningFilters.member.1=EXCLUDE_VARIABLE_SETS&ConnectionPoolConfig.InitQuery=SET%20a=1",
		"rds RegisterDBProxyTargets " + proxy + "&DBClusterIdentifiers.member.1=k",
		"rds DescribeDBProxyTargets " + proxy + "&MaxRecords=20&Marker=MTpy",
		"rds DeregisterDBProxyTargets " + proxy + "&DBClusterIdentifiers.member.1=k",
		"rds AddTagsToResource ResourceName=arn:aws:rds:eu-west-1:123456789012:db:d&Tags.member.1.Key=a&Tags.member.1.Value=b",
		"rds DescribeDBInstances DBInstanceIdentifier=arn:aws:rds:eu-west-1:123456789012:db:d&Filters.Filter.1.Name=engine&Filters.Filter.1.Values.Value.1=postgres",
		"rds DescribeEvents SourceType=db-proxy&SourceIdentifier=p&StartTime=2026-11-26T10:00:00Z&Duration=60&EventCategories.EventCategory.1=creation",
		`secretsmanager CreateSecret {"Name":"s","SecretString":"x","Tags":[{"Key":"a","Value":"b"}],"ClientRequestToken":"0123456789012345678901234567890123"}`,
		`secretsmanager PutSecretValue {"SecretId":"s","SecretBinary":"eA==","VersionStages":["AWSPENDING","other"]}`,
		`secretsmanager UpdateSecretVersionStage {"SecretId":"s","VersionStage":"AWSCURRENT","RemoveFromVersionId":"a","MoveToVersionId":"b"}`,
		`secretsmanager ListSecrets {"Filters":[{"Key":"all","Values":["!x","y"]}],"SortBy":"name","SortOrder":"asc","MaxResults":1,"NextToken":"MTpy"}`,
		`secretsmanager PutResourcePolicy {"SecretId":"s","BlockPublicPolicy":true,"ResourcePolicy":"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}}"}`,
		`secretsmanager GetSecretValue {"SecretId":"s","VersionId":"a"}`,
		`secretsmanager DeleteSecret {"SecretId":"s","RecoveryWindowInDays":7}`,
		`secretsmanager GetRandomPassword {"PasswordLength":4,"ExcludeCharacters":"ü","RequireEachIncludedType":true}`,
		"iam CreateRole RoleName=r&Path=/a/&AssumeRolePolicyDocument=%7B%22Statement%22%3A%5B%5D%7D&MaxSessionDuration=3600",
		"iam CreateUser UserName=u&Tags.member.1.Key=a&Tags.member.1.Value=b",
		"iam PutUserPolicy UserName=u&PolicyName=p&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22*%22%2C%22Resource%22%3A%22*%22%7D%7D",
		"iam CreatePolicyVersion PolicyArn=arn:aws:iam::123456789012:policy/p&PolicyDocument=x&SetAsDefault=true",
		"iam UpdateAccessKey AccessKeyId=AKIAROOT&Status=Inactive",
		"iam ListPolicies Scope=Local&OnlyAttached=true&MaxItems=1&Marker=MTpy",
		"sts AssumeRole RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=s&Policy=x&DurationSeconds=900",
		`forebay AddDatabase {"Identifier":"e","Engine":"mysql","Host":"10.0.0.1","Port":3306,"Cluster":"c","TLSMode":"verify-full","CA":"x","Discover":true,"MonitorSecret":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf"}`,
		`forebay RemoveDatabase {"Identifier":"d","Force":true}`,
		`forebay ModifyCluster {"Cluster":"k","MaxReplicaLag":5,"ReaderFallback":"writer"}`,
	} {
		service, rest, _ := strings.Cut(seed, " ")
		op, body, _ := strings.Cut(rest, " ")
		s, o := index(service, op)
		f.Add(s, o, body)
	}
	for i, s := range world.services {
		for j, name := range slices.Sorted(maps.Keys(s.Operations)) {
			body := strings.Join(s.Operations[name].Members(), "=1&") + "=1"
			if s.Protocol == awsapi.JSON {
				body = `{"` + strings.Join(s.Operations[name].Members(), `":1,"`) + `":1}`
			}
			f.Add(uint8(i), uint8(j), body)
		}
	}
	count := 0
	f.Fuzz(func(t *testing.T, service, op uint8, body string) {
		if count++; count%1000 == 0 { // what was made is not to grow without end
			world.plane.Close()
			world = newFuzzed(t)
		}
		s, name := world.operation(service, op)
		world.service = s.Name
		world.log.Reset()
		if s.Protocol == awsapi.Query {
			body = "Action=" + name + "&Version=" + s.Version + "&" + body
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Authorization", "signed")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if s.Protocol == awsapi.JSON {
			r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			r.Header.Set("X-Amz-Target", s.Target+"."+name)
		}
		w := httptest.NewRecorder()
		world.server.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Fatalf("%s:%s with %q: %d %s\n%s", s.Name, name, body, w.Code, w.Body, world.log.String())
		}
		if _, _, err := world.ids.Key("AKIAROOT", ""); err != nil {
			t.Fatalf("%s:%s with %q: root is locked out: %v", s.Name, name, body, err)
		}
	})
}

// FuzzStranger sends whatever there is as bytes of HTTP, by somebody who knows the id of root's key and not its secret: nothing is
// answered but by a refusal, and nothing changes.
func FuzzStranger(f *testing.F) {
	world := newFuzzed(f)
	f.Cleanup(func() { world.plane.Close() })
	session, err := world.ids.NewSession(&controlplane.Role{ID: "AROANOBODY"}, "s", "", time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []sigv4.Credentials{
		{AccessKeyID: "AKIAROOT", SecretKey: "guessed"},
		{AccessKeyID: "AKIANOBODY", SecretKey: "x"},
		{AccessKeyID: session.AccessKeyID, SecretKey: "guessed", SessionToken: session.SessionToken},
		{AccessKeyID: "AKIAROOT", SecretKey: "guessed", SessionToken: session.SessionToken},
	} {
		for service, body := range map[string]string{
			"rds": "Action=DeleteDBProxy&Version=2014-10-31&DBProxyName=p", "sts": "Action=GetCallerIdentity&Version=2011-06-15",
			"iam": "Action=CreateAccessKey&Version=2010-05-08", "secretsmanager": `{"SecretId":"s"}`, "forebay": "{}",
		} {
			r := httptest.NewRequest(http.MethodPost, "http://api.test/", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			switch service {
			case "secretsmanager":
				r.Header.Set("Content-Type", "application/x-amz-json-1.1")
				r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
			case "forebay":
				r.Header.Set("Content-Type", "application/x-amz-json-1.1")
				r.Header.Set("X-Amz-Target", "Forebay_20261126.Backup")
			}
			sigv4.SignRequest(r, key, "eu-west-1", service, []byte(body), time.Now())
			var raw bytes.Buffer
			if err := r.Write(&raw); err != nil {
				f.Fatal(err)
			}
			f.Add(raw.Bytes())
		}
	}
	now := time.Now().UTC().Format("20060102T150405Z")
	f.Add([]byte("GET /?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAROOT%2F" + now[:8] + "%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Date=" + now +
		"&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature=" + strings.Repeat("0", 64) + " HTTP/1.1\r\nHost: api.test\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 43\r\n\r\nAction=GetCallerIdentity&Version=2011-06-15"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return // which net/http refuses
		}
		world.log.Reset()
		before := world.plane.State().Revision
		w := httptest.NewRecorder()
		world.guarded.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= http.StatusInternalServerError {
			t.Fatalf("%q: %d %s\n%s", raw, w.Code, w.Body, world.log.String())
		}
		if after := world.plane.State().Revision; after != before {
			t.Fatalf("%q: the state has changed", raw)
		}
	})
}
