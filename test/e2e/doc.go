// Package e2e tests Forebay from outside: real drivers, a real PostgreSQL, and a data plane between them. PostgreSQL
// itself is the reference: where it makes sense a check runs against the server directly too, and must pass there.
package e2e
