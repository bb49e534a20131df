package compress

import (
	"forebay/internal/engine"
	"forebay/internal/wire/mysqlwire"
)

// New puts the compressed protocol around a session that speaks the plain one, of a client that has just passed the
// connection phase. level is zstd's, 1 to 22, as the client asks for in its HandshakeResponse41, or zlib's, 1 to 9; any
// other stands for the servers' default.
//
// What inner sends first, up to the OK or ERR packet that ends the connection phase, goes out as it is. Inner must not care
// for the numbers of a client's packets. A session that returns from Output.Relogin may be inner's own kind or one made by
// New: either goes on with the compression as it was.
func New(inner engine.Session, kind Kind, level int) engine.Session {
	return &session{Session: inner, codec: newCodec(kind, level), welcome: true}
}

// session is a client that compresses. What it does not say itself is the inner session's to say.
//
// The caller keeps what FromClient does not consume, and calls again only when it has kept something or there is more.
// The inner session, though, may leave a part of what was unpacked, and that part is kept here. As long as there is one,
// the last byte of the packets that it came in is left unconsumed: a token for which the caller comes again.
type session struct {
	engine.Session
	codec codec
	seq   uint8 // number of the next compressed packet to the client
	asked bool  // nothing has been sent since the client's last packet

	in     queue // unpacked, not consumed by the inner session
	inPos  frames
	held   int  // 1: the first byte of what comes next is the token
	behind bool // the caller keeps more than the token

	out     queue // the start of a packet that is not sent before it is whole
	outPos  frames
	welcome bool // the connection phase has not ended: its packets are plain
	gone    bool // nobody reads what is sent any more
}

// maxAhead is how much output of one call keeps the next packet from being unpacked, in bytes.
const maxAhead = 64 << 10

// FromClient implements engine.Session.
func (s *session) FromClient(b []byte, o *engine.Output) int {
	at := min(s.held, len(b)) // b[:at] has been unpacked
	var err error
	for {
		if s.in.len() > 0 {
			s.offer(o)
			if pausing(o) || !s.Session.Open() || s.inPos.whole(s.in.bytes()) {
				break // it is not for want of bytes that something is left
			}
			if len(b) > at && o.Client.Len()+o.Server.Len() >= maxAhead {
				o.More = true
				break
			}
		}
		var n int
		if n, err = s.unpack(b[at:]); n == 0 {
			break
		}
		at += n
	}
	if err != nil {
		s.broken(o)
		return len(b)
	}
	s.behind = len(b) > at
	s.pack(o, o.CloseClient)
	switch {
	case o.CloseClient:
		return len(b)
	case o.Relogin != nil:
		o.Relogin = s.relogin(o.Relogin)
		return at
	}
	if s.held = 0; s.in.len() > 0 && at > 0 {
		s.held = 1
	}
	return at - s.held
}

// pausing reports whether the inner session is not to be called again before the caller has done what it says.
func pausing(o *engine.Output) bool {
	return o.CloseClient || o.More || o.Kill != nil || o.Relogin != nil
}

// offer lets the inner session consume.
func (s *session) offer(o *engine.Output) {
	b := s.in.bytes()
	n := s.Session.FromClient(b, o)
	// What it has passed on is a run of that memory, which is soon somebody else's.
	o.Server.Set(o.Server.Grow())
	o.Client.Set(o.Client.Grow())
	s.inPos.follow(b[:n])
	s.in.consume(n)
}

// unpack takes the packet at the start of b, and returns its length; 0 if it has not come whole.
//
// Its number is not checked, as nothing is lost on the way; the answer goes on from it. For a new command that is 0.
func (s *session) unpack(b []byte) (int, error) {
	h, payload, n := next(b)
	if n == 0 {
		return 0, nil
	}
	s.seq, s.asked = h.Sequence+1, true
	plain, err := s.codec.unpack(s.in.grow(), h, payload)
	s.in.set(plain)
	if err != nil {
		return 0, err
	}
	return n, nil
}

// pack turns what the inner session sends to the client into packets. all: nothing will follow.
func (s *session) pack(o *engine.Output, all bool) {
	switch {
	case s.gone:
		o.Client.Reset()
	case o.Client.Len() > 0:
		s.out.set(append(s.out.grow(), o.Client.Bytes()...))
		o.Client.Reset()
		s.asked = false
		fallthrough
	case all:
		plain := s.out.bytes()
		n := s.outPos.cut(plain)
		if all {
			n = len(plain)
		}
		o.Client.Set(s.appendTo(o.Client.Grow(), plain[:n]))
		s.out.consume(n)
	}
	if all {
		s.forget()
	}
}

// appendTo appends plain packets in the form that the client expects now.
func (s *session) appendTo(dst, plain []byte) []byte {
	if s.welcome {
		n, ended := welcomed(plain)
		dst, plain, s.welcome = append(dst, plain[:n]...), plain[n:], !ended
	}
	dst, s.seq = s.codec.appendPackets(dst, s.seq, plain)
	return dst
}

// broken ends a client whose bytes make no sense. It is told, as a server does, unless it is in the middle of a packet.
func (s *session) broken(o *engine.Output) {
	s.pack(o, false)
	if s.outPos.due == 0 {
		dst, at := mysqlwire.BeginPacket(nil)
		e := mysqlwire.Error{Code: 1157, SQLState: "08S01", Message: "Couldn't uncompress communication packet"}
		dst, _ = mysqlwire.EndPacket(e.Append(dst), at, s.seq)
		o.Client.Set(s.appendTo(o.Client.Grow(), dst))
	}
	o.CloseClient = true
	s.forget()
}

// forget drops what waits. Nothing will be asked for any more.
func (s *session) forget() {
	s.in.clear()
	s.out.clear()
	s.held, s.behind, s.gone = 0, false, true
}

// Done implements engine.Session. The inner session does not know what is left outside it: the start of a command that it
// has not seen, or one that it has not been offered.
func (s *session) Done() bool { return s.in.len() == 0 && !s.behind && s.Session.Done() }

// ReadsOnly implements engine.Session: what the client has sent is unpacked already.
func (s *session) ReadsOnly([]byte) bool { return s.Session.ReadsOnly(s.in.bytes()) }

// Guard implements engine.Guarded.
func (s *session) Guard() {
	if g, ok := s.Session.(engine.Guarded); ok {
		g.Guard()
	}
}

// Start implements engine.Session.
func (s *session) Start(o *engine.Output) bool {
	needsServer := s.Session.Start(o)
	s.pack(o, o.CloseClient)
	return needsServer
}

// Attach implements engine.Session.
func (s *session) Attach(v engine.Server, o *engine.Output) {
	s.Session.Attach(v, o)
	s.pack(o, o.CloseClient)
}

// FromServer implements engine.Session.
func (s *session) FromServer(b []byte, o *engine.Output) int {
	n := s.Session.FromServer(b, o)
	s.pack(o, o.CloseClient)
	return n
}

// Refuse implements engine.Session.
func (s *session) Refuse(err error, o *engine.Output) {
	s.Session.Refuse(err, o)
	s.pack(o, o.CloseClient)
}

// ServerLost implements engine.Session.
func (s *session) ServerLost(err error, o *engine.Output) {
	s.Session.ServerLost(err, o)
	s.pack(o, o.CloseClient)
}

// Killed implements engine.Session.
func (s *session) Killed(found bool, o *engine.Output) {
	s.Session.Killed(found, o)
	s.pack(o, o.CloseClient)
}

// ClientGone implements engine.Session.
func (s *session) ClientGone(o *engine.Output) bool {
	s.forget()
	keep := s.Session.ClientGone(o)
	o.Client.Reset()
	return keep
}

// End implements engine.Session.
func (s *session) End(err error, o *engine.Output) {
	s.Session.End(err, o)
	// Where nothing has been asked and no answer is under way, the message has the number that it has as a plain packet: 0
	// as servers have it, or 1, as if the next command were answered early.
	if h, herr := mysqlwire.ParseHeader(o.Client.Bytes()); herr == nil && !s.asked && h.Sequence != s.outPos.next {
		s.seq = h.Sequence
	}
	s.pack(o, true)
}
