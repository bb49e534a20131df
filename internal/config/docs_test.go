package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// paths returns the documented form of every key below t, such as proxies[].target.port.
func paths(t reflect.Type, at string) []string {
	switch {
	case t == spanType || t.Kind() != reflect.Struct && t.Kind() != reflect.Slice:
		return []string{at}
	case t.Kind() == reflect.Slice:
		if t.Elem().Kind() != reflect.Struct {
			return []string{at}
		}
		return paths(t.Elem(), at+"[]")
	}
	var all []string
	for i := range t.NumField() {
		all = append(all, paths(t.Field(i).Type, join(at, t.Field(i).Tag.Get("yaml")))...)
	}
	return all
}

// TestEveryKeyIsDocumented also checks the other direction: the page names no key that does not exist.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"proxies[].endpoints": true, "proxies[].auth": true}
	for _, path := range paths(reflect.TypeFor[file](), "") {
		known[path] = true
		if !strings.Contains(string(page), "\n| `"+path+"` |") {
			t.Errorf("docs/configuration.md has no row for %s", path)
		}
	}
	for line := range strings.Lines(string(page)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			if key, _, _ := strings.Cut(rest, "`"); !known[key] {
				t.Errorf("docs/configuration.md has a row for %s, which is no key", key)
			}
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"loops", "loops", 0}, {"loop", "loops", 1}, {"lops", "loops", 1}, {"loofs", "loops", 1}, {"x", "loops", 3}, {"sloopy", "loops", 2}} {
		if got := distance(tt.a, tt.b, 3); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
