/** The index methods that the schema language knows; all others are written by hand in migrations. */
export const SCHEMA_INDEX_METHODS: readonly string[] = ['btree', 'hash', 'gist', 'gin', 'spgist', 'brin'];
