package lease_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/lease"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vault is the other side, with a clock of the test's bubble.
type vault struct {
	mu       sync.Mutex // of all
	ttl, max time.Duration
	fixed    bool // leases cannot be renewed
	down     bool
	hangs    bool
	denied   error // of renewals
	session  lease.Session
	made     int
	born     map[string]time.Time // users that there are, by the id of their lease
	ends     map[string]time.Time
	revoked  []string
	ended    int
	asked    map[string]int
	leases   int
	until    time.Time
	doubted  []string
	password secret.Password
	log      bytes.Buffer
}

var errDown = errors.New("no connection")

func (v *vault) Session(context.Context) (lease.Session, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down {
		return lease.Session{}, errDown
	}
	return v.session, nil
}

func (v *vault) Obtain(ctx context.Context) (lease.Grant, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down {
		return lease.Grant{}, errDown
	}
	if v.hangs {
		v.mu.Unlock()
		<-ctx.Done()
		v.mu.Lock()
		return lease.Grant{}, ctx.Err()
	}
	v.made++
	id := fmt.Sprint("lease/", v.made)
	now := time.Now()
	v.born[id], v.ends[id] = now, now.Add(v.ttl)
	return lease.Grant{ID: id, Username: fmt.Sprint("v-", v.made), Password: secret.Password(fmt.Sprint("hunter", v.made)), Life: v.ttl, Renewable: !v.fixed}, nil
}

func (v *vault) Renew(_ context.Context, id string, life time.Duration) (lease.Grant, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down {
		return lease.Grant{}, errDown
	}
	if v.denied != nil {
		return lease.Grant{}, v.denied
	}
	now := time.Now()
	if !now.Before(v.ends[id]) {
		return lease.Grant{}, lease.ErrNoLease
	}
	left := min(life, v.born[id].Add(v.max).Sub(now))
	v.ends[id] = now.Add(left)
	return lease.Grant{ID: id, Life: left, Renewable: true}, nil
}

func (v *vault) Revoke(_ context.Context, id string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down {
		return errDown
	}
	v.revoked = append(v.revoked, id)
	return nil
}

func (v *vault) End(context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended++
	return nil
}

func (v *vault) Asked(request string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		request += " failed"
	}
	v.asked[request]++
}

func (v *vault) Stands(leases int, until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.leases, v.until = leases, until
}

func (v *vault) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func open(t *testing.T, ttl, most time.Duration) (*vault, *lease.Store) {
	v := &vault{ttl: ttl, max: most, born: map[string]time.Time{}, ends: map[string]time.Time{}, asked: map[string]int{}, password: "clients"}
	s := lease.New(lease.Options{
		Log: slog.New(slog.NewTextHandler(&v.log, nil)), Where: "database/creds/app", Source: v, Watch: v,
		Clients: func(context.Context) (secret.Secret, error) {
			return secret.Secret{Name: "clients", Version: "c1", Username: "app", Password: v.password}, nil
		},
		DoubtClients: func(version string) { v.set(func() { v.doubted = append(v.doubted, version) }) },
	})
	t.Cleanup(s.Close)
	return v, s
}

func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// get returns the user that logs in to the database.
func get(t *testing.T, s *lease.Store, want string) *secret.Login {
	t.Helper()
	got, err := s.Get(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "app" || got.Username != "app" || got.Password != "clients" || got.Version != "c1" {
		t.Errorf("what clients prove is %q of %q, version %q", got.Username, got.Name, got.Version)
	}
	if got.Login == nil || got.Login.Username != want {
		t.Fatalf("logs in as %+v, want %s", got.Login, want)
	}
	return got.Login
}

// TestRenewal: one user for as long as the other side lets it last, another one in time, and the former one for those who
// have it until they have not.
func TestRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, time.Hour, 4*time.Hour)
		first := get(t, s, "v-1")
		begin := time.Now()
		first.Lease.Hold()
		if got := first.Lease.Until().Sub(begin); got != time.Hour {
			t.Errorf("lasts %v", got)
		}
		for time.Since(begin) < 3*time.Hour {
			wait(10 * time.Minute)
			get(t, s, "v-1")
			if !time.Now().Before(first.Lease.Ends()) {
				t.Fatalf("the lease has ended after %v", time.Since(begin))
			}
		}
		wait(30 * time.Minute) // a renewal after 3 h 10 is shorter than asked for
		second := get(t, s, "v-2")
		if p := second.Previous; p == nil || p.Username != "v-1" || p.Previous != nil || p.Lease != first.Lease {
			t.Errorf("previous: %+v", p)
		}
		if first.Lease.Replaced().IsZero() || !time.Now().Before(first.Lease.Until()) {
			t.Errorf("the former user: replaced at %v, ends %v", first.Lease.Replaced(), first.Lease.Until())
		}
		if n := v.asked["renew"]; n < 4 || n > 6 || v.leases != 2 || !v.until.Equal(second.Lease.Until()) {
			t.Errorf("%d renewals, %d leases until %v", n, v.leases, v.until)
		}
		if len(v.revoked) > 0 {
			t.Errorf("revoked %v, which a server connection has", v.revoked)
		}
		first.Lease.Release()
		wait(2 * time.Minute)
		if fmt.Sprint(v.revoked) != "[lease/1]" || get(t, s, "v-2").Previous != nil || v.leases != 1 {
			t.Errorf("revoked %v, %d leases", v.revoked, v.leases)
		}
		s.Close()
		s.Shutdown(t.Context())
		if fmt.Sprint(v.revoked) != "[lease/1 lease/2]" || v.ended != 1 {
			t.Errorf("at the end, revoked %v, sessions ended %d", v.revoked, v.ended)
		}
		if strings.Contains(v.log.String(), "hunter") {
			t.Errorf("a password is in the log:\n%s", &v.log)
		}
	})
}

// TestRoleChanged: a lease is renewed for the time that it was given at first, whatever a role gives by now; the longest that the
// role allows counts at once.
func TestRoleChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, time.Hour, 2*time.Hour)
		first := get(t, s, "v-1")
		v.set(func() { v.ttl, v.max = 10*time.Hour, 20*time.Hour })
		for range 30 { // for longer than it was allowed to last
			wait(10 * time.Minute)
			get(t, s, "v-1")
			if left := time.Until(first.Lease.Until()); left <= 0 || left > time.Hour {
				t.Errorf("%v are left", left)
			}
		}
		v.set(func() { v.max = 6 * time.Hour })
		wait(50 * time.Minute)
		if left := time.Until(get(t, s, "v-2").Lease.Until()); left <= 9*time.Hour || left > 10*time.Hour {
			t.Errorf("the next one: %v are left", left)
		}
	})
}

// TestNotRenewable: another user before the lease ends, each time.
func TestNotRenewable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, time.Minute, time.Minute)
		v.fixed = true
		begin := time.Now()
		for time.Since(begin) < 10*time.Minute {
			login, err := s.Get(t.Context(), "app")
			if err != nil || !time.Now().Before(login.Login.Lease.Ends()) {
				t.Fatalf("after %v: %+v, %v", time.Since(begin), login.Login, err)
			}
			wait(7 * time.Second)
		}
		if v.made < 14 || v.made > 18 || v.asked["renew"] != 0 {
			t.Errorf("%d users, %d renewals", v.made, v.asked["renew"])
		}
	})
}

// TestOutage: what there is stays in use until it ends, and not after; then there is another one as soon as can be.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, time.Hour, 24*time.Hour)
		get(t, s, "v-1")
		v.set(func() { v.down = true })
		wait(59 * time.Minute)
		get(t, s, "v-1")
		v.set(func() { v.down = false })
		wait(time.Minute)
		get(t, s, "v-1") // renewed
		if n := v.asked["renew"]; n != 1 || v.made != 1 {
			t.Errorf("%d renewals, %d users", n, v.made)
		}
		v.set(func() { v.down = true })
		wait(30 * time.Minute)
		get(t, s, "v-1")
		wait(31 * time.Minute)
		if _, err := s.Get(t.Context(), "app"); !errors.Is(err, errDown) || v.leases != 0 || !v.until.IsZero() {
			t.Errorf("after the lease has ended: %v, %d leases until %v", err, v.leases, v.until)
		}
		v.set(func() { v.down = false })
		wait(time.Second)
		get(t, s, "v-2")
		for part, n := range map[string]int{"stays in use until it ends": 2, "no database user can be had": 1, "can be had again": 2} {
			if got := strings.Count(v.log.String(), part); got != n {
				t.Errorf("the log has %q %d times, want %d:\n%s", part, got, n, &v.log)
			}
		}
	})
}

// TestDown: nobody waits long for a side that is down, and a storm asks it once.
func TestDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, time.Hour, time.Hour)
		v.down = true
		for range 5 {
			if _, err := s.Get(t.Context(), "app"); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
		}
		v.set(func() { v.down = false })
		wait(time.Second)
		get(t, s, "v-1")
		s.Close()
		if _, err := s.Get(t.Context(), "app"); !errors.Is(err, lease.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestLost: a lease that is no more, or that may not be renewed, is one to replace at once.
func TestLost(t *testing.T) {
	t.Parallel()
	for _, lost := range []error{lease.ErrNoLease, secret.ErrDenied} {
		t.Run(lost.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v, s := open(t, time.Hour, 24*time.Hour)
				get(t, s, "v-1")
				v.set(func() { v.denied = fmt.Errorf("%w: said it", lost) })
				wait(41 * time.Minute)
				get(t, s, "v-2")
				if v.asked["renew failed"] != 1 || !strings.Contains(v.log.String(), "said it") {
					t.Errorf("asked %v, log:\n%s", v.asked, &v.log)
				}
			})
		})
	}
}

// TestSession: leases do not outlive what they hang on, and there is another user when that is another one.
func TestSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, time.Hour, 24*time.Hour)
		begin := time.Now()
		v.session = lease.Session{ID: 1, Ends: begin.Add(10 * time.Minute), Next: begin.Add(5 * time.Minute)}
		first := get(t, s, "v-1")
		if got := first.Lease.Until().Sub(begin); got != 10*time.Minute {
			t.Errorf("the user lasts %v, its token 10m", got)
		}
		v.set(func() {
			v.session = lease.Session{ID: 1, Ends: begin.Add(30 * time.Minute), Next: begin.Add(20 * time.Minute)} // renewed
		})
		wait(6 * time.Minute)
		get(t, s, "v-1")
		if got := first.Lease.Until().Sub(begin); got != 30*time.Minute {
			t.Errorf("after the token was renewed, the user lasts %v", got)
		}
		v.set(func() { v.session = lease.Session{ID: 2} })
		wait(15 * time.Minute)
		get(t, s, "v-2")
		if first.Lease.Replaced().IsZero() || first.Lease.Until().Sub(begin) != 30*time.Minute {
			t.Errorf("the former user: replaced %v, lasts %v", first.Lease.Replaced(), first.Lease.Until().Sub(begin))
		}
	})
}

// TestDoubt: a user that the database refuses is replaced, but not one that a replica may not have yet, and ever more rarely.
func TestDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, 24*time.Hour, 24*time.Hour)
		s.Doubt("app", "c1")
		if fmt.Sprint(v.doubted) != "[c1]" {
			t.Errorf("doubts of what clients know: %v", v.doubted)
		}
		first := get(t, s, "v-1")
		wait(50 * time.Second)
		s.Doubt("app", first.Version)
		wait(time.Second)
		get(t, s, "v-1")
		wait(10 * time.Second)
		s.Doubt("app", first.Version)
		wait(time.Second)
		get(t, s, "v-2")
		for range 10 * 60 { // for ten hours
			s.Doubt("app", present(t, s).Version)
			wait(time.Minute)
		}
		if v.made < 10 || v.made > 20 {
			t.Errorf("%d users made in ten hours for a database that refuses them all", v.made)
		}
	})
}

func present(t *testing.T, s *lease.Store) *secret.Login {
	t.Helper()
	got, err := s.Get(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	return got.Login
}

// TestHang: nobody waits for longer than they say, and a store closes in the middle of a request.
func TestHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, time.Hour, time.Hour)
		v.hangs = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Get(ctx, "app"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		got := make(chan error)
		go func() {
			_, err := s.Get(context.Background(), "app")
			got <- err
		}()
		synctest.Wait()
		s.Close()
		if err := <-got; !errors.Is(err, lease.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestRest: a user that nobody asks for is ended, and another one made for who does.
func TestRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := open(t, 10*time.Minute, 24*time.Hour)
		get(t, s, "v-1")
		wait(2 * time.Hour)
		if fmt.Sprint(v.revoked) != "[lease/1]" || v.leases != 0 {
			t.Errorf("revoked %v, %d leases", v.revoked, v.leases)
		}
		n := v.asked["renew"]
		wait(10 * time.Hour)
		if v.asked["renew"] != n {
			t.Error("renewed for nobody")
		}
		get(t, s, "v-2")
	})
}
