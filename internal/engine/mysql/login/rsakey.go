package login

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"sync"
)

// serverKey is the RSA pair by which clients without TLS send a password that has to be known in full. It is made once
// for each process, when it is first needed, which takes some tenths of a second.
var serverKey = sync.OnceValues(func() (*keyPair, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &keyPair{private: key, public: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, nil
})

type keyPair struct {
	private *rsa.PrivateKey
	public  []byte // PEM
}

// decrypt undoes encryptPassword.
func (k *keyPair) decrypt(message []byte, s scramble) (string, bool) {
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, k.private, message, nil)
	if err != nil {
		return "", false
	}
	defer clear(plain)
	mask(plain, s)
	return endedString(plain)
}

// encryptPassword is what caching_sha2_password's client sends without TLS: the password and a zero, XORed with the
// scramble over and over, by RSA-OAEP with SHA-1.
func encryptPassword(password string, s scramble, key *rsa.PublicKey) ([]byte, error) {
	plain := append([]byte(password), 0)
	defer clear(plain)
	mask(plain, s)
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, key, plain, nil)
}

func mask(b []byte, s scramble) {
	for i := range b {
		b[i] ^= s[i%len(s)]
	}
}

// parsePublicKey reads a server's key in PEM.
func parsePublicKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return public, nil
}

// endedString takes the zero away that ends a password sent in full. ok is false when there is none, or another.
func endedString(b []byte) (string, bool) {
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), i == len(b)-1
		}
	}
	return "", false
}
