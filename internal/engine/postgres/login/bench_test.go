package login_test

import (
	"context"
	"net"
	"testing"

	"forebay/internal/engine/postgres/login"
	"forebay/internal/secret"
)

// BenchmarkAcceptSCRAM is one whole SCRAM login over a loopback socket, with Dial as the client: both sides' work and
// the kernel's. No derivation may be in it.
func BenchmarkAcceptSCRAM(b *testing.B) { benchmarkAccept(b, "scram") }

// BenchmarkAcceptMD5 is the same with MD5: what is left without SCRAM.
func BenchmarkAcceptMD5(b *testing.B) { benchmarkAccept(b, "md5") }

func benchmarkAccept(b *testing.B, user string) {
	b.ReportAllocs()
	o := login.AcceptOptions{Lookup: users(b)}
	credentials := login.NewCredentials(user, secret.Password(password))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			client, err := login.Accept(context.Background(), c, o)
			if err != nil {
				b.Error(err)
			} else {
				_, _ = c.Write(append(client.Greeting, 'Z', 0, 0, 0, 5, 'I'))
			}
			c.Close()
		}
	}()
	d := login.DialOptions{Address: ln.Addr().String(), TLSMode: "disable", Credentials: credentials}
	for b.Loop() {
		s, err := login.Dial(b.Context(), d)
		if err != nil {
			b.Fatal(err)
		}
		s.Conn.Close()
	}
	ln.Close()
	<-done
}
