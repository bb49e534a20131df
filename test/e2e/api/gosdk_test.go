package api

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"forebay/internal/sigv4"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// sdk is the AWS SDK for Go with somebody's key.
type sdk struct {
	rds     *rds.Client
	secrets *secretsmanager.Client
	sts     *sts.Client
}

func (w *world) sdk(key sigv4.Credentials) sdk {
	cfg := aws.Config{
		Region: region, BaseEndpoint: aws.String(w.url()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretKey, key.SessionToken),
	}
	return sdk{rds.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), sts.NewFromConfig(cfg)}
}

// sdkCode is AWS's code for an error of the SDK; empty: there is none.
func sdkCode(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// left lists what proxies and secrets there are.
func (w *world) left() string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	s := w.sdk(w.root)
	var names []string
	proxies, err := s.rds.DescribeDBProxies(ctx, &rds.DescribeDBProxiesInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range proxies.DBProxies {
		names = append(names, *p.DBProxyName)
	}
	secrets, err := s.secrets.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range secrets.SecretList {
		names = append(names, *p.Name)
	}
	return strings.Join(names, " ")
}

// TestGoSDK goes the four steps with the AWS SDK for Go, with the key of a role that was assumed.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := mariaDatabase(t)
	p := w.newProxy("shop", d, w.secret("app", d.user, d.password, nil))
	p.becomes("AVAILABLE", "")
	w.query("iam", "CreateRole", "RoleName", "function", "AssumeRolePolicyDocument",
		strings.ReplaceAll(trust, `"Service":"rds.amazonaws.com"`, `"AWS":"arn:aws:iam::`+w.account()+`:root"`))
	w.query("iam", "PutRolePolicy", "RoleName", "function", "PolicyName", "connects", "PolicyDocument", connects(w.account(), p.arn, d.user))
	taken, err := w.sdk(w.root).sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: ptr(w.role("function")), RoleSessionName: ptr("fn")})
	if err != nil {
		// The root takes no role, as on AWS: a user does.
		if code := sdkCode(err); code != "AccessDenied" {
			t.Fatal(err)
		}
		taken, err = w.sdk(w.userKey("caller", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)).sts.AssumeRole(
			t.Context(), &sts.AssumeRoleInput{RoleArn: ptr(w.role("function")), RoleSessionName: ptr("fn")})
		if err != nil {
			t.Fatal(err)
		}
	}
	key := sigv4.Credentials{AccessKeyID: *taken.Credentials.AccessKeyId, SecretKey: *taken.Credentials.SecretAccessKey, SessionToken: *taken.Credentials.SessionToken}
	fn := w.sdk(key)
	who, err := fn.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || !strings.HasSuffix(*who.Arn, ":assumed-role/function/fn") {
		t.Errorf("who: %v, %v", who, err)
	}
	// Its errors are typed.
	_, err = fn.rds.DeleteDBProxy(t.Context(), &rds.DeleteDBProxyInput{DBProxyName: &p.name})
	if code := sdkCode(err); code != "AccessDenied" {
		t.Errorf("delete by the function: %v", err)
	}
	var none *rdstypes.DBProxyNotFoundFault
	if _, err := w.sdk(w.root).rds.DescribeDBProxies(t.Context(), &rds.DescribeDBProxiesInput{DBProxyName: ptr("none")}); !errors.As(err, &none) {
		t.Errorf("describe: %v", err)
	}
	var missing *smtypes.ResourceNotFoundException
	if _, err := w.sdk(w.root).secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: ptr("none")}); !errors.As(err, &missing) {
		t.Errorf("get secret: %v", err)
	}
	var pages int
	for all := rds.NewDescribeDBProxiesPaginator(w.sdk(w.root).rds, &rds.DescribeDBProxiesInput{}); all.HasMorePages(); pages++ {
		if _, err := all.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if pages != 1 {
		t.Errorf("%d pages", pages)
	}
	// A token made with temporary credentials is long, and lets in all the same.
	if _, err := w.sdk(w.root).rds.ModifyDBProxy(t.Context(), &rds.ModifyDBProxyInput{DBProxyName: &p.name, Auth: []rdstypes.UserAuthConfig{
		{AuthScheme: rdstypes.AuthSchemeSecrets, SecretArn: &p.secret.arn, IAMAuth: rdstypes.IAMAuthModeRequired},
	}}); err != nil {
		t.Fatal(err)
	}
	host, port := endpointOf(p.endpoint, d.enginePort)
	token := sigv4.SignToken(host, port, region, d.user, key, time.Now())
	d.soon(t, "a token of an assumed role", p.endpoint, d.user, token)
	d.keptOut(t, "a token of yesterday", p.endpoint, d.user, sigv4.SignToken(host, port, region, d.user, key, time.Now().Add(-20*time.Minute)))
	w.silent(d.password, key.SecretKey, key.SessionToken, token)
}
