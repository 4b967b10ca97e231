import { IMPORT_JOURNAL, isOwnObject } from './catalog-scope';

/** The first oid of an object that initdb did not make (FirstNormalObjectId). */
const FIRST_OWN = 16384;

/** A row of a catalog as JSON, without the columns that differ between two databases with the same objects. */
const rowOf = (catalog: string, without: readonly string[]): string =>
  `(to_jsonb(${catalog}) - '{oid,${without.join(',')}}'::text[])::text`;

/** A branch of the query about a catalog whose objects are in schemas. */
const inSchema = (kind: string, catalog: string, prefix: string, object: string, definition: string): string => `
  SELECT '${kind}', ${object}, ${definition}, NULL, NULL
    FROM ${catalog} JOIN space ON space.oid = ${prefix}namespace
    WHERE ${isOwnObject(`${catalog}.oid`, catalog)}`;

/** A branch of the query about a catalog whose objects are in no schema. */
const outside = (kind: string, catalog: string, object: string, definition: string): string => `
  SELECT '${kind}', ${object}, ${definition}, NULL, NULL
    FROM ${catalog}
    WHERE ${catalog}.oid >= ${FIRST_OWN} AND ${isOwnObject(`${catalog}.oid`, catalog)}`;

const nameIn = (catalog: string, prefix: string, oid: string): string =>
  `(SELECT concat(${prefix}namespace::regnamespace, '.', ${prefix}name) FROM ${catalog} named WHERE named.oid = ${oid})`;

const AGGREGATE = `(
  SELECT concat_ws(' ', pg_get_function_result(pg_proc.oid), proparallel, aggtranstype::regtype, nullif(aggmtranstype, 0)::regtype,
      nullif(aggsortop, 0)::regoperator, ${rowOf('pg_aggregate', ['aggfnoid', 'aggtranstype', 'aggmtranstype', 'aggsortop'])})
    FROM pg_aggregate WHERE aggfnoid = pg_proc.oid)`;

const FUNCTION = inSchema(
  'function',
  'pg_proc',
  'pro',
  'pg_proc.oid::regprocedure::text',
  `concat_ws(' ', prokind, CASE prokind WHEN 'a' THEN ${AGGREGATE} ELSE pg_get_functiondef(pg_proc.oid) END)`,
);

/** Enumerations, domains, ranges, base types and shells. Composite types are relations; arrays belong to their element. */
const TYPE = `${inSchema(
  'type',
  'pg_type',
  'typ',
  'concat(prefix, typname)',
  `concat_ws(' ', typtype, CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) END,
      CASE WHEN typtype = 'd' AND typcollation <> (SELECT base.typcollation FROM pg_type base WHERE base.oid = pg_type.typbasetype)
        THEN 'COLLATE ' || typcollation::regcollation END,
      CASE WHEN typnotnull THEN 'NOT NULL' END, typdefault,
      (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid),
      (SELECT concat_ws(' ', rngsubtype::regtype, nullif(rngcollation, 0)::regcollation, rngcanonical, rngsubdiff, rngmultitypid::regtype,
          (SELECT concat(opcnamespace::regnamespace, '.', opcname) FROM pg_opclass WHERE pg_opclass.oid = rngsubopc))
        FROM pg_range WHERE rngtypid = pg_type.oid),
      CASE WHEN typtype = 'b' THEN concat_ws(' ', typlen, typbyval, typalign, typstorage, typcategory, typispreferred, typdelim,
        typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript, nullif(typelem, 0)::regtype,
        nullif(typcollation, 0)::regcollation) END,
      CASE WHEN NOT typisdefined THEN 'SHELL' END)`,
)}
      AND (typtype IN ('e', 'd', 'r') OR NOT typisdefined
        OR typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = pg_type.oid))`;

const OPERATOR = [
  inSchema(
    'operator',
    'pg_operator',
    'opr',
    'pg_operator.oid::regoperator::text',
    `concat_ws(' ', nullif(oprcom, 0)::regoperator, nullif(oprnegate, 0)::regoperator,
      ${rowOf('pg_operator', ['oprnamespace', 'oprowner', 'oprleft', 'oprright', 'oprresult', 'oprcom', 'oprnegate'])})`,
  ),
  inSchema(
    'operator class',
    'pg_opclass',
    'opc',
    `concat(prefix, opcname, ' USING ', (SELECT amname FROM pg_am WHERE pg_am.oid = opcmethod))`,
    `concat_ws(' ', opcintype::regtype, nullif(opckeytype, 0)::regtype, opcdefault, ${nameIn('pg_opfamily', 'opf', 'opcfamily')})`,
  ),
  inSchema(
    'operator family',
    'pg_opfamily',
    'opf',
    `concat(prefix, opfname, ' USING ', (SELECT amname FROM pg_am WHERE pg_am.oid = opfmethod))`,
    `concat_ws(' ',
      (SELECT string_agg(concat_ws(' ', amopstrategy, amoppurpose, amopopr::regoperator, ${nameIn('pg_opfamily', 'opf', 'amopsortfamily')}),
          ', ' ORDER BY amopstrategy, amopopr::regoperator::text COLLATE "C") FROM pg_amop WHERE amopfamily = pg_opfamily.oid),
      (SELECT string_agg(concat_ws(' ', amprocnum, amproclefttype::regtype, amprocrighttype::regtype, amproc::regprocedure),
          ', ' ORDER BY amprocnum, amproc::regprocedure::text COLLATE "C") FROM pg_amproc WHERE amprocfamily = pg_opfamily.oid))`,
  ),
].join('\n  UNION ALL');

const TEXT_SEARCH = [
  inSchema(
    'text search configuration',
    'pg_ts_config',
    'cfg',
    'concat(prefix, cfgname)',
    `concat_ws(' ', ${nameIn('pg_ts_parser', 'prs', 'cfgparser')},
      (SELECT string_agg(concat_ws(' ', maptokentype, mapseqno, mapdict::regdictionary), ', ' ORDER BY maptokentype, mapseqno)
        FROM pg_ts_config_map WHERE mapcfg = pg_ts_config.oid))`,
  ),
  inSchema(
    'text search dictionary',
    'pg_ts_dict',
    'dict',
    'concat(prefix, dictname)',
    `concat_ws(' ', ${nameIn('pg_ts_template', 'tmpl', 'dicttemplate')}, dictinitoption)`,
  ),
  inSchema(
    'text search template',
    'pg_ts_template',
    'tmpl',
    'concat(prefix, tmplname)',
    rowOf('pg_ts_template', ['tmplnamespace']),
  ),
  inSchema(
    'text search parser',
    'pg_ts_parser',
    'prs',
    'concat(prefix, prsname)',
    rowOf('pg_ts_parser', ['prsnamespace']),
  ),
].join('\n  UNION ALL');

const OTHERS_IN_SCHEMAS = [
  inSchema(
    'collation',
    'pg_collation',
    'coll',
    'concat(prefix, collname)',
    rowOf('pg_collation', ['collnamespace', 'collowner', 'collversion']),
  ),
  inSchema(
    'conversion',
    'pg_conversion',
    'con',
    'concat(prefix, conname)',
    rowOf('pg_conversion', ['connamespace', 'conowner']),
  ),
  inSchema(
    'statistics',
    'pg_statistic_ext',
    'stx',
    'concat(prefix, stxname)',
    `concat_ws(' ', pg_get_statisticsobjdef(pg_statistic_ext.oid), nullif(stxstattarget, -1))`,
  ),
].join('\n  UNION ALL');

const OUTSIDE = [
  outside('schema', 'pg_namespace', 'nspname::text', `''`).replace(
    'WHERE',
    `WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> '${IMPORT_JOURNAL}' AND`,
  ),
  outside(
    'cast',
    'pg_cast',
    `concat_ws(' AS ', castsource::regtype, casttarget::regtype)`,
    `concat_ws(' ', castfunc::regprocedure, castcontext, castmethod)`,
  ),
  outside(
    'language',
    'pg_language',
    'lanname::text',
    `concat_ws(' ', lanpltrusted, lanplcallfoid::regproc, laninline::regproc, lanvalidator::regproc)`,
  ),
  outside('access method', 'pg_am', 'amname::text', `concat_ws(' ', amtype, amhandler)`),
  outside(
    'foreign data wrapper',
    'pg_foreign_data_wrapper',
    'fdwname::text',
    `concat_ws(' ', fdwhandler::regproc, fdwvalidator::regproc, fdwoptions)`,
  ),
  outside(
    'server',
    'pg_foreign_server',
    'srvname::text',
    `concat_ws(' ', (SELECT fdwname FROM pg_foreign_data_wrapper named WHERE named.oid = srvfdw), srvtype, srvversion, srvoptions)`,
  ),
  outside(
    'event trigger',
    'pg_event_trigger',
    'evtname::text',
    `concat_ws(' ', evtevent, evtfoid::regprocedure, evtenabled, evttags)`,
  ),
  outside(
    'transform',
    'pg_transform',
    `concat_ws(' ', trftype::regtype, (SELECT lanname FROM pg_language named WHERE named.oid = trflang))`,
    `concat_ws(' ', trffromsql, trftosql)`,
  ),
  `
  SELECT 'extension', extname::text, extnamespace::regnamespace::text, NULL, NULL FROM pg_extension`,
].join('\n  UNION ALL');

/** A condition on a comment: its object belongs to a relation, by way of a row of that catalog. */
const onRelation = (catalog: string, relation: string): string =>
  `EXISTS (SELECT FROM ${catalog} JOIN relation ON relation.oid = ${relation} WHERE ${catalog}.oid = objoid)`;

/** The comment of an extension is the server's, and the one on the history table holds the fingerprint. */
const COMMENT = `
  SELECT 'comment', concat_ws(' ', described.type, described.identity), description, NULL, NULL
    FROM (
      SELECT * FROM pg_description
      WHERE CASE classoid
        WHEN 'pg_class'::regclass THEN EXISTS (SELECT FROM relation WHERE oid = objoid)
          OR EXISTS (SELECT FROM pg_index JOIN relation ON relation.oid = indrelid WHERE indexrelid = objoid)
        WHEN 'pg_constraint'::regclass THEN EXISTS (SELECT FROM pg_constraint LEFT JOIN relation ON relation.oid = conrelid
          WHERE pg_constraint.oid = objoid AND contype <> 'n' AND (contypid <> 0 OR relation.oid IS NOT NULL))
        WHEN 'pg_trigger'::regclass THEN ${onRelation('pg_trigger', 'tgrelid')}
        WHEN 'pg_rewrite'::regclass THEN ${onRelation('pg_rewrite', 'ev_class')}
        WHEN 'pg_policy'::regclass THEN ${onRelation('pg_policy', 'polrelid')}
        WHEN 'pg_namespace'::regclass THEN description <> 'standard public schema' AND objoid IN (SELECT oid FROM space)
        WHEN 'pg_extension'::regclass THEN false
        -- Replication belongs to a server, not to a schema.
        WHEN 'pg_publication'::regclass THEN false
        WHEN 'pg_subscription'::regclass THEN false
        ELSE objoid >= ${FIRST_OWN}
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = classoid AND objid = objoid AND deptype = 'e') END
      -- Only these are identified.
      OFFSET 0
    ) AS own, pg_identify_object(classoid, objoid, objsubid) AS described
    WHERE coalesce(described.schema, '') NOT LIKE 'pg\\_%'`;

/** Objects that belong to no relation, and all comments; the columns are those of the relations' objects. */
export const OTHER_OBJECTS = [FUNCTION, TYPE, OPERATOR, TEXT_SEARCH, OTHERS_IN_SCHEMAS, OUTSIDE, COMMENT].join(
  '\n  UNION ALL',
);
