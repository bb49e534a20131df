package app

import (
	"fmt"
	"reflect"

	"forebay/internal/config"
)

// shown is a configuration for the eyes of an operator: durations as "30s" rather than as nanoseconds. It holds where
// secrets are, not what they are.
func shown(c *config.Config) any { return readable(reflect.ValueOf(c)) }

func readable(v reflect.Value) any {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return readable(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			out[v.Type().Field(i).Name] = readable(v.Field(i))
		}
		return out
	case reflect.Func:
		return nil // what this process asks of itself
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = readable(v.Index(i))
		}
		return out
	}
	return v.Interface()
}
