package login

import "strings"

// Param is one setting by name: a startup parameter of a client, or a ParameterStatus of a server.
type Param struct {
	Name, Value string
}

// lastWins keeps the last of each name, in order. Setting names do not depend on case.
func lastWins(ps []Param) []Param {
	out := ps[:0]
	for i, p := range ps {
		shadowed := false
		for _, later := range ps[i+1:] {
			if strings.EqualFold(p.Name, later.Name) {
				shadowed = true
				break
			}
		}
		if !shadowed {
			out = append(out, p)
		}
	}
	return out
}

// setParam replaces or adds a value.
func setParam(ps []Param, name, value string) []Param {
	for i := range ps {
		if ps[i].Name == name {
			ps[i].Value = value
			return ps
		}
	}
	return append(ps, Param{name, value})
}
