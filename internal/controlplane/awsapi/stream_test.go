package awsapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"forebay/internal/controlplane/awsapi"
)

// TestStream checks that an answer of any length arrives, that a refusal is one, and that a part is not taken for the whole.
func TestStream(t *testing.T) {
	t.Parallel()
	f := newFixture(t, awsapi.Options{}, map[string]awsapi.Operation{
		"Stream": awsapi.Stream(func(_ context.Context, c *awsapi.Call, in *named) (func(io.Writer) error, error) {
			if err := c.Authorize("x:"+in.Name, "*"); err != nil {
				return nil, err
			}
			return func(w io.Writer) error {
				_, err := io.WriteString(w, strings.Repeat("x", 3<<20))
				if in.Name == "torn" {
					return errors.New("secret-of-the-log")
				}
				return err
			}, nil
		}),
	})
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client := server.Client()
	t.Cleanup(client.CloseIdleConnections)
	for name, want := range map[string]int{"whole": 3 << 20, "torn": -1, "Forbidden": 0} {
		r := jsonRequest("Stream", `{"Name":"`+name+`"}`)
		r2, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, r.Body)
		if err != nil {
			t.Fatal(err)
		}
		r2.Header = r.Header
		resp, err := client.Do(r2)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case want > 0 && (err != nil || len(body) != want || resp.Header.Get("Content-Type") != "application/octet-stream"):
			t.Errorf("%s: %d bytes of %s, %v", name, len(body), resp.Header.Get("Content-Type"), err)
		case want < 0 && err == nil:
			t.Errorf("%s: %d bytes, and nothing tells that they are not all", name, len(body))
		case want == 0 && !strings.Contains(string(body), "AccessDeniedException"):
			t.Errorf("%s: %s", name, body)
		}
	}
	server.Close()
	if !strings.Contains(f.log.String(), "secret-of-the-log") {
		t.Errorf("the log does not say why:\n%s", f.log.String())
	}
}
