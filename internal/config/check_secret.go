package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"forebay/internal/secret"
)

// secretName is what AWS Secrets Manager allows, and so what a file of today may name tomorrow.
var secretName = regexp.MustCompile(`^[a-zA-Z0-9/_+=.@-]{1,512}$`)

var variableName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// namesVariable checks the name of an environment variable.
func (c *checker) namesVariable(field, name string) bool {
	if !variableName.MatchString(name) {
		c.errorf(field, "expected the name of an environment variable") // not quoted: somebody may have put the secret itself here
		return false
	}
	return true
}

// variable is the value of an environment variable, which has to be set.
func (c *checker) variable(field, name string) (string, bool) {
	value, ok := c.lookup(name)
	if !ok {
		c.errorf(field, "expected an environment variable that is set, got %s, which is not", clip(name))
	}
	return value, ok
}

// secrets checks that each secret can be read now, and notes whose it is. Its messages never quote a content.
func (c *checker) secrets(list []secretSection) []Secret {
	c.users = map[string]string{}
	names := map[string]string{}
	var out []Secret
	for i, s := range list {
		at := fmt.Sprintf("secrets[%d]", i)
		if c.required(join(at, "name"), s.Name, "a name") && !secretName.MatchString(s.Name) {
			c.errorf(join(at, "name"), "expected 1 to 512 letters, digits and /_+=.@-, got %q", clip(s.Name))
		}
		c.unique(names, join(at, "name"), s.Name, "secret")
		out = append(out, c.remote(at, s))
		if names[s.Name] != join(at, "name") {
			continue
		}
		c.users[s.Name] = c.secretUser(at, s)
	}
	c.tokensOnly = map[string]bool{}
	for i, s := range list {
		if s.Vault.dynamic() && names[s.Name] == fmt.Sprintf("secrets[%d].name", i) {
			c.clients(fmt.Sprintf("secrets[%d].vault", i), s, list)
		}
	}
	return out
}

// clients notes who logs in by the secret of a dynamic role.
func (c *checker) clients(at string, s secretSection, list []secretSection) {
	if s.Vault.Clients == "" {
		if strings.ContainsRune(s.Vault.ClientsUser, 0) {
			c.errorf(join(at, "clients_user"), "expected a database user, without NUL")
		}
		c.users[s.Name], c.tokensOnly[s.Name] = s.Vault.ClientsUser, true
		return
	}
	field := join(at, "clients")
	i := slices.IndexFunc(list, func(of secretSection) bool { return of.Name == s.Vault.Clients })
	switch {
	case i < 0:
		c.errorf(field, "expected the name of an entry of secrets, got %q", clip(s.Vault.Clients))
	case list[i].Vault.dynamic():
		c.errorf(field, "expected a secret whose user stays, got %q, which is a dynamic role", clip(s.Vault.Clients))
	default:
		c.users[s.Name] = c.users[s.Vault.Clients]
	}
}

// secretUser returns the database user of a secret, or reports why there is none and returns "".
func (c *checker) secretUser(at string, s secretSection) string {
	var field string
	var text []byte
	n := 0
	for key, given := range map[string]bool{"file": s.File != "", "env": s.Env != "", "aws": c.has(join(at, "aws")), "vault": c.has(join(at, "vault"))} {
		if given || c.failed(join(at, key)) {
			n++
		}
	}
	switch {
	case c.skip(at):
		return ""
	case n != 1:
		c.errorf(at, "expected one of file, env, aws and vault, got %s", map[bool]string{true: "none", false: "more"}[n == 0])
		return ""
	case s.File == "" && s.Env == "":
		return "" // nobody is asked here: that is seen when somebody logs in
	case s.File != "":
		field = join(at, "file")
		var ok bool
		if text, ok = c.readable(field, s.File); !ok {
			return ""
		}
	default:
		field = join(at, "env")
		if !c.namesVariable(field, s.Env) {
			return ""
		}
		value, ok := c.variable(field, s.Env)
		if !ok {
			return ""
		}
		text = []byte(value)
	}
	parsed, err := secret.Parse(s.Name, text)
	if err != nil {
		c.errorf(field, "%v", err)
		return ""
	}
	return parsed.Username
}
