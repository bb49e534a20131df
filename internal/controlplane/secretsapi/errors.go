package secretsapi

import (
	"net/http"

	"forebay/internal/controlplane/awsapi"
)

func refuse(code, format string, args ...any) error {
	return awsapi.Errorf(http.StatusBadRequest, code, format, args...)
}

var errNotFound = refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")

func invalid(format string, args ...any) error {
	return refuse("InvalidParameterException", format, args...)
}

func badRequest(format string, args ...any) error {
	return refuse("InvalidRequestException", format, args...)
}

func sealed(arn string) error {
	return refuse("DecryptionFailure", "Secrets Manager can't decrypt the protected secret text of %s: the key it was sealed with is not configured.", arn)
}
