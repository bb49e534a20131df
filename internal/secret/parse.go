package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MaxLen is the most bytes that the text of a secret may have, as in AWS Secrets Manager.
const MaxLen = 65536

// Parse reads the text of a secret: a JSON object with the keys username and password, in lower case, and any others,
// which are ignored (contract section 6.1). The error never quotes the text.
func Parse(name string, text []byte) (Secret, error) {
	if len(text) > MaxLen {
		return Secret{}, fmt.Errorf("expected at most %d bytes, got %d", MaxLen, len(text))
	}
	// A map, since decoding into a struct would also take Username or PASSWORD.
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return Secret{}, fmt.Errorf(`expected a JSON object {"username": ..., "password": ...}; it breaks off at byte %d`, syntax.Offset)
		}
		return Secret{}, errors.New(`expected a JSON object {"username": ..., "password": ...}`)
	}
	username, err := parseField(object, "username")
	if err != nil {
		return Secret{}, err
	}
	password, err := parseField(object, "password")
	if err != nil {
		return Secret{}, err
	}
	return Secret{Name: name, Version: Version(username, Password(password)), Username: username, Password: Password(password)}, nil
}

func parseField(object map[string]json.RawMessage, key string) (string, error) {
	raw, ok := object[key]
	if !ok {
		return "", fmt.Errorf("expected the JSON key %q (in lower case), got none", key)
	}
	var value *string
	if err := json.Unmarshal(raw, &value); err != nil || value == nil || *value == "" || strings.ContainsRune(*value, 0) {
		return "", fmt.Errorf("expected the JSON key %q to hold a text that is not empty, without NUL", key)
	}
	return *value, nil
}

// versionKey makes versions useless outside this process: nobody can try passwords against one found in a log.
var versionKey = func() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	return key
}()

// Version is a name for this content, for stores that have none of their own. It is equal for equal content within
// one process, and says nothing about the password.
func Version(username string, password Password) string {
	mac := hmac.New(sha256.New, versionKey)
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(username)))
	mac.Write(length[:])
	mac.Write([]byte(username))
	mac.Write([]byte(password.Reveal()))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
