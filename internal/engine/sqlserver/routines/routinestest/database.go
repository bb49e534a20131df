// Package routinestest answers the questions of package routines as a SQL Server would, for tests.
package routinestest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"forebay/internal/engine/sqlserver/login"
)

// Database is what there is. Names have a schema.
type Database struct {
	Name, Schema string            // the database, and the user's default schema; empty: shop and dbo
	Blind        bool              // the user lacks VIEW DEFINITION
	Denied       bool              // of one object it was denied
	Procedures   map[string]string // name -> definition from AS on; "": NULL
	Numbered     map[string]string // another number of a procedure
	Views        map[string]string
	Triggers     map[string]string // of a table's or a view's name -> the same
	Synonyms     map[string]string
	Cascades     map[string]string // table -> the table whose rows go with its own
	System       []string          // procedures of the server's own
	Lacks        []string          // what queries the server refuses if they have it
	Changed      string            // what the fingerprint is to be
	Asked        []string
}

// Query answers one.
func (d *Database) Query(_ context.Context, sql string) ([][]*string, error) {
	d.Asked = append(d.Asked, sql)
	for _, l := range d.Lacks {
		if strings.Contains(sql, l) {
			return nil, &login.ServerError{Number: 208, Class: 16, Text: "Invalid object name"}
		}
	}
	var out [][]*string
	add := func(row ...string) {
		r := make([]*string, len(row))
		for i := range row {
			if row[i] != "" {
				r[i] = &row[i]
			}
		}
		out = append(out, r)
	}
	type object struct{ id, kind, name, definition string }
	var objects []object
	var triggers []object
	for i, of := range []struct {
		kind, create string
		m            map[string]string
	}{{"P ", "PROCEDURE", d.Procedures}, {"V ", "VIEW", d.Views}, {"TR", "TRIGGER", d.Triggers}} {
		for j, name := range keys(of.m) {
			o := object{strconv.Itoa(1000*(i+1) + j), of.kind, name, of.m[name]}
			if o.definition != "" {
				o.definition = "CREATE " + of.create + " " + quoted(name) + " AS " + o.definition
			}
			if o.kind == "TR" {
				triggers = append(triggers, o)
				_, table, _ := strings.Cut(name, ".")
				o.name = "dbo.trigger_of_" + table
			}
			objects = append(objects, o)
		}
	}
	has := func(s string) bool { return strings.Contains(sql, s) }
	switch {
	case has("CHECKSUM_AGG"):
		add("1", d.Changed, "2")
	case has("COUNT(definition)"):
		add("1")
	case has("HAS_PERMS"):
		all := "1"
		if d.Blind {
			all = "0"
		}
		name, schema := d.Name, d.Schema
		if name == "" {
			name = "shop"
		}
		if schema == "" {
			schema = "dbo"
		}
		add(name, schema, all, "0", "")
	case has("database_permissions"):
		n := "0"
		if d.Denied {
			n = "1"
		}
		add(n)
	case has("sys.objects"):
		for _, o := range objects {
			schema, name, _ := strings.Cut(o.name, ".")
			add(o.id, schema, name, o.kind)
		}
	case has("sys.triggers"):
		for _, o := range triggers {
			_, table, _ := strings.Cut(o.name, ".")
			add(o.id, table)
		}
	case has("sys.sql_modules"):
		var from, n int
		if _, err := fmt.Sscanf(sql[strings.Index(sql, "object_id > "):], "object_id > %d", &from); err != nil {
			return nil, err
		}
		for _, o := range objects {
			if id, _ := strconv.Atoi(o.id); id > from && n < 64 {
				n++
				add(o.id, o.definition, "1")
			}
		}
	case has("numbered_procedures"):
		for i, name := range keys(d.Procedures) {
			if def, ok := d.Numbered[name]; ok {
				add(strconv.Itoa(1000+i), "CREATE PROCEDURE "+name+";2 AS "+def)
			}
		}
	case has("sys.synonyms"):
		for _, k := range keys(d.Synonyms) {
			schema, name, _ := strings.Cut(k, ".")
			add(schema, name, d.Synonyms[k])
		}
	case has("foreign_keys"):
		for _, k := range keys(d.Cascades) {
			add(k, d.Cascades[k])
		}
	case has("system_objects"):
		for _, n := range d.System {
			add(n)
		}
	default:
		return nil, fmt.Errorf("what is %s?", sql)
	}
	return out, nil
}

// QueryLarge answers one.
func (d *Database) QueryLarge(ctx context.Context, sql string) ([][]*string, error) {
	return d.Query(ctx, sql)
}

// quoted is a name with quotes.
func quoted(name string) string {
	schema, name, _ := strings.Cut(name, ".")
	return "[" + schema + "].[" + strings.ReplaceAll(name, "]", "]]") + "]"
}

func keys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
