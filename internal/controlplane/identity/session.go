package identity

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"forebay/internal/controlplane"
)

// sessionPrefix begins the access keys of sessions, as in AWS.
const sessionPrefix = "ASIA"

// Credentials are what AssumeRole gives out.
type Credentials struct {
	AccessKeyID, SecretKey, SessionToken string
	Expires                              time.Time
}

// session is the content of a session token. The token is sealed and holds all there is to know, so that no session is
// stored, and every Forebay of a fleet knows it. It names the role by its unique id: a role that is deleted takes its
// sessions with it, also when another of that name is made.
type session struct {
	Key     string
	Secret  string
	RoleID  string
	Name    string
	Policy  string    `json:",omitempty"`
	Issued  time.Time `json:",omitzero"` // zero: by a Forebay that did not note it
	Expires time.Time
}

// NewSession makes credentials for a session of role that end after lifetime.
func (r *Registry) NewSession(role *controlplane.Role, name, sessionPolicy string, lifetime time.Duration) (Credentials, error) {
	now := r.now().UTC().Truncate(time.Second)
	s := session{
		Key: sessionPrefix + RandomID(16), Secret: RandomSecret(), RoleID: role.ID, Name: name, Policy: sessionPolicy,
		Issued: now, Expires: now.Add(lifetime),
	}
	text, err := json.Marshal(s)
	if err != nil {
		return Credentials{}, err
	}
	token := base64.StdEncoding.EncodeToString(r.ring.Seal(text, "session"))
	return Credentials{AccessKeyID: s.Key, SecretKey: s.Secret, SessionToken: token, Expires: s.Expires}, nil
}

// session finds the principal of a session token.
func (r *Registry) session(state *controlplane.State, id, token string) (string, *Principal, error) {
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return "", nil, ErrSession
	}
	text, err := r.ring.Open(sealed, "session")
	if err != nil {
		return "", nil, ErrSession
	}
	var s session
	if err := json.Unmarshal(text, &s); err != nil || !equal(s.Key, id) {
		return "", nil, ErrSession
	}
	if !r.now().Before(s.Expires) {
		return "", nil, ErrExpired
	}
	role := state.Roles.Find(func(row *controlplane.Role) bool { return row.ID == s.RoleID })
	if role == nil {
		return "", nil, ErrUnknownKey
	}
	p, err := roleSession(state, role, s.Name, s.Policy)
	if err != nil {
		return "", nil, err
	}
	p.issued, p.Expires = s.Issued, s.Expires
	return s.Secret, p, nil
}

const idChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// RandomID makes the n characters after the prefix of an id, such as AKIA's 16.
func RandomID(n int) string { return controlplane.Draw(n, idChars) }

// RandomSecret makes a secret key of 40 characters, as AWS's are.
func RandomSecret() string {
	b := make([]byte, 30)
	rand.Read(b) // never fails
	return strings.NewReplacer("+", "/").Replace(base64.StdEncoding.EncodeToString(b))
}
