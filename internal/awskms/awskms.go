// Package awskms has AWS KMS make and open the keys that seal (controlplane.Keyring): a data key of which the file of
// sealing keys holds nothing but what KMS has encrypted. Who has the file alone, or a backup with it, has no key.
package awskms

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

// Options say where KMS is.
type Options struct {
	Region   string // of a key that is not named by its ARN; empty: the SDK's
	Endpoint string // URL; empty: AWS's, or what AWS_ENDPOINT_URL_KMS and the like say
	// Load changes how the SDK finds its configuration: a test's own. nil: environment variables, shared files, and what the
	// machine, container or cluster gives.
	Load []func(*config.LoadOptions) error
}

// KeyLen is the number of bytes of a data key.
const KeyLen = 32

// prefix begins a wrapped key, in the form prefix KEY-ARN ":" base64 of KMS's ciphertext. The ARN says whom to ask, so that
// lines of several KMS keys, or regions, can stand in one file.
const prefix = "aws-kms:"

// forWhat is authenticated with each data key, and is in CloudTrail: a permission may depend on it
// (kms:EncryptionContext:forebay).
var forWhat = map[string]string{"forebay": "sealing-key"}

const (
	dialLimit   = 3 * time.Second // for one connection
	answerLimit = 5 * time.Second // for one answer
	attempts    = 3               // of one call
	callLimit   = 20 * time.Second
)

// Wrapped reports whether a line of a file of keys is a wrapped one.
func Wrapped(line string) bool { return strings.HasPrefix(line, prefix) }

// New has KMS make a data key under a key of KMS's (an id, an ARN or an alias), and returns the line for the file. The data
// key itself does not come here.
func New(ctx context.Context, o Options, keyID string) (line string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	c, err := client(ctx, o, keyID)
	if err != nil {
		return "", plain(err, keyID, "kms:GenerateDataKeyWithoutPlaintext")
	}
	out, err := c.GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{
		KeyId: &keyID, KeySpec: types.DataKeySpecAes256, EncryptionContext: forWhat,
	})
	if err != nil {
		return "", plain(err, keyID, "kms:GenerateDataKeyWithoutPlaintext")
	}
	if len(out.CiphertextBlob) == 0 || region(aws.ToString(out.KeyId)) == "" {
		return "", errors.New("AWS KMS answers without a data key, or without the ARN of its own")
	}
	return prefix + *out.KeyId + ":" + base64.StdEncoding.EncodeToString(out.CiphertextBlob), nil
}

// Open has KMS open a line that New has made, and returns the data key.
func Open(ctx context.Context, o Options, line string) ([]byte, error) {
	rest, ok := strings.CutPrefix(line, prefix)
	i := strings.LastIndexByte(rest, ':')
	if !ok || i < 0 || region(rest[:i]) == "" {
		return nil, errors.New("expected " + prefix + "KEY-ARN:CIPHERTEXT, as forebay sealing-key prints it")
	}
	keyID := rest[:i]
	sealed, err := base64.StdEncoding.DecodeString(rest[i+1:])
	if err != nil || len(sealed) == 0 {
		return nil, errors.New("expected " + prefix + "KEY-ARN:CIPHERTEXT, with the ciphertext in base64")
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	c, err := client(ctx, o, keyID)
	if err != nil {
		return nil, plain(err, keyID, "kms:Decrypt")
	}
	out, err := c.Decrypt(ctx, &kms.DecryptInput{KeyId: &keyID, CiphertextBlob: sealed, EncryptionContext: forWhat})
	if err != nil {
		return nil, plain(err, keyID, "kms:Decrypt")
	}
	if len(out.Plaintext) != KeyLen {
		return nil, fmt.Errorf("AWS KMS opens it to %d bytes, expected %d", len(out.Plaintext), KeyLen)
	}
	return out.Plaintext, nil
}

// region is the region in the ARN of a key or an alias. Empty: it is none.
func region(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kms" {
		return ""
	}
	return parts[3]
}

func client(ctx context.Context, o Options, keyID string) (*kms.Client, error) {
	load := append([]func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = attempts, time.Second })
		}),
		config.WithHTTPClient(awshttp.NewBuildableClient().
			WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialLimit }).
			WithTransportOptions(func(t *http.Transport) {
				t.TLSHandshakeTimeout, t.ResponseHeaderTimeout = dialLimit, answerLimit
				t.DisableKeepAlives = true // there is no second call for long
			})),
		config.WithAppID("forebay"),
	}, o.Load...)
	if r := region(keyID); r != "" {
		load = append(load, config.WithRegion(r))
	} else if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, errNoRegion
	}
	return kms.NewFromConfig(cfg, func(k *kms.Options) {
		if o.Endpoint != "" {
			k.BaseEndpoint = &o.Endpoint
		}
	}), nil
}

var errNoRegion = errors.New("no region is known: name the key by its ARN, or say the region")

// What is wrong, for who wants to tell it by more than its words.
var (
	ErrDenied   = errors.New("AWS KMS does not let the credentials of Forebay use the key")
	ErrDisabled = errors.New("the KMS key is disabled or about to be deleted")
	ErrNotFound = errors.New("AWS KMS has no such key")
	ErrDown     = errors.New("AWS KMS cannot be reached")
)

// plain says in plain words what KMS, or the way to it, has answered. What AWS says in its own words follows.
func plain(err error, keyID, action string) error {
	if errors.Is(err, errNoRegion) {
		return err
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		var op *smithy.OperationError
		if errors.As(err, &op) && (op.ServiceID == "ec2imds" || errors.As(op.Err, &op) && op.ServiceID == "ec2imds") {
			return fmt.Errorf("no AWS credentials were found, in the environment, in files or from the machine: %w", err)
		}
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	own := fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	switch api.ErrorCode() {
	case "AccessDeniedException", "AccessDenied":
		return fmt.Errorf("%w %s: they need %s (%w)", ErrDenied, keyID, action, own)
	case "DisabledException", "KMSInvalidStateException", "KeyUnavailableException":
		return fmt.Errorf("%w: %s (%w)", ErrDisabled, keyID, own)
	case "NotFoundException":
		return fmt.Errorf("%w: %s (%w)", ErrNotFound, keyID, own)
	case "InvalidCiphertextException", "IncorrectKeyException":
		return fmt.Errorf("the line was changed, or is of another KMS key than it says: %s (%w)", keyID, own)
	case "InvalidKeyUsageException":
		return fmt.Errorf("the KMS key is of no use here: expected a symmetric one for encryption: %s (%w)", keyID, own)
	case "ExpiredToken", "ExpiredTokenException":
		return fmt.Errorf("the AWS credentials of Forebay have expired (%w)", own)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature":
		return fmt.Errorf("AWS does not know the credentials of Forebay, or the clock is wrong (%w)", own)
	case "ThrottlingException", "Throttling", "TooManyRequestsException":
		return fmt.Errorf("AWS asks Forebay to call less often (%w)", own)
	}
	return fmt.Errorf("AWS KMS answers with an error (%w)", own)
}
