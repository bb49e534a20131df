package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"forebay/internal/sigv4"
)

const region = "eu-central-1"

// call is one request to the management API: as a command line, and as what that sends.
type call struct {
	argv    []string // of the AWS CLI, or of forebay
	service string   // that signs it
	params  params
}

// params is a request: what argv says in other words. Query's members have dots in their names; for JSON they are the object.
type params struct {
	action string
	target string // of the JSON protocol: before the action; empty: Query
	in     map[string]any
}

// api makes calls: by the AWS CLI where there is one, or else by itself.
type api struct {
	url  string
	keys sigv4.Credentials
	dir  string // where the files are that commands name
	aws  string // path of the AWS CLI; empty: there is none
}

// Query's versions.
var versions = map[string]string{"rds": "2014-10-31", "iam": "2010-05-08", "sts": "2011-06-15"}

// run makes a call and returns the answer: JSON or XML, for value to look into.
func (a *api) run(ctx context.Context, c call) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if c.argv[0] != "aws" || a.aws == "" {
		return a.send(ctx, c)
	}
	cmd := exec.CommandContext(ctx, a.aws, c.argv[1:]...)
	cmd.Dir, cmd.WaitDelay = a.dir, time.Second
	cmd.Env = a.environment()
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(c.argv[:3], " "), err, errOut.String())
	}
	return string(out), nil
}

// environment is this process's, with what AWS's tools read: not what is set on this machine for AWS itself.
func (a *api) environment() []string {
	own := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	return append(own,
		"AWS_ENDPOINT_URL="+a.url, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID="+a.keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+a.keys.SecretKey, "AWS_SESSION_TOKEN="+a.keys.SessionToken,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_PAGER=", "AWS_DEFAULT_OUTPUT=json")
}

// send makes a call as the AWS CLI would.
func (a *api) send(ctx context.Context, c call) (string, error) {
	var body []byte
	if c.params.target != "" {
		body, _ = json.Marshal(c.params.in) // of strings and numbers
	} else {
		form := url.Values{"Action": {c.params.action}, "Version": {versions[c.service]}}
		for name, v := range c.params.in {
			form.Set(name, fmt.Sprint(v))
		}
		body = []byte(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if c.params.target != "" {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", c.params.target+"."+c.params.action)
	}
	sigv4.SignRequest(r, a.keys, region, c.service, body, time.Now())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	out, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status + ": " + string(out))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.params.action, err)
	}
	return string(out), nil
}

// value finds a member of an answer.
func value(answer, name string) (string, error) {
	m := regexp.MustCompile(`"` + name + `":\s*"([^"]+)"|<` + name + `>([^<]+)</`).FindStringSubmatch(answer)
	if m == nil {
		return "", fmt.Errorf("the answer has no %s", name)
	}
	return m[1] + m[2], nil
}

// shown is a command line as a shell takes it.
func shown(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		if strings.ContainsAny(w, " \"'{}[]*$&;|<>()") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}
