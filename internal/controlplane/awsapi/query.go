package awsapi

import (
	"reflect"
	"slices"
	"strconv"
)

// decodeQuery sets the structure that in points to from a request's parameters. Errors are in the service's terms; what
// breaks the form comes before unknown parameters, and those before missing ones.
func decodeQuery(s *Service, action string, p params, in any) error {
	v := reflect.ValueOf(in).Elem()
	plan, err := planOf(v.Type())
	if err != nil {
		return err
	}
	d := queryDecoder{service: s}
	if err := d.decode(p.tree(), plan, defaultItem, v, ""); err != nil {
		return err
	}
	switch {
	case len(d.unknown) > 0:
		return s.unknown(action, slices.Min(d.unknown))
	case len(d.missing) > 0:
		return s.missing(d.missing)
	}
	return nil
}

// queryDecoder collects what is only wrong if nothing worse is.
type queryDecoder struct {
	service *Service
	unknown []string
	missing []string
}

// decode sets v, whose plan is p, from n. The path is the parameter's name so far.
func (d *queryDecoder) decode(n *node, p *plan, item string, v reflect.Value, path string) error {
	switch p.kind {
	case kindPointer:
		v.Set(reflect.New(p.elem.typ))
		return d.decode(n, p.elem, item, v.Elem(), path)
	case kindStruct:
		return d.decodeStruct(n, p, v, path)
	case kindList:
		return d.decodeList(n, p, item, v, path)
	case kindMap:
		return malformed("Maps are not served in this protocol: %s", clip(path))
	default:
		if len(n.below) > 0 {
			return malformed("Start of structure or map found where not expected: %s", clip(path))
		}
		if err := p.setText(v, *n.value); err != nil {
			return d.service.invalid(path, err.Error())
		}
		return nil
	}
}

func (d *queryDecoder) decodeStruct(n *node, p *plan, v reflect.Value, path string) error {
	if n.value != nil && (*n.value != "" || len(n.below) > 0) {
		return malformed("Unexpected value where a structure is expected: %s", clip(path))
	}
	for i := range p.fields {
		f := &p.fields[i]
		below := n.below[f.name]
		if below == nil {
			if f.required {
				d.missing = append(d.missing, join(path, f.name))
			}
			continue
		}
		if err := d.decode(below, f.plan, f.item, v.FieldByIndex(f.index), join(path, f.name)); err != nil {
			return err
		}
	}
	for name := range n.below {
		if p.byName[name] == nil {
			d.unknown = append(d.unknown, join(path, name))
		}
	}
	return nil
}

// decodeList takes Name.item.N, and Name.member.N in its place; N counts from 1 without holes. "Name=" is the empty list.
func (d *queryDecoder) decodeList(n *node, p *plan, item string, v reflect.Value, path string) error {
	if n.value != nil && (*n.value != "" || len(n.below) > 0) {
		return malformed("Unexpected value where a list is expected: %s", clip(path))
	}
	var items map[string]*node
	var used string
	for name, below := range n.below {
		switch {
		case name != item && name != defaultItem:
			d.unknown = append(d.unknown, join(path, name))
		case used != "":
			return malformed("The items of a list have two names: %s", clip(path))
		case below.value != nil:
			return malformed("Unexpected value where a list is expected: %s", clip(join(path, name)))
		default:
			used, items = name, below.below
		}
	}
	// The numbers are looked up, so that none of them is ever a size.
	list := reflect.MakeSlice(p.typ, len(items), len(items))
	for i := range len(items) {
		at := join(join(path, used), strconv.Itoa(i+1))
		below := items[strconv.Itoa(i+1)]
		if below == nil {
			return malformed("The items of a list are numbered 1, 2, 3 and so on without gaps; this one has %d and none is %s", len(items), clip(at))
		}
		if err := d.decode(below, p.elem, defaultItem, list.Index(i), at); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
