package login

import "strings"

// splitOptions splits the startup parameter "options" at white space; a backslash takes the next byte as it is
// (pg_split_opts in the server's postinit.c).
func splitOptions(s string) []string {
	var args []string
	for i := 0; i < len(s); {
		for i < len(s) && isSpace(s[i]) {
			i++
		}
		if i == len(s) {
			break
		}
		var arg []byte
		escaped := false
		for ; i < len(s); i++ {
			if isSpace(s[i]) && !escaped {
				break
			}
			if !escaped && s[i] == '\\' {
				escaped = true
				continue
			}
			escaped = false
			arg = append(arg, s[i])
		}
		args = append(args, string(arg))
	}
	return args
}

// isSpace is the C library's isspace in the C locale.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// What each one-letter switch of the server's command line stands for (process_postgres_switches in postgres.c). A
// switch with a fixed value is in fixedSwitches, one whose argument is the value in valueSwitches. Switches that the
// server only takes from its own command line, or that it ignores, set nothing.
var (
	fixedSwitches = map[byte]Param{
		'e': {"DateStyle", "euro"},
		'F': {"fsync", "false"},
		'i': {"listen_addresses", "*"},
		'l': {"ssl", "true"},
		'O': {"allow_system_table_mods", "true"},
		'P': {"ignore_system_indexes", "true"},
		's': {"log_statement_stats", "true"},
	}
	valueSwitches = map[byte]string{
		'B': "shared_buffers",
		'h': "listen_addresses",
		'k': "unix_socket_directories",
		'N': "max_connections",
		'p': "port",
		'S': "work_mem",
		'W': "post_auth_delay",
	}
	planSwitches = map[string]string{
		"s": "enable_seqscan", "i": "enable_indexscan", "o": "enable_indexonlyscan", "b": "enable_bitmapscan",
		"t": "enable_tidscan", "n": "enable_nestloop", "m": "enable_mergejoin", "h": "enable_hashjoin",
	}
)

const (
	ignoredSwitches      = "bEjnT"
	ignoredValueSwitches = "CDrv"
)

// parseOptions turns the startup parameter "options" into settings, in order. The server reads the same text with
// getopt(3): letters may be joined, an argument may follow at once or as the next word, "--" ends it.
func parseOptions(s string) ([]Param, *Refusal) {
	var out []Param
	args := splitOptions(s)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			if len(args) > 0 {
				return nil, badSwitch(args[0])
			}
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			return nil, badSwitch(arg)
		}
		for letters := arg[1:]; letters != ""; {
			c := letters[0]
			letters = letters[1:]
			if p, ok := fixedSwitches[c]; ok {
				out = append(out, p)
				continue
			}
			if strings.IndexByte(ignoredSwitches, c) >= 0 {
				continue
			}
			// All the others take an argument: the rest of this word, or the next.
			value := letters
			letters = ""
			if value == "" {
				if len(args) == 0 {
					return nil, badSwitch(arg)
				}
				value, args = args[0], args[1:]
			}
			ps, refusal := valueSwitch(c, value, arg)
			if refusal != nil {
				return nil, refusal
			}
			out = append(out, ps...)
		}
	}
	return out, nil
}

// valueSwitch handles a switch with an argument.
func valueSwitch(c byte, value, arg string) ([]Param, *Refusal) {
	if name, ok := valueSwitches[c]; ok {
		return []Param{{name, value}}, nil
	}
	switch c {
	case 'c', '-':
		name, v, found := strings.Cut(value, "=")
		if !found {
			prefix := "-c "
			if c == '-' {
				prefix = "--"
			}
			return nil, optionError(prefix + printable(value) + " requires a value")
		}
		return []Param{{strings.ReplaceAll(name, "-", "_"), v}}, nil
	case 'd':
		return debugSwitch(value), nil
	case 'f':
		if name, ok := planSwitches[value]; ok {
			return []Param{{name, "false"}}, nil
		}
	case 't':
		switch {
		case strings.HasPrefix(value, "pa"):
			return []Param{{"log_parser_stats", "true"}}, nil
		case strings.HasPrefix(value, "pl"):
			return []Param{{"log_planner_stats", "true"}}, nil
		case strings.HasPrefix(value, "e"):
			return []Param{{"log_executor_stats", "true"}}, nil
		}
	default:
		if strings.IndexByte(ignoredValueSwitches, c) >= 0 {
			return nil, nil
		}
	}
	return nil, badSwitch(arg)
}

// debugSwitch is set_debug_options of postgres.c, as far as it applies to a session.
func debugSwitch(value string) []Param {
	level := 0
	for _, d := range []byte(value) {
		if d < '0' || d > '9' || level > 5 {
			break
		}
		level = level*10 + int(d-'0')
	}
	if level == 0 {
		return []Param{{"log_min_messages", "notice"}}
	}
	out := []Param{{"log_min_messages", "debug" + string(rune('0'+min(level, 5)))}}
	for i, p := range []Param{
		{"log_statement", "all"},
		{"debug_print_parse", "true"},
		{"debug_print_plan", "true"},
		{"debug_print_rewritten", "true"},
	} {
		if level >= i+2 {
			out = append(out, p)
		}
	}
	return out
}

func badSwitch(arg string) *Refusal {
	return optionError("invalid command-line argument for server process: " + printable(arg))
}

func optionError(message string) *Refusal {
	return &Refusal{SQLSTATE: codeSyntaxError, Message: message, Reason: "startup parameter options cannot be parsed"}
}

// printable bounds what is echoed to a client.
func printable(s string) string {
	const limit = 200
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
