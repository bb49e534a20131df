package awsapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"forebay/internal/controlplane/awsapi"
)

// What testdata/toys.py knows of RDS, Secrets Manager and STS, as far as the protocols are concerned.
type (
	tag      struct{ Key, Value *string }
	userAuth struct{ AuthScheme, SecretArn, IAMAuth, Description *string }
	proxy    struct {
		DBProxyName, EngineFamily, RoleArn *string
		VpcSubnetIds                       []string
		Auth                               []userAuth
		RequireTLS, DebugLogging           *bool
		IdleClientTimeout                  *int
		CreatedDate                        *time.Time
	}
	proxyIn struct {
		proxy
		Tags []tag `aws:"list=Tag"`
	}
	proxyOut   struct{ DBProxy proxy }
	poolConfig struct {
		MaxConnectionsPercent *int
		SessionPinningFilters []string
	}
	group struct {
		DBProxyName, TargetGroupName string
		ConnectionPoolConfig         *poolConfig
	}
	groupOut   struct{ DBProxyTargetGroup *group }
	describeIn struct {
		Filters []struct {
			Name   string
			Values []string `aws:"list=Value"`
		} `aws:"list=Filter"`
		Marker     *string
		MaxRecords *int
	}
	describeOut struct {
		DBProxies []proxy
		Marker    *string
	}
	tagsIn struct {
		ResourceName string
		Tags         []tag `aws:"list=Tag"`
	}
	tagsOut struct {
		TagList []tag `aws:"list=Tag"`
	}
	targetsIn struct {
		DBProxyName           string   `aws:"required"`
		DBInstanceIdentifiers []string `aws:"required"`
	}
	secretIn struct {
		SecretID           string `aws:"name=SecretId,required"`
		ClientRequestToken *string
		SecretBinary       []byte
	}
	secretOut struct {
		Name         *string
		SecretString *string
		SecretBinary []byte

		VersionStages      []string
		VersionIdsToStages map[string][]string
		CreatedDate        time.Time
	}
	identity struct{ Account string }
)

// toys are the services; what is made by one operation is shown by another.
func toys() []*awsapi.Service {
	at := time.Date(2026, 11, 22, 10, 35, 54, 910e6, time.UTC)
	var tags []tag
	var binary []byte
	return []*awsapi.Service{
		{
			Name: "rds", Version: "2014-10-31", Namespace: "http://rds.amazonaws.com/doc/2014-10-31/",
			Operations: map[string]awsapi.Operation{
				"CreateDBProxy": awsapi.Op(func(_ context.Context, _ *awsapi.Call, in *proxyIn) (*proxyOut, error) {
					tags = in.Tags
					in.CreatedDate = &at
					return &proxyOut{in.proxy}, nil
				}),
				"ModifyDBProxy": awsapi.Op(func(_ context.Context, _ *awsapi.Call, in *proxy) (*proxyOut, error) {
					return &proxyOut{*in}, nil
				}),
				"DeleteDBProxy": awsapi.Op(func(_ context.Context, _ *awsapi.Call, in *proxy) (*proxyOut, error) {
					return nil, awsapi.Errorf(404, "DBProxyNotFoundFault", "there is no <%s>", *in.DBProxyName)
				}),
				"ModifyDBProxyTargetGroup": awsapi.Op(func(_ context.Context, _ *awsapi.Call, in *group) (*groupOut, error) {
					return &groupOut{in}, nil
				}),
				"DeregisterDBProxyTargets": awsapi.Op(func(context.Context, *awsapi.Call, *targetsIn) (*struct{}, error) {
					return &struct{}{}, nil
				}),
				"AddTagsToResource": awsapi.Silent(func(context.Context, *awsapi.Call, *tagsIn) error { return nil }),
				"ListTagsForResource": awsapi.Op(func(context.Context, *awsapi.Call, *tagsIn) (*tagsOut, error) {
					return &tagsOut{tags}, nil
				}),
				"DescribeDBProxies": awsapi.Op(func(_ context.Context, _ *awsapi.Call, in *describeIn) (*describeOut, error) {
					var all []proxy
					for _, f := range in.Filters {
						all = append(all, proxy{DBProxyName: new(f.Name + "=" + strings.Join(f.Values, ","))})
					}
					for i := range 50 {
						if len(in.Filters) == 0 {
							all = append(all, proxy{DBProxyName: new(fmt.Sprintf("p%02d", i))})
						}
					}
					page, next, err := awsapi.Page(all, in.Marker, in.MaxRecords, func(p proxy) string { return *p.DBProxyName })
					return &describeOut{page, next}, err
				}),
			},
		},
		{
			Name: "secretsmanager", Protocol: awsapi.JSON, Target: "secretsmanager",
			Operations: map[string]awsapi.Operation{
				"PutSecretValue": awsapi.Op(func(_ context.Context, _ *awsapi.Call, in *secretIn) (*secretOut, error) {
					binary = in.SecretBinary
					return &secretOut{Name: &in.SecretID}, nil
				}),
				"GetSecretValue": awsapi.Op(func(_ context.Context, _ *awsapi.Call, in *secretIn) (*secretOut, error) {
					return &secretOut{
						Name: &in.SecretID, SecretBinary: binary, SecretString: new("ü\"\\\n\x01"), VersionStages: []string{}, CreatedDate: at,
					}, nil
				}),
				"DescribeSecret": awsapi.Op(func(context.Context, *awsapi.Call, *secretIn) (*secretOut, error) {
					return &secretOut{VersionIdsToStages: map[string][]string{"v1": {"AWSCURRENT"}, "v2": {}}}, nil
				}),
				"DeleteSecret": awsapi.Op(func(context.Context, *awsapi.Call, *secretIn) (*secretOut, error) {
					return nil, awsapi.Errorf(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
				}),
			},
		},
		{
			Name: "sts", Version: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
			Operations: map[string]awsapi.Operation{
				"GetCallerIdentity": awsapi.Op(func(_ context.Context, c *awsapi.Call, _ *struct{}) (*identity, error) {
					return &identity{c.Caller.AccountID()}, nil
				}),
			},
		},
	}
}

// TestBotocore lets the AWS SDK for Python talk to toy services.
func TestBotocore(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: botocore's view of the protocols is not tested")
	}
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("python3 has no boto3: botocore's view of the protocols is not tested (%s)", out)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := awsapi.New(awsapi.Options{Log: log, Region: "eu-west-1", Auth: believing{}}, toys()...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := awsapi.Listen(t.Context(), awsapi.ListenOptions{Log: log, Handler: s, Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.CommandContext(t.Context(), python, "testdata/toys.py", "http://"+l.Addr())
	cmd.Env = append(cmd.Environ(), "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=*")
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("%v\n%s", err, out)
	}
}
