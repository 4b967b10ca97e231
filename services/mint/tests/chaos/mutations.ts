import { withClient } from '@azora/db-fleet';
import type { Ledger } from './server';

/** A bug in the ledger: a part of a SQL function is replaced. */
export interface Mutation {
  readonly title: string;
  readonly routine: string;
  readonly from: string;
  readonly to: string;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    title: 'applies a repeated request twice',
    routine: 'begin_request',
    from: 'IF FOUND THEN RETURN NULL; END IF;',
    to: 'RETURN NULL;',
  },
  {
    title: 'moves twice the amount in one of twenty transactions',
    routine: 'post_transactions',
    from: 'IF receiver.balance + entry.amount',
    to: 'IF random() < 0.05 THEN entry.amount := 2 * entry.amount; END IF; IF receiver.balance + entry.amount',
  },
  {
    title: 'sometimes debits less than it credits',
    routine: 'post_transactions',
    from: 'ELSE -entry.amount END',
    to: 'WHEN entry.from_id THEN entry.amount * CASE WHEN random() < 0.05 THEN -0.5 ELSE -1 END END',
  },
  {
    title: 'resolves a hold twice',
    routine: 'lock_hold',
    from: "hold.status <> 'held'",
    to: 'false',
  },
  {
    title: 'answers a repeated hold with its present status',
    routine: 'hold_money',
    from: "made.status := 'held';",
    to: '',
  },
  {
    title: 'sometimes keeps the held amount of a resolved hold',
    routine: 'post_holds',
    from: '-amount AS change',
    to: 'CASE WHEN random() < 0.05 THEN 0 ELSE -amount END AS change',
  },
];

/** Puts the bug into the database. */
export async function mutate({ admin }: Ledger, { routine, from, to }: Mutation): Promise<void> {
  await withClient(admin, async (client) => {
    const select = 'SELECT pg_get_functiondef(oid) AS text FROM pg_proc WHERE proname = $1';
    const { rows } = await client.query<{ text: string }>(select, [routine]);
    const texts = rows.map(({ text }) => text).filter((text) => text.includes(from));
    if (texts.length === 0) throw new Error(`${routine} no longer contains "${from}": choose another mutation`);
    for (const text of texts) await client.query(text.replace(from, to));
  });
}
