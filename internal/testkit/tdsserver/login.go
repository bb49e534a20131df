package tdsserver

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Options of PRELOGIN ([MS-TDS] 2.2.6.5).
const (
	preVersion = 0
	preEncrypt = 1
	preInstOpt = 2
	preThread  = 3
	preMARS    = 4
	preTrace   = 5
	preFedAuth = 6
	preNonce   = 7
	preEnd     = 0xFF
)

// Features of LOGIN7 ([MS-TDS] 2.2.6.4).
const (
	featFedAuth = 0x02
	featUTF8    = 0x0A
	featEnd     = 0xFF
)

var errLogin = errors.New("tdsserver: log-in refused")

// login7 is what a client says of itself.
type login7 struct {
	version    uint32
	packetSize int
	flags1     byte
	flags2     byte
	typeFlags  byte
	flags3     byte
	pid        uint32
	host, user string
	password   string
	app        string
	server     string
	library    string
	language   string
	database   string
	newPass    string
	features   map[byte][]byte
}

// peeked is a connection whose first bytes have been looked at.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// login goes from the first byte to the answer of LOGIN7. It returns nil when the session may begin.
func (s *session) login() error {
	conn := &peeked{s.conn, bufio.NewReaderSize(s.conn, 16)}
	first, err := conn.r.Peek(1)
	if err != nil {
		return err
	}
	strict := first[0] == 22 // a TLS handshake record
	switch {
	case strict && s.srv.o.NoStrict, !strict && s.srv.o.StrictOnly:
		return errLogin
	case strict:
		c := s.srv.tls.Clone()
		c.MaxVersion = tls.VersionTLS13
		c.NextProtos = []string{"tds/8.0"}
		tc := tls.Server(conn, c)
		if err := tc.Handshake(); err != nil {
			return err
		}
		s.w.rw = tc
		s.encrypted = true
	default:
		s.w.rw = conn
	}
	m, err := s.w.readMessage(maxPacket)
	if err != nil {
		return err
	}
	if m.kind == packetPreLogin {
		bare, err := s.prelogin(m.data, conn, strict)
		if err != nil {
			return err
		}
		if m, err = s.w.readMessage(maxPacket); err != nil {
			return err
		}
		if bare { // the log-in alone was encrypted
			s.w.rw = conn
		}
	} else if s.srv.o.Encryption == EncryptOn || s.srv.o.Encryption == EncryptRequired {
		return errLogin // TDS 7.0 and 7.1 clients may leave PRELOGIN out; there is no encryption then
	}
	if m.kind != packetLogin {
		return fmt.Errorf("tdsserver: message of type %d in place of LOGIN7", m.kind)
	}
	l, err := parseLogin(m.data)
	if err != nil {
		return err
	}
	return s.welcome(l, strict)
}

// prelogin answers PRELOGIN and has TLS begin where that is agreed on. bare: it ends with the log-in.
func (s *session) prelogin(data []byte, conn net.Conn, strict bool) (bare bool, err error) {
	opts := map[byte][]byte{}
	for b := data; ; b = b[5:] {
		if len(b) < 1 {
			return false, errors.New("tdsserver: PRELOGIN without an end")
		}
		if b[0] == preEnd {
			break
		}
		if len(b) < 5 {
			return false, errors.New("tdsserver: PRELOGIN is short")
		}
		off, n := int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
		if off+n > len(data) {
			return false, errors.New("tdsserver: PRELOGIN option beyond the end")
		}
		opts[b[0]] = data[off : off+n]
	}
	client := byte(EncryptNotSupported)
	if e := opts[preEncrypt]; len(e) > 0 {
		client = e[0]
	}
	want := s.srv.o.Encryption
	var answer Encryption
	switch Encryption(client &^ 0x80) {
	case EncryptOff:
		answer = want
	case EncryptNotSupported:
		answer = want
		if want == EncryptOff {
			answer = EncryptNotSupported
		}
	default: // on, required, or something newer
		answer = EncryptOn
		if want == EncryptNotSupported {
			answer = want
		}
	}
	if strict {
		answer = EncryptNotSupported // TLS is there already
		if client == 4 {
			answer = 4
		}
	}
	type option struct {
		kind byte
		data []byte
	}
	answers := []option{
		{preVersion, append(binary.BigEndian.AppendUint32(nil, s.srv.o.ProgVersion), 0, 0)},
		{preEncrypt, []byte{byte(answer)}},
		{preInstOpt, []byte{0}},
		{preThread, []byte{}},
		{preMARS, []byte{0}},
	}
	if _, ok := opts[preFedAuth]; ok && s.srv.o.Token != nil {
		answers = append(answers, option{preFedAuth, []byte{1}})
	}
	off := 5*len(answers) + 1
	var head, body []byte
	for _, a := range answers {
		head = append(head, a.kind)
		head = binary.BigEndian.AppendUint16(head, uint16(off))
		head = binary.BigEndian.AppendUint16(head, uint16(len(a.data)))
		off += len(a.data)
		body = append(body, a.data...)
	}
	r := s.w.newReply()
	r.raw(append(append(head, preEnd), body...))
	if err := r.end(); err != nil {
		return false, err
	}
	if strict || answer == EncryptNotSupported {
		return false, nil
	}
	if Encryption(client) == EncryptNotSupported {
		return false, errLogin // the client has to go, and will
	}
	hc := &handshakeConn{Conn: conn}
	tc := tls.Server(hc, s.srv.tls)
	if err := tc.Handshake(); err != nil {
		return false, err
	}
	if err := hc.flush(); err != nil {
		return false, err
	}
	hc.bare = true
	s.w.rw = tc
	s.encrypted = answer != EncryptOff
	return answer == EncryptOff, nil
}

func parseLogin(b []byte) (*login7, error) {
	const fixed = 36
	if len(b) < fixed+50 || int(binary.LittleEndian.Uint32(b)) != len(b) {
		return nil, errors.New("tdsserver: LOGIN7 with a wrong length")
	}
	l := &login7{
		version: binary.LittleEndian.Uint32(b[4:]), packetSize: int(binary.LittleEndian.Uint32(b[8:])),
		pid: binary.LittleEndian.Uint32(b[16:]), flags1: b[24], flags2: b[25], typeFlags: b[26], flags3: b[27],
		features: map[byte][]byte{},
	}
	var bad error
	raw := func(i, unit int) []byte {
		off, n := int(binary.LittleEndian.Uint16(b[fixed+i:])), int(binary.LittleEndian.Uint16(b[fixed+i+2:]))*unit
		if off+n > len(b) {
			bad = errors.New("tdsserver: LOGIN7 field beyond the end")
			return nil
		}
		return b[off : off+n]
	}
	str := func(i int) string { return fromUCS2(raw(i, 2)) }
	secret := func(i int) string {
		p := slices.Clone(raw(i, 2))
		for i, c := range p {
			c ^= 0xA5
			p[i] = c<<4 | c>>4
		}
		return fromUCS2(p)
	}
	l.host, l.user, l.password, l.app, l.server = str(0), str(4), secret(8), str(12), str(16)
	l.library, l.language, l.database = str(24), str(28), str(32)
	if rank(l.version) >= 72 && len(b) >= fixed+58 {
		l.newPass = secret(50)
	}
	if bad == nil && l.flags3&0x10 != 0 && rank(l.version) >= 74 { // older ones have no extension, whatever tedious says
		ext := raw(20, 1)
		if len(ext) < 4 {
			return nil, errors.New("tdsserver: LOGIN7 extension is short")
		}
		off := int(binary.LittleEndian.Uint32(ext))
		for {
			if off >= len(b) {
				return nil, errors.New("tdsserver: LOGIN7 features without an end")
			}
			if b[off] == featEnd {
				break
			}
			if off+5 > len(b) {
				return nil, errors.New("tdsserver: LOGIN7 feature is short")
			}
			n := int(binary.LittleEndian.Uint32(b[off+1:]))
			if n < 0 || off+5+n > len(b) {
				return nil, errors.New("tdsserver: LOGIN7 feature beyond the end")
			}
			l.features[b[off]] = b[off+5 : off+5+n]
			off += 5 + n
		}
	}
	return l, bad
}

// fedauth finds out whose a token is, asking for it where the client waits for FEDAUTHINFO ([MS-TDS] 2.2.7.12, 2.2.6.3).
func (s *session) fedauth(f []byte) (user string, ok bool, err error) {
	if len(f) < 1 {
		return "", false, errors.New("tdsserver: FEDAUTH is empty")
	}
	var token []byte
	switch f[0] >> 1 {
	case 1: // a security token
		if len(f) < 5 {
			return "", false, errors.New("tdsserver: FEDAUTH is short")
		}
		n := int(binary.LittleEndian.Uint32(f[1:]))
		if n < 0 || n > len(f)-5 {
			return "", false, errors.New("tdsserver: FEDAUTH token beyond the end")
		}
		token = f[5 : 5+n]
	case 2: // a library of the client's gets one
		sts, spn := ucs2("https://login.example/tenant"), ucs2("https://database.example/")
		info := binary.LittleEndian.AppendUint32(nil, 2)
		const data = 4 + 2*9
		info = append(info, 1)
		info = binary.LittleEndian.AppendUint32(info, uint32(len(sts)))
		info = binary.LittleEndian.AppendUint32(info, data)
		info = append(info, 2)
		info = binary.LittleEndian.AppendUint32(info, uint32(len(spn)))
		info = binary.LittleEndian.AppendUint32(info, uint32(data+len(sts)))
		info = append(append(info, sts...), spn...)
		t := binary.LittleEndian.AppendUint32([]byte{tokenFedAuthInfo}, uint32(len(info)))
		r := s.w.newReply()
		r.token(append(t, info...))
		if err := r.end(); err != nil {
			return "", false, err
		}
		m, err := s.w.readMessage(maxPacket)
		if err != nil {
			return "", false, err
		}
		if m.kind != packetFedAuth || len(m.data) < 8 {
			return "", false, errors.New("tdsserver: no federated authentication token")
		}
		n := int(binary.LittleEndian.Uint32(m.data[4:]))
		if n < 0 || n > len(m.data)-8 {
			return "", false, errors.New("tdsserver: federated authentication token beyond the end")
		}
		token = m.data[8 : 8+n]
	default:
		return "", false, fmt.Errorf("tdsserver: FEDAUTH library %d", f[0]>>1)
	}
	user, ok = s.srv.o.Token(fromUCS2(token))
	return user, ok, nil
}

// fail answers a log-in with an error.
func (s *session) fail(e *Error) error {
	r := s.w.newReply()
	r.token(s.messageToken(tokenError, e))
	r.token(s.doneToken(tokenDone, doneError, 0, 0))
	if err := r.end(); err != nil {
		return err
	}
	// The client reads the error before it sees the end: closing with its bytes unread would take it away.
	if c, ok := s.conn.(*net.TCPConn); ok && s.w.rw != nil {
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
	return errLogin
}

func (s *session) welcome(l *login7, strict bool) error {
	s.l = l
	s.version = min(l.version, s.srv.o.MaxVersion)
	if strict {
		s.version = v80
	}
	switch {
	case rank(l.version) < 70 && !strict:
		return errLogin
	case s.version == 0x70000000:
		s.version = v71
	}
	s.user = l.user
	if f, ok := l.features[featFedAuth]; ok && s.srv.o.Token != nil {
		user, ok, err := s.fedauth(f)
		if err != nil {
			return err
		}
		if !ok {
			return s.fail(&Error{Number: 18456, Class: 14, State: 1, Message: "Login failed for user '<token-identified principal>'."})
		}
		s.user = user
	} else if l.flags2&0x80 != 0 {
		return s.fail(&Error{Number: 18452, Class: 14, State: 1, Message: "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."})
	} else if pass, ok := s.srv.password(l.user); !ok || pass != l.password {
		return s.fail(&Error{Number: 18456, Class: 14, State: 1, Message: "Login failed for user '" + l.user + "'."})
	}
	s.srv.mu.Lock()
	refuse := s.srv.refuse
	limit := int(s.srv.max.Load())
	full := limit > 0 && len(s.srv.sessions) >= limit
	s.srv.mu.Unlock()
	if refuse != nil {
		return s.fail(refuse)
	}
	if full {
		return s.fail(s.srv.limitError())
	}
	s.database = l.database
	if s.database == "" {
		s.database = s.srv.o.Databases[0]
	}
	db := s.srv.store.find(s.database)
	if db == "" {
		r := s.w.newReply()
		r.token(s.messageToken(tokenError, &Error{Number: 4060, Class: 11, State: 1, Message: `Cannot open database "` + s.database + `" requested by the login. The login failed.`}))
		r.token(s.messageToken(tokenError, &Error{Number: 18456, Class: 14, State: 1, Message: "Login failed for user '" + s.user + "'."}))
		r.token(s.doneToken(tokenDone, doneError, 0, 0))
		if err := r.end(); err != nil {
			return err
		}
		return errLogin
	}
	s.database = db
	s.start(l)
	size := l.packetSize
	if size == 0 {
		size = defaultPacket
	}
	size = min(max(size, minPacket), maxPacket)

	r := s.w.newReply() // in packets of the old size
	s.tellDatabase(r, s.database, "master")
	r.token(envBytes(envCollation, s.srv.collation(), nil))
	s.tellLanguage(r, s.set["LANGUAGE"], "")
	ack := []byte{1}
	switch s.version {
	case v71:
		ack = append(ack, 7, 1, 0, 0)
	default:
		ack = binary.BigEndian.AppendUint32(ack, s.version)
	}
	ack = bString(ack, "Microsoft SQL Server")
	ack = binary.BigEndian.AppendUint32(ack, s.srv.o.ProgVersion)
	r.token(sized(tokenLoginAck, ack))
	if size != defaultPacket {
		r.token(envStrings(envPacketSize, strconv.Itoa(size), strconv.Itoa(defaultPacket)))
	}
	if len(l.features) > 0 && rank(s.version) >= 74 {
		t := []byte{tokenFeatureAck}
		if _, ok := l.features[featFedAuth]; ok && s.srv.o.Token != nil {
			t = append(t, featFedAuth, 0, 0, 0, 0)
		}
		if _, ok := l.features[featUTF8]; ok {
			t = append(t, featUTF8, 1, 0, 0, 0, 1)
		}
		r.token(append(t, featEnd))
	}
	if to := s.srv.o.RouteTo; to != "" {
		host, port, _ := strings.Cut(to, ":")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("tdsserver: RouteTo: %w", err)
		}
		v := binary.LittleEndian.AppendUint16([]byte{0}, uint16(n))
		v = usString(v, host)
		e := binary.LittleEndian.AppendUint16([]byte{envRouting}, uint16(len(v)))
		e = append(append(e, v...), 0, 0)
		r.token(sized(tokenEnvChange, e))
	}
	r.token(s.doneToken(tokenDone, 0, 0, 0))
	if err := r.end(); err != nil {
		return err
	}
	s.w.size = size
	return nil
}

func (s *Server) limitError() *Error {
	if s.o.LimitError == 10928 {
		return &Error{Number: 10928, Class: 16, State: 1, Message: fmt.Sprintf("Resource ID: 3. The LoginLimit limit for the database is %d and has been reached. See 'https://docs.microsoft.com/azure/azure-sql/database/resource-limits-logical-server' for assistance.", s.max.Load())}
	}
	return &Error{Number: s.o.LimitError, Class: 20, State: 1, Message: fmt.Sprintf("Could not connect because the maximum number of '%d' user connections has already been reached. The system administrator can use sp_configure to increase the maximum value. The connection has been closed.", s.max.Load())}
}

// collation is SQL_Latin1_General_CP1_CI_AS or Latin1_General_100_CI_AS_SC_UTF8.
func (s *Server) collation() []byte {
	if s.o.UTF8 {
		return []byte{0x09, 0x04, 0xD0, 0x24, 0x00}
	}
	return []byte{0x09, 0x04, 0xD0, 0x00, 0x34}
}
