import { asciiLower } from './tokens.ts';

/**
 * The allow-list of functions, by family. It was drawn from DuckDB 1.5's duckdb_functions() and reviewed name by name: what is here
 * computes a value from its arguments (or the clock, or a random number) and reaches nothing else. Whatever is not here is refused:
 * files, network, settings, catalog, secrets, sequences, logs, other SQL text, the state of the process, sleeping, planner internals.
 * A test holds each name against DuckDB itself, and makes each new name of a newer DuckDB a decision.
 * Operators are functions to DuckDB's parser, and so is much of its syntax ([1, 2] is list_value, EXTRACT is date_part).
 */
export const functionFamilies: Readonly<Record<string, string>> = {
  operators: '+ - * / // % ** ^ & | << >> ~ !__postfix @ || ~~ !~~ ~~* !~~* ~~~ ^@ ->> @> <@ && <-> <=>',
  'conditions and types':
    'nullif constant_or_null typeof pg_typeof error alias enum_code enum_first enum_last enum_range enum_range_boundary ' +
    'hash greatest least',
  numbers:
    'abs add subtract multiply divide mod fmod fdiv sign signbit ceil ceiling floor round round_even roundbankers trunc even exp ln log ' +
    'log2 log10 pow power sqrt cbrt factorial gamma lgamma gcd greatest_common_divisor lcm least_common_multiple pi degrees radians ' +
    'sin cos tan cot asin acos atan atan2 sinh cosh tanh asinh acosh atanh isfinite isinf isnan nextafter random bit_count xor ' +
    'equi_width_bins is_histogram_other_bin',
  text:
    'ascii ord chr unicode concat concat_ws contains starts_with ends_with prefix suffix instr position strpos left right ' +
    'left_grapheme right_grapheme length len char_length character_length length_grapheme strlen octet_length bit_length lower lcase ' +
    'upper ucase lpad rpad ltrim rtrim trim repeat replace reverse split split_part str_split string_split string_to_array ' +
    'str_split_regex string_split_regex regexp_split_to_array regexp_split_to_table substr substring substring_grapheme translate ' +
    'strip_accents nfc_normalize format printf format_bytes formatReadableSize formatReadableDecimalSize pg_size_pretty ' +
    'parse_formatted_bytes like_escape not_like_escape ilike_escape not_ilike_escape bar levenshtein editdist3 damerau_levenshtein ' +
    'hamming mismatches jaccard jaro_similarity jaro_winkler_similarity parse_path parse_dirname parse_dirpath parse_filename ' +
    'url_encode url_decode',
  'regular expressions': 'regexp_matches regexp_full_match regexp_extract regexp_extract_all regexp_replace regexp_escape',
  'bytes and hashes':
    'base64 to_base64 from_base64 hex to_hex from_hex unhex bin to_binary from_binary unbin to_base encode decode md5 md5_number ' +
    'md5_number_lower md5_number_upper sha1 sha256 get_bit set_bit bit_position bitstring uuid uuidv4 uuidv7 gen_random_uuid ' +
    'uuid_extract_timestamp uuid_extract_version',
  'dates and times':
    'now current_date current_localtime current_localtimestamp get_current_time get_current_timestamp today transaction_timestamp age ago ' +
    'century day dayname dayofmonth dayofweek dayofyear decade epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear julian last_day ' +
    'microsecond millennium millisecond minute month monthname nanosecond quarter second week weekday weekofyear year yearweek ' +
    'days_in_month date_add date_diff datediff date_part datepart date_sub datesub date_trunc datetrunc make_date make_time ' +
    'make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz normalized_interval strftime strptime try_strptime time_bucket ' +
    'timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds ' +
    'to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years',
  lists:
    'list_value list_pack list_aggr list_aggregate list_any_value list_append list_apply list_approx_count_distinct list_avg ' +
    'list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance ' +
    'list_cosine_similarity list_count list_distance list_distinct list_dot_product list_element list_entropy list_extract list_filter ' +
    'list_first list_grade_up list_has list_has_all list_has_any list_histogram list_indexof list_inner_product list_intersect ' +
    'list_kurtosis list_kurtosis_pop list_last list_mad list_max list_median list_min list_mode list_negative_dot_product ' +
    'list_negative_inner_product list_position list_prepend list_product list_reduce list_resize list_reverse list_reverse_sort ' +
    'list_select list_sem list_skewness list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform ' +
    'list_unique list_var_pop list_var_samp list_where list_zip aggregate apply filter reduce flatten grade_up array_aggr ' +
    'array_aggregate array_append array_apply array_cat array_concat array_contains array_cosine_distance array_cosine_similarity ' +
    'array_cross_product array_distance array_distinct array_dot_product array_extract array_filter array_grade_up array_has ' +
    'array_has_all array_has_any array_indexof array_inner_product array_intersect array_length array_negative_dot_product ' +
    'array_negative_inner_product array_pop_back array_pop_front array_position array_prepend array_push_back array_push_front ' +
    'array_reduce array_resize array_reverse array_reverse_sort array_select array_slice array_sort array_to_string ' +
    'array_to_string_comma_default array_transform array_unique array_value array_where array_zip cardinality element_at range ' +
    'generate_series generate_subscripts unnest',
  'structs and maps':
    'row struct_pack struct_concat struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert struct_keys ' +
    'struct_position struct_update struct_values map map_concat map_contains map_contains_entry map_contains_value map_entries ' +
    'map_extract map_extract_value map_from_entries map_keys map_values union_extract union_tag union_value variant_extract variant_typeof',
  JSON:
    'json json_array json_array_length json_contains json_exists json_extract json_extract_path json_extract_path_text ' +
    'json_extract_string json_group_array json_group_object json_group_structure json_keys json_merge_patch json_object json_pretty ' +
    'json_quote json_structure json_transform json_transform_strict json_type json_valid json_value from_json from_json_strict to_json ' +
    'row_to_json array_to_json',
  aggregates:
    'any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null ' +
    'arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count count_if count_star ' +
    'countif covar_pop covar_samp entropy favg first fsum geomean geometric_mean group_concat histogram histogram_exact kahan_sum kurtosis ' +
    'kurtosis_pop last list listagg mad max max_by mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx ' +
    'regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness stddev stddev_pop ' +
    'stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance wavg weighted_avg',
  windows: 'row_number rank dense_rank rank_dense percent_rank cume_dist ntile lag lead first_value last_value nth_value fill',
};

/** Functions that may stand in FROM. Those that read files, the catalog, settings or SQL text are not among them. */
export const tableFunctions = 'range generate_series unnest repeat repeat_row json_each json_tree';

const allowed: ReadonlySet<string> = new Set(Object.values(functionFamilies).flatMap((names) => names.toLowerCase().split(' ')));
const allowedInFrom: ReadonlySet<string> = new Set(tableFunctions.split(' '));

/** Whether the function may be called; `name` in any case. `inFrom` is for one that stands in FROM as a table. */
export function isAllowedFunction(name: string, inFrom: boolean): boolean {
  return (inFrom ? allowedInFrom : allowed).has(asciiLower(name));
}
