package sqltext

import "strings"

// always means every server that this package is for.
const always = 1

// functions lists what is built in, by the lowest versions that have it; a function that one of the servers lost, or
// never had, may be a stored function there, and then it is a Call. None of these leaves anything in the session but
// for those in functionEffects. ("Built-In Function and Operator Reference"; information_schema.SQL_FUNCTIONS, MariaDB)
var functions = []struct {
	mysql, mariadb uint32
	names          string
}{
	{always, always, `abs acos adddate addtime aes_decrypt aes_encrypt ascii asin atan atan2 avg benchmark bin bit_and
		bit_count bit_length bit_or bit_xor cast ceil ceiling char char_length character_length charset coalesce
		coercibility collation compress concat concat_ws connection_id conv convert convert_tz cos cot count crc32
		curdate current_date current_time current_timestamp current_user curtime database date date_add date_format
		date_sub datediff day dayname dayofmonth dayofweek dayofyear default degrees elt exp export_set extract
		extractvalue field find_in_set floor format found_rows from_base64 from_days from_unixtime get_format get_lock
		greatest group_concat hex hour if ifnull inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr
		is_free_lock is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_used_lock isnull json_array json_array_append
		json_array_insert json_contains json_contains_path json_depth json_extract json_insert json_keys json_length
		json_merge json_object json_quote json_remove json_replace json_search json_set json_type json_unquote
		json_valid last_day last_insert_id lcase least left length ln load_file localtime localtimestamp locate log
		log10 log2 lower lpad ltrim make_set makedate maketime master_pos_wait max microsecond mid min minute mod
		month monthname name_const now nullif oct octet_length ord period_add period_diff pi position pow power
		quarter quote radians rand release_all_locks release_lock repeat replace reverse right round row_count rpad
		rtrim schema sec_to_time second session_user sha2 sign sin sleep soundex space sqrt std stddev
		stddev_pop stddev_samp str_to_date strcmp subdate substr substring substring_index subtime sum sysdate
		system_user tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_days
		to_seconds trim truncate ucase uncompress uncompressed_length unhex unix_timestamp updatexml upper user
		utc_date utc_time utc_timestamp uuid uuid_short values var_pop var_samp variance version week weekday
		weekofyear weight_string year yearweek
		geometrycollection linestring mbrcontains mbrdisjoint mbrintersects mbroverlaps mbrtouches mbrwithin
		multilinestring multipoint multipolygon point polygon st_area st_asbinary st_asgeojson st_astext st_aswkb
		st_aswkt st_buffer st_centroid st_contains st_convexhull st_crosses st_difference st_dimension st_disjoint
		st_distance st_endpoint st_envelope st_equals st_exteriorring st_geomcollfromtext st_geomcollfromwkb
		st_geometrycollectionfromtext st_geometrycollectionfromwkb st_geometryfromtext st_geometryfromwkb
		st_geometryn st_geometrytype st_geomfromgeojson st_geomfromtext st_geomfromwkb st_interiorringn
		st_intersection st_intersects st_isclosed st_isempty st_issimple st_length st_linefromtext st_linefromwkb
		st_linestringfromtext st_linestringfromwkb st_numgeometries st_numinteriorrings st_numpoints st_overlaps
		st_pointfromtext st_pointfromwkb st_pointn st_polyfromtext st_polyfromwkb st_polygonfromtext
		st_polygonfromwkb st_srid st_startpoint st_symdifference st_touches st_union st_within st_x st_y`},

	{always, always, "md5 sha sha1"}, // see lostInMySQL
	{mysql: always, names: `any_value gtid_subset gtid_subtract mbrcoveredby mbrcovers mbrequals random_bytes
		st_buffer_strategy st_distance_sphere st_geohash st_isvalid st_latfromgeohash st_longfromgeohash
		st_makeenvelope st_pointfromgeohash st_simplify st_validate validate_password_strength
		wait_for_executed_gtid_set`},
	{mysql: 50722, names: `json_arrayagg json_merge_patch json_merge_preserve json_objectagg json_pretty
		json_storage_size`},
	{mysql: 80011, names: `bin_to_uuid cume_dist current_role dense_rank first_value grouping icu_version is_uuid
		json_storage_free json_table lag last_value lead nth_value ntile percent_rank rank regexp_instr regexp_like
		regexp_replace regexp_substr roles_graphml row_number st_geomcollfromtxt st_latitude st_longitude
		st_mlinefromtext st_mlinefromwkb st_mpointfromtext st_mpointfromwkb st_mpolyfromtext st_mpolyfromwkb
		st_multilinestringfromtext st_multilinestringfromwkb st_multipointfromtext st_multipointfromwkb
		st_multipolygonfromtext st_multipolygonfromwkb st_numinteriorring st_swapxy st_transform
		statement_digest statement_digest_text uuid_to_bin`},
	{mysql: 80022, names: `format_bytes format_pico_time json_overlaps json_schema_valid
		json_schema_validation_report json_value ps_current_thread_id ps_thread_id`},
	{mysql: 80026, names: `source_pos_wait st_collect st_frechetdistance st_hausdorffdistance
		st_lineinterpolatepoint st_lineinterpolatepoints st_pointatdistance`},
	{mysql: 90000, names: `from_vector string_to_vector to_vector vector_dim vector_to_string`},
	{mysql: 90700, names: `etag geomcollection`}, // seen there; older ones may have them

	{mariadb: always, names: `binlog_gtid_pos chr column_add column_check column_create column_delete column_exists
		column_get column_json column_list concat_operator_oracle cume_dist current_role decode decode_histogram
		decode_oracle dense_rank encode encrypt first_value json_compact json_detailed json_exists json_loose
		json_merge_patch json_merge_preserve json_query json_value lag last_value lastval lead lengthb
		lpad_oracle ltrim_oracle master_gtid_wait median nextval nth_value ntile nvl nvl2 old_password password
		percent_rank percentile_cont percentile_disc rank regexp_instr regexp_replace regexp_substr replace_oracle
		row_number rpad_oracle rtrim_oracle setval st_boundary st_isring st_pointonsurface st_relate substr_oracle
		trim_oracle
		area asbinary astext aswkb aswkt boundary buffer centroid convexhull crosses dimension endpoint envelope
		exteriorring geomcollfromtext geomcollfromwkb geometryfromtext geometryfromwkb geometryn geometrytype
		geomfromtext geomfromwkb glength interiorringn intersects isclosed isempty isring issimple linefromtext
		linefromwkb linestringfromtext linestringfromwkb mbrequal mlinefromtext mlinefromwkb mpointfromtext
		mpointfromwkb mpolyfromtext mpolyfromwkb numgeometries numinteriorrings numpoints pointfromtext
		pointfromwkb pointn pointonsurface polyfromtext polyfromwkb polygonfromtext polygonfromwkb srid startpoint`},
	{mariadb: 100500, names: `json_arrayagg json_objectagg st_distance_sphere`},
	{mariadb: 100601, names: `add_months json_table rownum sys_guid to_char`},
	{mariadb: 100700, names: `json_equals json_normalize natural_sort_key sformat`},
	{mariadb: 100800, names: `crc32c`},
	{mariadb: 100900, names: `json_overlaps`},
	{mariadb: 101010, names: `json_pretty random_bytes`},
	{mariadb: 101100, names: `contains des_decrypt des_encrypt disjoint equals geometrycollectionfromtext
		geometrycollectionfromwkb mbrequals multilinestringfromtext multilinestringfromwkb multipointfromtext
		multipointfromwkb multipolygonfromtext multipolygonfromwkb overlaps st_mlinefromtext st_mlinefromwkb
		st_mpointfromtext st_mpointfromwkb st_mpolyfromtext st_mpolyfromwkb st_multilinestringfromtext
		st_multilinestringfromwkb st_multipointfromtext st_multipointfromwkb st_multipolygonfromtext
		st_multipolygonfromwkb touches within`}, // seen there; older ones have most of them
	{mariadb: 110200, names: `json_array_intersect json_key_value json_object_filter_keys json_object_to_array
		json_schema_valid`},
	{mariadb: 110300, names: `kdf`},
	{mariadb: 110700, names: `uuid_v4 uuid_v7 vec_distance vec_distance_cosine vec_distance_euclidean vec_fromtext
		vec_totext`},
	{mariadb: 110800, names: `format_bytes format_pico_time`},
}

// lostInMySQL has the functions that MySQL has no more, by the version since which they may be loadable or stored ones.
// ("Legacy Hashing Component")
var lostInMySQL = map[string]uint32{"md5": 90600, "sha": 90600, "sha1": 90600}

// loadable lists functions of MySQL's own components and plugins that leave nothing in the session and read nothing from it
// but what came with the statement. They are there where they have been installed; else a stored function may have the name.
// ("Loadable Function Reference".) Not listed: audit_log_read, which keeps its place in the session; locks; what changes the
// server for all.
var loadable = func() map[string]bool {
	all := make(map[string]bool)
	for name := range strings.FieldsSeq(`mysql_query_attribute_string audit_api_message_emit_udf md5 sha sha1
		asymmetric_decrypt asymmetric_derive asymmetric_encrypt asymmetric_sign asymmetric_verify
		create_asymmetric_priv_key create_asymmetric_pub_key create_dh_parameters create_digest
		gen_blacklist gen_blocklist gen_dictionary gen_range gen_rnd_canada_sin gen_rnd_email gen_rnd_iban gen_rnd_pan
		gen_rnd_ssn gen_rnd_uk_nin gen_rnd_us_phone gen_rnd_uuid mask_canada_sin mask_iban mask_inner mask_outer
		mask_pan mask_pan_relaxed mask_ssn mask_uk_nin mask_uuid
		keyring_key_fetch keyring_key_generate keyring_key_length_fetch keyring_key_remove keyring_key_store
		keyring_key_type_fetch`) {
		all[name] = true
	}
	return all
}()

// Loadable reports whether a function that is no stored one is known to have nothing to do with the session.
func Loadable(name []byte) bool { return loadable[strings.ToLower(string(name))] }

// functionEffects lists the functions that leave or read something in the session. A name that is not built in has its
// effects beside Call. Not listed, since they are clean: RAND(), whose seeds only variables can set, and RAND(n), which
// keeps a seed of its own; IS_FREE_LOCK(); SETVAL().
var functionEffects = map[string]Effects{
	// "Information Functions". LAST_INSERT_ID(x) sets: see scan.call.
	"last_insert_id":       LastInsertIDRead,
	"row_count":            RowCountRead,
	"found_rows":           FoundRowsRead,
	"connection_id":        ThreadID,
	"ps_current_thread_id": ThreadID,
	"ps_thread_id":         ThreadID,
	// "Locking Functions". IS_USED_LOCK returns the holder's connection id.
	"get_lock":          NamedLock,
	"release_lock":      Ends,
	"release_all_locks": Ends,
	"is_used_lock":      ThreadID,
	// "The Locking Service" and "Version Tokens": loadable functions.
	"service_get_read_locks":        NamedLock,
	"service_get_write_locks":       NamedLock,
	"service_release_locks":         Ends,
	"version_tokens_lock_shared":    NamedLock,
	"version_tokens_lock_exclusive": NamedLock,
	"version_tokens_unlock":         Ends,
	// "SEQUENCE Functions", MariaDB.
	"nextval": SequenceWrite,
	"lastval": SequenceRead,
}

// builtIn reports whether the function is one of the server's own.
func (k *keyword) builtIn(mode Mode) bool {
	since := k.mysql
	if mode.MariaDB {
		since = k.mariadb
	} else if k.lost != 0 && (mode.Version == 0 || mode.Version >= k.lost) {
		return false
	}
	return since != 0 && since <= mode.version()
}
