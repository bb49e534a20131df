// Package awssm reads secrets of a real AWS account from AWS Secrets Manager, by the credentials that the process has or
// through a role that they may assume, whose credentials it also gives out for signing. Beside it only awskms knows the AWS
// SDK.
package awssm

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/remote"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Kind is what these stores are called in logs.
const Kind = "AWS Secrets Manager"

// Options are those of an Account.
type Options struct {
	Log     *slog.Logger
	Observe func(err error) // as of remote.Options
	// Load changes how the SDK finds its configuration: a test's own. nil: environment variables, shared files, and what the
	// machine, container or cluster gives.
	Load []func(*config.LoadOptions) error
}

// Account is the access that this process has to AWS. It is safe for concurrent use.
type Account struct {
	o Options

	mu      sync.Mutex
	loaded  *aws.Config                       // guarded by mu; nil: not yet
	configs map[access]aws.Config             // guarded by mu
	clients map[access]*secretsmanager.Client // guarded by mu
}

// access is how AWS is asked: what is of one kind shares a configuration, and so the credentials of a role.
type access struct{ region, role string }

// New returns an Account. It reads nothing yet, and asks nobody.
func New(o Options) *Account {
	return &Account{o: o, configs: map[access]aws.Config{}, clients: map[access]*secretsmanager.Client{}}
}

// Secret says which secret, and how to read it.
type Secret struct {
	ARN     string
	Role    string        // ARN of the role to assume; empty: the process's own credentials
	Region  string        // empty: the one in ARN
	Refresh time.Duration // 0: remote.DefaultRefresh
}

// Store returns the store of a secret, which the caller closes.
func (a *Account) Store(s Secret) *remote.Store {
	if s.Region == "" {
		s.Region = Region(s.ARN)
	}
	var seen moved
	return remote.New(remote.Options{
		Log: a.o.Log, Kind: Kind, Where: s.ARN, Refresh: s.Refresh, Observe: a.o.Observe,
		Read: func(ctx context.Context) (remote.Answer, error) { // one at a time
			read, made, err := a.read(ctx, s)
			if err == nil {
				seen.note(&read, made, time.Now())
			}
			return remote.Answer{Secret: read}, plain(err, s)
		},
	})
}

// Region is the region in a secret's ARN. Empty: it is none.
func Region(arn string) string { return part(arn, 3) }

// AccountID is the account in a secret's ARN. Empty: it is none.
func AccountID(arn string) string { return part(arn, 4) }

func part(arn string, i int) string {
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "secretsmanager" || parts[5] != "secret" {
		return ""
	}
	return parts[i]
}

const (
	dialLimit   = 3 * time.Second  // for one connection to AWS
	answerLimit = 5 * time.Second  // for one answer
	attempts    = 2                // of one call
	roleSession = "forebay"        // what CloudTrail calls us
	roleFor     = 15 * time.Minute // the shortest that AWS gives: a role taken away is soon gone
)

// client returns the client for one kind of access.
func (a *Account) client(ctx context.Context, way access) (*secretsmanager.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.clients[way]; c != nil {
		return c, nil
	}
	cfg, err := a.configLocked(ctx, way)
	if err != nil {
		return nil, err
	}
	c := secretsmanager.NewFromConfig(cfg)
	a.clients[way] = c
	return c, nil
}

// Keys are AWS credentials, for signing.
type Keys struct{ AccessKeyID, SecretKey, SessionToken string }

// Keys returns credentials of a role, which it assumes or has assumed a while ago. An error matches secret.ErrDenied where AWS
// does not let Forebay assume it.
func (a *Account) Keys(ctx context.Context, role, region string) (Keys, error) {
	a.mu.Lock()
	cfg, err := a.configLocked(ctx, access{region: region, role: role})
	a.mu.Unlock()
	if err != nil {
		return Keys{}, err
	}
	c, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return Keys{}, plain(err, Secret{Role: role})
	}
	return Keys{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}, nil
}

// configLocked returns the configuration for one kind of access. a.mu is held.
func (a *Account) configLocked(ctx context.Context, way access) (aws.Config, error) {
	if cfg, ok := a.configs[way]; ok {
		return cfg, nil
	}
	if a.loaded == nil {
		load := append([]func(*config.LoadOptions) error{
			config.WithRetryer(func() aws.Retryer {
				return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = attempts, time.Second })
			}),
			config.WithHTTPClient(httpClient()),
			config.WithAppID("forebay"),
		}, a.o.Load...)
		loaded, err := config.LoadDefaultConfig(ctx, load...)
		if err != nil {
			return aws.Config{}, err
		}
		a.loaded = &loaded
	}
	cfg := a.loaded.Copy()
	cfg.Region = way.region
	if way.role != "" {
		p := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), way.role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName, o.Duration = roleSession, roleFor
		})
		cfg.Credentials = aws.NewCredentialsCache(p, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute })
	}
	a.configs[way] = cfg
	return cfg, nil
}

// httpClient has time limits of its own, beside those of a read as a whole. It is one that the SDK can give further
// certificate authorities to (AWS_CA_BUNDLE).
func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialLimit }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = dialLimit
			t.ResponseHeaderTimeout = answerLimit
		})
}

// moved knows when the stage AWSCURRENT has moved, which AWS does not say: when this process has seen it, or else when the
// current version was made. A version that is made long before it becomes current, by a rotation that took long, so counts
// from the latter after a restart alone.
type moved struct {
	current string // the version that was current at the last read; empty: none
	since   time.Time
}

// note puts into read when its previous version became that. made is when the current one was made.
func (m *moved) note(read *secret.Secret, made, now time.Time) {
	switch {
	case m.current == "":
		m.since = made
	case m.current != read.Version:
		m.since = now
	}
	m.current = read.Version
	if p := read.Previous; p != nil {
		p.Since = m.since
	}
}

// read reads both versions of a secret, and when the current one was made. Where only that one can be read, it counts.
func (a *Account) read(ctx context.Context, s Secret) (current secret.Secret, made time.Time, err error) {
	c, err := a.client(ctx, access{region: s.Region, role: s.Role})
	if err != nil {
		return secret.Secret{}, made, err
	}
	current, made, err = version(ctx, c, s.ARN, "AWSCURRENT")
	if err != nil {
		return secret.Secret{}, made, err
	}
	previous, _, err := version(ctx, c, s.ARN, "AWSPREVIOUS")
	switch {
	case err == nil:
		if previous.Version != current.Version {
			current.Previous = &secret.Previous{Version: previous.Version, Username: previous.Username, Password: previous.Password}
		}
	case down(err):
		return secret.Secret{}, made, err // it may be there: do not forget what is known of it
	}
	return current, made, nil
}

func version(ctx context.Context, c *secretsmanager.Client, arn, stage string) (s secret.Secret, made time.Time, err error) {
	out, err := c.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn, VersionStage: &stage})
	if err != nil {
		return secret.Secret{}, made, err
	}
	text := out.SecretBinary
	if out.SecretString != nil {
		text = []byte(*out.SecretString)
	}
	parsed, err := secret.Parse(arn, text)
	if err != nil {
		return secret.Secret{}, made, &contentError{stage: stage, err: err}
	}
	parsed.Version = aws.ToString(out.VersionId)
	return parsed, aws.ToTime(out.CreatedDate), nil
}

// contentError is a version that is no secret of a database user.
type contentError struct {
	stage string
	err   error
}

func (e *contentError) Error() string { return fmt.Sprintf("its version %s: %v", e.stage, e.err) }

func (e *contentError) Unwrap() error { return e.err }
