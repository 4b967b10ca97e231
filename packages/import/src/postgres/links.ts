import type { ClientBase } from 'pg';
import { hasJournal, JOURNAL_SCHEMA } from './journal';

const NAME = 'azora_links';

/** The links of the journal (`relation`, `legacy`, `key`) for statements that read them; empty in a database without a journal. */
export const LINKS = `pg_temp.${NAME}`;

export const DROP_LINKS = `DROP VIEW IF EXISTS ${LINKS}`;

/** Creates the view of the links. It is temporary, so that a plan and a verification leave no trace in a database. */
export async function createLinks(client: ClientBase): Promise<void> {
  const links = (await hasJournal(client))
    ? `SELECT relation, legacy, key FROM ${JOURNAL_SCHEMA}.links`
    : 'SELECT NULL::text AS relation, NULL::text AS legacy, NULL::text AS key WHERE false';
  await client.query(`${DROP_LINKS}; CREATE TEMP VIEW ${NAME} AS ${links}`);
}
