package mysql

import (
	"slices"
	"strings"

	"forebay/internal/wire/mysqlwire"
)

// tracking is what of its session's changes a client wants to hear: the variables by which it says so are Forebay's own on
// server connections, where everything is tracked.
type tracking struct {
	all       bool     // session_track_system_variables is *
	variables []string // or these
	schema    bool     // session_track_schema
	state     bool     // session_track_state_change
}

// defaultTracking is what servers tell unless asked otherwise ("Server Tracking of Client Session State Changes").
var defaultTracking = tracking{
	variables: []string{"autocommit", "character_set_client", "character_set_connection", "character_set_results", "time_zone"},
	schema:    true,
}

// The variables that tracking is about.
const (
	trackVariables = "session_track_system_variables"
	trackSchema    = "session_track_schema"
	trackState     = "session_track_state_change"
)

// with returns t as a SET of one of its variables leaves it; ok is false for a value that is not understood.
func (t tracking) with(name, value string) (out tracking, ok bool) {
	on, off := false, false
	switch strings.ToLower(value) {
	case "1", "on", "true":
		on = true
	case "0", "off", "false":
		off = true
	}
	switch name {
	case trackVariables:
		t.all, t.variables = false, nil
		for v := range strings.SplitSeq(value, ",") {
			switch v = strings.ToLower(strings.TrimSpace(v)); v {
			case "":
			case "*":
				t.all = true
			default:
				t.variables = append(t.variables, v)
			}
		}
		return t, true
	case trackSchema:
		t.schema = on
	case trackState:
		t.state = on
	}
	return t, on || off
}

// wants reports whether the client is to hear of an entry.
func (t *tracking) wants(e mysqlwire.StateChange) bool {
	switch e.Type {
	case mysqlwire.TrackSystemVariables:
		if name := string(e.Name); name == trackVariables || name == trackSchema || name == trackState {
			return t.all
		}
		return t.all || slices.Contains(t.variables, string(e.Name))
	case mysqlwire.TrackSchema:
		return t.schema
	case mysqlwire.TrackStateChange:
		return t.state
	}
	return true // asked for by variables that are the session's own
}

// appendWanted appends the entries of a session state that the client wants.
func (t *tracking) appendWanted(dst, state []byte) []byte {
	for len(state) > 0 {
		e, rest, err := mysqlwire.NextStateChange(state)
		if err != nil {
			return dst
		}
		if t.wants(e) {
			dst = append(dst, state[:len(state)-len(rest)]...)
		}
		state = rest
	}
	return dst
}
