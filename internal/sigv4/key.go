package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"

	// timeFormat is the form of X-Amz-Date; its first dateLen characters are the date of the scope.
	timeFormat = "20060102T150405Z"
	dateLen    = len("20060102")

	emptyHash       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// Credentials sign. SessionToken is empty for a long-term key.
type Credentials struct {
	AccessKeyID  string
	SecretKey    string
	SessionToken string
}

// scope is the credential scope: what a signing key is good for.
type scope struct{ date, region, service string }

func (s scope) String() string {
	return s.date + "/" + s.region + "/" + s.service + "/" + terminator
}

// sign returns the signature of a canonical request made at the time t ("Create a string to sign", "Calculate the
// signature").
func (s scope) sign(secretKey, t, canonicalRequest string) [sha256.Size]byte {
	hash := sha256.Sum256([]byte(canonicalRequest))
	toSign := algorithm + "\n" + t + "\n" + s.String() + "\n" + hex.EncodeToString(hash[:])
	key := hmacSHA256([]byte("AWS4"+secretKey), s.date)
	key = hmacSHA256(key, s.region)
	key = hmacSHA256(key, s.service)
	key = hmacSHA256(key, terminator)
	return [sha256.Size]byte(hmacSHA256(key, toSign))
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// matches compares in constant time. No key has no signature: otherwise a look-up that found nothing would let in whoever
// signs with the empty key.
func matches(secretKey string, want, got [sha256.Size]byte) int {
	if secretKey == "" {
		return 0
	}
	return subtle.ConstantTimeCompare(want[:], got[:])
}

// parseTime reads the form of X-Amz-Date and no other.
func parseTime(s string) (time.Time, bool) {
	if len(s) != len(timeFormat) {
		return time.Time{}, false
	}
	t, err := time.Parse(timeFormat, s)
	return t, err == nil
}

// checkTime refuses what was signed in the future, or is past its lifetime. Each bound is within the window. The texts
// are AWS's.
func checkTime(signed, now time.Time, lifetime time.Duration) error {
	at, n := signed.UTC().Format(timeFormat), now.UTC().Format(timeFormat)
	if signed.After(now.Add(MaxSkew)) {
		return errorf(RequestInTheFuture, "Signature not yet current: %s is still later than %s (%s + %d min.)",
			at, now.Add(MaxSkew).UTC().Format(timeFormat), n, MaxSkew/time.Minute)
	}
	if now.After(signed.Add(lifetime)) {
		return errorf(RequestExpired, "Signature expired: %s is now earlier than %s (%s - %d min.)",
			at, now.Add(-lifetime).UTC().Format(timeFormat), n, lifetime/time.Minute)
	}
	return nil
}
