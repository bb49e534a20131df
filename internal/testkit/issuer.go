package testkit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Issuer is an OpenID Connect issuer with TLS in this process.
type Issuer struct {
	URL    string
	CAFile string // of its certificate

	t    testing.TB
	mu   sync.Mutex
	keys map[string]crypto.Signer // guarded by mu; published, by kid
	down bool                     // guarded by mu
	asks int                      // guarded by mu; requests for the keys
}

// StartIssuer starts an issuer with a first key, which it ends with the test.
func StartIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, keys: map[string]crypto.Signer{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if i.gone(w) {
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		i.asks++
		i.mu.Unlock()
		if i.gone(w) {
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.published()})
	})
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	i.URL = s.URL
	i.CAFile = filepath.Join(t.TempDir(), "issuer.pem")
	if err := os.WriteFile(i.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	i.Publish("one", i.RSA())
	return i
}

// RSA makes a key for RS256.
func (i *Issuer) RSA() crypto.Signer {
	i.t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.t.Fatal(err)
	}
	return k
}

// EC makes a key for ES256.
func (i *Issuer) EC() crypto.Signer {
	i.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	return k
}

// Publish adds a key; a nil one is withdrawn.
func (i *Issuer) Publish(kid string, k crypto.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if k == nil {
		delete(i.keys, kid)
		return
	}
	i.keys[kid] = k
}

// SetDown has the issuer answer with errors, or not any more.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Asks is how often the keys have been asked for.
func (i *Issuer) Asks() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asks
}

// Token makes a token signed by the key of that kid, published or not: claims beside and in place of an iss, an aud of
// "forebay", and an exp in ten minutes.
func (i *Issuer) Token(kid string, k crypto.Signer, claims map[string]any) string {
	i.t.Helper()
	if k == nil {
		i.mu.Lock()
		k = i.keys[kid]
		i.mu.Unlock()
	}
	alg := "RS256"
	if _, ok := k.(*ecdsa.PrivateKey); ok {
		alg = "ES256"
	}
	signed := i.parts(map[string]any{"alg": alg, "kid": kid, "typ": "JWT"}, claims)
	sum := sha256.Sum256([]byte(signed))
	var sig []byte
	var err error
	switch k := k.(type) {
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, k, sum[:]); err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// Unsigned makes a token that says alg none, and has no signature.
func (i *Issuer) Unsigned(claims map[string]any) string {
	return i.parts(map[string]any{"alg": "none"}, claims) + "."
}

// Symmetric makes a token by HS256 with a secret.
func (i *Issuer) Symmetric(kid string, secret []byte, claims map[string]any) string {
	signed := i.parts(map[string]any{"alg": "HS256", "kid": kid}, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (i *Issuer) parts(header, claims map[string]any) string {
	all := map[string]any{"iss": i.URL, "aud": "forebay", "exp": time.Now().Add(10 * time.Minute).Unix()}
	for k, v := range claims {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			i.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	return part(header) + "." + part(all)
}

func (i *Issuer) gone(w http.ResponseWriter) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		http.Error(w, "down for a while", http.StatusServiceUnavailable)
	}
	return i.down
}

func (i *Issuer) published() []map[string]string {
	i.mu.Lock()
	defer i.mu.Unlock()
	b64 := base64.RawURLEncoding.EncodeToString
	all := []map[string]string{}
	for kid, k := range i.keys {
		switch p := k.Public().(type) {
		case *rsa.PublicKey:
			all = append(all, map[string]string{"kty": "RSA", "kid": kid, "use": "sig", "n": b64(p.N.Bytes()), "e": b64(big.NewInt(int64(p.E)).Bytes())})
		case *ecdsa.PublicKey:
			point, err := p.Bytes() // 4, X, Y
			if err != nil {
				i.t.Error(err)
				continue
			}
			all = append(all, map[string]string{"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])})
		}
	}
	return all
}
