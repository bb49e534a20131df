// Package client calls the small API that Forebay has beside those of AWS (internal/controlplane/forebayapi), as the command
// line does: requests are signed with credentials found where the AWS CLI finds them.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"forebay/internal/sigv4"
)

const (
	service = "forebay"
	target  = "Forebay_20261126."

	// DefaultEndpoint is where `forebay serve` serves its API unless it is told otherwise.
	DefaultEndpoint = "http://127.0.0.1:9190"

	maxAnswer = 64 << 20 // of an answer in JSON, in bytes
)

// Options say whom to call, and as whom.
type Options struct {
	Endpoint    string // URL
	CAFile      string // PEM: whom to trust, for https; empty: the system's
	Region      string
	Credentials sigv4.Credentials
}

// Client calls one Forebay. Close ends it.
type Client struct {
	o         Options
	url       string
	transport *http.Transport
	http      *http.Client
}

// New makes a client. It does not call anybody yet.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		shown := o.Endpoint
		if err == nil {
			shown = u.Redacted()
		}
		return nil, fmt.Errorf("endpoint URL: expected one such as %s, got %q", DefaultEndpoint, shown)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: expected at least one certificate in PEM", o.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &Client{
		o: o, url: u.Scheme + "://" + u.Host + "/", transport: transport,
		http: &http.Client{
			Transport: transport,
			// What was signed is for this server alone.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close lets go of connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Error is a refusal in AWS's own terms.
type Error struct {
	Operation string
	Code      string
	Message   string
	Status    int // HTTP
}

func (e *Error) Error() string {
	return fmt.Sprintf("an error occurred (%s) when calling the %s operation: %s", e.Code, e.Operation, e.Message)
}

// Call does an operation. in and out are structures of its members, for encoding/json. Errors of the API are an *Error.
func (c *Client) Call(ctx context.Context, operation string, in, out any) error {
	body, err := c.Stream(ctx, operation, in)
	if err != nil {
		return err
	}
	defer body.Close()
	answer, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", operation, err)
	case len(answer) > maxAnswer:
		return fmt.Errorf("%s: the answer has more than %d bytes", operation, maxAnswer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: the answer is not JSON: is there a Forebay at %s?", operation, c.o.Endpoint)
	}
	return nil
}

// Stream does an operation, and returns the body of its answer for the caller to close.
func (c *Client) Stream(ctx context.Context, operation string, in any) (io.ReadCloser, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target+operation)
	sigv4.SignRequest(req, c.o.Credentials, c.o.Region, service, body, time.Now())
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without method and URL
		}
		return nil, fmt.Errorf("could not connect to the endpoint URL %s: %w", c.o.Endpoint, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(operation, resp)
}

func (c *Client) refusal(operation string, resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	var said struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(text, &said); err != nil || said.Type == "" {
		return fmt.Errorf("%s: HTTP status %s and no error of AWS's: is there a Forebay at %s?", operation, resp.Status, c.o.Endpoint)
	}
	return &Error{Operation: operation, Code: said.Type, Message: said.Message, Status: resp.StatusCode}
}
