// Package login is the connection phase of the MySQL protocol, as plain blocking code over net.Conn: Accept meets a client
// that connects to Forebay, ChangeUser meets it again on COM_CHANGE_USER, Dial logs Forebay in to a MySQL or MariaDB
// server. All end where the command phase begins, and leave the connection exactly at a message boundary.
//
// The order of things is that of "Connection Phase" in the MySQL source code documentation and of "Connecting" in MariaDB's;
// the plugins are described there too. Error texts for clients are those of the RDS Proxy contract, section 4.3.
//
// What is derived from a password lives in a Verifier: two hashes, so that each login costs microseconds.
package login
