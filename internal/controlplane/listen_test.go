package controlplane

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"forebay/internal/resource"
)

// stateWith is a state with these endpoints' addresses, and a database at 127.0.0.1:5432.
func stateWith(listens ...Listen) *State {
	s := &State{}
	s.Accounts.set("account", &Account{ID: "123456789012", Region: "eu-west-1", Suffix: "abcdefghijkl"})
	s.Databases.set("pg", &Database{Identifier: "pg", Host: "localhost", Port: 5432})
	for i, l := range listens {
		id := fmt.Sprintf("prx-endpoint-%d", i)
		s.Endpoints.set(id, &Endpoint{ID: id, Listen: l})
	}
	return s
}

func TestAssign(t *testing.T) {
	t.Parallel()
	pool := []string{"127.0.0.1", "127.0.1.0/30", "::1"}
	at := func(address string, port int) Listen { return Listen{address, port, address} }
	first := at("127.0.0.1", 3306)
	full := []Listen{first, at("127.0.1.1", 3306), at("127.0.1.2", 3306)}
	every := []string{"0.0.0.0"}
	tests := []struct {
		name      string
		addresses []string
		set       func(l *Listeners)
		taken     []Listen
		req       ListenRequest
		want      Listen // the zero value: an error
	}{
		{"the first", pool, nil, nil, ListenRequest{}, first},
		{"another family's port", pool, nil, []Listen{first}, ListenRequest{Family: resource.SQLServer}, at("127.0.0.1", 1433)},
		{"not where a database is", pool, nil, nil, ListenRequest{Family: resource.PostgreSQL}, at("127.0.1.1", 5432)},
		{"the next of the range", pool, nil, []Listen{first}, ListenRequest{}, at("127.0.1.1", 3306)},
		{"a gap is filled", pool, nil, []Listen{first, at("127.0.1.2", 3306)}, ListenRequest{}, at("127.0.1.1", 3306)},
		{"no address with the engine's port", pool, nil, full, ListenRequest{}, at("127.0.0.1", 20000)},
		{"the next port", pool, nil, append(full[:3:3], at("127.0.0.1", 20000)), ListenRequest{}, at("127.0.0.1", 20001)},
		{"nothing left", pool[:1], nil, []Listen{first, at("127.0.0.1", 20000), at("127.0.0.1", 20001)}, ListenRequest{}, Listen{}},
		{"IPv6", pool, nil, nil, ListenRequest{Network: "IPV6"}, at("::1", 3306)},
		{"IPv6 without an address", pool[:1], nil, nil, ListenRequest{Network: "IPV6"}, Listen{}},
		{"DUAL", pool, nil, nil, ListenRequest{Network: "DUAL"}, Listen{}},
		{"DUAL by name", []string{"127.0.0.1", "proxies"}, nil, nil, ListenRequest{Network: "DUAL"}, at("proxies", 3306)},
		{"every address", every, func(l *Listeners) { l.Host = "db.example.com" }, nil, ListenRequest{}, Listen{"0.0.0.0", 3306, "db.example.com"}},
		{"every address, port in use on one", every, func(l *Listeners) { l.Host = "db.example.com" }, []Listen{at("10.0.0.1", 3306)}, ListenRequest{}, Listen{"0.0.0.0", 20000, "db.example.com"}},
		{"one address, port in use on every", pool, nil, []Listen{{"", 3306, "x"}}, ListenRequest{}, at("127.0.0.1", 20000)},
		{"one host for two addresses", pool, func(l *Listeners) { l.Host = "h" }, []Listen{{"127.0.0.1", 3306, "h"}}, ListenRequest{}, Listen{"127.0.0.1", 20000, "h"}},
		{"names", pool, func(l *Listeners) { l.Domain = "Example.com" }, nil, ListenRequest{Label: "Sales"}, Listen{"127.0.0.1", 3306, "sales.proxy-abcdefghijkl.eu-west-1.example.com"}},
		{"a renamed proxy has the name", pool, func(l *Listeners) { l.Domain = "example.com" }, []Listen{{"10.0.0.1", 1, "e.endpoint.proxy-abcdefghijkl.eu-west-1.example.com"}}, ListenRequest{Label: "e.endpoint", ID: "prx-endpoint-0123456789"}, Listen{"127.0.0.1", 3306, "e-012345.endpoint.proxy-abcdefghijkl.eu-west-1.example.com"}},
		{"somebody else is there", pool, func(l *Listeners) { l.Free = func(a string, _ int) bool { return a != "127.0.0.1" } }, nil, ListenRequest{}, at("127.0.1.1", 3306)},
		{"somebody else is on every address", []string{"127.0.0.1", "127.1.0.0/16"}, func(l *Listeners) { l.Free = func(_ string, port int) bool { return port > 20000 } }, nil, ListenRequest{}, at("127.0.0.1", 20001)},
		{"tag", pool, nil, nil, ListenRequest{Tag: "10.1.2.3:4000"}, at("10.1.2.3", 4000)},
		{"tag with IPv6", pool, nil, nil, ListenRequest{Tag: "::1:4000"}, at("::1", 4000)},
		{"tag with a port", pool, nil, []Listen{at("127.0.0.1", 4000)}, ListenRequest{Tag: ":4000"}, at("127.0.1.1", 4000)},
		{"tag with a port that is taken", pool, nil, []Listen{{"", 4000, "x"}}, ListenRequest{Tag: ":4000"}, Listen{}},
		{"tag with a taken address", pool, nil, []Listen{first}, ListenRequest{Tag: "localhost:3306"}, Listen{}},
		{"tag with a database's address", pool, nil, nil, ListenRequest{Tag: "127.0.0.1:5432"}, Listen{}},
		{"tag with every address", pool, func(l *Listeners) { l.Host = "h" }, nil, ListenRequest{Tag: "0.0.0.0:4000"}, Listen{"0.0.0.0", 4000, "h"}},
		{"tag with every address, and no name", pool, nil, nil, ListenRequest{Tag: "0.0.0.0:4000"}, Listen{}},
		{"tag with an address that is not here", pool, func(l *Listeners) { l.Free = func(string, int) bool { return false } }, nil, ListenRequest{Tag: "10.1.2.3:4000"}, Listen{}},
		{"tag with a port that somebody else has", pool, func(l *Listeners) { l.Free = func(a string, _ int) bool { return a != "127.0.0.1" } }, nil, ListenRequest{Tag: ":4000"}, at("127.0.1.1", 4000)},
		{"tag with a port that is nowhere free", pool, func(l *Listeners) { l.Free = func(string, int) bool { return false } }, nil, ListenRequest{Tag: ":4000"}, Listen{}},
		{"tag without port", pool, nil, nil, ListenRequest{Tag: "127.0.0.1"}, Listen{}},
		{"tag with a bad host", pool, nil, nil, ListenRequest{Tag: "a b:1"}, Listen{}},
		{"tag with a bad port", pool, nil, nil, ListenRequest{Tag: "a:0"}, Listen{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := Listeners{Addresses: tt.addresses, Ports: PortRange{20000, 20001}}
			if tt.set != nil {
				tt.set(&l)
			}
			if err := l.Validate(); err != nil {
				t.Fatal(err)
			}
			if tt.req.Family == "" {
				tt.req.Family = resource.MySQL
			}
			if tt.req.Network == "" {
				tt.req.Network = "IPV4"
			}
			got, err := l.Assign(stateWith(tt.taken...), tt.req)
			if (err != nil) != (tt.want == Listen{}) || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if err != nil && tt.req.Tag == "" && !errors.Is(err, ErrNoAddress) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestListenersValidate(t *testing.T) {
	t.Parallel()
	if err := DefaultListeners().Validate(); err != nil {
		t.Error(err)
	}
	ports := PortRange{20000, 20999}
	for _, l := range []Listeners{
		{Ports: ports},
		{Addresses: []string{"127.0.0.1"}},
		{Addresses: []string{"127.0.0.1"}, Ports: PortRange{2, 1}},
		{Addresses: []string{"127.0.0.1"}, Ports: PortRange{1, 65536}},
		{Addresses: []string{"127.0.0.1"}, Ports: ports, Host: "a", Domain: "b"},
		{Addresses: []string{"127.0.0.1"}, Ports: ports, Host: "a b"},
		{Addresses: []string{"127.0.0.1"}, Ports: ports, Domain: "-"},
		{Addresses: []string{"0.0.0.0"}, Ports: ports},
		{Addresses: []string{""}, Ports: ports},
		{Addresses: []string{"a:1"}, Ports: ports},
		{Addresses: []string{"fe80::1%eth0"}, Ports: ports},
		{Addresses: []string{"::1/64"}, Ports: ports},
	} {
		if err := l.Validate(); err == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}

func TestListenEndpoint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		l    Listen
		want string
	}{
		{Listen{"127.0.0.1", 5432, "127.0.0.1"}, "127.0.0.1"},
		{Listen{"127.0.0.1", 3306, "h"}, "h:3306"},
		{Listen{"::1", 5432, "::1"}, "::1"},
		{Listen{"::1", 20000, "::1"}, "[::1]:20000"},
	} {
		if got := tt.l.Endpoint(resource.PostgreSQL); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.l, got, tt.want)
		}
	}
}

func FuzzParseListen(f *testing.F) {
	for _, s := range []string{":1", "a:1", "::1:1", "", ":", "a:65536", "a b:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := ParseListen(s)
		if err == nil && (port < 1 || port > 65535 || !strings.HasPrefix(s, host+":")) {
			t.Errorf("%q is %q, %d", s, host, port)
		}
	})
}
