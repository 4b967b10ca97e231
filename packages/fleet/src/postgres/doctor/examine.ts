import { setTimeout as sleep } from 'node:timers/promises';
import { findDatabaseError } from '@azora/db-core';
import { HISTORY } from '@azora/db-migrate';
import type { ClientBase, QueryResult } from 'pg';
import type { Check, Patient } from './check';
import { checkExtensions } from './extensions';
import type { Finding } from './finding';
import { checkForeignKeys } from './foreign-keys';
import { checkHistory } from './history';
import { checkIndexes } from './indexes';
import { checkExclusiveLocks, checkMigrationLock, checkPrepared, checkTransactions, checkWaits } from './locks';
import { checkConnections, checkDatabaseSettings, checkServerSettings } from './settings';
import { checkPrimaryKeys, checkSequences } from './tables';
import { checkVersion } from './version';

/** What the doctor found in one database. */
export interface Examined {
  /** `18.4`; null when it did not answer. */
  readonly serverVersion: string | null;
  /** About the server as a whole: every database on it finds the same. */
  readonly serverFindings: readonly Finding[];
  readonly findings: readonly Finding[];
}

const SERVER_CHECKS: readonly Check[] = [checkVersion, checkServerSettings, checkConnections];
/** These wait for nobody, whoever holds which table. */
const SESSION_CHECKS: readonly Check[] = [
  checkDatabaseSettings,
  checkExtensions,
  checkMigrationLock,
  checkTransactions,
  checkWaits,
  checkPrepared,
];
const TABLE_CHECKS: readonly Check[] = [checkForeignKeys, checkIndexes, checkPrimaryKeys, checkSequences];

interface Facts {
  readonly version: string;
  readonly hasHistory: boolean;
}

const FACTS = `SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
                      to_regclass('${HISTORY}') IS NOT NULL AS "hasHistory"`;

const LOCK_NOT_AVAILABLE = '55P03';

/** Looks at the connected database and its server in two round trips; changes nothing. */
export async function examineDatabase(client: ClientBase, patient: Patient): Promise<Examined> {
  const sql = [FACTS, ...questions([...SERVER_CHECKS, ...SESSION_CHECKS], patient)];
  const answers = await ask(client, sql, patient);
  if (answers === undefined) return { serverVersion: null, serverFindings: [], findings: [noAnswer(patient)] };
  const [facts, ...first] = answers;
  const [{ version, hasHistory }] = facts as readonly [Facts];
  const tables = hasHistory ? [...TABLE_CHECKS, checkHistory] : TABLE_CHECKS;
  return {
    serverVersion: version,
    serverFindings: judge(SERVER_CHECKS, first, patient),
    findings: [
      ...judge(SESSION_CHECKS, first.slice(SERVER_CHECKS.length), patient),
      ...(await examineTables(client, tables, patient)),
    ],
  };
}

/**
 * Definitions of indexes, sequences and the history cannot be read behind somebody's exclusive lock; then who holds it is
 * the finding. The timeout ends with the round trip, which is one transaction: companions share their settings.
 */
async function examineTables(
  client: ClientBase,
  checks: readonly Check[],
  patient: Patient,
): Promise<readonly Finding[]> {
  const timeout = `SELECT set_config('lock_timeout', '${patient.limits.ownLockTimeoutMs}', true)`;
  try {
    const answers = await ask(client, [timeout, ...questions(checks, patient)], patient);
    return answers === undefined ? [noAnswer(patient)] : judge(checks, answers.slice(1), patient);
  } catch (error) {
    if (findDatabaseError(error)?.sqlState !== LOCK_NOT_AVAILABLE) throw error;
    const blockers = await ask(client, questions([checkExclusiveLocks], patient), patient);
    return judge([checkExclusiveLocks], blockers ?? [], patient);
  }
}

function noAnswer({ server, limits }: Patient): Finding {
  const next = 'See what it is busy with, and run the doctor again';
  return {
    check: 'no-answer',
    level: 'warning',
    object: 'the database',
    message: `did not answer in ${Math.round(limits.answerTimeoutMs / 1_000)} s`,
    next: server === 'companion' ? 'End the client that has a transaction open, and run the doctor again' : next,
  };
}

function questions(checks: readonly Check[], patient: Patient): readonly string[] {
  return checks.map(({ sql }) => sql(patient));
}

function judge(checks: readonly Check[], answers: Answers, patient: Patient): readonly Finding[] {
  return checks.flatMap((check, index) => check.judge(answers[index] ?? [], patient));
}

type Answers = readonly (readonly unknown[])[];

/** The rows of several statements, in one round trip; undefined when there is no answer in time. */
async function ask(
  client: ClientBase,
  statements: readonly string[],
  { limits }: Patient,
): Promise<Answers | undefined> {
  const giveUp = new AbortController();
  const results: unknown = await Promise.race([
    client.query(statements.join(';\n')),
    sleep(limits.answerTimeoutMs, undefined, { signal: giveUp.signal }),
  ]).finally(() => giveUp.abort());
  if (results === undefined) return undefined;
  return (Array.isArray(results) ? results : [results]).map(({ rows }: QueryResult) => rows);
}
