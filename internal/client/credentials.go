package client

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"forebay/internal/sigv4"
)

// Settings are what the AWS CLI takes from the environment and its files.
type Settings struct {
	Credentials sigv4.Credentials
	Region      string // empty: said nowhere
	Endpoint    string // empty: said nowhere
	CAFile      string // empty: said nowhere
}

// ErrNoCredentials is the error where there are none, in the words of the AWS CLI.
var ErrNoCredentials = errors.New("unable to locate credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE to a file such as root-credentials in Forebay's data folder")

// FromEnvironment finds credentials as the AWS CLI does: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else
// the profile AWS_PROFILE of the credentials file. The region is AWS_REGION's, AWS_DEFAULT_REGION's, or the profile's. home
// is the user's folder; empty: there is none.
func FromEnvironment(getenv func(string) string, home string) (Settings, error) {
	s := Settings{
		Credentials: sigv4.Credentials{
			AccessKeyID: getenv("AWS_ACCESS_KEY_ID"), SecretKey: getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: getenv("AWS_SESSION_TOKEN"),
		},
		Region:   cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")),
		Endpoint: cmp.Or(getenv("AWS_ENDPOINT_URL_FOREBAY"), getenv("AWS_ENDPOINT_URL")),
		CAFile:   getenv("AWS_CA_BUNDLE"),
	}
	path := func(name string, elem ...string) string {
		switch named := getenv(name); {
		case named != "" && home != "" && (named == "~" || strings.HasPrefix(named, "~/")):
			return filepath.Join(home, named[1:])
		case named != "" || home == "":
			return named
		}
		return filepath.Join(append([]string{home}, elem...)...)
	}
	profile := cmp.Or(getenv("AWS_PROFILE"), getenv("AWS_DEFAULT_PROFILE"), "default")
	file := path("AWS_SHARED_CREDENTIALS_FILE", ".aws", "credentials")
	shared, err := readProfile(file, profile)
	if err != nil {
		return s, err
	}
	if s.Region == "" {
		named := "profile " + profile
		if profile == "default" {
			named = profile
		}
		config, err := readProfile(path("AWS_CONFIG_FILE", ".aws", "config"), named)
		if err != nil {
			return s, err
		}
		s.Region = cmp.Or(shared["region"], config["region"])
	}
	if s.Credentials.AccessKeyID == "" && s.Credentials.SecretKey == "" {
		if shared == nil && getenv("AWS_PROFILE") != "" {
			return s, fmt.Errorf("the profile %q could not be found in %s", profile, file)
		}
		s.Credentials = sigv4.Credentials{
			AccessKeyID: shared["aws_access_key_id"], SecretKey: shared["aws_secret_access_key"], SessionToken: shared["aws_session_token"],
		}
	}
	switch c := s.Credentials; {
	case c.AccessKeyID == "" && c.SecretKey == "":
		return s, ErrNoCredentials
	case c.AccessKeyID == "":
		return s, errors.New("partial credentials: the access key id is missing")
	case c.SecretKey == "":
		return s, errors.New("partial credentials: the secret access key is missing")
	}
	return s, nil
}

const maxINI = 1 << 20 // bytes

// readProfile reads one section of an INI file; nil where there is no such file or section. Its errors quote no line: it
// may be a secret.
func readProfile(path, section string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxINI+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxINI:
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxINI)
	}
	values, err := parseINI(string(text), section)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

// parseINI returns the keys of a section, in lower case; nil where it is not there. Indented lines belong to the key above
// them, as in s3 =, and are left out.
func parseINI(text, section string) (map[string]string, error) {
	var values map[string]string
	within := false
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		n++
		indented := strings.TrimLeft(line, " \t") != line
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
			continue
		case line[0] == '[':
			name, _, ok := strings.Cut(line[1:], "]")
			if !ok {
				return nil, fmt.Errorf("line %d: expected a section such as [default]", n)
			}
			within = strings.Join(strings.Fields(name), " ") == section
			if within && values == nil {
				values = map[string]string{}
			}
			continue
		case indented:
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %d: expected key = value", n)
		}
		if within {
			values[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	return values, nil
}
