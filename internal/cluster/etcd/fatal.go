package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"go.uber.org/zap/zapcore"
)

// ErrFailed means that the embedded member has come to an end by itself, as when the disk is full: what etcd cannot write it
// cannot undo. It takes no changes any more until Forebay is started again.
var ErrFailed = errors.New("etcd: the embedded member has come to an end")

// fatal stands where zap would end the process. An etcd that cannot go on is no reason to end the sessions of all clients:
// proxies need it for changes alone. It ends the goroutine that cannot go on, as etcd expects, and leaves it to the Store to
// refuse what comes after.
type fatal struct {
	log *slog.Logger

	once sync.Once
	ctx  context.Context // ends when the member does; its cause says why
	end  context.CancelCauseFunc
}

func newFatal(log *slog.Logger) *fatal {
	f := &fatal{log: log}
	f.ctx, f.end = context.WithCancelCause(context.Background())
	return f
}

// OnWrite implements zapcore.CheckWriteHook: etcd has logged why, and would not go on.
func (f *fatal) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	f.once.Do(func() {
		why := fmt.Errorf("%w: %s", ErrFailed, e.Message)
		for _, field := range fields {
			if err, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
				why = fmt.Errorf("%w: %w", why, err)
			}
		}
		f.log.Error("the state takes no changes any more until Forebay is started again; proxies go on as they are", "err", why)
		f.end(why)
	})
	runtime.Goexit()
}

// failed is why the member has come to an end, nil while it goes on. A nil fatal never fails.
func (f *fatal) failed() error {
	if f == nil {
		return nil
	}
	return context.Cause(f.ctx)
}
