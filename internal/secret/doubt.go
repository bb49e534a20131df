package secret

// Doubter is a Store that does not look at every Get whether a secret has changed.
type Doubter interface {
	// Doubt says that a version (Secret.Version) of the named secret was refused where it should be right, so that there
	// may be a newer one: the next Get looks, as often as the store can bear. It does not block.
	Doubt(name, version string)
}

// Doubt tells of, a Store or what stands before one, that s was refused. Stores that look anyway need not be told.
func Doubt(of any, s Secret) {
	if d, ok := of.(Doubter); ok {
		d.Doubt(s.Name, s.Version)
	}
}

// Doubt implements Doubter for those of its stores that do.
func (m *Mux) Doubt(name, version string) {
	if stores := m.stores.Load(); stores != nil {
		Doubt((*stores)[name], Secret{Name: name, Version: version})
	}
}
