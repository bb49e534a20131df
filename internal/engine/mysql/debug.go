package mysql

import (
	"log/slog"

	"forebay/internal/engine/mysql/sqltext"
)

// debug logs a statement that is about to run, where debug_logging asks for it.
func (s *session) debug(text []byte) {
	if !s.l.db.proxy.Load().DebugLogging {
		return
	}
	s.l.db.log.Info("statement", slog.String("digest", string(sqltext.AppendDigest(nil, text, s.readMode(), maxDigest))),
		slog.Uint64("pid", uint64(s.id.PID)), slog.Uint64("server_pid", uint64(s.srv.thread)))
}
