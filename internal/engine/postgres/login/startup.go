package login

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Codes in the place of a protocol version (pqcomm.h).
const (
	codeCancel = 1234<<16 | 5678
	codeSSL    = 1234<<16 | 5679
	codeGSSENC = 1234<<16 | 5680
)

const (
	protocol30 = 3 << 16
	protocol32 = 3<<16 | 2 // the newest we speak
)

// maxStartupLen is the longest startup packet in bytes, its length word not counted (MAX_STARTUP_PACKET_LENGTH).
const maxStartupLen = 10000

// Secret keys of cancel requests, in bytes (protocol 3.2; 3.0 has exactly 4).
const (
	minCancelSecret = 4
	maxCancelSecret = 256
)

// CancelRequest asks to stop what another connection is doing.
type CancelRequest struct {
	PID    uint32
	Secret []byte // 4 to 256 bytes
}

func parseCancel(body []byte) (*CancelRequest, bool) {
	if len(body) < 4+minCancelSecret || len(body) > 4+maxCancelSecret {
		return nil, false
	}
	return &CancelRequest{PID: binary.BigEndian.Uint32(body), Secret: append([]byte(nil), body[4:]...)}, true
}

// startup is a parsed startup packet of protocol 3.
type startup struct {
	user, database string
	params         []Param
	minor          int    // 0 or 2
	negotiate      []byte // NegotiateProtocolVersion to send, or nil
}

// parseStartup reads what follows the version word. version has major 3.
func parseStartup(version uint32, body []byte) (*startup, *Refusal) {
	st := &startup{}
	if version&0xffff >= 2 {
		st.minor = 2
	}
	var unknown []string
	var options, replication string
	rest := string(body) // one copy; all names and values are parts of it
	params := make([]Param, 0, 8)
	for {
		name, after, ok := strings.Cut(rest, "\x00")
		if !ok {
			return nil, protocolViolation("invalid startup packet layout: expected terminator as last byte")
		}
		if name == "" {
			if after != "" {
				return nil, protocolViolation("invalid startup packet layout: expected terminator as last byte")
			}
			break
		}
		value, after, ok := strings.Cut(after, "\x00")
		if !ok {
			return nil, protocolViolation("invalid startup packet layout: expected terminator as last byte")
		}
		rest = after
		switch {
		case name == "user":
			st.user = value
		case name == "database":
			st.database = value
		case name == "options":
			options = value
		case name == "replication":
			replication = value
		case strings.HasPrefix(name, "_pq_."):
			unknown = append(unknown, name)
		default:
			params = append(params, Param{name, value})
		}
	}
	if st.user == "" {
		return nil, &Refusal{
			SQLSTATE: codeInvalidAuthorization,
			Message: "A user name is missing from the connection startup packet. " +
				"Provide a user name for this connection.",
			Reason: "startup packet without a user name",
		}
	}
	if st.database == "" {
		st.database = st.user
	}
	if refusal := refuseReplication(replication); refusal != nil {
		return nil, refusal
	}
	if options != "" {
		// The server applies the command line first, the packet's own settings after it.
		fromOptions, refusal := parseOptions(options)
		if refusal != nil {
			return nil, refusal
		}
		params = append(fromOptions, params...)
	}
	st.params = lastWins(params)
	if version > protocol32 || unknown != nil {
		st.negotiate = appendNegotiate(nil, min(version, protocol32), unknown)
	}
	return st, nil
}

// refuseReplication refuses what the server would take as a walsender's connection.
func refuseReplication(value string) *Refusal {
	if value == "" {
		return nil
	}
	on, ok := parseBool(value)
	switch {
	case ok && !on:
		return nil
	case ok || value == "database":
		return &Refusal{
			SQLSTATE: codeFeatureNotSupported,
			Message:  "Feature not supported: RDS Proxy currently doesn't support streaming replication mode.",
			Reason:   "client asked for a replication connection",
		}
	}
	return &Refusal{
		SQLSTATE: codeInvalidParameter,
		Message:  `invalid value for parameter "replication": "` + printable(value) + `"`,
		Hint:     `Valid values are: "false", 0, "true", 1, "database".`,
		Reason:   "startup parameter replication has no meaning",
	}
}

// parseBool is parse_bool of the server: 1 and 0, and what begins one of the words (on and off need two letters).
func parseBool(s string) (on, ok bool) {
	if s == "" {
		return false, false
	}
	s = strings.ToLower(s)
	switch {
	case s == "1", s == "on", strings.HasPrefix("true", s), strings.HasPrefix("yes", s):
		return true, true
	case s == "0", s == "of", s == "off", strings.HasPrefix("false", s), strings.HasPrefix("no", s):
		return false, true
	}
	return false, false
}

// appendNegotiate appends NegotiateProtocolVersion. The server sends a whole version here, not just its minor part.
func appendNegotiate(dst []byte, version uint32, unknown []string) []byte {
	start := len(dst)
	dst = append(dst, 'v', 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(unknown)))
	for _, name := range unknown {
		dst = append(dst, name...)
		dst = append(dst, 0)
	}
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// refuseVersion answers a protocol that is not 3.
func refuseVersion(version uint32) *Refusal {
	major, minor := version>>16, version&0xffff
	message := fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", major, minor)
	if major < 3 {
		message = "Feature not supported: RDS Proxy supports only version 3.0 of the PostgreSQL messaging protocol."
	}
	return &Refusal{
		SQLSTATE: codeFeatureNotSupported,
		Message:  message,
		Reason:   fmt.Sprintf("client speaks protocol %d.%d", major, minor),
	}
}
