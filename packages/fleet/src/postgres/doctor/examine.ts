import { setTimeout as sleep } from 'node:timers/promises';
import { findDatabaseError } from '@azora/db-core';
import { HISTORY } from '@azora/db-migrate';
import type { ClientBase, QueryResult } from 'pg';
import type { Check, CheckContext, Finding } from './check';
import { checkForeignKeys } from './foreign-keys';
import { checkIndexes } from './indexes';
import { checkExclusiveLocks, checkMigrationLock, checkPrepared, checkTransactions, checkWaits } from './locks';
import { checkObjectRights, checkRoleRights } from './rights';
import { checkSagas } from './sagas';
import {
  checkConnections,
  checkDatabaseSettings,
  checkRoleLimits,
  checkSearchPaths,
  checkServerSettings,
} from './settings';
import { checkHistory, checkPrimaryKeys, checkSequences } from './tables';
import { checkExtensions, checkVersion } from './versions';

/** The findings in one database. */
export interface Examined {
  /** `18.4`; null when the database did not answer. */
  readonly serverVersion: string | null;
  /** Findings about the server as a whole, the same for every database on it. */
  readonly serverFindings: readonly Finding[];
  readonly findings: readonly Finding[];
}

const SERVER_CHECKS: readonly Check[] = [checkVersion, checkServerSettings, checkConnections];
/** These checks wait for no lock on a table. */
const SESSION_CHECKS: readonly Check[] = [
  checkDatabaseSettings,
  checkSearchPaths,
  checkRoleLimits,
  checkRoleRights,
  checkExtensions,
  checkMigrationLock,
  checkTransactions,
  checkWaits,
  checkPrepared,
];
const TABLE_CHECKS: readonly Check[] = [
  checkForeignKeys,
  checkIndexes,
  checkPrimaryKeys,
  checkSequences,
  checkObjectRights,
];

interface Facts {
  readonly version: string;
  readonly hasHistory: boolean;
  readonly hasSagas: boolean;
}

const FACTS = `SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
                      to_regclass('${HISTORY}') IS NOT NULL AS "hasHistory", to_regclass('sagas') IS NOT NULL AS "hasSagas"`;

const LOCK_NOT_AVAILABLE = '55P03';

/** Examines the connected database and its server in two round trips; changes nothing. */
export async function examineDatabase(client: ClientBase, context: CheckContext): Promise<Examined> {
  const sql = [FACTS, ...questions([...SERVER_CHECKS, ...SESSION_CHECKS], context)];
  const answers = await ask(client, sql, context);
  if (answers === undefined) return { serverVersion: null, serverFindings: [], findings: [noAnswer(context)] };
  const [facts, ...first] = answers;
  const [{ version, hasHistory, hasSagas }] = facts as readonly [Facts];
  const tables = [...TABLE_CHECKS, ...(hasHistory ? [checkHistory] : []), ...(hasSagas ? [checkSagas] : [])];
  return {
    serverVersion: version,
    serverFindings: judge(SERVER_CHECKS, first, context),
    findings: [
      ...judge(SESSION_CHECKS, first.slice(SERVER_CHECKS.length), context),
      ...(await examineTables(client, tables, context)),
    ],
  };
}

/**
 * Definitions of indexes, sequences and the history cannot be read while another session holds an exclusive lock; that
 * session is then the finding. The timeout ends with the round trip, which is one transaction, because the connections of a
 * companion share their settings.
 */
async function examineTables(
  client: ClientBase,
  checks: readonly Check[],
  context: CheckContext,
): Promise<readonly Finding[]> {
  const timeout = `SELECT set_config('lock_timeout', '${context.limits.ownLockTimeoutMs}', true)`;
  try {
    const answers = await ask(client, [timeout, ...questions(checks, context)], context);
    return answers === undefined ? [noAnswer(context)] : judge(checks, answers.slice(1), context);
  } catch (error) {
    if (findDatabaseError(error)?.sqlState !== LOCK_NOT_AVAILABLE) throw error;
    const blockers = await ask(client, questions([checkExclusiveLocks], context), context);
    return judge([checkExclusiveLocks], blockers ?? [], context);
  }
}

function noAnswer({ server, limits }: CheckContext): Finding {
  const next = 'Find out why it is busy, and run the doctor again';
  return {
    check: 'no-answer',
    level: 'warning',
    object: 'the database',
    message: `did not answer within ${Math.round(limits.answerTimeoutMs / 1_000)} s`,
    next: server === 'companion' ? 'End the client with the open transaction, and run the doctor again' : next,
  };
}

function questions(checks: readonly Check[], context: CheckContext): readonly string[] {
  return checks.map(({ sql }) => sql(context));
}

function judge(checks: readonly Check[], answers: Answers, context: CheckContext): readonly Finding[] {
  return checks.flatMap((check, index) => check.judge(answers[index] ?? [], context));
}

type Answers = readonly (readonly unknown[])[];

/** The rows of several statements, in one round trip; undefined when the answer takes too long. */
async function ask(
  client: ClientBase,
  statements: readonly string[],
  { limits }: CheckContext,
): Promise<Answers | undefined> {
  const giveUp = new AbortController();
  const results: unknown = await Promise.race([
    client.query(statements.join(';\n')),
    sleep(limits.answerTimeoutMs, undefined, { signal: giveUp.signal }),
  ]).finally(() => giveUp.abort());
  if (results === undefined) return undefined;
  return (Array.isArray(results) ? results : [results]).map(({ rows }: QueryResult) => rows);
}
