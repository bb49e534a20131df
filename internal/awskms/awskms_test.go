package awskms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"forebay/internal/awskms"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is a KMS at an address, for credentials of the test's own.
func at(url string) awskms.Options {
	return awskms.Options{
		Region: "eu-central-1", Endpoint: url,
		Load: []func(*config.LoadOptions) error{
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("AKIATEST", "secret-of-aws", "")),
			config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil),
		},
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	k := testkit.StartKMS(t)
	line, err := awskms.New(t.Context(), at(k.URL), "alias/forebay")
	if err != nil {
		t.Fatal(err)
	}
	if !awskms.Wrapped(line) || !strings.HasPrefix(line, "aws-kms:"+testkit.KMSKey+":") || strings.ContainsAny(line, " \n") {
		t.Errorf("line %q", line)
	}
	key, err := awskms.Open(t.Context(), at(k.URL), line)
	if err != nil || len(key) != awskms.KeyLen {
		t.Fatalf("opened to %d bytes, %v", len(key), err)
	}
	if strings.Contains(line, base64.StdEncoding.EncodeToString(key)) {
		t.Error("the key is in the line")
	}
	other, err := awskms.New(t.Context(), at(k.URL), testkit.KMSKey)
	if err != nil || other == line {
		t.Errorf("a second one: %q, %v", other, err)
	}
	if got := strings.Join(k.Calls(), " "); got != "GenerateDataKeyWithoutPlaintext Decrypt GenerateDataKeyWithoutPlaintext" {
		t.Errorf("calls: %s", got)
	}
	// Whatever else KMS has encrypted under the key is no sealing key: its context is another.
	foreign, _ := json.Marshal(map[string]any{"Context": map[string]string{"app": "x"}, "Key": key})
	_, err = awskms.Open(t.Context(), at(k.URL), "aws-kms:"+testkit.KMSKey+":"+base64.StdEncoding.EncodeToString(foreign))
	if err == nil || !strings.Contains(err.Error(), "InvalidCiphertextException") {
		t.Errorf("what was made for something else: %v", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	k := testkit.StartKMS(t)
	line, err := awskms.New(t.Context(), at(k.URL), testkit.KMSKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code string
		is   error
		part string
	}{
		{"AccessDeniedException", awskms.ErrDenied, "kms:Decrypt"},
		{"DisabledException", awskms.ErrDisabled, testkit.KMSKey},
		{"KMSInvalidStateException", awskms.ErrDisabled, testkit.KMSKey},
		{"NotFoundException", awskms.ErrNotFound, testkit.KMSKey},
		{"InvalidCiphertextException", nil, "the line was changed"},
		{"InvalidKeyUsageException", nil, "symmetric"},
		{"ExpiredTokenException", nil, "have expired"},
		{"UnrecognizedClientException", nil, "the clock"},
		{"SomethingNewException", nil, "SomethingNewException: as scripted"},
	} {
		k.Fail(tt.code)
		_, err := awskms.Open(t.Context(), at(k.URL), line)
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.part) {
			t.Errorf("%s: %v, want %v with %q", tt.code, err, tt.is, tt.part)
		}
		if err != nil && (strings.Contains(err.Error(), "secret-of-aws") || strings.Contains(err.Error(), line)) {
			t.Errorf("%s: the error quotes a secret: %v", tt.code, err)
		}
	}
	k.Fail("AccessDeniedException")
	if _, err := awskms.New(t.Context(), at(k.URL), testkit.KMSKey); !errors.Is(err, awskms.ErrDenied) || !strings.Contains(err.Error(), "kms:GenerateDataKeyWithoutPlaintext") {
		t.Errorf("New: %v", err)
	}
	if _, err := awskms.Open(t.Context(), at("http://127.0.0.1:1"), line); !errors.Is(err, awskms.ErrDown) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
	for _, bad := range []string{"aws-kms:", "aws-kms:alias/x:AAAA", "aws-kms:" + testkit.KMSKey, "aws-kms:" + testkit.KMSKey + ":", "aws-kms:" + testkit.KMSKey + ":!", "AAAA"} {
		if _, err := awskms.Open(t.Context(), at(k.URL), bad); err == nil || !strings.Contains(err.Error(), "expected aws-kms:") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestMoto does the same with moto's KMS.
func TestMoto(t *testing.T) {
	t.Parallel()
	m := testkit.StartMoto(t)
	call := func(action string, in map[string]any) (keyID string) {
		t.Helper()
		body, _ := json.Marshal(in)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.URL, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "TrentService."+action)
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=admin/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0")
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var out struct {
			KeyMetadata struct {
				ARN string `json:"Arn"`
			}
		}
		if r.StatusCode != http.StatusOK {
			t.Fatalf("moto: %s: %s", action, r.Status)
		}
		_ = json.NewDecoder(r.Body).Decode(&out) // some answers are empty
		return out.KeyMetadata.ARN
	}
	key := call("CreateKey", map[string]any{})
	call("CreateAlias", map[string]any{"AliasName": "alias/forebay", "TargetKeyId": key})
	for _, name := range []string{key, "alias/forebay"} {
		line, err := awskms.New(t.Context(), at(m.URL), name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(line, "aws-kms:"+key+":") {
			t.Errorf("the line names another key than %s: %.100s", key, line)
		}
		for range 2 {
			if data, err := awskms.Open(t.Context(), at(m.URL), line); err != nil || len(data) != awskms.KeyLen {
				t.Errorf("%s: %d bytes, %v", name, len(data), err)
			}
		}
	}
	if _, err := awskms.New(t.Context(), at(m.URL), "alias/none"); !errors.Is(err, awskms.ErrNotFound) {
		t.Errorf("no such key: %v", err)
	}
}
