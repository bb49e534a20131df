// Package routines asks a database which of its routines change session state, so that sqltext can tell from a
// statement's text whether to look. It reads the system catalogues with a few queries and leaves nothing in the session.
//
// The source of routines in SQL and PL/pgSQL is read; routines in C are known by their extension; interpreters with
// variables of their own are searched for uses of these. What a routine does also holds for those that call it, and for
// statements that reach it through triggers, views, policies, operators and the like.
package routines

import (
	"context"
	"fmt"
	"strings"

	"forebay/internal/engine/postgres/sqltext"
)

// Querier runs one query and returns its rows as text; nil is NULL. client_encoding should be UTF8.
type Querier interface {
	Query(ctx context.Context, sql string) ([][]*string, error)
}

// Load reads the catalogues of the database that q is connected to. The two queries see two snapshots: take a
// Fingerprint before, and load again when it has changed.
//
// A role that may not read the catalogues gets the error of its query.
func Load(ctx context.Context, q Querier) (*sqltext.Routines, error) {
	rows, err := q.Query(ctx, procQuery)
	if err != nil {
		return nil, fmt.Errorf("read pg_proc: %w", err)
	}
	c := newCatalog()
	for _, r := range rows {
		if err := c.addRow(r); err != nil {
			return nil, err
		}
	}
	rows, err = q.Query(ctx, useQuery(c.builtinOIDs))
	if err != nil {
		return nil, fmt.Errorf("read the uses of routines: %w", err)
	}
	for _, r := range rows {
		if len(r) != 4 {
			return nil, fmt.Errorf("uses of routines: row of %d columns", len(r))
		}
		c.addUse(text(r[0]), text(r[1]), text(r[2]), r[3])
	}
	return c.routines(), nil
}

// Fingerprint returns a short text that changes when the catalogues that Load reads change. It is one query, much
// cheaper than Load.
func Fingerprint(ctx context.Context, q Querier) (string, error) {
	rows, err := q.Query(ctx, fingerprintQuery())
	if err != nil {
		return "", fmt.Errorf("fingerprint of the routines: %w", err)
	}
	var b strings.Builder
	for _, r := range rows {
		for _, f := range r {
			b.WriteString(text(f))
			b.WriteByte(' ')
		}
	}
	return b.String(), nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
