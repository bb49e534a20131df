package testkit

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// KMSKey is the ARN of the one key that KMS has.
const KMSKey = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// KMS is a scripted AWS KMS: what it has wrapped is the data key backwards, with its context. It ends with the test.
type KMS struct {
	URL string

	mu    sync.Mutex
	code  string // guarded by mu; the error that everything is answered with; empty: none
	calls []string
	keys  byte // guarded by mu; how many data keys there are
}

type kmsContext map[string]string

// StartKMS starts one.
func StartKMS(t testing.TB) *KMS {
	t.Helper()
	k := &KMS{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { k.serve(w, r) }))
	t.Cleanup(s.Close)
	k.URL = s.URL
	return k
}

// Fail has every call answered with an error of that code; empty: none any more.
func (k *KMS) Fail(code string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.code = code
}

// Calls returns the names of the calls so far, and forgets them.
func (k *KMS) Calls() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	calls := k.calls
	k.calls = nil
	return calls
}

func (k *KMS) serve(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var in struct {
		KeyID             string `json:"KeyId"`
		KeySpec           string
		CiphertextBlob    []byte
		EncryptionContext kmsContext
	}
	refuse := func(code, message string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type": %q, "message": %q}`, code, message)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	k.calls = append(k.calls, operation)
	switch err := json.NewDecoder(r.Body).Decode(&in); {
	case err != nil:
		refuse("ValidationException", err.Error())
	case k.code != "":
		refuse(k.code, "as scripted")
	case in.KeyID != KMSKey && in.KeyID != "alias/forebay":
		refuse("NotFoundException", "no key "+in.KeyID)
	case operation == "GenerateDataKeyWithoutPlaintext" && in.KeySpec == "AES_256":
		k.keys++
		key := make([]byte, 32)
		for i := range key {
			key[i] = k.keys + byte(i)
		}
		sealed, _ := json.Marshal(map[string]any{"Context": in.EncryptionContext, "Key": reversed(key)})
		fmt.Fprintf(w, `{"KeyId": %q, "CiphertextBlob": %q}`, KMSKey, base64.StdEncoding.EncodeToString(sealed))
	case operation == "Decrypt":
		var sealed struct {
			Context kmsContext
			Key     []byte
		}
		if json.Unmarshal(in.CiphertextBlob, &sealed) != nil || !maps.Equal(sealed.Context, in.EncryptionContext) {
			refuse("InvalidCiphertextException", "")
			return
		}
		fmt.Fprintf(w, `{"KeyId": %q, "Plaintext": %q}`, KMSKey, base64.StdEncoding.EncodeToString(reversed(sealed.Key)))
	default:
		refuse("UnsupportedOperationException", operation)
	}
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}
