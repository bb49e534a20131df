package config

import (
	"fmt"
	"slices"
	"strings"

	"forebay/internal/resource"
)

// family is what differs in the file from engine family to engine family.
type family struct {
	port      int                               // of a target, unless the file says otherwise
	authTypes []resource.ClientPasswordAuthType // the contract's default first (its section 3.2)
	percent   int                               // default of max_connections_percent (contract 3.3); 0: that of most
}

// families are those that this version supports.
var families = map[resource.EngineFamily]family{
	resource.PostgreSQL: {
		port:      5432,
		authTypes: []resource.ClientPasswordAuthType{resource.PostgresSCRAM, resource.PostgresMD5, resource.PostgresCleartext},
	},
	resource.MySQL: {
		port:      3306,
		authTypes: []resource.ClientPasswordAuthType{resource.MySQLCachingSHA2, resource.MySQLNative, resource.MySQLCleartext},
	},
	resource.SQLServer: {
		port:      1433,
		authTypes: []resource.ClientPasswordAuthType{resource.SQLServerAuthentication},
		percent:   10,
	},
}

func (c *checker) engineFamily(path, word string) resource.EngineFamily {
	f := resource.EngineFamily(word)
	if _, ok := families[f]; !ok && c.required(path, word, "the engine family, POSTGRESQL, MYSQL or SQLSERVER") {
		c.oneOf(path, word, string(resource.PostgreSQL), string(resource.MySQL), string(resource.SQLServer))
	}
	return f
}

// authType checks how clients prove that they know the password. What is in order for some family gets no error under a
// family that has one itself.
func (c *checker) authType(path, word string, f resource.EngineFamily) resource.ClientPasswordAuthType {
	typ := resource.ClientPasswordAuthType(word)
	own, known := families[f]
	if word == "" && !c.has(path) {
		if known {
			typ = own.authTypes[0]
		}
		return typ
	}
	var others []resource.ClientPasswordAuthType
	for name, o := range families {
		if name != f {
			others = append(others, o.authTypes...)
		}
	}
	switch words := wordsOf(own.authTypes); {
	case !slices.Contains(others, typ):
		if !known {
			words = wordsOf(others)
			slices.Sort(words)
		}
		c.oneOf(path, word, words...)
	case known:
		c.errorf(path, "%s is for another engine family; expected one of %s", clip(word), strings.Join(words, ", "))
	}
	return typ
}

func wordsOf(types []resource.ClientPasswordAuthType) []string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = string(t)
	}
	return words
}

// excludeVariableSets is the one pinning filter that there is (contract 5.4).
const excludeVariableSets = "EXCLUDE_VARIABLE_SETS"

// pinningFilters reports whether SET statements are not to pin.
func (c *checker) pinningFilters(at string, list []string, f resource.EngineFamily) (exclude bool) {
	if _, known := families[f]; len(list) > 0 && known && f != resource.MySQL {
		c.errorf(at, "expected no filter: %s is for engine_family MYSQL", excludeVariableSets)
		return false
	}
	for i, word := range list {
		path := fmt.Sprintf("%s[%d]", at, i)
		if c.oneOf(path, word, excludeVariableSets) && exclude {
			c.errorf(path, "expected each filter once, got %s a second time", word)
		}
		exclude = true
	}
	return exclude
}
