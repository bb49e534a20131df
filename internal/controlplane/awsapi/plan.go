package awsapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// kind is how a value looks on the wire.
type kind uint8

const (
	kindString kind = iota
	kindInt
	kindFloat
	kindBool
	kindTime
	kindBytes
	kindStruct
	kindList
	kindMap // keys are strings
	kindPointer
)

// plan is how a Go type is encoded and decoded. It is immutable once planOf has returned it; a type that contains
// itself has a plan that contains itself.
type plan struct {
	typ    reflect.Type
	kind   kind
	elem   *plan // of a list, a map, a pointer
	fields []field
	byName map[string]*field
}

// field is a member of a structure.
type field struct {
	name      string // on the wire
	index     []int  // for reflect.Value.FieldByIndex; no pointer is on the way
	item      string // Query: the name of a list's items
	required  bool
	omitEmpty bool
	plan      *plan
}

// defaultItem is the name of a list's items where the model gives none.
const defaultItem = "member"

var plans sync.Map // reflect.Type to *plan

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
)

// planOf returns the plan of a type, made once. The error is a mistake in the program: a type or a tag that the
// protocols cannot carry.
func planOf(t reflect.Type) (*plan, error) {
	if p, ok := plans.Load(t); ok {
		return p.(*plan), nil
	}
	made := map[reflect.Type]*plan{}
	p, err := makePlan(t, made)
	if err != nil {
		return nil, err
	}
	for t, p := range made {
		plans.LoadOrStore(t, p) // another goroutine may have been first: its plan says the same
	}
	return p, nil
}

func makePlan(t reflect.Type, made map[reflect.Type]*plan) (*plan, error) {
	if p := made[t]; p != nil {
		return p, nil
	}
	p := &plan{typ: t}
	made[t] = p
	var err error
	switch {
	case t == timeType:
		p.kind = kindTime
	case t == bytesType:
		p.kind = kindBytes
	case t.Kind() == reflect.String:
		p.kind = kindString
	case t.Kind() == reflect.Bool:
		p.kind = kindBool
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64:
		p.kind = kindInt
	case t.Kind() == reflect.Float64:
		p.kind = kindFloat
	case t.Kind() == reflect.Slice:
		p.kind = kindList
		p.elem, err = makePlan(t.Elem(), made)
	case t.Kind() == reflect.Pointer:
		p.kind = kindPointer
		p.elem, err = makePlan(t.Elem(), made)
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		p.kind = kindMap
		p.elem, err = makePlan(t.Elem(), made)
	case t.Kind() == reflect.Struct:
		p.kind = kindStruct
		p.byName = map[string]*field{}
		if err = p.addFields(t, nil, made); err == nil {
			for i := range p.fields {
				p.byName[p.fields[i].name] = &p.fields[i]
			}
			if len(p.byName) != len(p.fields) {
				err = fmt.Errorf("awsapi: %v: two fields have the same name", t)
			}
		}
	default:
		err = fmt.Errorf("awsapi: no protocol carries a %v", t)
	}
	return p, err
}

// addFields adds the fields of t; those of an embedded structure count as its own.
func (p *plan) addFields(t reflect.Type, index []int, made map[reflect.Type]*plan) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		at := append(append([]int(nil), index...), i)
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct && sf.Type != timeType {
			if err := p.addFields(sf.Type, at, made); err != nil {
				return err
			}
			continue
		}
		if !sf.IsExported() {
			continue
		}
		f := field{name: sf.Name, index: at, item: defaultItem}
		skip, err := f.readTag(sf.Tag.Get("aws"))
		if err == nil && !skip {
			f.plan, err = makePlan(sf.Type, made)
			p.fields = append(p.fields, f)
		}
		if err != nil {
			return fmt.Errorf("awsapi: %v.%s: %w", t, sf.Name, err)
		}
	}
	return nil
}

// readTag reads what follows aws: in a field's tag.
func (f *field) readTag(tag string) (skip bool, err error) {
	if tag == "" {
		return false, nil
	}
	for option := range strings.SplitSeq(tag, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case option == "-":
			skip = true
		case option == "required":
			f.required = true
		case option == "omitempty":
			f.omitEmpty = true
		case name == "name" && value != "":
			f.name = value
		case name == "list" && value != "":
			f.item = value
		default:
			return false, fmt.Errorf("unknown option %q in the tag", option)
		}
	}
	return skip, nil
}

// absent reports whether a value is left out of an answer.
func (f *field) absent(v reflect.Value) bool {
	switch f.plan.kind {
	case kindPointer, kindList, kindMap, kindBytes:
		return v.IsNil() || f.omitEmpty && f.plan.kind != kindPointer && v.Len() == 0
	case kindTime:
		return v.Interface().(time.Time).IsZero()
	default:
		return f.omitEmpty && v.IsZero()
	}
}

// Members are the members of an operation's request, sorted. One that is a structure, or a list of them, is there with its own
// members behind it: Auth, Auth.IAMAuth, Auth.SecretArn.
func (o Operation) Members() []string { return membersOf(o.in) }

// AnswerMembers are those of its answer; none for a Stream.
func (o Operation) AnswerMembers() []string { return membersOf(o.out) }

func membersOf(t reflect.Type) []string {
	p, err := planOf(t)
	if err != nil { // a mistake in the program, which New tells
		return nil
	}
	var all []string
	p.members("", map[*plan]bool{}, &all)
	slices.Sort(all)
	return all
}

// members adds the names of a plan's members. above are the plans that it is a part of.
func (p *plan) members(path string, above map[*plan]bool, all *[]string) {
	for p.elem != nil {
		p = p.elem
	}
	if above[p] {
		return
	}
	above[p] = true
	defer delete(above, p)
	for i := range p.fields {
		f := &p.fields[i]
		at := join(path, f.name)
		*all = append(*all, at)
		f.plan.members(at, above, all)
	}
}
