package api

import (
	"context"
	"errors"
	"strings"

	"forebay/internal/sigv4"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
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
