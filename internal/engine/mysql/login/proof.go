package login

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"

	"forebay/internal/wire/mysqlwire"

	"filippo.io/edwards25519"
)

// scramble is what the server of a plugin gives its client to make a proof with.
type scramble = [mysqlwire.ScrambleLen]byte

// nativeHash is what a server of mysql_native_password knows: SHA1(SHA1(password)).
func nativeHash(password string) [sha1.Size]byte {
	first := sha1.Sum([]byte(password))
	return sha1.Sum(first[:])
}

// nativeProof is the client's answer: SHA1(password) XOR SHA1(scramble, SHA1(SHA1(password))). An empty password has an
// empty proof.
func nativeProof(password string, s scramble) []byte {
	if password == "" {
		return nil
	}
	first := sha1.Sum([]byte(password))
	second := sha1.Sum(first[:])
	mask := sha1.Sum(append(s[:], second[:]...))
	subtle.XORBytes(mask[:], mask[:], first[:])
	return mask[:]
}

// checkNative reports whether proof was made with the password that hash belongs to.
func checkNative(hash [sha1.Size]byte, s scramble, proof []byte) bool {
	if len(proof) != sha1.Size {
		return false
	}
	first := sha1.Sum(append(s[:], hash[:]...))
	subtle.XORBytes(first[:], first[:], proof)
	second := sha1.Sum(first[:])
	return subtle.ConstantTimeCompare(second[:], hash[:]) == 1
}

// sha2Hash is what a server of caching_sha2_password keeps in its cache: SHA256(SHA256(password)).
func sha2Hash(password string) [sha256.Size]byte {
	first := sha256.Sum256([]byte(password))
	return sha256.Sum256(first[:])
}

// sha2Proof is the client's answer on the fast path: SHA256(password) XOR SHA256(SHA256(SHA256(password)), scramble). The
// order is not that of mysql_native_password.
func sha2Proof(password string, s scramble) []byte {
	if password == "" {
		return nil
	}
	first := sha256.Sum256([]byte(password))
	second := sha256.Sum256(first[:])
	mask := sha256.Sum256(append(second[:], s[:]...))
	subtle.XORBytes(mask[:], mask[:], first[:])
	return mask[:]
}

// checkSHA2 reports whether proof was made with the password that hash belongs to.
func checkSHA2(hash [sha256.Size]byte, s scramble, proof []byte) bool {
	if len(proof) != sha256.Size {
		return false
	}
	first := sha256.Sum256(append(hash[:], s[:]...))
	subtle.XORBytes(first[:], first[:], proof)
	second := sha256.Sum256(first[:])
	return subtle.ConstantTimeCompare(second[:], hash[:]) == 1
}

// ed25519NonceLen is the length in bytes of client_ed25519's scramble.
const ed25519NonceLen = 32

// ed25519Proof is MariaDB's client_ed25519: a signature of the nonce by Ed25519 (RFC 8032, 5.1.6), where the password,
// of any length, stands in the place of the private key's 32 bytes.
func ed25519Proof(password string, nonce []byte) []byte {
	expanded := sha512.Sum512([]byte(password))
	// The length is right, which is all that can go wrong here and below.
	key, err := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
	if err != nil {
		panic(err)
	}
	public := new(edwards25519.Point).ScalarBaseMult(key).Bytes()
	r := hashToScalar(expanded[32:], nonce)
	proof := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	k := hashToScalar(proof, public, nonce)
	return append(proof, edwards25519.NewScalar().MultiplyAdd(k, key, r).Bytes()...)
}

func hashToScalar(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		panic(err)
	}
	return s
}
