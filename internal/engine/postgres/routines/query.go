package routines

import (
	"strings"
)

// Objects of users have OIDs from 16384 up (FirstNormalObjectId); what initdb made lies below.

// procQuery has a row for each routine: kind, oid, name, language, source, extension, kind of result, whether it can be
// called as an attribute of a row, and where its own search_path has pg_temp. Kind is "b" for a built-in routine (with its
// OIDs, joined by commas), "u" for another, "t" for a type whose name can stand before a parenthesis.
//
// The source of an SQL routine with a body of its own (BEGIN ATOMIC, RETURN) is its definition; that of an "internal"
// one the names of the built-in routines that run the same code.
const procQuery = `
SELECT 'b', pg_catalog.string_agg(p.oid::pg_catalog.text, ','), p.proname::pg_catalog.text,
       NULL, NULL, NULL, NULL, NULL, NULL
  FROM pg_catalog.pg_proc p WHERE p.oid < 16384 GROUP BY p.proname
UNION ALL
SELECT 'u', p.oid::pg_catalog.text, p.proname::pg_catalog.text, l.lanname::pg_catalog.text,
       CASE WHEN l.lanname = 'sql' AND p.prosrc = '' THEN pg_catalog.pg_get_functiondef(p.oid)
            WHEN l.lanname = 'internal' THEN (SELECT pg_catalog.string_agg(b.proname::pg_catalog.text, ',')
                                                FROM pg_catalog.pg_proc b
                                               WHERE b.oid < 16384 AND b.prosrc = p.prosrc)
            ELSE p.prosrc END,
       (SELECT e.extname::pg_catalog.text FROM pg_catalog.pg_depend d
          JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
         WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' LIMIT 1),
       CASE WHEN p.prokind = 'a' THEN 'aggregate'
            WHEN r.typname IN ('language_handler', 'fdw_handler', 'index_am_handler', 'table_am_handler',
                               'tsm_handler') THEN 'handler'
            ELSE '' END,
       (p.pronargs > 0 AND p.pronargs - p.pronargdefaults <= 1 AND a.typtype IN ('c', 'd', 'p'))::pg_catalog.text,
       CASE WHEN p.proconfig::pg_catalog.text ~ 'search_path=[\\"]*pg_temp' THEN 'first'
            WHEN p.proconfig::pg_catalog.text ~ 'search_path=.*pg_temp' THEN 'later' END
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  JOIN pg_catalog.pg_type r ON r.oid = p.prorettype
  LEFT JOIN pg_catalog.pg_type a ON a.oid = p.proargtypes[0]
 WHERE p.oid >= 16384
UNION ALL
SELECT 't', NULL, t.typname::pg_catalog.text, NULL, NULL, NULL, NULL, NULL, NULL
  FROM pg_catalog.pg_type t WHERE t.typmodin <> 0::pg_catalog.oid`

// useQuery has a row for each use of a routine by something else: the routine's oid, the catalogue and the oid of what
// uses it, and its source if that is an expression with a built-in routine.
//
// Uses of other routines are in pg_depend. Those of built-in ones are not: their oids are looked for in stored
// expressions. An UPDATE of pg_settings is a SET: views through which that is possible are like triggers. oids are of the
// built-in routines that matter.
func useQuery(oids []string) string {
	var b strings.Builder
	b.WriteString(`
SELECT DISTINCT d.refobjid::pg_catalog.text, d.classid::pg_catalog.regclass::pg_catalog.text,
       d.objid::pg_catalog.text, NULL
  FROM pg_catalog.pg_depend d
 WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid >= 16384
UNION ALL
SELECT NULL, 'pg_trigger', x.oid::pg_catalog.text, 'pg_settings'
  FROM pg_catalog.pg_rewrite x
 WHERE x.oid >= 16384 AND pg_catalog.pg_relation_is_updatable(x.ev_class::pg_catalog.regclass, false) & 4 <> 0
   AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = x.oid
                  AND d.refobjid = 'pg_catalog.pg_settings'::pg_catalog.regclass)`)
	if len(oids) == 0 {
		return b.String()
	}
	list := strings.Join(oids, ",")
	pattern := `':(funcid|opfuncid|aggfnoid|winfnoid) (` + strings.Join(oids, "|") + `) '`
	for _, e := range []struct{ class, oid, tree, source, from string }{
		{"pg_rewrite", "x.oid", "x.ev_action", "pg_catalog.pg_get_ruledef(x.oid)", "pg_catalog.pg_rewrite x"},
		{"pg_attrdef", "x.oid", "x.adbin", "pg_catalog.pg_get_expr(x.adbin, x.adrelid)", "pg_catalog.pg_attrdef x"},
		{"pg_policy", "x.oid", "x.polqual", "pg_catalog.pg_get_expr(x.polqual, x.polrelid)", "pg_catalog.pg_policy x"},
		{"pg_policy", "x.oid", "x.polwithcheck", "pg_catalog.pg_get_expr(x.polwithcheck, x.polrelid)", "pg_catalog.pg_policy x"},
		{"pg_constraint", "x.oid", "x.conbin", "pg_catalog.pg_get_constraintdef(x.oid)", "pg_catalog.pg_constraint x"},
		{"pg_class", "x.indexrelid", "x.indexprs", "pg_catalog.pg_get_expr(x.indexprs, x.indrelid)", "pg_catalog.pg_index x"},
		{"pg_class", "x.indexrelid", "x.indpred", "pg_catalog.pg_get_expr(x.indpred, x.indrelid)", "pg_catalog.pg_index x"},
		{"pg_class", "x.partrelid", "x.partexprs", "pg_catalog.pg_get_expr(x.partexprs, x.partrelid)", "pg_catalog.pg_partitioned_table x"},
		{"pg_trigger", "x.oid", "x.tgqual", "pg_catalog.pg_get_triggerdef(x.oid)", "pg_catalog.pg_trigger x"},
		{"pg_type", "x.oid", "x.typdefaultbin", "pg_catalog.pg_get_expr(x.typdefaultbin, 0)", "pg_catalog.pg_type x"},
		{"pg_proc", "x.oid", "x.proargdefaults", "pg_catalog.pg_get_expr(x.proargdefaults, 0)", "pg_catalog.pg_proc x"},
	} {
		b.WriteString("\nUNION ALL\nSELECT NULL, '" + e.class + "', " + e.oid + "::pg_catalog.text, " + e.source +
			"\n  FROM " + e.from + " WHERE " + e.oid + " >= 16384 AND " + e.tree + "::pg_catalog.text ~ " + pattern)
	}
	for _, e := range []struct{ class, oid, proc, from string }{
		{"pg_operator", "x.oid", "x.oprcode", "pg_catalog.pg_operator x"},
		{"pg_cast", "x.oid", "x.castfunc", "pg_catalog.pg_cast x"},
		{"pg_proc", "x.aggfnoid::pg_catalog.oid", "x.aggtransfn", "pg_catalog.pg_aggregate x"},
		{"pg_proc", "x.aggfnoid::pg_catalog.oid", "x.aggfinalfn", "pg_catalog.pg_aggregate x"},
	} {
		b.WriteString("\nUNION ALL\nSELECT " + e.proc + "::pg_catalog.oid::pg_catalog.text, '" + e.class + "', " + e.oid +
			"::pg_catalog.text, NULL\n  FROM " + e.from + " WHERE " + e.oid + " >= 16384 AND " + e.proc +
			"::pg_catalog.oid IN (" + list + ")")
	}
	return b.String()
}

// fingerprintQuery counts the rows of users in each catalogue that Load reads and sums a hash of their identity and of
// the transaction that wrote them. Freezing leaves xmin as it is.
func fingerprintQuery() string {
	var b strings.Builder
	for i, c := range []struct{ table, oid string }{
		{"pg_proc", "oid"},
		{"pg_trigger", "oid"},
		{"pg_event_trigger", "oid"},
		{"pg_rewrite", "oid"},
		{"pg_policy", "oid"},
		{"pg_attrdef", "oid"},
		{"pg_constraint", "oid"},
		{"pg_operator", "oid"},
		{"pg_cast", "oid"},
		{"pg_type", "oid"},
		{"pg_extension", "oid"},
		{"pg_language", "oid"},
		{"pg_index", "indexrelid"},
		{"pg_opclass", "oid"},
		{"pg_amproc", "oid"},
	} {
		if i > 0 {
			b.WriteString("\nUNION ALL\n")
		}
		b.WriteString("SELECT pg_catalog.count(*)::pg_catalog.text, pg_catalog.sum(pg_catalog.hashtextextended(x." + c.oid +
			"::pg_catalog.text || ':' || x.xmin::pg_catalog.text, 0))::pg_catalog.text FROM pg_catalog." + c.table +
			" x WHERE x." + c.oid + " >= 16384")
	}
	return b.String()
}
