// Package localserver starts real database servers as private, unprivileged instances for the demo, the tests and
// the benchmarks. An instance lives in a temporary directory of its own, listens on 127.0.0.1 and on a socket inside
// that directory, and is gone, with its files, after Stop or when the process that started it dies.
//
// Durability is switched off: nothing in such a server is worth keeping.
package localserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
)

// ErrNotInstalled means that the programs of a database server were not found on this machine. The error that wraps
// it says what to install.
var ErrNotInstalled = errors.New("database server is not installed")

// RandomWord returns n random characters from an alphabet that needs no quoting in SQL, shells and URLs.
func RandomWord(n int) string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32 characters, so that a byte's low bits are unbiased
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b)
}

// randomUUID returns a UUID of version 4.
func randomUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// FreePort returns a TCP port of 127.0.0.1 that nobody listened on a moment ago. Another process may take it before
// the caller does, so the caller must be ready to try again.
func FreePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
