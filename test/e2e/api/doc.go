// Package api has tests alone: clients that people have (the AWS CLI, boto3, Terraform, the AWS SDK for Go) against the
// management API of a running Forebay, on real databases.
package api
