package postgres

import (
	"log/slog"

	"forebay/internal/engine/postgres/sqltext"
)

// debug logs a statement that is about to run, where debug_logging asks for it. A nil text is one too large to be kept.
func (s *session) debug(text []byte) {
	if !s.l.db.proxy.Load().DebugLogging || s.again {
		return
	}
	digest := "(too large to be kept)"
	if text != nil {
		digest = string(sqltext.AppendDigest(nil, text))
	}
	s.l.db.log.Info("statement", slog.String("digest", digest),
		slog.Uint64("pid", uint64(s.id.PID)), slog.Uint64("server_pid", uint64(s.srv.pid)))
}
