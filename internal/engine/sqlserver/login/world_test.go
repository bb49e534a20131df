package login_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/secret"
	"forebay/internal/wire/tds"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

const (
	password = "s3cret-päss"
	token    = "host:1433/?Action=connect&DBUser=clerk&X-Amz-Signature=00"
)

// authority is a CA with one server certificate for localhost.
type authority struct {
	cert   tls.Certificate
	pool   *x509.CertPool
	caFile string
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caBytes, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = x509.ParseCertificate(caBytes); err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	leafBytes, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{
		cert: tls.Certificate{Certificate: [][]byte{leafBytes}, PrivateKey: key},
		pool: x509.NewCertPool(), caFile: filepath.Join(t.TempDir(), "ca.pem"),
	}
	a.pool.AddCert(ca)
	if err := os.WriteFile(a.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caBytes}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// options are those of a proxy that offers TLS, and knows the user "clerk", who has a password, "badge", who has a token,
// and "either", who has both; "broken" is a user whose secret cannot be had.
func (a authority) options() login.AcceptOptions {
	o := login.AcceptOptions{
		ServerVersion: 0x10000FA0, SPID: 57,
		Lookup: func(_ context.Context, user string) (*login.Verifier, error) {
			if user == "broken" {
				return nil, errors.New("the store is down")
			}
			check := engine.TokenCheck{
				User: user, Password: func(p secret.Password) bool { return p == password },
				Verify: func(_ context.Context, _ string, p secret.Password) error {
					switch {
					case p == token:
						return nil
					case strings.Contains(p.Reveal(), "down"):
						return errors.New("nobody can tell")
					}
					return &engine.TokenError{Reason: engine.TokenSignature}
				},
			}
			switch user {
			case "clerk":
				return &login.Verifier{Check: func(_ context.Context, sent secret.Password, _ bool) error {
					if !login.Holds(secret.Secret{Username: user, Password: password}, sent, time.Now()) {
						return engine.ErrWrongPassword
					}
					return nil
				}}, nil
			case "badge":
				check.IAMAuth = "REQUIRED"
			case "either":
				check.IAMAuth = "ENABLED"
			default:
				return nil, login.ErrUnknownUser
			}
			return &login.Verifier{Tokens: true, Blocks: true, Check: func(ctx context.Context, sent secret.Password, _ bool) error {
				return check.Check(ctx, sent)
			}}, nil
		},
		TokenUser: func(p secret.Password) (string, bool) {
			if strings.Contains(p.Reveal(), "clerk") {
				return "badge", true
			}
			return "", false
		},
	}
	o.InsideTLS, o.FirstTLS = login.ServerTLS(&tls.Config{Certificates: []tls.Certificate{a.cert}})
	return o
}

// outcome is what Accept returned for one connection.
type outcome struct {
	client *login.Client
	err    error
}

// server is what the stand-in of a database says of itself.
func server() *login.Server {
	return &login.Server{
		Version: tds.V74, Database: "shop", Language: "us_english", ServerName: "DB1", ProgName: "Microsoft SQL Server",
		ProgVersion: 0x10000FA0, Collation: [5]byte{0x09, 0x04, 0xD0, 0x00, 0x34}, Features: tds.Features{UTF8: true},
	}
}

// proxy accepts clients, each until it closes.
type proxy struct {
	addr     string
	outcomes chan outcome
}

// startProxy listens. A client that is let in has each of its messages answered by a DONE, as long as it sends any.
func startProxy(t *testing.T, o login.AcceptOptions) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), outcomes: make(chan outcome, 16)}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(c, o)
		}
	}()
	return p
}

func (p *proxy) serve(c net.Conn, o login.AcceptOptions) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	client, err := login.Accept(context.Background(), c, o)
	p.outcomes <- outcome{client, err}
	if err != nil {
		return
	}
	if _, err := client.Conn.Write(client.Welcome(server(), 57)); err != nil {
		return
	}
	for {
		var head [tds.HeaderSize]byte
		if _, err := io.ReadFull(client.Conn, head[:]); err != nil {
			return
		}
		h, err := tds.ParseHeader(head[:])
		if err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, client.Conn, int64(h.Length-tds.HeaderSize)); err != nil {
			return
		}
		if h.Status&tds.StatusEOM != 0 {
			if _, err := client.Conn.Write(tds.AppendMessage(nil, tds.PacketReply, 0, client.PacketSize, 57, tds.AppendDone(nil, client.Version, false))); err != nil {
				return
			}
		}
	}
}
