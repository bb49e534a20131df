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
