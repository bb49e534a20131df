package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/secret"
)

// TestStateSecrets changes one thing after the other, and reads the secret each time: what was known before must not count.
func TestStateSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secrets := newStateSecrets(w.plane, w.ring, w.ids, nil)
	name := controlplane.SecretName(testProxy, secretARN)
	get := func() (secret.Secret, error) { return secrets.Get(t.Context(), name) }

	read := func(step, password, previous string) {
		version := secret.Version("app", secret.Password(password))
		t.Helper()
		s, err := get()
		was := ""
		if s.Previous != nil {
			was = s.Previous.Password.Reveal()
		}
		if err != nil || s.Username != "app" || s.Version != version || s.Password.Reveal() != password || was != previous {
			t.Errorf("%s: %v; user %q, version %q, previous %v; want version %q", step, err, s.Username, s.Version, s.Previous != nil, version)
		}
	}
	refused := func(step string, is error, parts ...string) {
		t.Helper()
		_, err := get()
		if !errors.Is(err, is) {
			t.Errorf("%s: got %v, want %v", step, err, is)
			return
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v; want it to say %q", step, err, part)
			}
		}
	}

	read("at first", "first", "")
	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret {
		return w.version(s, "v2", `{"username":"app","password":"second"}`, controlplane.StageCurrent)
	})
	read("rotated", "second", "first")
	since := func(step string, want time.Time) {
		t.Helper()
		if s, err := get(); err != nil || s.Previous == nil || !s.Previous.Since.Equal(want) {
			t.Errorf("%s: previous %+v, %v; want it to be so since %v", step, s.Previous, err, want)
		}
	}
	since("where it was not noted, it counts from the present version", w.now)
	noted := w.now.Add(-time.Hour)
	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret { s.PreviousSince = noted; return s })
	since("noted", noted)
	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret {
		s.Version("v1").Sealed = []byte("nonsense")
		return s
	})
	read("with a previous version that cannot be opened", "second", "")

	w.changeRole(t, func(r *controlplane.Role) { r.Inline = nil })
	refused("a role without a policy", ErrSecretDenied,
		"arn:aws:sts::123456789012:assumed-role/proxy/forebay is not authorized to perform: secretsmanager:GetSecretValue on resource: "+secretARN,
		"because no identity-based policy allows the secretsmanager:GetSecretValue action")
	w.changeRole(t, func(r *controlplane.Role) {
		r.Inline = map[string]string{"read": mayRead, "not": `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"secretsmanager:*","Resource":"` + secretARN + `"}]}`}
	})
	refused("a role that is denied", ErrSecretDenied, "with an explicit deny")
	w.changeRole(t, func(r *controlplane.Role) {
		r.Inline = map[string]string{"read": mayRead}
		r.Trust = strings.ReplaceAll(rdsTrust, "rds.amazonaws.com", "lambda.amazonaws.com")
	})
	refused("a role for another service", ErrSecretDenied, "the trust policy of "+roleARN+" does not let rds.amazonaws.com assume the role")
	w.changeRole(t, func(r *controlplane.Role) { r.Trust = rdsTrust })
	read("allowed again", "second", "")

	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret {
		s.ResourcePolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`
		return s
	})
	refused("denied by the secret's own policy", ErrSecretDenied, "with an explicit deny in a resource-based policy")
	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret {
		s.ResourcePolicy, s.Deleted = "", w.now
		return s
	})
	refused("marked for deletion", secret.ErrNotFound, "is marked for deletion")
	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret {
		s.Deleted = time.Time{}
		return w.version(s, "v3", `{"username":"app"}`, controlplane.StageCurrent)
	})
	if _, err := get(); err == nil || errors.Is(err, secret.ErrNotFound) || !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "second") {
		t.Errorf("a secret without a password: got %v", err)
	}
	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret {
		s.Version("v3").Sealed = s.Version("v2").Sealed // of another place
		return s
	})
	refused("sealed for another place", controlplane.ErrSealed, secretARN)
	w.changeSecret(t, func(s *controlplane.Secret) *controlplane.Secret {
		s.Unstage(controlplane.StageCurrent)
		return s
	})
	refused("without a current version", secret.ErrNotFound, "AWSCURRENT")
	w.update(t, func(tx *controlplane.Tx) { tx.Secrets.Delete(secretARN) })
	refused("gone", secret.ErrNotFound, secretARN)
	w.update(t, func(tx *controlplane.Tx) { tx.Roles.Delete("proxy") })
	refused("without its role", ErrSecretDenied, "the role "+roleARN+" does not exist")
	w.update(t, func(tx *controlplane.Tx) { tx.Proxies.Delete(testProxy) })
	refused("without its proxy", secret.ErrNotFound)
}

// TestStateSecretsKnown checks that an answer is kept while the state stays the same, and not for ever.
func TestStateSecretsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secrets := newStateSecrets(w.plane, w.ring, w.ids, nil)
	name := controlplane.SecretName(testProxy, secretARN)
	if _, err := secrets.Get(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	known := secrets.known[name]
	if left := time.Until(known.until); left <= 0 || left > knownFor {
		t.Errorf("the answer is kept for %v, want at most %v", left, knownFor)
	}
	known.secret.Username = "kept"
	secrets.known[name] = known
	if s, err := secrets.Get(t.Context(), name); err != nil || s.Username != "kept" {
		t.Errorf("asked again at once: user %q, %v; want what was kept", s.Username, err)
	}
	known.until = time.Now().Add(-time.Second)
	secrets.known[name] = known
	if s, err := secrets.Get(t.Context(), name); err != nil || s.Username != "app" {
		t.Errorf("asked again later: user %q, %v; want it read again", s.Username, err)
	}
	for i := range 5000 {
		_, _ = secrets.Get(t.Context(), controlplane.SecretName("prx-gone", strings.Repeat("x", i)))
	}
	if n := len(secrets.known); n > 4097 {
		t.Errorf("%d answers are kept", n)
	}
}
