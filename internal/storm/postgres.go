package storm

import (
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

// Postgres is the Protocol of PostgreSQL, kept to what a storm needs. One value serves all clients of a storm: it
// remembers the keys derived from the password, which would otherwise cost milliseconds for each log-in.
type Postgres struct {
	target Target

	mu    sync.Mutex // makes one client derive the keys while the others wait for them
	scram *scram.Client
}

// NewPostgres returns the protocol for a target.
func NewPostgres(t Target) (*Postgres, error) {
	// The server takes the user's name from the start-up message; libpq leaves it empty here too.
	c, err := scram.SHA256.NewClient("", t.Password, "")
	if err != nil {
		// Like the server, take a password as it is if SASLprep does not allow it.
		if c, err = scram.SHA256.NewClientUnprepped("", t.Password, ""); err != nil {
			return nil, errors.New("the password cannot be used for SCRAM")
		}
	}
	return &Postgres{target: t, scram: c}, nil
}

// serverError is an ErrorResponse.
type serverError struct{ code, message string }

func (e *serverError) Error() string { return e.code + " " + e.message }

// Describe implements Protocol.
func (p *Postgres) Describe(err error) (code, text string) {
	var se *serverError
	if errors.As(err, &se) {
		return se.code, shorten(se.message)
	}
	return "", describeNetwork(err)
}

// maxMessage is the longest message a client takes, in bytes: a storm is not for big rows, and a wrong length is not to
// fill the memory.
const maxMessage = 64 << 20

// pgSession is one logged-in client.
type pgSession struct {
	conn net.Conn
	fe   *pgproto3.Frontend
}

// Connect implements Protocol.
func (p *Postgres) Connect(ctx context.Context) (Session, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.target.Addr)
	if err != nil {
		return nil, err
	}
	s := &pgSession{conn: conn}
	release := s.bound(ctx)
	err = p.open(ctx, s)
	release()
	if err != nil {
		s.conn.Close()
		return nil, orEnded(ctx, err)
	}
	return s, nil
}

// bound makes reads and writes fail when ctx ends, until the returned function is called.
func (s *pgSession) bound(ctx context.Context) func() {
	conn := s.conn
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// orEnded prefers the reason why ctx ended, which made err happen.
func orEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// open makes a TCP connection a session: TLS, start-up, authentication, until ReadyForQuery.
func (p *Postgres) open(ctx context.Context, s *pgSession) error {
	if p.target.TLS != nil {
		if err := p.encrypt(ctx, s); err != nil {
			return err
		}
	}
	s.fe = pgproto3.NewFrontend(s.conn, s.conn)
	s.fe.SetMaxBodyLen(maxMessage)
	params := maps.Clone(p.target.Params)
	if params == nil {
		params = map[string]string{}
	}
	params["user"], params["database"] = p.target.User, p.target.Database
	s.fe.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: params})
	if err := s.fe.Flush(); err != nil {
		return err
	}
	var conv *scram.ClientConversation
	for {
		msg, err := s.fe.Receive()
		if err != nil {
			return err
		}
		switch m := msg.(type) {
		case *pgproto3.AuthenticationSASL:
			if !slices.Contains(m.AuthMechanisms, "SCRAM-SHA-256") {
				return fmt.Errorf("server offers none of our SASL mechanisms: %v", m.AuthMechanisms)
			}
			conv = p.scram.NewConversation()
			first, err := conv.Step("")
			if err != nil {
				return err
			}
			s.fe.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(first)})
		case *pgproto3.AuthenticationSASLContinue:
			final, err := p.step(conv, string(m.Data))
			if err != nil {
				return err
			}
			s.fe.Send(&pgproto3.SASLResponse{Data: []byte(final)})
		case *pgproto3.AuthenticationSASLFinal:
			if _, err := p.step(conv, string(m.Data)); err != nil {
				return err
			}
			continue
		case *pgproto3.AuthenticationMD5Password:
			s.fe.Send(&pgproto3.PasswordMessage{Password: p.md5(m.Salt)})
		case *pgproto3.AuthenticationCleartextPassword:
			if _, ok := s.conn.(*tls.Conn); !ok {
				return errors.New("server wants the password unencrypted, without TLS")
			}
			s.fe.Send(&pgproto3.PasswordMessage{Password: p.target.Password})
		case *pgproto3.ErrorResponse:
			return &serverError{m.Code, m.Message}
		case *pgproto3.ReadyForQuery:
			return nil
		default:
			continue // AuthenticationOk, BackendKeyData, ParameterStatus, notices
		}
		if err := s.fe.Flush(); err != nil {
			return err
		}
	}
}

// step takes SCRAM a step on. The lock is short but for the first client, who derives the keys for all.
func (p *Postgres) step(conv *scram.ClientConversation, challenge string) (string, error) {
	if conv == nil {
		return "", errors.New("server sent a SASL message out of turn")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return conv.Step(challenge)
}

// md5 is the answer to AuthenticationMD5Password.
func (p *Postgres) md5(salt [4]byte) string {
	inner := md5.Sum([]byte(p.target.Password + p.target.User))
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt[:]...))
	return "md5" + hex.EncodeToString(outer[:])
}

// encrypt asks for TLS and switches to it.
func (p *Postgres) encrypt(ctx context.Context, s *pgSession) error {
	request, err := (&pgproto3.SSLRequest{}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := s.conn.Write(request); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(s.conn, answer[:]); err != nil {
		return err
	}
	switch answer[0] {
	case 'S':
		conn := tls.Client(s.conn, p.target.TLS)
		if err := conn.HandshakeContext(ctx); err != nil {
			return err
		}
		s.conn = conn
		return nil
	case 'N':
		if p.target.TLSMust {
			return errors.New("server does not offer TLS")
		}
		return nil
	case 'E':
		// An ErrorResponse, whose type byte was read; text from a peer before TLS is not to be trusted, nor shown.
		return errors.New("server answers the request for TLS with an error")
	}
	return errors.New("server does not speak the PostgreSQL protocol")
}

// Run implements Session.
func (s *pgSession) Run(ctx context.Context, statement string) error {
	release := s.bound(ctx)
	defer release()
	s.fe.Send(&pgproto3.Query{String: statement})
	if err := s.fe.Flush(); err != nil {
		return orEnded(ctx, err)
	}
	var failed error
	for {
		msg, err := s.fe.Receive()
		if err != nil {
			if failed != nil {
				return failed // a FATAL error, after which the server closes
			}
			return orEnded(ctx, err)
		}
		switch m := msg.(type) {
		case *pgproto3.ErrorResponse:
			failed = &serverError{m.Code, m.Message}
		case *pgproto3.ReadyForQuery:
			return failed
		case *pgproto3.CopyInResponse, *pgproto3.CopyBothResponse:
			s.fe.Send(&pgproto3.CopyFail{Message: "nothing to copy"})
			if err := s.fe.Flush(); err != nil {
				return err
			}
		}
	}
}

// Close implements Session.
func (s *pgSession) Close() {
	s.conn.SetDeadline(time.Now().Add(time.Second))
	s.fe.Send(&pgproto3.Terminate{})
	_ = s.fe.Flush() // the server may be gone already, which is all the same now
	s.conn.Close()
}
