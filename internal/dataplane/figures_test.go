package dataplane

import (
	"reflect"
	"testing"
)

// fill puts 1 into every number below v.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]uint64{"listen": 1}))
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint64:
		v.SetUint(1)
	}
}

// check wants every number below v to be 2.
func check(t *testing.T, v reflect.Value, at string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			check(t, v.Field(i), at+"."+v.Type().Field(i).Name)
		}
	case reflect.Array:
		for i := range v.Len() {
			check(t, v.Index(i), at+"[]")
		}
	case reflect.Map:
		if got := v.Interface().(map[string]uint64)["listen"]; got != 2 {
			t.Errorf("%s: got %d, want 2", at, got)
		}
	case reflect.Int, reflect.Int64:
		if v.Int() != 2 {
			t.Errorf("%s: got %d, want 2", at, v.Int())
		}
	case reflect.Uint64:
		if v.Uint() != 2 {
			t.Errorf("%s: got %d, want 2", at, v.Uint())
		}
	}
}

// TestNoFigureIsForgotten adds figures that are all 1, twice: one that is new and not added up shows.
func TestNoFigureIsForgotten(t *testing.T) {
	t.Parallel()
	var one, sum PoolTotals
	fill(reflect.ValueOf(&one).Elem())
	sum.merge(&one)
	sum.merge(&one)
	check(t, reflect.ValueOf(sum), "PoolTotals")
	if one.Engine.Pins["listen"] != 1 {
		t.Error("merging changed its argument")
	}
	sum.settle()
	if sum.Pool.Open+sum.Pool.Idle+sum.Pool.Borrowed+sum.Pool.Opening+sum.Pool.Waiting+sum.Session.ClientsIn+
		sum.Session.ClientsTLS+sum.Session.ServersTLS+sum.Engine.InTransaction+sum.Engine.Pinned != 0 {
		t.Errorf("a pool that is no more has gauges: %+v", sum)
	}
	if sum.Engine.Queries != 2 {
		t.Errorf("counters lost: %+v", sum.Engine)
	}
}
