package controlplane_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"forebay/internal/controlplane"
)

func keyring(t *testing.T, text string) *controlplane.Keyring {
	t.Helper()
	r, err := controlplane.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	old, young := controlplane.NewKey(), controlplane.NewKey()
	text := []byte("hunter2")
	sealed := keyring(t, old).Seal(text, "arn:a")
	if bytes.Contains(sealed, text) || bytes.Equal(sealed, keyring(t, old).Seal(text, "arn:a")) {
		t.Errorf("sealed is %q, and the same twice or readable", sealed)
	}
	both := keyring(t, young+old)
	if got, err := both.Open(sealed, "arn:a"); err != nil || !bytes.Equal(got, text) {
		t.Errorf("with a newer key in front: %q, %v", got, err)
	}
	if got, err := keyring(t, young).Open(both.Seal(text, "arn:a"), "arn:a"); err != nil || !bytes.Equal(got, text) {
		t.Errorf("the key in front does not seal: %q, %v", got, err)
	}
	changed := slices.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another key":     func() ([]byte, error) { return keyring(t, young).Open(sealed, "arn:a") },
		"another's place": func() ([]byte, error) { return both.Open(sealed, "arn:b") },
		"changed":         func() ([]byte, error) { return both.Open(changed, "arn:a") },
		"short":           func() ([]byte, error) { return both.Open(sealed[:6], "arn:a") },
		"nothing":         func() ([]byte, error) { return both.Open(nil, "arn:a") },
	} {
		if got, err := open(); !errors.Is(err, controlplane.ErrSealed) || got != nil {
			t.Errorf("%s: %q, %v; want ErrSealed", name, got, err)
		}
	}
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "c2hvcnQ=", controlplane.NewKey() + "not base64!"} {
		if _, err := controlplane.ParseKeys(text); err == nil || strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("ParseKeys(%q): %v; want an error that does not quote it", text, err)
		}
	}
}
