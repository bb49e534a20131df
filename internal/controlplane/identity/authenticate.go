package identity

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"forebay/internal/controlplane/awsapi"
	"forebay/internal/sigv4"
)

// Authenticate implements awsapi.Authenticator.
func (r *Registry) Authenticate(req *http.Request, body []byte, now time.Time) (awsapi.Caller, awsapi.Scope, error) {
	sig, err := sigv4.ParseRequest(req)
	if err != nil {
		return nil, awsapi.Scope{}, signatureError(err)
	}
	scope := awsapi.Scope{Region: sig.Region, Service: sig.Service}
	secret, p, err := r.Key(sig.AccessKeyID, sig.SessionToken)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return nil, scope, awsapi.Common("InvalidClientTokenId", "The security token included in the request is invalid.")
	case errors.Is(err, ErrSession):
		return nil, scope, awsapi.Common("InvalidClientTokenId", "The security token included in the request is invalid.")
	case errors.Is(err, ErrExpired):
		return nil, scope, awsapi.Common("ExpiredToken", "The security token included in the request is expired")
	case err != nil:
		return nil, scope, err
	}
	payload := sigv4.Payload{SHA256: sha256.Sum256(body)}
	if err := sig.Verify(secret, now, payload); err != nil {
		return nil, scope, signatureError(err)
	}
	return p, scope, nil
}

func signatureError(err error) error {
	var e *sigv4.Error
	if errors.As(err, &e) {
		return awsapi.Common(string(e.Kind), e.Message)
	}
	return err
}
