package login

import (
	"crypto/md5" // the protocol's, not ours
	"encoding/hex"
)

// md5Hash is what a server keeps of a password under password_encryption = md5, without the "md5" before it.
func md5Hash(user, password string) string {
	sum := md5.Sum([]byte(password + user))
	return hex.EncodeToString(sum[:])
}

// md5Response is the answer to AuthenticationMD5Password, the "md5" before it included.
func md5Response(hash string, salt [4]byte) [35]byte {
	var in [36]byte
	copy(in[:], hash)
	copy(in[32:], salt[:])
	sum := md5.Sum(in[:])
	var out [35]byte
	copy(out[:], "md5")
	hex.Encode(out[3:], sum[:])
	return out
}
