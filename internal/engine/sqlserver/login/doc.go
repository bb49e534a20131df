// Package login is the connection phase of TDS, as plain blocking code over net.Conn: Accept meets a client that connects to
// Forebay, Dial logs Forebay in to a SQL Server. Both end where requests begin, and leave the connection exactly at a message
// boundary.
//
// The order of things is that of [MS-TDS] 3.2.5 and 3.3.5: PRELOGIN, TLS, LOGIN7, the answer. TLS of TDS 7 is spoken inside
// PRELOGIN packets; that of TDS 8 comes before everything else.
package login
