package routines

import (
	"regexp"
	"strings"

	"forebay/internal/engine/postgres/sqltext"
)

// statelessExtensions have no C function that changes a session, apart from those in sqltext's own list.
var statelessExtensions = set(`address_standardizer adminpack amcheck autoinc bloom bool_plperl bool_plperlu btree_gin
	btree_gist citext cube dblink dict_int dict_xsyn earthdistance file_fdw fuzzystrmatch h3 hll hstore hstore_plperl
	hstore_plperlu insert_username intagg intarray ip4r isn jsonb_plperl jsonb_plperlu lo ltree moddatetime
	old_snapshot pageinspect pg_buffercache pg_freespacemap pg_prewarm pg_similarity pg_stat_statements pg_surgery
	pg_trgm pg_uuidv7 pg_visibility pg_walinspect pgaudit pgcrypto pgrowlocks pgstattuple plperl plperlu plpgsql plpython3u
	plv8 pltcl pltclu postgis postgis_raster postgis_sfcgal postgis_topology postgres_fdw prefix refint rum seg semver
	sslinfo tablefunc tcn tsm_system_rows tsm_system_time unaccent unit uuid-ossp vector xml2`)

// statefulExtensions keep variables of their own in the session, which no catalogue shows.
var statefulExtensions = set(`hypopg orafce pg_variables pgtt plproxy session_variable set_user`)

func set(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// cEffects returns what a routine in C does.
func cEffects(extension, name string) sqltext.Effects {
	switch {
	case statelessExtensions[extension]:
		return 0 // sqltext adds what it knows of the name
	case statefulExtensions[extension]:
		return unreadable | sqltext.Opaque
	}
	return unreadable
}

// Interpreters keep variables between calls; each has its ways to reach them. A routine that may do so is Opaque.
var (
	perlState = regexp.MustCompile(`_SHARED|\$::|\w::|\bour\b|\blocal\b|\bstate\b|\buse\b|\brequire\b|\bENV\b|\bsrand\b|\beval\b|\*\w+\s*=`)
	perlNames = regexp.MustCompile(`[$@%]#?\{?([A-Za-z_]\w*)`)
	perlMine  = regexp.MustCompile(`\bmy\s*(\([^)]*\)|[$@%]\w+)`)

	pythonState = regexp.MustCompile(`\b(GD|SD|global|globals|nonlocal|setattr|environ|seed|chdir|setlocale|exec|eval|builtins|__\w+__|getcontext|warnings)\b|\w\s*\.\s*\w+(\[[^\]]*\])*\s*[-+*/|&^%@]?=[^=]`)

	tclState = regexp.MustCompile(`\b(global|GD|variable|upvar|uplevel|namespace|env|eval|interp|rename|proc|srand)\b|::`)

	jsState    = regexp.MustCompile(`\b(globalThis|global|window|self|this|eval|Function|prototype|require|plv8_|find_function)\b|\w\s*\.\s*\w+(\[[^\]]*\])*\s*[-+*/|&^%]?=[^=]|\]\s*[-+*/|&^%]?=[^=]`)
	jsAssigned = regexp.MustCompile(`(?:^|[^.\w$])([A-Za-z_$][\w$]*)\s*(?:[-+*/|&^%]?=[^=>]|\+\+|--)`)
	jsDeclared = regexp.MustCompile(`\b(?:var|let|const|function)\s+([A-Za-z_$][\w$]*)`)

	// runsSQL finds the ways in which these languages run SQL.
	runsSQL = regexp.MustCompile(`\bspi_|\bplpy\s*\.|\bplv8\s*\.|\bspi\b|\belog\b`)
)

// interpreterEffects returns what a routine in a language other than SQL, PL/pgSQL and C does.
func interpreterEffects(language, source string) sqltext.Effects {
	e := unreadable
	if runsSQL.MatchString(source) {
		e |= sqltext.UnknownSetting
	}
	switch language {
	case "plperl", "plperlu":
		if perlState.MatchString(source) || !perlDeclared(source) {
			e |= sqltext.Opaque
		}
	case "plpython3u", "plpython2u", "plpythonu":
		if pythonState.MatchString(source) {
			e |= sqltext.Opaque
		}
	case "pltcl", "pltclu":
		if tclState.MatchString(source) {
			e |= sqltext.Opaque
		}
	case "plv8", "pljs":
		if jsState.MatchString(source) || !jsAllDeclared(source) {
			e |= sqltext.Opaque
		}
	default:
		e |= sqltext.Opaque
	}
	return e
}

// perlDeclared reports whether every variable in the source is declared by my: without strict, any other is global.
func perlDeclared(source string) bool {
	mine := set("_ a b _TD")
	for _, m := range perlMine.FindAllString(source, -1) {
		for _, n := range perlNames.FindAllStringSubmatch(m, -1) {
			mine[n[1]] = true
		}
	}
	for _, n := range perlNames.FindAllStringSubmatch(source, -1) {
		if !mine[n[1]] {
			return false
		}
	}
	return true
}

// jsAllDeclared reports whether every name that is assigned is declared: any other is global.
func jsAllDeclared(source string) bool {
	declared := map[string]bool{}
	for _, n := range jsDeclared.FindAllStringSubmatch(source, -1) {
		declared[n[1]] = true
	}
	for _, n := range jsAssigned.FindAllStringSubmatch(source, -1) {
		if !declared[n[1]] {
			return false
		}
	}
	return true
}
