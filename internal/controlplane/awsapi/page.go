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
	BadSize           func(p Paging, size int) *Error
	BadMarker         func(p Paging) *Error
}

// How the services page: RDS by contract 2.5, the others by their API references.
var (
	RDSPaging = Paging{
		Size: "MaxRecords", Marker: "Marker", Min: 20, Max: 100, Default: 100,
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
		BadSize: sizeConstraint,
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

// PageOf is Page in the way of another service. Items stay as they are; the page may be a part of them.
func PageOf[T any](p Paging, items []T, marker *string, size *int, key func(T) string) ([]T, *string, error) {
	n := p.Default
	if size != nil {
		if n = *size; n < p.Min || n > p.Max {
			return nil, nil, p.BadSize(p, n)
		}
	}
	byKey := func(a, b T) int { return cmp.Compare(key(a), key(b)) }
	if !slices.IsSortedFunc(items, byKey) {
		items = slices.SortedFunc(slices.Values(items), byKey)
	}
	if marker != nil && *marker != "" {
		last, ok := decodeMarker(*marker)
		if !ok {
			return nil, nil, p.BadMarker(p)
		}
		i, found := slices.BinarySearchFunc(items, last, func(item T, last string) int { return cmp.Compare(key(item), last) })
		if found {
			i++
		}
		items = items[i:]
	}
	if len(items) <= n {
		return items, nil, nil
	}
	next := encodeMarker(key(items[n-1]))
	return items[:n:n], &next, nil
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
