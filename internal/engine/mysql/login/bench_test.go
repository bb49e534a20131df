package login_test

import (
	"context"
	"net"
	"testing"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/wire/mysqlwire"
)

// BenchmarkAcceptSHA2 is one whole login by caching_sha2_password's fast path over a loopback socket, with Dial as the
// client: both sides' work and the kernel's.
func BenchmarkAcceptSHA2(b *testing.B) { benchmarkAccept(b, "sha2") }

// BenchmarkAcceptNative is the same by mysql_native_password, to which the client has to switch.
func BenchmarkAcceptNative(b *testing.B) { benchmarkAccept(b, "native") }

func benchmarkAccept(b *testing.B, user string) {
	b.ReportAllocs()
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
			client, err := login.Accept(context.Background(), c, login.AcceptOptions{Hello: login.NewHello("8.0.99", 1, false), Lookup: users})
			if err != nil {
				b.Error(err)
			} else {
				_, _ = c.Write(appendOK(client.Greeting, client.Sequence, mysqlwire.OK{Status: 2}, client.Capabilities))
			}
			c.Close()
		}
	}()
	d := login.DialOptions{Address: ln.Addr().String(), TLSMode: "disable", Credentials: login.NewCredentials(user, password)}
	for b.Loop() {
		s, err := login.Dial(b.Context(), nil, d)
		if err != nil {
			b.Fatal(err)
		}
		s.Conn.Close()
	}
	ln.Close()
	<-done
}
