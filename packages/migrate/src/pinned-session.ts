/**
 * The settings of a session that change how PostgreSQL prints a definition, and the values with which definitions are compared.
 * With an empty search path, every definition includes its schema names. Compiling the query would take longer than running it.
 */
const PINNED: Readonly<Record<string, string>> = {
  search_path: '',
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
  jit: 'off',
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
};

const NAMES = `(VALUES ${Object.entries(PINNED)
  .map(([name, value]) => `('${name}', '${value}')`)
  .join(', ')}) AS pinned (name, value)`;

/** Sets the values until the end of the transaction, and remembers those of the caller. */
export const PIN_SESSION = `SELECT set_config('azora.' || name, current_setting(name), true), set_config(name, value, true) FROM ${NAMES}`;

/** Gives the caller's values back, in the same transaction. */
export const UNPIN_SESSION = `SELECT set_config(name, current_setting('azora.' || name), true) FROM ${NAMES}`;
