package compress

import (
	"context"
	"errors"
	"net"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/wire/mysqlwire"
)

// toy is a session whose commands are their own meaning. Of a command's payload, the first byte says what is done:
//
//	e: the answer is the payload, once it is here whole; no server is needed
//	s: the message goes to the server as it comes, and nothing more is consumed before the answer has ended
//	n: the same, without an answer
//	f: it asks for a file: the client's packets up to an empty one are part of the command
//	m: answered as e, but stops after it, with More
//	k: kills; Killed answers
//	u: logs in again
//
// Anything else ends the client. The server's answer is packets up to an empty one.
type toy struct {
	welcome []byte
	greedy  bool // knows no limit
	shy     bool // is not open while it waits for the server
	relogin reloginFunc
	pass    int  // bytes still to be passed to the server
	more    bool // and another packet of the same message behind
	quiet   bool // of a message without an answer
	waits   bool // for the server
	due     int  // bytes of the server's packet still to come
	killing bool
	file    bool
	files   int // bytes of the file
	number  uint8
}

func (s *toy) Start(o *engine.Output) bool {
	o.Client.Set(append(o.Client.Grow(), s.welcome...))
	return false
}

func (s *toy) answer(o *engine.Output, payload []byte) {
	dst, _ := mysqlwire.AppendPacket(o.Client.Grow(), s.number, payload)
	o.Client.Set(dst)
}

func (s *toy) FromClient(b []byte, o *engine.Output) int {
	if o.CloseClient || o.More || o.Kill != nil || o.Relogin != nil || !s.Open() {
		panic("called again before its time")
	}
	n := 0
	for !o.CloseClient {
		if s.pass > 0 {
			m := min(s.pass, len(b)-n)
			o.Server.Pass(b[n : n+m])
			n += m
			if s.pass -= m; s.pass > 0 {
				return n
			}
			if !s.more {
				s.waits = !s.quiet
			}
		}
		if s.waits || s.killing {
			return n
		}
		h, err := mysqlwire.ParseHeader(b[n:])
		if err != nil {
			return n
		}
		if s.more {
			s.pass, s.more = mysqlwire.HeaderLen+h.Length, h.Continues()
			continue
		}
		if !s.greedy && len(o.Server.Bytes())+len(o.Client.Bytes()) > 2000 {
			o.More = true
			return n
		}
		whole := len(b)-n-mysqlwire.HeaderLen >= h.Length
		if s.file {
			if !whole {
				return n
			}
			s.files += h.Length
			n += mysqlwire.HeaderLen + h.Length
			s.number = h.Sequence + 1
			if h.Length == 0 {
				s.file = false
				s.answer(o, []byte{byte(s.files), byte(s.files >> 8), byte(s.files >> 16)})
			}
			continue
		}
		if len(b)-n < mysqlwire.HeaderLen+1 {
			return n
		}
		payload := b[n+mysqlwire.HeaderLen:]
		c := payload[0]
		if h.Length == 0 {
			c = 0
		}
		switch c {
		case 's', 'n':
			s.pass, s.more, s.quiet = mysqlwire.HeaderLen+h.Length, h.Continues(), c == 'n'
			continue
		case 'e', 'm', 'k', 'u', 'f':
			if !whole || h.Continues() {
				return n
			}
		default:
			s.number = 1
			s.answer(o, []byte("\xff\x00\x00#HY000what?"))
			o.CloseClient = true
			return n
		}
		payload = payload[:h.Length]
		n += mysqlwire.HeaderLen + h.Length
		s.number = h.Sequence + 1
		switch c {
		case 'e':
			s.answer(o, payload)
		case 'm':
			s.answer(o, payload)
			o.More = true
			return n
		case 'f':
			s.file, s.files = true, 0
			s.answer(o, []byte("\xfbname"))
		case 'k':
			s.killing = true
			o.Kill = &engine.Kill{PID: 1}
			return n
		case 'u':
			o.Relogin = s.relogin
			return n
		}
	}
	return n
}

// FromServer passes what is whole of headers, and of payloads what there is.
func (s *toy) FromServer(b []byte, o *engine.Output) int {
	n := 0
	for n < len(b) {
		if s.due == 0 {
			h, err := mysqlwire.ParseHeader(b[n:])
			if err != nil {
				break
			}
			o.Client.Pass(b[n : n+mysqlwire.HeaderLen])
			n += mysqlwire.HeaderLen
			s.due, s.waits = h.Length, h.Length > 0
		}
		m := min(s.due, len(b)-n)
		o.Client.Pass(b[n : n+m])
		n, s.due = n+m, s.due-m
	}
	return n
}

func (s *toy) Killed(_ bool, o *engine.Output) {
	s.killing = false
	s.answer(o, []byte("killed"))
}

func (s *toy) Open() bool { return !s.killing && !(s.shy && s.waits) }

func (s *toy) Done() bool {
	return s.pass == 0 && !s.more && !s.waits && s.due == 0 && !s.killing && !s.file
}

func (s *toy) Refuse(err error, o *engine.Output) {
	s.answer(o, (&mysqlwire.Error{Code: 1105, SQLState: "HY000", Message: err.Error()}).Append(nil))
}

func (s *toy) ServerLost(err error, o *engine.Output) {
	s.Refuse(err, o)
	o.CloseClient = s.due > 0
}

func (s *toy) End(err error, o *engine.Output) {
	s.Refuse(err, o)
	o.CloseClient = true
}

func (s *toy) ClientGone(o *engine.Output) bool {
	o.Server.Set(append(o.Server.Grow(), "reset"...))
	o.Client.Set(append(o.Client.Grow(), "nobody reads it"...))
	return true
}

func (s *toy) Attach(engine.Server, *engine.Output) {}
func (s *toy) Detach()                              {}
func (s *toy) Fit() (f engine.Fit)                  { return f }
func (s *toy) Takes(engine.Server) bool             { return true }
func (s *toy) Keeps() bool                          { return false }
func (s *toy) ReadsOnly([]byte) bool                { return false }
func (s *toy) Busy() bool                           { return !s.Done() }
func (s *toy) Pinned() string                       { return "" }
func (s *toy) Refusing() bool                       { return false }
func (s *toy) Retire() bool                         { return false }
func (s *toy) Interrupt() bool                      { return true }
func (s *toy) Matches(*engine.Cancel) bool          { return false }
func (s *toy) Describe() engine.SessionInfo         { return engine.SessionInfo{PID: 7} }

var _ engine.Session = (*toy)(nil)

var errToy = errors.New("toy")

var toyAsks = message(1, []byte("\xfe"+strings.Repeat("who are you? ", 20)))

// toyLogin asks the client who it is, reads the answer, and goes on with a new toy whose welcome repeats it.
func toyLogin(_ context.Context, nc net.Conn, o engine.AcceptOptions) (*engine.Login, error) {
	if _, err := nc.Write(toyAsks); err != nil {
		return nil, err
	}
	got := o.Early
	for {
		if h, err := mysqlwire.ParseHeader(got); err == nil && len(got) >= mysqlwire.HeaderLen+h.Length {
			n := mysqlwire.HeaderLen + h.Length
			ok, _ := mysqlwire.AppendPacket(nil, h.Sequence+1, append([]byte{mysqlwire.HeaderOK}, got[mysqlwire.HeaderLen:n]...))
			return &engine.Login{
				Conn: nc, Buffered: got[n:],
				NewSession: func(_ engine.Local, id engine.SessionID) engine.Session {
					s := &toy{welcome: ok, relogin: toyLogin}
					if id.PID%2 == 1 {
						return New(s, Zlib, 1) // as for a client that connects
					}
					return s
				},
			}, nil
		}
		var b [7]byte
		n, err := nc.Read(b[:])
		if err != nil {
			return nil, err
		}
		got = append(got, b[:n]...)
	}
}
