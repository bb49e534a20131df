package sqltext

// builtinEffects lists the routines that come with the server, or with extensions of its own distribution, and keep
// or read session state. All other built-in routines are clean. A name stands for all its overloads.
//
// Sources: src/include/catalog/pg_proc.dat and the contrib modules of PostgreSQL 12 to 18.
var builtinEffects = map[string]Effects{
	// Settings. pg_trgm's set_limit sets pg_trgm.similarity_threshold.
	"set_config": isSetConfig,
	"set_limit":  Look,

	// The seed of random() can be set but never read.
	"setseed": Opaque,

	// Session advisory locks show in pg_locks. The *_xact_* forms end with the transaction and are clean.
	"pg_advisory_lock":            Look,
	"pg_advisory_lock_shared":     Look,
	"pg_try_advisory_lock":        Look,
	"pg_try_advisory_lock_shared": Look,
	"pg_advisory_unlock":          Look | Ends,
	"pg_advisory_unlock_shared":   Look | Ends,
	"pg_advisory_unlock_all":      Look | Ends,

	"current_timestamp": 0, // grammar, too long for the keyword table

	"nextval": SequenceWrite,
	"setval":  SequenceWrite,
	"currval": SequenceRead | SequenceNamed,
	"lastval": SequenceRead | SequenceNamed,
	"autoinc": SequenceWrite, // spi/autoinc: a trigger that calls nextval

	// A backup runs in a session and ends with it; no view shows whose it is.
	"pg_backup_start": Opaque,
	"pg_start_backup": Opaque,
	"pg_backup_stop":  Opaque | Ends,
	"pg_stop_backup":  Opaque | Ends,

	// The origin marks everything the session commits. The second pair's position has no function that reads it.
	"pg_replication_origin_session_setup": Opaque,
	"pg_replication_origin_session_reset": Opaque | Ends,
	"pg_replication_origin_xact_setup":    Opaque,
	"pg_replication_origin_xact_reset":    Opaque,

	// Temporary replication slots belong to the session.
	"pg_create_physical_replication_slot": Opaque,
	"pg_create_logical_replication_slot":  Opaque,
	"pg_copy_physical_replication_slot":   Opaque,
	"pg_copy_logical_replication_slot":    Opaque,

	// These prepare the next CREATE through variables of the process.
	"binary_upgrade_set_next_array_pg_type_oid":            Opaque,
	"binary_upgrade_set_next_heap_pg_class_oid":            Opaque,
	"binary_upgrade_set_next_heap_relfilenode":             Opaque,
	"binary_upgrade_set_next_index_pg_class_oid":           Opaque,
	"binary_upgrade_set_next_index_relfilenode":            Opaque,
	"binary_upgrade_set_next_multirange_array_pg_type_oid": Opaque,
	"binary_upgrade_set_next_multirange_pg_type_oid":       Opaque,
	"binary_upgrade_set_next_pg_authid_oid":                Opaque,
	"binary_upgrade_set_next_pg_enum_oid":                  Opaque,
	"binary_upgrade_set_next_pg_tablespace_oid":            Opaque,
	"binary_upgrade_set_next_pg_type_oid":                  Opaque,
	"binary_upgrade_set_next_toast_pg_class_oid":           Opaque,
	"binary_upgrade_set_next_toast_relfilenode":            Opaque,
	"binary_upgrade_set_record_init_privs":                 Opaque,
	"pg_stop_making_pinned_objects":                        Opaque,

	// SQL given as text: the text decides, if it is a literal.
	"query_to_xml":               runsText,
	"query_to_xml_and_xmlschema": runsText,
	"query_to_xmlschema":         runsText,
	"ts_stat":                    runsText,
	"ts_rewrite":                 runsText,
	"crosstab":                   runsText, // tablefunc
	"crosstab2":                  runsText,
	"crosstab3":                  runsText,
	"crosstab4":                  runsText,
	"crosstabn":                  runsText,
	"crosstab_hash":              runsText,
	"connectby":                  runsText,
	"xpath_table":                runsText, // xml2

	// A cursor's query was seen, and flagged, where the cursor was declared in the same transaction; these also take
	// holdable cursors and those that a function opened.
	"cursor_to_xml":       Look | SequenceWrite | SequenceRead,
	"cursor_to_xmlschema": Look | SequenceWrite | SequenceRead,

	// dblink keeps connections, and cursors in them, by name; the nameless one cannot be listed. dblink and
	// dblink_exec with a connection string open a connection and close it again, and change nothing here.
	"dblink_connect":    Opaque,
	"dblink_connect_u":  Opaque,
	"dblink_disconnect": Opaque | Ends,
	"dblink_open":       Opaque,
	"dblink_send_query": Opaque,

	"isn_weak": Opaque, // isn: a variable of the process up to version 17
}

// BuiltinEffects returns what a routine of this folded name does if it is one that comes with the server or its
// extensions, and 0 if it is not listed. The result may hold marks that only this package understands; hand it to
// NewRoutines unchanged.
func BuiltinEffects(name string) Effects { return builtinEffects[name] }
