// Package login is the connection phase of the PostgreSQL protocol, as plain blocking code over net.Conn: Accept meets a
// client that connects to Forebay, Dial logs Forebay in to a server. Both end where the query phase begins, and both
// leave the connection exactly at a message boundary.
//
// The order of things follows the server's own source (ProcessStartupPacket in backend_startup.c, auth.c,
// auth-scram.c) and libpq's (fe-connect.c, fe-auth.c); the protocol is described in "Frontend/Backend Protocol",
// section "Message Flow". Error texts for clients are those of the RDS Proxy contract, section 4.4.
//
// A login storm must cost microseconds for each client, not a password derivation: everything derived from a password
// lives in a Verifier, made once for each version of a secret by Verifiers.
package login
