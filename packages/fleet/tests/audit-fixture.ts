import { randomUUID } from 'node:crypto';
import { withClient } from '@azora/db-migrate';
import type { TestDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import type { Client } from 'pg';
import { digestOf, findAuditFaults } from '../src/postgres/prune/audit-log';

/** Inserts entries of these ages in days, oldest first, about a new user, whose id it returns. */
export async function givenEntries(db: TestDatabase, ages: readonly number[]): Promise<string> {
  const userId = `user-${randomUUID()}`;
  await db.admin(
    `INSERT INTO audit_log (id, user_id, action, details, timestamp)
     SELECT $1 || '-' || n, $1, 'USER_LOGIN', jsonb_build_object('n', n), database_time() - age * interval '1 day'
     FROM unnest($2::int[]) WITH ORDINALITY AS it (age, n) ORDER BY n`,
    [userId, ages],
  );
  return userId;
}

/** Changes to one chain by an administrator who bypasses every trigger, who knows how chains are made. $1 is the account. */
const MUTATIONS = {
  head: `
    DELETE FROM audit_log WHERE user_id = $1 AND seq <= (SELECT first_seq + $2 FROM audit_chains WHERE account = $1);
    UPDATE audit_chains SET first_seq = first_seq + $2 + 1,
      first_previous_hash = (SELECT previous_hash FROM audit_log WHERE user_id = $1 ORDER BY seq LIMIT 1) WHERE account = $1`,
  changed: `UPDATE audit_log SET action = 'FORGED' WHERE user_id = $1 AND seq = (SELECT first_seq + $2 FROM audit_chains WHERE account = $1)`,
  middle: `DELETE FROM audit_log WHERE user_id = $1 AND seq = (SELECT first_seq + $2 FROM audit_chains WHERE account = $1)`,
  tail: `
    DELETE FROM audit_log WHERE user_id = $1 AND seq >= (SELECT last_seq - $2 FROM audit_chains WHERE account = $1);
    UPDATE audit_chains SET (last_seq, last_hash) = (SELECT seq, hash FROM audit_log WHERE user_id = $1 ORDER BY seq DESC LIMIT 1)
    WHERE account = $1`,
  whole: `DELETE FROM audit_log WHERE user_id = $1; DELETE FROM audit_chains WHERE account = $1`,
  emptied: `
    DELETE FROM audit_log WHERE user_id = $1;
    UPDATE audit_chains SET first_seq = last_seq + 1, first_previous_hash = last_hash WHERE account = $1`,
  begunAgain: `
    DELETE FROM audit_log WHERE user_id = $1;
    UPDATE audit_chains SET first_seq = 1, first_previous_hash = repeat('0', 64), last_seq = 0, last_hash = repeat('0', 64)
    WHERE account = $1`,
  resealed: `
    UPDATE audit_log SET details = '{"n": "forged"}' WHERE user_id = $1 AND seq = (SELECT first_seq + $2 FROM audit_chains WHERE account = $1);
    DO $do$
    DECLARE entry record; before text;
    BEGIN
      SELECT first_previous_hash INTO before FROM audit_chains WHERE account = $1;
      FOR entry IN SELECT id FROM audit_log WHERE user_id = $1 ORDER BY seq LOOP
        UPDATE audit_log SET previous_hash = before WHERE id = entry.id;
        UPDATE audit_log AS it SET hash = audit_entry_hash(it) WHERE id = entry.id RETURNING hash INTO before;
      END LOOP;
      UPDATE audit_chains SET last_hash = before WHERE account = $1;
    END $do$`,
} as const;

/** The same changes by someone who corrects the anchors in the database as well. */
const CORRECT_ANCHORS = `
  DELETE FROM audit_anchors WHERE account = $1;
  INSERT INTO audit_anchors (generation, account, pruned_to, pruned_hash, head_seq, head_hash, is_done)
  SELECT $3, account, first_seq - 1, first_previous_hash, last_seq, last_hash, true FROM audit_chains WHERE account = $1`;

export interface Mutation {
  readonly kind: keyof typeof MUTATIONS;
  /** Which of the chains, and at which entry of it: both from 0. */
  readonly chain: number;
  readonly entry: number;
  readonly corrects: boolean;
}

/** Random changes of chains that have more than `entries` entries. */
export function mutationOf(chains: number, entries: number): fc.Arbitrary<Mutation> {
  return fc.record({
    kind: fc.constantFrom(...(Object.keys(MUTATIONS) as (keyof typeof MUTATIONS)[])),
    chain: fc.nat(chains - 1),
    entry: fc.nat(entries - 1),
    corrects: fc.boolean(),
  });
}

/** Makes a change in a transaction that is rolled back, and returns whether the verification finds it: each, in the right chain. */
export async function isFound(
  client: Client,
  accounts: readonly string[],
  { kind, chain, entry, corrects }: Mutation,
  outside: { readonly generation: number; readonly digest: string },
): Promise<boolean> {
  const account = accounts[chain] ?? '';
  const sql = (corrects ? `${MUTATIONS[kind]};${CORRECT_ANCHORS}` : MUTATIONS[kind])
    .replaceAll('$1', `'${account}'`)
    .replaceAll('$2', String(entry))
    .replaceAll('$3', String(outside.generation));
  await client.query(`BEGIN; SET LOCAL session_replication_role = replica; ${sql}`);
  try {
    if ((await digestOf(client, outside.generation)) !== outside.digest) return true;
    const { faults } = await findAuditFaults(client, outside.generation);
    return faults.length === 1 && faults[0]?.account === account;
  } finally {
    await client.query('ROLLBACK');
  }
}

/** Makes random changes, `numRuns` of them, and expects that each is found. */
export async function findEveryMutation(
  db: TestDatabase,
  accounts: readonly string[],
  outside: { readonly generation: number; readonly digest: string },
  numRuns: number,
): Promise<void> {
  await withClient(db.target.admin, async (client) => {
    const property = fc.asyncProperty(mutationOf(accounts.length, 2), (mutation) =>
      isFound(client, accounts, mutation, outside),
    );
    await fc.assert(property, { numRuns, seed: 22 });
    expect(await findAuditFaults(client, outside.generation)).toEqual({ count: 0, faults: [] });
  });
}
