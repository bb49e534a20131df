package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// checker turns the sections of a file into a Config and reports what is wrong with them. A field that could not be
// decoded is reported already; its zero or default value gets no second error (see skip).
type checker struct {
	*report
	dir        string // relative paths start here
	lookup     func(string) (string, bool)
	users      map[string]string // secret -> database user, of the secrets that can be read
	tokensOnly map[string]bool   // secrets without a password that clients could know
	listeners  []listener        // addresses taken so far
}

// Limits beyond which a number is a slip, not a wish.
const (
	maxLoops              = 256 // dataplane.MaxLoops; this package does not import it
	maxHandshakes         = 1 << 20
	maxConnections        = 1 << 20
	maxPreparedStatements = 1 << 16
)

func (c *checker) file(path string, f *file) *Config {
	cfg := &Config{
		Path:         path,
		Log:          c.log(f.Log),
		Loops:        f.Loops,
		Handshakes:   f.Handshakes,
		DrainTimeout: c.span("drain_timeout", f.DrainTimeout, 0, true).orForever(),

		PreviousPasswordLifetime: c.span("previous_password_lifetime", f.PreviousLife, 0, true).orForever(),
	}
	c.count("loops", f.Loops, 0, maxLoops)
	c.count("handshakes", f.Handshakes, 1, maxHandshakes)
	cfg.Admin = c.admin(f.Admin)
	cfg.Secrets = c.secrets(f.Secrets)
	cfg.OIDC = c.oidc(f.OIDC)
	cfg.API = c.api(f.API)
	cfg.Databases = c.databases(f.Databases, f.Clusters, &cfg.API)
	if len(f.Proxies) == 0 && !cfg.API.Enabled() && !c.failed("proxies") {
		c.errorf("proxies", "expected at least one proxy, got none")
	}
	names := map[string]string{}
	for i := range f.Proxies {
		at := fmt.Sprintf("proxies[%d]", i)
		cfg.Snapshot.Proxies = append(cfg.Snapshot.Proxies, c.proxy(at, &f.Proxies[i]))
		c.unique(names, join(at, "name"), f.Proxies[i].Name, "proxy")
	}
	c.notItself(cfg.Snapshot.Proxies)
	return cfg
}

func (c *checker) log(s logSection) Log {
	c.oneOf("log.level", s.Level, "debug", "info", "warn", "error")
	c.oneOf("log.format", s.Format, "text", "json")
	out := Log{Format: s.Format}
	_ = out.Level.UnmarshalText([]byte(s.Level)) // one of four words that it knows, or reported above
	return out
}

func (c *checker) admin(s adminSection) Admin {
	if s.Listen != "" && c.address("admin.listen", s.Listen) && !s.AllowRemote && !loopback(s.Listen) {
		c.errorf("admin.listen", "expected a loopback address such as 127.0.0.1:9188, or allow_remote: true beside it, got %q", clip(s.Listen))
	}
	for i, h := range s.Hosts {
		if h == "" || strings.ContainsAny(h, ":/ ") {
			c.errorf(fmt.Sprintf("admin.hosts[%d]", i), "expected a host name without port, got %q", clip(h))
		}
	}
	return Admin(s)
}

// skip reports whether a check has nothing to look at, because the field or a section around it could not be decoded.
func (c *checker) skip(path string) bool {
	if c.failed(path) {
		return true
	}
	return slices.ContainsFunc(c.errs, func(e *Error) bool {
		rest, inside := strings.CutPrefix(path, e.Field)
		return e.Field == "" || inside && rest != "" && (rest[0] == '.' || rest[0] == '[')
	})
}

// required reports a text that is missing or empty, and whether it is there.
func (c *checker) required(path, value, what string) bool {
	if c.skip(path) {
		return false
	}
	if value == "" {
		c.errorf(path, "expected %s, got nothing", what)
		return false
	}
	return true
}

func (c *checker) oneOf(path, value string, words ...string) bool {
	if c.skip(path) {
		return false
	}
	if slices.Contains(words, value) {
		return true
	}
	c.errorf(path, "expected one of %s, got %q%s", strings.Join(words, ", "), clip(value), guessWord(value, words))
	return false
}

// guessWord is guess for values, whose case matters and is easily got wrong.
func guessWord(value string, words []string) string {
	for _, w := range words {
		if value != "" && strings.EqualFold(value, w) {
			return fmt.Sprintf(" (did you mean %s?)", w)
		}
	}
	return ""
}

func (c *checker) count(path string, n, least, most int) bool {
	if c.skip(path) {
		return false
	}
	if n < least || n > most {
		c.errorf(path, "expected %d to %d, got %d", least, most, n)
		return false
	}
	return true
}

// span checks a length of time: at least least, and unlimited only where that has a meaning.
func (c *checker) span(path string, s span, least time.Duration, unlimited bool) span {
	if c.skip(path) {
		return s
	}
	switch {
	case s.unlimited && !unlimited:
		c.errorf(path, "expected %s, got unlimited", spanExpected)
	case !s.unlimited && s.of < least:
		or := ""
		if unlimited {
			or = ", or unlimited"
		}
		c.errorf(path, "expected at least %s%s, got %s", least, or, s)
	}
	return s
}

// unique reports the second use of a name within seen, which holds the field of the first.
func (c *checker) unique(seen map[string]string, path, name, what string) {
	if name == "" {
		return
	}
	if first, ok := seen[name]; ok {
		c.errorf(path, "expected a name that no other %s has, got %q as in %s (line %d)", what, clip(name), first, c.line(first))
		return
	}
	seen[name] = path
}

// identifier is the contract's rule for names of proxies and endpoints (section 2.3).
var identifier = regexp.MustCompile(`^[a-zA-Z](-?[a-zA-Z0-9])*$`)

func (c *checker) identifier(path, name string) {
	if !c.required(path, name, "a name") {
		return
	}
	if len(name) > 63 || !identifier.MatchString(name) {
		c.errorf(path, "expected 1 to 63 letters, digits and single hyphens, a letter first and no hyphen last, got %q", clip(name))
	}
}

// path makes a relative path start at the configuration file's folder.
func (c *checker) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// readable reads a file that a field names, or reports why it cannot be read.
func (c *checker) readable(path, name string) ([]byte, bool) {
	info, err := os.Stat(c.path(name))
	if err == nil && info.IsDir() {
		err = fmt.Errorf("is a folder")
	}
	var data []byte
	if err == nil {
		data, err = readFile(c.path(name))
	}
	if err != nil {
		c.errorf(path, "expected a file that can be read, got %q: %v", clip(c.path(name)), reason(err))
		return nil, false
	}
	return data, true
}
