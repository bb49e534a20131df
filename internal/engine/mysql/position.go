package mysql

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"forebay/internal/engine"
)

// gtidSet is a position of MySQL (gtid_executed): the transactions of each source, as intervals. Immutable.
type gtidSet struct {
	text string
	of   map[string][]interval // by source and tag, "uuid" or "uuid:tag", in lower case; sorted, apart from one another
}

// interval has its ends in it.
type interval struct{ first, last int64 }

// parseGTIDSet reads "uuid:1-5:7:tag:1-3,uuid:1", with any white space that MySQL writes between.
func parseGTIDSet(text string) (*gtidSet, error) {
	s := &gtidSet{text: strings.Join(strings.Fields(text), ""), of: make(map[string][]interval)}
	for part := range strings.SplitSeq(s.text, ",") {
		if part == "" {
			continue
		}
		if err := s.parseSource(strings.ToLower(part)); err != nil {
			return nil, fmt.Errorf("GTID set: %w", err)
		}
	}
	for key, all := range s.of {
		s.of[key] = merged(all)
	}
	return s, nil
}

// parseSource reads "uuid:1-5:7:tag:1-3".
func (s *gtidSet) parseSource(part string) error {
	uuid, rest, _ := strings.Cut(part, ":")
	if !isUUID(uuid) {
		return fmt.Errorf("%q is no UUID", uuid)
	}
	key, empty := uuid, true
	for word := range strings.SplitSeq(rest, ":") {
		if isTag(word) {
			key, empty = uuid+":"+word, true
			continue
		}
		from, to, ranged := strings.Cut(word, "-")
		first, err := parseSequence(from)
		if err != nil {
			return err
		}
		last := first
		if ranged {
			if last, err = parseSequence(to); err != nil {
				return err
			}
		}
		if last < first {
			return fmt.Errorf("interval %q", word)
		}
		s.of[key] = append(s.of[key], interval{first, last})
		empty = false
	}
	if empty {
		return fmt.Errorf("%q has no interval", key)
	}
	return nil
}

func parseSequence(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || s[0] == '+' {
		return 0, fmt.Errorf("number %q", s)
	}
	return n, nil
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if hex := '0' <= s[i] && s[i] <= '9' || 'a' <= s[i] && s[i] <= 'f'; dash != (s[i] == '-') || !dash && !hex {
			return false
		}
	}
	return true
}

// isTag reports whether s is a tag, in lower case (MySQL 8.3): at most 32 letters, digits and underscores, no digit first.
func isTag(s string) bool {
	if s == "" || len(s) > 32 || '0' <= s[0] && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// merged sorts intervals and joins those that touch.
func merged(all []interval) []interval {
	slices.SortFunc(all, func(a, b interval) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	})
	out := all[:1]
	for _, v := range all[1:] {
		if end := &out[len(out)-1]; v.first-1 <= end.last {
			end.last = max(end.last, v.last)
			continue
		}
		out = append(out, v)
	}
	return out
}

// Covers implements engine.Position: it contains q.
func (s *gtidSet) Covers(q engine.Position) bool {
	o, ok := q.(*gtidSet)
	if !ok {
		return false
	}
	for key, all := range o.of {
		own := s.of[key]
		for _, v := range all {
			if !slices.ContainsFunc(own, func(w interval) bool { return w.first <= v.first && v.last <= w.last }) {
				return false
			}
		}
	}
	return true
}

// String implements engine.Position.
func (s *gtidSet) String() string { return s.text }

// mariaDBPosition is a position of MariaDB: the last transaction of each replication domain. Immutable.
type mariaDBPosition struct {
	of map[uint32]mariaDBGTID
	// own is the server's id, and logged what its log has had of each server in each domain: what it has written itself need be no
	// part of what others have. nil: not known.
	own    uint32
	logged map[mariaDBSource]uint64
}

type mariaDBGTID struct {
	server   uint32
	sequence uint64
}

type mariaDBSource struct{ domain, server uint32 }

// parseMariaDBPosition reads one or more lists such as "0-1-7,1-2-3" and takes the newest of each domain.
func parseMariaDBPosition(texts ...string) (*mariaDBPosition, error) {
	p := &mariaDBPosition{of: make(map[uint32]mariaDBGTID)}
	for _, text := range texts {
		if err := eachMariaDBGTID(text, p.add); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *mariaDBPosition) add(domain uint32, g mariaDBGTID) {
	if have, ok := p.of[domain]; !ok || have.sequence < g.sequence {
		p.of[domain] = g
	}
}

// eachMariaDBGTID reads a list such as "0-1-7,1-2-3".
func eachMariaDBGTID(text string, f func(domain uint32, g mariaDBGTID)) error {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		n := strings.Split(part, "-")
		if len(n) != 3 {
			return fmt.Errorf("GTID %q", part)
		}
		domain, err1 := strconv.ParseUint(n[0], 10, 32)
		server, err2 := strconv.ParseUint(n[1], 10, 32)
		sequence, err3 := strconv.ParseUint(n[2], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return fmt.Errorf("GTID %q", part)
		}
		f(uint32(domain), mariaDBGTID{uint32(server), sequence})
	}
	return nil
}

// mariaDBAt is where a server is, by its gtid_binlog_pos, gtid_slave_pos and gtid_binlog_state. Of one that only applies what others
// have written, what its log has from them does not count: it is logged before anybody sees it.
func mariaDBAt(binlog, slave, state string, own uint32, applies bool) (*mariaDBPosition, error) {
	p, err := parseMariaDBPosition(slave)
	if err != nil {
		return nil, err
	}
	err = eachMariaDBGTID(binlog, func(domain uint32, g mariaDBGTID) {
		if !applies || g.server == own {
			p.add(domain, g)
		}
	})
	if err != nil {
		return nil, err
	}
	p.own, p.logged = own, make(map[mariaDBSource]uint64)
	return p, eachMariaDBGTID(state, func(domain uint32, g mariaDBGTID) {
		from := mariaDBSource{domain, g.server}
		p.logged[from] = max(p.logged[from], g.sequence)
	})
}

// Covers implements engine.Position: each domain has come as far. Where both have come to the same number, but by different
// servers, their histories are not the same one. Where a server's own writes are further than what another one has written, that
// may be since nobody has got them before the other took its place: then it takes its log to tell that it has those, too.
func (p *mariaDBPosition) Covers(q engine.Position) bool {
	o, ok := q.(*mariaDBPosition)
	if !ok {
		return false
	}
	for domain, g := range o.of {
		have, ok := p.of[domain]
		if !ok || have.sequence < g.sequence || have.sequence == g.sequence && have.server != g.server {
			return false
		}
		if have.server == g.server || p.logged == nil {
			continue
		}
		if logged, ok := p.logged[mariaDBSource{domain, g.server}]; logged < g.sequence && (ok || have.server == p.own) {
			return false
		}
	}
	return true
}

// String implements engine.Position.
func (p *mariaDBPosition) String() string {
	var parts []string
	for _, domain := range slices.Sorted(maps.Keys(p.of)) {
		parts = append(parts, fmt.Sprintf("%d-%d-%d", domain, p.of[domain].server, p.of[domain].sequence))
	}
	return strings.Join(parts, ",")
}

// galeraPosition is the last write-set of a Galera cluster that a node has committed.
type galeraPosition struct {
	cluster string // its UUID
	last    int64
}

// Covers implements engine.Position.
func (p galeraPosition) Covers(q engine.Position) bool {
	o, ok := q.(galeraPosition)
	return ok && p.cluster == o.cluster && p.last >= o.last
}

// String implements engine.Position: as in grastate.dat and wsrep_start_position.
func (p galeraPosition) String() string { return p.cluster + ":" + strconv.FormatInt(p.last, 10) }
