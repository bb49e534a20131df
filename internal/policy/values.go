package policy

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

func parseBinary(text string, _ bool) (v value, err error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return v, malformed(msgLegacy, "Condition: %q is not base64", text)
	}
	v.bytes = string(b)
	return v, nil
}

func matchBinary(v *value, request string, _ context) bool {
	b, err := base64.StdEncoding.DecodeString(request)
	return err == nil && string(b) == v.bytes
}

// parsePrefix reads a CIDR block, or an address, which is a block of its own. Bits after the prefix do not count. A block of IPv4
// addresses that are written as IPv6 (::ffff:192.0.2.0/120) is one of IPv4, as such an address is.
func parsePrefix(text string, _ bool) (v value, err error) {
	p, err := netip.ParsePrefix(text)
	if !strings.Contains(text, "/") {
		var a netip.Addr
		if a, err = netip.ParseAddr(text); a.Zone() != "" {
			err = strconv.ErrSyntax
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if err != nil {
		return v, malformed(msgLegacy, "Condition: %q is no IP address and no CIDR block", text)
	}
	const mapped = 96 // the bits before an IPv4 address in an IPv6 one
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	v.prefix = p.Masked()
	return v, nil
}

// matchPrefix compares an IPv4 client of an IPv6 socket as what it is. No other block of IPv6 addresses holds it, not even ::/0.
func matchPrefix(v *value, request string, _ context) bool {
	a, err := netip.ParseAddr(request)
	return err == nil && v.prefix.Contains(a.Unmap().WithZone(""))
}

// maxNumberLen keeps numbers cheap to compare.
const maxNumberLen = 64

func number(text string) (*big.Rat, bool) {
	digits := strings.TrimLeft(text, "+-")
	if len(text) > maxNumberLen || len(text)-len(digits) > 1 || digits == "" || strings.Count(digits, ".") > 1 ||
		digits[0] == '.' || digits[len(digits)-1] == '.' || strings.Trim(digits, "0123456789.") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func parseNumber(text string, _ bool) (v value, err error) {
	n, ok := number(text)
	if !ok {
		return v, malformed(msgLegacy, "Condition: %q is not a number", text)
	}
	v.number = n
	return v, nil
}

func matchNumber(holds func(c int) bool) func(*value, string, context) bool {
	return func(v *value, request string, _ context) bool {
		n, ok := number(request)
		return ok && holds(n.Cmp(v.number))
	}
}

// dateForms are those of the W3C's profile of ISO 8601 (https://www.w3.org/TR/NOTE-datetime). A fraction of a second is
// taken by time.Parse where the form has seconds. Without a zone it is UTC.
var dateForms = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-01",
}

// date reads a date, or the seconds since 1970: what has neither "T" nor "-" is a number.
func date(text string) (time.Time, bool) {
	upper := strings.ToUpper(text)
	if !strings.ContainsAny(upper, "T-") {
		n, err := strconv.ParseInt(upper, 10, 64)
		return time.Unix(n, 0), err == nil && n >= 0
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, upper); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func parseDate(text string, _ bool) (v value, err error) {
	t, ok := date(text)
	if !ok {
		return v, malformed(msgLegacy, "Condition: %q is not a date", text)
	}
	v.time = t
	return v, nil
}

func matchDate(holds func(c int) bool) func(*value, string, context) bool {
	return func(v *value, request string, _ context) bool {
		t, ok := date(request)
		return ok && holds(t.Compare(v.time))
	}
}
