// Package sigv4 verifies and makes AWS Signature Version 4: of HTTP requests to AWS-compatible APIs, in the header form
// and in the presigned (query) form, and of RDS IAM tokens, which are presigned requests used as passwords.
//
// It does no I/O and holds no keys. A caller parses first, looks up the secret key that belongs to the access key ID it
// finds, and verifies with that key, the time, and the hash of the body that it read:
//
//	sig, err := sigv4.ParseRequest(r)
//	// check sig.Region and sig.Service, look up sig.AccessKeyID (AWS: InvalidClientTokenId) and sig.SessionToken
//	err = sig.Verify(secretKey, time.Now(), sigv4.Payload{SHA256: sha256.Sum256(body)})
//
// Every error is an *Error, whose Kind is named like the error code of AWS. The rules are those of "AWS Signature
// Version 4 for API requests" in the IAM User Guide (reference_sigv.html) for every service but S3, which encodes paths
// differently and streams bodies in signed chunks.
package sigv4
