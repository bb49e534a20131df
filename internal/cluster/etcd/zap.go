package etcd

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"
)

// zapTo passes what etcd logs on to log. etcd tells much at level info that means nothing to who runs Forebay, so
// that is debug here.
func zapTo(log *slog.Logger) zapcore.Core { return &zapCore{log: log.With("from", "etcd")} }

// quiet is the core of an embedded member, without what is said of every member and means nothing here.
type quiet struct{ zapcore.Core }

// meaningless says why an entry at level warning or error does not matter; empty: it does.
func meaningless(e zapcore.Entry, fields []zapcore.Field) string {
	switch e.Message {
	case "Running http and grpc server on single port. This is not recommended for production.":
		return "it has no port"
	case "simple token is not cryptographically signed":
		return "it gives out no tokens: users of etcd are off"
	case "Failed to detect schema version", "failed to update storage version":
		// A first start looks for what the first snapshot of Raft writes, a moment before that. It looks again every few seconds.
		for _, f := range fields {
			if err, ok := f.Interface.(error); ok && strings.Contains(err.Error(), "missing term information") {
				return "it is new"
			}
		}
	}
	if strings.Contains(e.Message, "cannot campaign at term") {
		return "it is alone, and campaigns again in a moment"
	}
	return ""
}

func (q quiet) With(fields []zapcore.Field) zapcore.Core { return quiet{q.Core.With(fields)} }

func (q quiet) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if q.Enabled(e.Level) {
		return ce.AddCore(e, q)
	}
	return ce
}

func (q quiet) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if why := meaningless(e, fields); why != "" {
		e.Level = zapcore.DebugLevel
		if !q.Enabled(e.Level) {
			return nil
		}
		fields = append(slices.Clip(fields), zapcore.Field{Key: "meaningless", Type: zapcore.StringType, String: why})
	}
	return q.Core.Write(e, fields)
}

type zapCore struct{ log *slog.Logger }

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l >= zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (c *zapCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), level(l))
}

func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	return &zapCore{log: c.log.With(attrs(fields)...)}
}

func (c *zapCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.Log(context.Background(), level(e.Level), e.Message, attrs(fields)...)
	return nil
}

func (c *zapCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	all := make([]any, 0, len(enc.Fields))
	for _, f := range fields {
		if v, ok := enc.Fields[f.Key]; ok {
			all = append(all, slog.Any(f.Key, v))
		}
	}
	return all
}
