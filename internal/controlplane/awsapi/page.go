package awsapi

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Paging is how a service splits a long answer into pages.
type Paging struct {
	Size, Marker      string // the members' names
	Min, Max, Default int    // of Size
	EmptyMarker       bool   // an empty marker asks for the first page, as if there were none
	BadSize           func(p Paging, size int) *Error
	BadMarker         func(p Paging) *Error
}

// How the services page: RDS by contract 2.5, the others by their API references.
var (
	RDSPaging = Paging{
		Size: "MaxRecords", Marker: "Marker", Min: 20, Max: 100, Default: 100, EmptyMarker: true,
		BadSize: func(p Paging, size int) *Error {
			return Errorf(http.StatusBadRequest, "InvalidParameterValue", "Invalid value %d for %s. Must be between %d and %d", size, p.Size, p.Min, p.Max)
		},
		BadMarker: func(p Paging) *Error {
			return Errorf(http.StatusBadRequest, "InvalidParameterValue", "Invalid value for %s: it is not one that an earlier answer has given", p.Marker)
		},
	}
	IAMPaging = Paging{
		Size: "MaxItems", Marker: "Marker", Min: 1, Max: 1000, Default: 100,
		BadSize: sizeConstraint,
		BadMarker: func(p Paging) *Error {
			return Common("ValidationError", "Invalid "+p.Marker+": it is not one that an earlier answer has given")
		},
	}
	SecretsPaging = Paging{
		Size: "MaxResults", Marker: "NextToken", Min: 1, Max: 100, Default: 100,
		BadSize: func(p Paging, _ int) *Error {
			return Errorf(http.StatusBadRequest, "InvalidParameterException", "%s must be from %d to %d.", p.Size, p.Min, p.Max)
		},
		BadMarker: func(Paging) *Error {
			return Errorf(http.StatusBadRequest, "InvalidNextTokenException", "The NextToken value is invalid.")
		},
	}
)

func sizeConstraint(p Paging, size int) *Error {
	bound := fmt.Sprintf("greater than or equal to %d", p.Min)
	if size > p.Max {
		bound = fmt.Sprintf("less than or equal to %d", p.Max)
	}
	return Constraint(fmt.Sprintf("Value '%d' at '%s' failed to satisfy constraint: Member must have value %s", size, lowerFirst(p.Size), bound))
}

// Page returns a page of items in RDS's way, and the marker of the next page: nil on the last one.
//
// A key belongs to one item alone, and the pages are in the order of the keys. The marker holds the key of the last item,
// so that items that come and go between two calls make no other appear twice or not at all.
func Page[T any](items []T, marker *string, maxRecords *int, key func(T) string) ([]T, *string, error) {
	return PageOf(RDSPaging, items, marker, maxRecords, key)
}

// PageOf is Page in the way of another service. Items stay as they are; the page may be a part of them, and is never nil.
func PageOf[T any](p Paging, items []T, marker *string, size *int, key func(T) string) ([]T, *string, error) {
	n, last, err := p.read(marker, size)
	if err != nil {
		return nil, nil, err
	}
	byKey := func(a, b T) int { return cmp.Compare(key(a), key(b)) }
	if !slices.IsSortedFunc(items, byKey) {
		items = slices.SortedFunc(slices.Values(items), byKey)
	}
	if last != nil {
		i, found := slices.BinarySearchFunc(items, *last, func(item T, last string) int { return cmp.Compare(key(item), last) })
		if found {
			i++
		}
		items = items[i:]
	}
	page, next := cut(items, n, key)
	return page, next, nil
}

// PageInOrder is PageOf for items in an order of their own. The item that the marker names must still be there.
func PageInOrder[T any](p Paging, items []T, marker *string, size *int, key func(T) string) ([]T, *string, error) {
	n, last, err := p.read(marker, size)
	if err != nil {
		return nil, nil, err
	}
	if last != nil {
		i := slices.IndexFunc(items, func(item T) bool { return key(item) == *last })
		if i < 0 {
			return nil, nil, p.BadMarker(p)
		}
		items = items[i+1:]
	}
	page, next := cut(items, n, key)
	return page, next, nil
}

// read checks a request's members: how long the page is, and the key of the item before it, which is nil on the first.
func (p Paging) read(marker *string, size *int) (n int, last *string, err error) {
	n = p.Default
	if size != nil {
		if n = *size; n < p.Min || n > p.Max {
			return 0, nil, p.BadSize(p, n)
		}
	}
	if marker == nil || *marker == "" && p.EmptyMarker {
		return n, nil, nil
	}
	key, ok := decodeMarker(*marker)
	if !ok {
		return 0, nil, p.BadMarker(p)
	}
	return n, &key, nil
}

// cut takes the first n items, with the marker of the rest.
func cut[T any](items []T, n int, key func(T) string) ([]T, *string) {
	switch {
	case items == nil:
		return []T{}, nil
	case len(items) <= n:
		return items, nil
	}
	next := encodeMarker(key(items[n-1]))
	return items[:n:n], &next
}

// markerVersion begins each marker, so that another way to make them can be told from this one.
const markerVersion = "1:"

var markerEncoding = base64.RawURLEncoding.Strict()

func encodeMarker(key string) string {
	return markerEncoding.EncodeToString([]byte(markerVersion + key))
}

func decodeMarker(marker string) (key string, ok bool) {
	b, err := markerEncoding.DecodeString(marker)
	if err != nil || strings.ContainsAny(marker, "\r\n") { // which the decoder skips
		return "", false
	}
	return strings.CutPrefix(string(b), markerVersion)
}
