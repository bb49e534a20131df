package e2e

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgError is the server's error in err, if there is one.
func pgError(err error) (*pgconn.PgError, bool) {
	var e *pgconn.PgError
	ok := errors.As(err, &e)
	return e, ok
}
