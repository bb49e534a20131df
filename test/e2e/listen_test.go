package e2e

import (
	"context"
	"fmt"
	"testing"
)

// A notification may come while Forebay still finds out that the session listens: right behind the answer to LISTEN.
func TestNotificationRightAfterListen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	listener, notifier := w.open(), w.open()
	for i := range 100 {
		listener.must("LISTEN news")
		notifier.must(fmt.Sprintf("NOTIFY news, '%d'", i))
		ctx, cancel := context.WithTimeout(context.Background(), watchdog)
		err := listener.WaitForNotification(ctx)
		cancel()
		if err != nil {
			t.Fatalf("notification %d was lost: %v", i, err)
		}
		if got := listener.notifications[len(listener.notifications)-1].Payload; got != fmt.Sprint(i) {
			t.Errorf("notification %d: payload %q", i, got)
		}
		listener.must("UNLISTEN news")
	}
}

// Clients tell their own notifications from others' by the process id that they were given at log-in.
func TestOwnNotificationsHaveTheClientsPID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 3})
	listener, other := w.open(), w.open()
	for i, tt := range []struct {
		notifier *client
		sql      []string
	}{
		{listener, []string{"BEGIN", "LISTEN news", "NOTIFY news", "COMMIT"}},
		{listener, []string{"NOTIFY news"}},
		{other, []string{"NOTIFY news"}},
		{listener, []string{"UNLISTEN news", "SELECT 1", "LISTEN news", "SELECT pg_notify('news', 'x')"}},
	} {
		for _, sql := range tt.sql {
			tt.notifier.must(sql)
		}
		for len(listener.notifications) <= i {
			ctx, cancel := context.WithTimeout(context.Background(), watchdog)
			err := listener.WaitForNotification(ctx)
			cancel()
			if err != nil {
				t.Fatalf("notification %d was lost: %v", i, err)
			}
		}
		own := listener.notifications[i].PID == listener.PID()
		if want := tt.notifier == listener; own != want {
			t.Errorf("notification %d has process id %d, the listener %d: own %v, want %v",
				i, listener.notifications[i].PID, listener.PID(), own, want)
		}
	}
}
