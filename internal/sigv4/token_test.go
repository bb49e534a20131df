package sigv4_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"forebay/internal/sigv4"
)

// TestBotocoreTokens makes each token that botocore made, byte for byte, takes it apart and verifies it.
func TestBotocoreTokens(t *testing.T) {
	t.Parallel()
	v := readVectors(t, "tokens.json")
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			creds := sigv4.Credentials{AccessKeyID: v.AccessKeyID, SecretKey: v.SecretKey, SessionToken: c.SessionToken}
			if got := sigv4.SignToken(c.Host, c.Port, c.Region, c.User, creds, v.now(t)); got != c.Token {
				t.Errorf("SignToken:\n got %s\nwant %s", got, c.Token)
			}
			tok, err := sigv4.ParseToken(c.Token)
			if err != nil {
				t.Fatal(err)
			}
			if tok.Host != c.Host || tok.Port != c.Port || tok.DBUser != c.User || tok.AccessKeyID != v.AccessKeyID ||
				tok.Region != c.Region || tok.SessionToken != c.SessionToken || tok.Expires != sigv4.TokenLifetime || !tok.Time.Equal(v.now(t)) {
				t.Errorf("ParseToken = %+v", tok)
			}
			if err := tok.Verify(v.SecretKey, v.now(t)); err != nil {
				t.Errorf("Verify: %v", err)
			}
			wantKind(t, tok.Verify(v.SecretKey+"x", v.now(t)), sigv4.SignatureDoesNotMatch)
		})
	}
}

// TestSDKTokens verifies tokens of other SDKs, which differ in the slash before the query, the order of parameters and
// whether port 443 is signed.
func TestSDKTokens(t *testing.T) {
	t.Parallel()
	v := readVectors(t, "sdk-tokens.json")
	for _, c := range v.Cases {
		tok, err := sigv4.ParseToken(c.Token)
		if err != nil {
			t.Errorf("%s: %v\n%s", c.Name, err, c.Token)
			continue
		}
		if tok.Host != c.Host || tok.Port != c.Port || tok.DBUser != c.User || tok.SessionToken != c.SessionToken {
			t.Errorf("%s: ParseToken = %+v", c.Name, tok)
		}
		if err := tok.Verify(v.SecretKey, tok.Time); err != nil {
			t.Errorf("%s: %v\n%s", c.Name, err, c.Token)
		}
		wantKind(t, tok.Verify(v.SecretKey+"x", tok.Time), sigv4.SignatureDoesNotMatch)
	}
}

// TestEmptyKey: a caller that found no key for an access key ID must not let in who signs with none.
func TestEmptyKey(t *testing.T) {
	t.Parallel()
	c := sigv4.Credentials{AccessKeyID: creds.AccessKeyID}
	tok, err := sigv4.ParseToken(sigv4.SignToken("db.example", 5432, "us-east-1", "app", c, now))
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, tok.Verify("", now), sigv4.SignatureDoesNotMatch)
	sig, err := sigv4.ParseRequest(signed(t, body, c))
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, sig.Verify("", now, sigv4.Payload{SHA256: sha256.Sum256([]byte(body))}), sigv4.SignatureDoesNotMatch)
}

func token(host string, port int) string {
	return sigv4.SignToken(host, port, "us-east-1", "app", creds, now)
}

// TestTokenVariants are tokens that other SDKs make, or that are written differently but mean the same.
func TestTokenVariants(t *testing.T) {
	t.Parallel()
	reverse := func(tok string) string {
		address, query, _ := strings.Cut(tok, "/?")
		pairs := strings.Split(query, "&")
		for i, j := 0, len(pairs)-1; i < j; i, j = i+1, j-1 {
			pairs[i], pairs[j] = pairs[j], pairs[i]
		}
		return address + "/?" + strings.Join(pairs, "&")
	}
	shown := func(tok, from, to string) string { return strings.Replace(tok, from, to, 1) }
	tests := []struct {
		name, token string
		want        sigv4.Kind // empty: good
	}{
		{"parameters in another order", reverse(token("db.example", 5432)), ""},
		{"shown in another case than signed", shown(token("db.example", 5432), "db.example", "DB.Example"), ""},
		// signed as "db.example", since botocore leaves out the port of https
		{"port 443 left out of the signature", token("db.example", 443), ""},
		// a token for another port, shown with 443, must not pass
		{"another port signed", shown(token("db.example", 5432), ":5432", ":443"), sigv4.SignatureDoesNotMatch},
		{"port left out where it is not 443", shown(token("db.example", 443), ":443", ":5432"), sigv4.SignatureDoesNotMatch},
		{"another host", shown(token("db.example", 5432), "db.", "db2."), sigv4.SignatureDoesNotMatch},
		{"another user", shown(token("db.example", 5432), "DBUser=app", "DBUser=root"), sigv4.SignatureDoesNotMatch},
		{"another case of the user", shown(token("db.example", 5432), "DBUser=app", "DBUser=App"), sigv4.SignatureDoesNotMatch},
		{"another region", shown(token("db.example", 5432), "us-east-1", "us-east-2"), sigv4.SignatureDoesNotMatch},
		{"a parameter added", token("db.example", 5432) + "&x=1", sigv4.SignatureDoesNotMatch},
		{"a session token added", token("db.example", 5432) + "&X-Amz-Security-Token=x", sigv4.SignatureDoesNotMatch},
		{"a shorter life", shown(token("db.example", 5432), "Expires=900", "Expires=899"), sigv4.SignatureDoesNotMatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tok, err := sigv4.ParseToken(tt.token)
			if err != nil {
				t.Fatalf("%v\n%s", err, tt.token)
			}
			err = tok.Verify(creds.SecretKey, now)
			if tt.want == "" && err != nil {
				t.Errorf("%v\n%s", err, tt.token)
			}
			if tt.want != "" {
				wantKind(t, err, tt.want)
			}
		})
	}
}

func TestTokenLife(t *testing.T) {
	t.Parallel()
	tok, err := sigv4.ParseToken(token("db.example", 5432))
	if err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[time.Duration]sigv4.Kind{
		0:                  "",
		900 * time.Second:  "",
		901 * time.Second:  sigv4.RequestExpired,
		-sigv4.MaxSkew:     "",
		-301 * time.Second: sigv4.RequestInTheFuture,
	} {
		err := tok.Verify(creds.SecretKey, now.Add(offset))
		if want == "" && err != nil {
			t.Errorf("after %v: %v", offset, err)
		}
		if want != "" {
			wantKind(t, err, want)
		}
	}
}

func TestParseTokenRefuses(t *testing.T) {
	t.Parallel()
	good := token("db.example", 5432)
	tests := []struct {
		name, old, with string
		want            sigv4.Kind
	}{
		{"a scheme", "db.example", "https://db.example", sigv4.IncompleteSignature},
		{"no port", ":5432", "", sigv4.IncompleteSignature},
		{"an empty port", ":5432", ":", sigv4.IncompleteSignature},
		{"port 0", ":5432", ":0", sigv4.IncompleteSignature},
		{"a port with a leading zero", ":5432", ":05432", sigv4.IncompleteSignature},
		{"a port that is too large", ":5432", ":65536", sigv4.IncompleteSignature},
		{"no host", "db.example", "", sigv4.IncompleteSignature},
		{"a line break in the host", "db.example", "db\nx.example", sigv4.IncompleteSignature},
		{"a path", "/?", "/x?", sigv4.IncompleteSignature},
		{"two slashes", "/?", "//?", sigv4.IncompleteSignature},
		{"no query", "/?", "/", sigv4.IncompleteSignature},
		{"another action", "Action=connect", "Action=delete", sigv4.IncompleteSignature},
		{"the action in another case", "Action=connect", "Action=Connect", sigv4.IncompleteSignature},
		{"no action", "Action=connect&", "", sigv4.IncompleteSignature},
		{"no user", "DBUser=app&", "", sigv4.IncompleteSignature},
		{"an empty user", "DBUser=app", "DBUser=", sigv4.IncompleteSignature},
		{"the user twice", "DBUser=app", "DBUser=app&DBUser=root", sigv4.IncompleteSignature},
		{"an unknown parameter twice", "DBUser=app", "DBUser=app&x=1&x=2", sigv4.IncompleteSignature},
		{"another algorithm", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", sigv4.IncompleteSignature},
		{"another service", "rds-db", "rds", sigv4.SignatureDoesNotMatch},
		{"another terminator", "aws4_request", "aws4", sigv4.SignatureDoesNotMatch},
		{"another day in the scope", "%2F20261126%2F", "%2F20261125%2F", sigv4.SignatureDoesNotMatch},
		{"a life longer than 900 s", "Expires=900", "Expires=901", sigv4.IncompleteSignature},
		{"no life", "X-Amz-Expires=900&", "", sigv4.IncompleteSignature},
		{"a life of nothing", "Expires=900", "Expires=0", sigv4.IncompleteSignature},
		{"another signed header", "SignedHeaders=host", "SignedHeaders=accept%3Bhost", sigv4.IncompleteSignature},
		{"no date", "X-Amz-Date=20261126T102030Z&", "", sigv4.IncompleteSignature},
		{"no credential", "X-Amz-Credential=", "X-Credential=", sigv4.IncompleteSignature},
		{"no signature", "X-Amz-Signature=", "X-Signature=", sigv4.IncompleteSignature},
		{"half a signature", "X-Amz-Signature=", "X-Amz-Signature=&y=", sigv4.IncompleteSignature},
		{"a broken encoding", "DBUser=app", "DBUser=%a", sigv4.MalformedQueryString},
		{"too long", "DBUser=app", "DBUser=" + strings.Repeat("a", sigv4.MaxTokenLen), sigv4.IncompleteSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(good, tt.old, tt.with, 1)
			if text == good {
				t.Fatalf("%q is not in the token", tt.old)
			}
			_, err := sigv4.ParseToken(text)
			wantKind(t, err, tt.want)
		})
	}
	for _, s := range []string{"", "secret", "?", "/?", "a:1/?", "a:1?", "a:1/?Action=connect"} {
		if _, err := sigv4.ParseToken(s); err == nil {
			t.Errorf("%q is taken for a token", s)
		}
	}
}

// TestLongSessionToken: tokens of a few KB are as good as short ones.
func TestLongSessionToken(t *testing.T) {
	t.Parallel()
	c := creds
	c.SessionToken = strings.Repeat("FwoGZXIv+A==", 400)
	text := sigv4.SignToken("db.example", 5432, "us-east-1", "app", c, now)
	tok, err := sigv4.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Verify(creds.SecretKey, now); err != nil {
		t.Error(err)
	}
}

// FuzzParseToken checks that nothing panics and nothing verifies with a wrong key, and that what parses can be made
// again from its fields.
func FuzzParseToken(f *testing.F) {
	for _, name := range []string{"tokens.json", "sdk-tokens.json"} {
		for _, c := range readVectors(f, name).Cases {
			f.Add(c.Token)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := sigv4.ParseToken(text)
		if err != nil {
			var e *sigv4.Error
			if !errors.As(err, &e) || e.Kind == "" || e.Message == "" {
				t.Errorf("%q: error %#v", text, err)
			}
			return
		}
		if err := tok.Verify("not the key", tok.Time); err == nil {
			t.Errorf("%q verifies with a wrong key", text)
		}
		again := sigv4.SignToken(tok.Host, tok.Port, tok.Region, tok.DBUser, sigv4.Credentials{
			AccessKeyID: tok.AccessKeyID, SecretKey: "key", SessionToken: tok.SessionToken,
		}, tok.Time)
		if len(again) > sigv4.MaxTokenLen {
			return
		}
		tok2, err := sigv4.ParseToken(again)
		if err != nil {
			t.Fatalf("%q, made again as %q: %v", text, again, err)
		}
		if err := tok2.Verify("key", tok.Time); err != nil || tok2.DBUser != tok.DBUser || tok2.Host != tok.Host {
			t.Errorf("%q, made again as %q: %v", text, again, err)
		}
	})
}

func BenchmarkVerifyToken(b *testing.B) {
	text := token("db.example", 5432)
	b.ReportAllocs()
	for b.Loop() {
		tok, err := sigv4.ParseToken(text)
		if err != nil {
			b.Fatal(err)
		}
		if err := tok.Verify(creds.SecretKey, now); err != nil {
			b.Fatal(err)
		}
	}
}
