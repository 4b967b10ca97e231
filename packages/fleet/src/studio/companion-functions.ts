const NAMES = `
  abs array_agg array_cat array_dims array_length array_lower array_position array_remove array_to_json array_to_string
  array_upper avg bool_and bool_or btrim cardinality ceil ceiling char_length clock_timestamp coalesce col_description
  concat concat_ws cosine_distance count cume_dist current_database current_schema current_schemas current_setting
  date_bin date_part date_trunc dense_rank encode exp extract first_value floor format format_type gen_random_uuid
  greatest inner_product initcap isfinite json_agg json_array_length json_build_array json_build_object json_object_agg
  jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
  jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg jsonb_object_keys jsonb_pretty
  jsonb_typeof l1_distance l2_distance lag last_value lead least left length ln log lower lpad ltrim make_date make_interval
  max md5 min mod mode nullif now ntile nth_value num_nonnulls num_nulls numnode obj_description octet_length overlay
  percent_rank percentile_cont percentile_disc pg_column_size pg_get_constraintdef pg_get_expr pg_get_indexdef
  pg_get_serial_sequence pg_get_userbyid pg_relation_size pg_size_pretty pg_table_is_visible pg_table_size
  pg_total_relation_size phraseto_tsquery plainto_tsquery position power quote_ident quote_literal rank regexp_count
  regexp_match regexp_matches regexp_replace regexp_split_to_array repeat replace reverse right round row_number
  row_to_json rpad rtrim sha256 sign similarity split_part sqrt starts_with stddev string_agg string_to_array strpos
  substr substring sum timezone to_char to_date to_json to_jsonb to_number to_regclass to_timestamp to_tsquery
  to_tsvector translate trim trunc ts_headline ts_rank ts_rank_cd tsvector_to_array unnest upper variance vector_dims
  vector_norm version websearch_to_tsquery width_bucket`;

/** Functions that read nothing but their arguments and the catalog, run no text as SQL, and set nothing. */
export const COMPANION_FUNCTIONS: ReadonlySet<string> = new Set(NAMES.trim().split(/\s+/));
