package config

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"forebay/internal/resource"
)

func (c *checker) proxy(at string, s *proxySection) resource.Proxy {
	c.identifier(join(at, "name"), s.Name)
	family := c.engineFamily(join(at, "engine_family"), s.EngineFamily)
	c.count(join(at, "max_clients"), s.MaxClients, 0, maxConnections)
	target := c.target(join(at, "target"), &s.Target, family)
	return resource.Proxy{
		Name:               s.Name,
		EngineFamily:       family,
		Endpoints:          c.endpoints(at, s.Endpoints, &target),
		RequireTLS:         s.RequireTLS,
		Certificate:        c.certificate(join(at, "tls"), s.TLS),
		Auth:               c.auth(join(at, "auth"), s.Auth, family),
		IdleClientTimeout:  c.span(join(at, "idle_client_timeout"), s.IdleClientTimeout, time.Second, true).orZero(),
		ClientLifetime:     c.span(join(at, "client_lifetime"), s.ClientLifetime, time.Second, true).orZero(),
		ClientLoginTimeout: c.span(join(at, "client_login_timeout"), s.ClientLoginTimeout, time.Second, false).of,
		MaxClients:         s.MaxClients,
		DebugLogging:       s.DebugLogging,
		Target:             target,
		Pool:               c.pool(join(at, "connection_pool"), s.ConnectionPool, family),
		Paused:             s.Paused,
		SplitReads:         s.ReadWriteSplit,
	}
}

func (c *checker) endpoints(proxy string, list []endpointSection, target *resource.Target) []resource.Endpoint {
	at := join(proxy, "endpoints")
	if len(list) == 0 && !c.skip(at) {
		c.errorf(at, "expected at least one endpoint, got none")
	}
	names := map[string]string{}
	var out []resource.Endpoint
	for i, e := range list {
		path := fmt.Sprintf("%s[%d]", at, i)
		c.identifier(join(path, "name"), e.Name)
		c.unique(names, join(path, "name"), e.Name, "endpoint")
		if c.required(join(path, "listen"), e.Listen, "an address to listen on, such as 127.0.0.1:6432") {
			c.address(join(path, "listen"), e.Listen)
		}
		c.role(proxy, i, e, target)
		out = append(out, resource.Endpoint{Name: e.Name, Listen: e.Listen, Role: resource.TargetRole(e.Role)})
	}
	return out
}

// role checks what an endpoint's sessions may do: the default endpoint is for writing, and reading needs readers (contract
// 1.1, 7.3).
func (c *checker) role(proxy string, i int, e endpointSection, target *resource.Target) {
	path := fmt.Sprintf("%s.endpoints[%d].role", proxy, i)
	if !c.oneOf(path, e.Role, string(resource.ReadWrite), string(resource.ReadOnly)) || e.Role != string(resource.ReadOnly) {
		return
	}
	switch {
	case i == 0 || e.Name == defaults.endpoint.Name:
		c.errorf(path, "expected READ_WRITE, got READ_ONLY: the first endpoint is the default endpoint, and so is one named %s; add another one for reading", defaults.endpoint.Name)
	case len(target.Members) < 2 && !target.Discover && len(target.Patroni) == 0 && !c.skip(join(proxy, "target")):
		c.errorf(path, "expected READ_WRITE, got READ_ONLY: the target is a single server; readers are further members, or found by discover or patroni")
	}
}

// certificate checks the pair of files shown to clients; both left out means a certificate made at start.
func (c *checker) certificate(at string, s certSection) resource.Certificate {
	if s.CertFile == "" && s.KeyFile == "" {
		if c.has(at) && !c.skip(at) {
			c.errorf(at, "expected cert_file and key_file, got neither; leave tls out for a self-signed certificate")
		}
		return resource.Certificate{}
	}
	certPath, keyPath := join(at, "cert_file"), join(at, "key_file")
	hasCert := c.required(certPath, s.CertFile, "the certificate of key_file (PEM, leaf first)")
	hasKey := c.required(keyPath, s.KeyFile, "the private key of cert_file (PEM)")
	out := resource.Certificate{CertFile: c.path(s.CertFile), KeyFile: c.path(s.KeyFile)}
	if !hasCert || !hasKey {
		return out
	}
	cert, ok1 := c.readable(certPath, s.CertFile)
	key, ok2 := c.readable(keyPath, s.KeyFile)
	if ok1 && ok2 {
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			c.errorf(certPath, "expected a certificate that goes with key_file: %v", err)
		}
	}
	return out
}

func (c *checker) auth(at string, list []authSection, family resource.EngineFamily) []resource.AuthEntry {
	if len(list) == 0 && !c.skip(at) {
		c.errorf(at, "expected at least one entry, got none: nobody could log in")
	}
	secrets, users := map[string]string{}, map[string]string{}
	var out []resource.AuthEntry
	for i, e := range list {
		path := fmt.Sprintf("%s[%d]", at, i)
		entry := resource.AuthEntry{
			Secret:                 e.Secret,
			Description:            e.Description,
			IAMAuth:                c.oidcAuth(join(path, "oidc_auth"), e.OIDCAuth),
			ClientPasswordAuthType: c.authType(join(path, "client_password_auth_type"), e.ClientPasswordAuthType, family),
		}
		if len(e.Description) > 1000 {
			c.errorf(join(path, "description"), "expected at most 1000 bytes, got %d", len(e.Description))
		}
		out = append(out, entry)
		field := join(path, "secret")
		if !c.required(field, e.Secret, "the name of an entry of secrets") {
			continue
		}
		if first, ok := secrets[e.Secret]; ok {
			c.errorf(field, "expected a secret for each entry, got %q as in %s (line %d)", clip(e.Secret), first, c.line(first))
			continue
		}
		secrets[e.Secret] = field
		user, ok := c.users[e.Secret]
		if !ok {
			c.errorf(field, "expected the name of an entry of secrets, got %q", clip(e.Secret))
			continue
		}
		if c.tokensOnly[e.Secret] && entry.IAMAuth != resource.IAMRequired {
			c.errorf(field, "expected oidc_auth: REQUIRED beside it, since %s has clients_user and so no password, or clients in place of that", clip(e.Secret))
			continue
		}
		if first, ok := users[user]; ok && user != "" {
			c.errorf(field, "expected a database user for each entry, got %q as in %s (line %d)", clip(user), first, c.line(first))
			continue
		}
		users[user] = field
	}
	return out
}

func (c *checker) pool(at string, s poolSection, family resource.EngineFamily) resource.ConnectionPoolConfig {
	percent, idle := join(at, "max_connections_percent"), join(at, "max_idle_connections_percent")
	if own := families[family].percent; own > 0 && !c.has(percent) {
		s.MaxConnectionsPercent = own
	}
	ok := c.count(percent, s.MaxConnectionsPercent, 1, 100)
	switch {
	case !c.has(idle):
		s.MaxIdleConnectionsPercent = s.MaxConnectionsPercent / 2
	case !c.has(percent):
		c.errorf(idle, "expected max_connections_percent beside it, got none")
	case ok:
		c.count(idle, s.MaxIdleConnectionsPercent, 0, s.MaxConnectionsPercent)
	}
	if strings.ContainsRune(s.InitQuery, 0) {
		c.errorf(join(at, "init_query"), "expected SQL without NUL characters")
	}
	c.count(join(at, "max_connections"), s.MaxConnections, 0, maxConnections)
	c.count(join(at, "reserved_connections"), s.ReservedConnections, 0, maxConnections)
	c.count(join(at, "max_waiting"), s.MaxWaiting, 0, 1_000_000)
	c.count(join(at, "max_prepared_statements"), s.MaxPreparedStatements, 1, maxPreparedStatements)
	return resource.ConnectionPoolConfig{
		MaxConnectionsPercent:     s.MaxConnectionsPercent,
		MaxIdleConnectionsPercent: s.MaxIdleConnectionsPercent,
		ConnectionBorrowTimeout:   c.span(join(at, "connection_borrow_timeout"), s.ConnectionBorrowTimeout, 0, true).orForever(),
		ExcludeVariableSets:       c.pinningFilters(join(at, "session_pinning_filters"), s.SessionPinningFilters, family),
		InitQuery:                 s.InitQuery,
		MaxConnections:            s.MaxConnections,
		ReservedConnections:       s.ReservedConnections,
		IdleTimeout:               c.span(join(at, "idle_timeout"), s.IdleTimeout, time.Second, true).orZero(),
		Lifetime:                  c.span(join(at, "lifetime"), s.Lifetime, time.Second, true).orZero(),
		MaxPreparedStatements:     s.MaxPreparedStatements,
		MaxWaiting:                s.MaxWaiting,
		RoutineScanInterval:       c.span(join(at, "routine_scan_interval"), s.RoutineScanInterval, time.Second, false).of,
	}
}
