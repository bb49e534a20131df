package controlplane

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Keyring seals what the store must not show: contents of secrets, and secret keys of users. Its keys are not in the
// store. The first one seals; all of them open, so that a key can be replaced: add the new one in front, and take the
// old one away when everything has been sealed again.
type Keyring struct{ keys []sealingKey }

type sealingKey struct {
	id   [4]byte // from the key: which key has sealed
	aead cipher.AEAD
}

// Unwrap opens a key that somebody else has wrapped, as a key service does. ok is false for a line that is not of the
// kind: a plain key.
type Unwrap func(line string) (key []byte, ok bool, err error)

// KeyLen is the number of bytes in a key.
const KeyLen = 32

// ErrSealed means that none of the keys opens what was sealed.
var ErrSealed = errors.New("controlplane: sealed with a key that is not among the sealing keys here (put it there, on a line of its own, and start again), or changed since")

// NewKey makes a key, in the form that ParseKeys reads.
func NewKey() string {
	var key [KeyLen]byte
	rand.Read(key[:]) // never fails
	return base64.StdEncoding.EncodeToString(key[:]) + "\n"
}

// ParseKeys reads keys: 32 bytes in base64 each, one on a line. Its error does not quote them.
func ParseKeys(text string) (*Keyring, error) {
	return ParseWrappedKeys(text, func(string) ([]byte, bool, error) { return nil, false, nil })
}

// ParseWrappedKeys is ParseKeys where some of the lines are wrapped keys, which unwrap opens: each once.
func ParseWrappedKeys(text string, unwrap Unwrap) (*Keyring, error) {
	r := &Keyring{}
	for i, line := range strings.Fields(text) {
		key, wrapped, err := unwrap(line)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if !wrapped {
			key, err = base64.StdEncoding.DecodeString(line)
		}
		if err != nil || len(key) != KeyLen {
			return nil, fmt.Errorf("key %d: expected %d bytes in base64", i+1, KeyLen)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		// The nonce is random: GCM allows that for 2^32 messages with one key.
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		k := sealingKey{aead: aead}
		sum := sha256.Sum256(append([]byte("forebay key id\x00"), key...))
		copy(k.id[:], sum[:])
		r.keys = append(r.keys, k)
	}
	if len(r.keys) == 0 {
		return nil, fmt.Errorf("expected at least one key of %d bytes in base64", KeyLen)
	}
	return r, nil
}

// sealVersion is the first byte of what is sealed.
const sealVersion = 1

// Seal encrypts text. What it belongs to is authenticated with it, so that nobody who can write to the store can put one
// secret's content in another's place.
func (r *Keyring) Seal(text []byte, belongs string) []byte {
	k := r.keys[0]
	sealed := append([]byte{sealVersion}, k.id[:]...)
	return k.aead.Seal(sealed, nil, text, []byte(belongs))
}

// Current reports whether the first key has sealed it: the one that seals now.
func (r *Keyring) Current(sealed []byte) bool {
	return len(sealed) >= 5 && sealed[0] == sealVersion && string(sealed[1:5]) == string(r.keys[0].id[:])
}

// Open decrypts what Seal has made for the same thing, or returns ErrSealed.
func (r *Keyring) Open(sealed []byte, belongs string) ([]byte, error) {
	if len(sealed) < 5 || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	for _, k := range r.keys {
		if string(k.id[:]) != string(sealed[1:5]) {
			continue
		}
		if text, err := k.aead.Open(nil, nil, sealed[5:], []byte(belongs)); err == nil {
			return text, nil
		}
	}
	return nil, ErrSealed
}
