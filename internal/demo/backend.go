package demo

import (
	"context"
	"fmt"

	"forebay/internal/localserver"
	"forebay/internal/storm"
)

// backend is one private database of the demo, with an account and a database for the clients.
type backend struct {
	server
	name      string       // for people
	family    string       // as Forebay's configuration calls the engine
	engine    storm.Engine // what the clients speak
	statement string       // what each of them runs in its transaction: work of 5 ms, as far as the database is concerned
	params    map[string]string
	password  string // of appUser

	// openCensus logs in as the superuser, to count clients from then on.
	openCensus func(ctx context.Context) (census, error)
	// shell is a command line that logs in as appUser, with TLS or without.
	shell func(host, port string, tls bool) string
}

// server is what all private servers have.
type server interface {
	Host() string
	Port() int
	Addr() string
	Version() localserver.Install
	Stop()
}

// census counts the client connections of a database, its own left out. It is used by one goroutine.
type census interface {
	count() (int, error)
	close()
}

// startBackends starts all databases. On an error none is left.
func startBackends(ctx context.Context, s *screen) (all []*backend, err error) {
	defer func() {
		if err != nil {
			stopBackends(all)
			all = nil
		}
	}()
	s.step("Starting private databases with max_connections = %d each", maxConnections)
	for _, start := range []func(context.Context) (*backend, error){startPostgres, startMySQL} {
		b, err := start(ctx)
		if err != nil {
			return all, err
		}
		all = append(all, b)
		s.step("%s listens on %s", b.Version(), b.Addr())
	}
	return all, nil
}

func stopBackends(all []*backend) {
	for _, b := range all {
		b.Stop()
	}
}

// protocol is what clients use that come to addr: the database's own address, or Forebay's.
func (b *backend) protocol(addr string) (storm.Protocol, error) {
	proto, err := storm.NewProtocol(storm.Target{
		Engine: b.engine, Addr: addr, User: appUser, Password: b.password, Database: appDatabase, Params: b.params,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.name, err)
	}
	return proto, nil
}
