package config

import (
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
)

var (
	secretARN = regexp.MustCompile(`^arn:[a-z-]+:secretsmanager:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:secret:[a-zA-Z0-9/_+=.@-]{1,512}$`)
	roleARN   = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:role/[\x21-\x7e]{1,512}$`)
	vaultPath = regexp.MustCompile(`^[a-zA-Z0-9_.@=+~-]+(/[a-zA-Z0-9_.@=+~-]+)+$`)
	vaultKey  = regexp.MustCompile(`^[a-z0-9A-Z_.-]+(/[a-z0-9A-Z_.-]+)*$`) // of a mount, or a namespace
)

// remote turns a secret's section into where it is, and checks what is about another machine. Nobody is asked.
func (c *checker) remote(at string, s secretSection) Secret {
	out := Secret{Name: s.Name, File: c.path(s.File), Env: s.Env}
	isAWS, isVault := c.has(join(at, "aws")), c.has(join(at, "vault"))
	switch {
	case !isAWS && !isVault && c.has(join(at, "refresh")):
		c.errorf(join(at, "refresh"), "expected it beside aws or vault only: others are looked at for each log-in")
	case isVault && s.Vault.dynamic() && c.has(join(at, "refresh")):
		c.errorf(join(at, "refresh"), "expected it not for a dynamic role: its lease says when there is another user")
	case isVault && s.Vault.dynamic():
	case isAWS || isVault:
		out.Refresh = c.span(join(at, "refresh"), s.Refresh, time.Second, false).of
	}
	if isAWS {
		out.AWS = c.aws(join(at, "aws"), s.AWS)
	}
	if isVault {
		out.Vault = c.vault(join(at, "vault"), s.Vault)
	}
	return out
}

func (c *checker) aws(at string, s awsSection) AWS {
	if c.required(join(at, "secret_arn"), s.SecretARN, "the ARN of a secret") && !secretARN.MatchString(s.SecretARN) {
		c.errorf(join(at, "secret_arn"), "expected an ARN such as arn:aws:secretsmanager:eu-central-1:123456789012:secret:app-AbCdEf, got %q", clip(s.SecretARN))
	}
	if s.RoleARN != "" && !roleARN.MatchString(s.RoleARN) {
		c.errorf(join(at, "role_arn"), "expected an ARN such as arn:aws:iam::123456789012:role/forebay, got %q", clip(s.RoleARN))
	}
	if s.Region != "" && !regionRule.MatchString(s.Region) {
		c.errorf(join(at, "region"), "expected a region such as eu-central-1, got %q", clip(s.Region))
	}
	return AWS(s)
}

func (c *checker) vault(at string, s vaultSection) Vault {
	out := Vault{
		Address: s.Address, CAFile: c.path(s.CAFile), Namespace: s.Namespace, Path: s.Path, UsernameKey: s.UsernameKey, PasswordKey: s.PasswordKey,
		Clients: s.Clients, ClientsUser: s.ClientsUser, TokenFile: c.path(s.TokenFile),
	}
	switch previous := join(at, "previous_for"); {
	case !s.dynamic():
		out.PreviousFor = c.span(previous, s.PreviousFor, 0, true).orForever()
	case c.has(previous):
		c.errorf(previous, "expected it not for a dynamic role: its users end with their leases")
	}
	if s.Clients != "" && s.ClientsUser != "" {
		c.errorf(join(at, "clients_user"), "expected one of clients and clients_user, got both")
	}
	c.vaultAddress(join(at, "address"), s)
	if s.CAFile != "" {
		c.readable(join(at, "ca_file"), s.CAFile)
	}
	if s.Namespace != "" && !vaultKey.MatchString(strings.TrimSuffix(s.Namespace, "/")) {
		c.errorf(join(at, "namespace"), "expected a namespace such as team/app, got %q", clip(s.Namespace))
	}
	c.vaultPath(join(at, "path"), s)
	c.required(join(at, "username_key"), s.UsernameKey, "the name of a key")
	c.required(join(at, "password_key"), s.PasswordKey, "the name of a key")

	isAppRole, isKubernetes := c.has(join(at, "approle")), c.has(join(at, "kubernetes"))
	n := 0
	for _, given := range []bool{s.TokenFile != "", isAppRole, isKubernetes} {
		if given {
			n++
		}
	}
	if n != 1 && !c.skip(at) {
		c.errorf(at, "expected one of token_file, approle and kubernetes, got %s", map[bool]string{true: "none", false: "more"}[n == 0])
	}
	if s.TokenFile != "" {
		c.readable(join(at, "token_file"), s.TokenFile)
	}
	if isAppRole {
		out.AppRole = c.vaultRole(join(at, "approle"), "role_id", "secret_id_file", VaultRole{Mount: s.AppRole.Mount, Role: s.AppRole.RoleID, File: s.AppRole.SecretIDFile})
	}
	if isKubernetes {
		out.Kubernetes = c.vaultRole(join(at, "kubernetes"), "role", "jwt_file", VaultRole{Mount: s.Kubernetes.Mount, Role: s.Kubernetes.Role, File: s.Kubernetes.JWTFile})
	}
	return out
}

func (c *checker) vaultAddress(at string, s vaultSection) {
	if !c.required(at, s.Address, "the URL of Vault") {
		return
	}
	u, err := url.Parse(s.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.TrimRight(u.Path, "/") != "" {
		c.errorf(at, "expected a URL such as https://vault.internal:8200") // not quoted: there may be a password in it
		return
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && !s.AllowPlain && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		c.errorf(at, "expected https, or allow_plain: true beside it, since the secret would be sent in the clear, got %q", clip(s.Address))
	}
}

// dynamic reports whether it is said to be a dynamic role.
func (s vaultSection) dynamic() bool { return s.Clients != "" || s.ClientsUser != "" }

func (c *checker) vaultPath(at string, s vaultSection) {
	path := s.Path
	if !c.required(at, path, "a path of the API") {
		return
	}
	parts := strings.Split(path, "/")
	switch {
	case !vaultPath.MatchString(path) || parts[0] == "v1" || strings.Contains("/"+path+"/", "/../") || strings.Contains("/"+path+"/", "/./"):
		c.errorf(at, "expected a path of the API such as secret/data/app or database/static-creds/app, without v1/, got %q", clip(path))
	case s.dynamic() && parts[len(parts)-2] != "creds":
		c.errorf(at, "expected a dynamic role such as database/creds/app beside clients or clients_user, got %q", clip(path))
	case !s.dynamic() && parts[0] == "database" && parts[1] == "creds":
		c.errorf(at, "expected clients or clients_user beside a dynamic role: it has another user with every lease, whom no client knows")
	}
}

func (c *checker) vaultRole(at, role, file string, r VaultRole) VaultRole {
	c.required(join(at, role), r.Role, "a role")
	if c.required(join(at, file), r.File, "a file") {
		c.readable(join(at, file), r.File)
	}
	if c.required(join(at, "mount"), r.Mount, "where the method is mounted") && !vaultKey.MatchString(r.Mount) {
		c.errorf(join(at, "mount"), "expected a path such as approle, got %q", clip(r.Mount))
	}
	r.File = c.path(r.File)
	return r
}
