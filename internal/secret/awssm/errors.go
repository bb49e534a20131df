package awssm

import (
	"context"
	"errors"
	"fmt"

	"forebay/internal/secret"

	"github.com/aws/smithy-go"
)

// plain says in plain words what AWS, or the way to it, has answered. What AWS says in its own words follows: it holds ARNs
// and request ids, and no secret.
func plain(err error, s Secret) error {
	if err == nil {
		return nil
	}
	var content *contentError
	var api smithy.APIError
	assuming := within(err, "STS")
	switch {
	case errors.As(err, &content):
		return content
	case errors.As(err, &api):
		return answered(api, assuming, s)
	case within(err, "ec2imds"): // the last of the places that the SDK looks for credentials in
		return fmt.Errorf("no AWS credentials were found, in the environment, in files or from the machine: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("AWS did not answer in time: %w", err)
	}
	return fmt.Errorf("AWS cannot be asked: %w", err)
}

// answered is for an error that AWS itself has answered with.
func answered(api smithy.APIError, assuming bool, s Secret) error {
	own := fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	switch api.ErrorCode() {
	case "AccessDeniedException", "AccessDenied":
		if assuming {
			return fmt.Errorf("%w: AWS does not let Forebay assume the role %s (%w)", secret.ErrDenied, s.Role, own)
		}
		who := "the credentials of Forebay"
		if s.Role != "" {
			who = "the role " + s.Role
		}
		return fmt.Errorf("%w: AWS does not let %s read it (%w)", secret.ErrDenied, who, own)
	case "ResourceNotFoundException":
		return fmt.Errorf("%w: AWS has no such secret, or no current version of it (%w)", secret.ErrNotFound, own)
	case "InvalidRequestException":
		return fmt.Errorf("%w: AWS does not give it out; it may be marked for deletion (%w)", secret.ErrNotFound, own)
	case "DecryptionFailure":
		return fmt.Errorf("%w: AWS cannot decrypt it, or the role may not use its KMS key (%w)", secret.ErrDenied, own)
	case "ExpiredToken", "ExpiredTokenException":
		return fmt.Errorf("the AWS credentials of Forebay have expired (%w)", own)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature":
		return fmt.Errorf("AWS does not know the credentials of Forebay, or the clock is wrong (%w)", own)
	case "ThrottlingException", "Throttling", "TooManyRequestsException":
		return fmt.Errorf("AWS asks Forebay to call less often (%w)", own)
	}
	return fmt.Errorf("AWS answers with an error (%w)", own)
}

// down reports whether a call failed for a reason that says nothing about the secret.
func down(err error) bool {
	var content *contentError
	if errors.As(err, &content) {
		return false
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return true
	}
	switch api.ErrorCode() {
	case "ResourceNotFoundException", "InvalidRequestException", "InvalidParameterException", "DecryptionFailure", "AccessDeniedException":
		return false
	}
	return true
}

// within reports whether one of the operations that err went through is of the named service.
func within(err error, service string) bool {
	for err != nil {
		var op *smithy.OperationError
		if !errors.As(err, &op) {
			return false
		}
		if op.ServiceID == service {
			return true
		}
		err = op.Err
	}
	return false
}
