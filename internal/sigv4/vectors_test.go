package sigv4_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const timeFormat = "20060102T150405Z"

// vectors is a file in testdata: see the README there.
type vectors struct {
	Now         string   `json:"now"`
	AccessKeyID string   `json:"access_key_id"`
	SecretKey   string   `json:"secret_key"`
	Cases       []vector `json:"cases"`
}

// vector is one case: a request or a token.
type vector struct {
	Name         string `json:"name"`
	SessionToken string `json:"session_token"`
	Region       string `json:"region"`

	Request       string `json:"request"`       // as sent, "\r\n" and all
	Authorization string `json:"authorization"` // suite.json: not in the request
	Service       string `json:"service"`
	Expires       int    `json:"expires"` // seconds

	Host  string `json:"host"`
	Port  int    `json:"port"`
	User  string `json:"user"`
	Token string `json:"token"`
}

func readVectors(t testing.TB, name string) vectors {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Cases) == 0 {
		t.Fatalf("%s holds no cases", name)
	}
	return v
}

func (v vectors) now(t testing.TB) time.Time {
	t.Helper()
	now, err := time.Parse(timeFormat, v.Now)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// read reads a request as a server does, and hashes its body.
func read(t testing.TB, text string) (*http.Request, [sha256.Size]byte, []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("reading %q: %v", text, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, sha256.Sum256(body), body
}
