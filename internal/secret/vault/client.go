package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"forebay/internal/secret"
)

const (
	dialLimit   = 3 * time.Second
	answerLimit = 5 * time.Second
	maxReply    = 1 << 20
	maxToken    = 64 << 10
)

// statusError is an answer that is no success.
type statusError struct {
	status int
	reply  reply
}

func (e *statusError) Error() string {
	words := strings.Join(append(e.reply.Errors, e.reply.Warnings...), "; ")
	what := fmt.Sprintf("Vault answers with an error (%d)", e.status)
	switch e.status {
	case http.StatusForbidden:
		what = "Vault does not let Forebay in (403)"
	case http.StatusNotFound:
		what = "Vault has nothing at this path (404)"
	case http.StatusServiceUnavailable:
		what = "Vault is sealed or in maintenance (503)"
	case http.StatusTooManyRequests:
		what = "Vault asks Forebay to call less often (429)"
	}
	if words == "" {
		return what
	}
	return what + ": " + words
}

// get reads a path.
func (r *reader) get(ctx context.Context, path string) (*reply, error) {
	return r.ask(ctx, http.MethodGet, path, nil)
}

// ask makes a request with a token. A token that has ended before its time is replaced once.
func (r *reader) ask(ctx context.Context, method, path string, body any) (*reply, error) {
	for again := false; ; again = true {
		if err := r.logIn(ctx); err != nil {
			return nil, err
		}
		got, err := r.call(ctx, method, path, body)
		var status *statusError
		if !errors.As(err, &status) {
			return got, err
		}
		switch status.status {
		case http.StatusNotFound:
			return nil, fmt.Errorf("%w: %w", secret.ErrNotFound, err)
		case http.StatusForbidden:
			// A token that is no good, or one that may not: the answer is the same.
			_, lookup := r.call(ctx, http.MethodGet, "auth/token/lookup-self", nil)
			switch {
			case lookup == nil:
				return nil, fmt.Errorf("%w: %w", secret.ErrDenied, err)
			case r.o.Auth.TokenFile == "" && !again:
				r.token = ""
				continue
			case r.o.Auth.TokenFile != "":
				return nil, fmt.Errorf("the token in %s is no good: %w", r.o.Auth.TokenFile, err)
			}
		}
		return nil, err
	}
}

// logIn sees to a token that is good for a while.
func (r *reader) logIn(ctx context.Context) error {
	a := r.o.Auth
	if a.TokenFile != "" {
		token, err := read(a.TokenFile)
		if token != r.token {
			r.session++
		}
		r.token = token
		return err
	}
	now := r.now()
	if r.token != "" && (r.renew.IsZero() || now.Before(r.renew)) {
		return nil
	}
	if r.token != "" && now.Before(r.expires) {
		got, err := r.call(ctx, http.MethodPost, "auth/token/renew-self", map[string]string{})
		// Near its longest life a token is renewed for less. What hangs on it has a third of its time left then, to be replaced in.
		if err == nil && r.take(got, now) && (r.ends.IsZero() || r.ends.Sub(now) >= r.life-r.life/10) {
			return nil
		}
		if err != nil && transient(err) {
			return err // the token may still be good: what hangs on it is not to be lost for that
		}
	}
	r.token = ""
	credential, err := read(a.Credential)
	if err != nil {
		return err
	}
	body := map[string]string{"role": a.Role, "jwt": credential}
	if a.AppRole {
		body = map[string]string{"role_id": a.Role, "secret_id": credential}
	}
	got, err := r.call(ctx, http.MethodPost, "auth/"+a.Mount+"/login", body)
	if err != nil {
		return fmt.Errorf("log-in at auth/%s: %w", a.Mount, err)
	}
	if !r.take(got, now) {
		return fmt.Errorf("log-in at auth/%s: no token in the answer", a.Mount)
	}
	r.session++
	r.life = 0
	if !r.ends.IsZero() {
		r.life = r.ends.Sub(now)
	}
	return nil
}

// transient reports whether an error is no answer: Vault is not there, or not ready.
func transient(err error) bool {
	var status *statusError
	return !errors.As(err, &status) || status.status >= 500 || status.status == http.StatusTooManyRequests
}

// take takes over the token of an answer.
func (r *reader) take(got *reply, now time.Time) bool {
	if got.Auth == nil || got.Auth.Token == "" {
		return false
	}
	r.token, r.renew, r.expires, r.ends = got.Auth.Token, time.Time{}, time.Time{}, time.Time{}
	if s := got.Auth.Seconds; s > 0 {
		life := time.Duration(min(s, 10*365*86400)) * time.Second
		r.renew, r.expires, r.ends = now.Add(life*2/3), now.Add(life), now.Add(life)
		if !got.Auth.Renewable {
			r.expires = r.renew // another log-in then
		}
	}
	return true
}

// read reads a token or the like from a file.
func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, "\r\n\x00") {
		return "", fmt.Errorf("%s: expected one line, with a token", path)
	}
	return token, nil
}

// call makes one request of the API.
func (r *reader) call(ctx context.Context, method, path string, body any) (*reply, error) {
	var send io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(r.o.Address, "/")+"/v1/"+path, send)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Request", "true") // agents that guard against forged requests ask for it
	if r.o.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", r.o.Namespace)
	}
	if r.token != "" {
		req.Header.Set("X-Vault-Token", r.token)
	}
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		r.http = nil // the next call reads the certificate authorities anew
		client.CloseIdleConnections()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("no answer of Vault in time: %w", err)
		}
		return nil, fmt.Errorf("no connection to Vault: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return nil, fmt.Errorf("the answer of Vault breaks off: %w", err)
	}
	var got reply
	broken := len(text) > maxReply || len(text) > 0 && json.Unmarshal(text, &got) != nil
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, &statusError{status: resp.StatusCode, reply: got}
	case broken:
		return nil, errors.New("the answer of Vault is not JSON, or too long") // not quoted: it may hold the secret
	}
	return &got, nil
}

func (r *reader) client() (*http.Client, error) {
	if r.http != nil {
		return r.http, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.o.CAFile != "" {
		pem, err := os.ReadFile(r.o.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: expected at least one certificate in PEM", r.o.CAFile)
		}
	}
	r.http = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
			DialContext:         (&net.Dialer{Timeout: dialLimit}).DialContext,
			TLSHandshakeTimeout: dialLimit, ResponseHeaderTimeout: r.answer, IdleConnTimeout: time.Minute, MaxIdleConns: 1,
		},
		// A standby sends to the active node, with the token: once, and not out of TLS.
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 1 || via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
				return errors.New("a redirection that is not followed")
			}
			return nil
		},
	}
	return r.http, nil
}

func (r *reader) hangUp() {
	if r.http != nil {
		r.http.CloseIdleConnections()
	}
}
