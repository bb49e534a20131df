//go:build linux

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"forebay/internal/localserver"
	"forebay/test/program"
)

// prepareRouter sets MySQL Router up to share server connections. That works only where it can log in for a client again, so
// it must learn the password: over TLS, or encrypted with the key of its certificate, which must be an RSA one for that. So
// clients without TLS have a port with such a certificate, and the others one with everybody's.
func (w *world) prepareRouter(p *peer) error {
	if w.o.sidTree == "" {
		return fmt.Errorf("%w: it is in the Debian sid tree, which scripts/sid-tree makes as root", errAbsent)
	}
	inside, err := w.enterTree(p)
	if err != nil {
		return err
	}
	if p.as, err = program.Account(p.chroot, "mysql"); err != nil {
		return err
	}
	if p.tlsPort, err = localserver.FreePort(); err != nil {
		return err
	}
	cert, key, err := rsaCertificate()
	if err != nil {
		return err
	}
	p.keepsPrepared = true
	const path = "/usr/bin/mysqlrouter"
	// "MySQL Router  Ver 9.7.4-2 for Linux on ...": up to the release.
	words := strings.Fields(p.askVersion(path, "--version"))
	p.version = strings.Join(words[:min(4, len(words))], " ")
	conf := filepath.Join(inside, "router.conf")
	p.command = func() *exec.Cmd {
		cmd := exec.Command(path, "-c", conf)
		cmd.Dir = inside
		return cmd
	}
	routing := func(name string, port int) string {
		return fmt.Sprintf(`[routing:%[1]s]
bind_address = 127.0.0.1
bind_port = %[2]d
protocol = classic
routing_strategy = first-available
destinations = 127.0.0.1:%[3]d
client_ssl_mode = PREFERRED
client_ssl_cert = %[4]s/%[1]s.crt
client_ssl_key = %[4]s/%[1]s.key
server_ssl_mode = DISABLED
connection_sharing = 1
connection_sharing_delay = 0
max_connections = 12000
`, name, port, w.db.port(), inside)
	}
	return p.writeFiles(map[string]string{
		"plain.crt": cert, "plain.key": key, "tls.crt": w.cert, "tls.key": w.key,
		"router.conf": fmt.Sprintf(`[DEFAULT]
logging_folder =
runtime_folder = %[1]s
data_folder = %[1]s
max_total_connections = 24000
[logger]
level = error
[io]
threads = 2
[connection_pool]
max_idle_server_connections = %[2]d
`, inside, poolSize) + routing("plain", p.port) + routing("tls", p.tlsPort),
	})
}

// rsaCertificate makes a self-signed certificate with an RSA key, as PEM.
func rsaCertificate() (cert, key string, err error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		return "", "", err
	}
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("CERTIFICATE", der), text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)), nil
}
