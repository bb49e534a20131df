package evloop_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/evloop"
)

// certificate makes a certificate for one test.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS handshakes in the connection phase and hands over to what handler makes.
func serveTLS(t *testing.T, loops []*evloop.Loop, handler func() evloop.Handler) *evloop.Listener {
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	return serve(t, loops, func(a evloop.Accepted) {
		_ = a.Net.SetDeadline(time.Now().Add(limit))
		s := tls.Server(a.Net, cfg)
		if err := s.Handshake(); err != nil {
			t.Errorf("handshake: %v", err)
			a.Net.Close()
			return
		}
		_ = a.Net.SetDeadline(time.Time{})
		start(a, s, handler())
	})
}

// The first statement arrives together with the client's Finished, in one piece or byte by byte.
func TestTLS(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 1)
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		for how, wrap := range map[string]func(net.Conn) net.Conn{
			"whole":        func(c net.Conn) net.Conn { return c },
			"gathered":     func(c net.Conn) net.Conn { return &gathering{Conn: c, hold: true} },
			"byte by byte": func(c net.Conn) net.Conn { return slow{c} },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				e := newEcho()
				l := serveTLS(t, loops, func() evloop.Handler { return e })
				w := wrap(connect(t, l))
				c := tls.Client(w, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
				if err := c.Handshake(); err != nil {
					t.Fatal(err)
				}
				for _, n := range []int{1, 16 << 10, 50_000} {
					if err := exchange(c, pattern(n)); err != nil {
						t.Fatalf("%d bytes: %v", n, err)
					}
				}
				if g, ok := w.(*gathering); ok {
					g.hold = false
				}
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if n, err := c.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("after the end: %d, %v; want %v", n, err, io.EOF)
				}
				wait(t, e.ended, "end")
				if e.end != io.EOF {
					t.Errorf("the handler saw %v, want %v", e.end, io.EOF)
				}
			})
		}
	}
}

// exchange writes and then reads the same.
func exchange(c net.Conn, message []byte) error {
	if _, err := c.Write(message); err != nil {
		return err
	}
	got := make([]byte, len(message))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, message) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// gathering holds what is written until something is to be read, and then writes it at once.
type gathering struct {
	net.Conn
	hold bool
	held []byte
}

func (g *gathering) Write(b []byte) (int, error) {
	g.held = append(g.held, b...)
	if !g.hold {
		g.flush()
	}
	return len(b), nil
}

func (g *gathering) flush() {
	if len(g.held) > 0 {
		_, _ = g.Conn.Write(g.held)
		g.held = nil
	}
}

func (g *gathering) Read(b []byte) (int, error) {
	g.flush()
	return g.Conn.Read(b)
}

// slow writes each byte by itself.
type slow struct{ net.Conn }

func (s slow) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestTLSBackPressure(t *testing.T) {
	t.Parallel()
	e := newEcho()
	l := serveTLS(t, startLoops(t, 1), func() evloop.Handler { return e })
	c := tls.Client(connect(t, l), &tls.Config{InsecureSkipVerify: true})
	if err := roundTrip(c, pattern(8<<20)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	wait(t, e.ended, "end")
	if most := maxUnsent + 192<<10; e.most > most {
		t.Errorf("%d bytes were unsent, want at most %d", e.most, most)
	}
}

func TestTLSCloseLater(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	l := serveTLS(t, startLoops(t, 1), func() evloop.Handler {
		return handlerFunc(func(c *evloop.Conn) {
			if !c.Closed() {
				_ = c.Write(pattern(size))
				c.CloseLater(limit)
			}
		})
	})
	c := tls.Client(connect(t, l), &tls.Config{InsecureSkipVerify: true})
	got, err := io.ReadAll(c) // fails without a closing alert
	if err != nil || !bytes.Equal(got, pattern(size)) {
		t.Errorf("read %d bytes, %v; want %d", len(got), err, size)
	}
}

func TestTLSGarbage(t *testing.T) {
	t.Parallel()
	e := newEcho()
	l := serveTLS(t, startLoops(t, 1), func() evloop.Handler { return e })
	raw := connect(t, l)
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if err := exchange(c, []byte("fine")); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Write([]byte("\x17\x03\x03\x00\x20this is no record of this session")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	if err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("the client heard %v, want the alert for a bad record", err)
	}
	wait(t, e.ended, "end")
	if e.end == nil || e.end == io.EOF {
		t.Errorf("the handler saw %v, want an error", e.end)
	}
}

// A client may ask for new keys at any time (RFC 8446, 4.6.3). The answer leaves although nothing else is to be said, or
// what follows could not be read.
func TestTLSKeyUpdate(t *testing.T) {
	t.Parallel()
	e := newEcho()
	l := serveTLS(t, startLoops(t, 1), func() evloop.Handler { return e })
	raw := connect(t, l)
	keys := &keyLog{}
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: keys})
	if err := exchange(c, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if id := c.ConnectionState().CipherSuite; id != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("the forged records are for TLS_AES_128_GCM_SHA256; %s was chosen", tls.CipherSuiteName(id))
	}
	secret := keys.find(t, "CLIENT_TRAFFIC_SECRET_0")
	// One record was sent with these keys. The next asks for an update, the one after is sealed with new keys.
	const handshake, data = 22, 23
	records := seal(t, secret, 1, []byte{24, 0, 0, 1, 1}, handshake)
	records = append(records, seal(t, expand(t, secret, "traffic upd", 32), 0, []byte("second"), data)...)
	if _, err := raw.Write(records); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "second" {
		t.Errorf("after the key update: %q, %v", got, err)
	}
}

// keyLog keeps what tls.Config.KeyLogWriter is told.
type keyLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (k *keyLog) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.Write(b)
}

func (k *keyLog) find(t *testing.T, label string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	for line := range strings.Lines(k.b.String()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == label {
			if s, err := hex.DecodeString(f[2]); err == nil {
				return s
			}
		}
	}
	t.Fatalf("no %s among the keys", label)
	return nil
}

// expand is HKDF-Expand-Label (RFC 8446, 7.1).
func expand(t *testing.T, secret []byte, label string, n int) []byte {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(append(info, byte(len(label))), label...), 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), n)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// seal makes a record (RFC 8446, 5.2).
func seal(t *testing.T, secret []byte, seq uint64, content []byte, typ byte) []byte {
	block, err := aes.NewCipher(expand(t, secret, "key", 16))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := expand(t, secret, "iv", 12)
	for i, b := range binary.BigEndian.AppendUint64(nil, seq) {
		nonce[4+i] ^= b
	}
	plain := append(bytes.Clone(content), typ)
	header := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(plain)+aead.Overhead()))
	return aead.Seal(header, nonce, plain, header)
}
