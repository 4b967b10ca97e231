import { withClient } from '@azora/db-fleet';
import type { Ledger } from './server';

/** A ledger that is wrong in one place: a part of a function of the migrations is replaced by another. */
export interface Mutation {
  readonly title: string;
  readonly routine: string;
  readonly from: string;
  readonly to: string;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    title: 'applies what is sent twice twice',
    routine: 'begin_request',
    from: 'IF FOUND THEN RETURN NULL; END IF;',
    to: 'RETURN NULL;',
  },
  {
    title: 'moves twice the amount of one transaction in two hundred',
    routine: 'post_transactions',
    from: 'IF receiver.balance + entry.amount',
    to: 'IF random() < 0.005 THEN entry.amount := 2 * entry.amount; END IF; IF receiver.balance + entry.amount',
  },
  {
    title: 'takes now and then less than it gives',
    routine: 'post_transactions',
    from: 'ELSE -entry.amount END',
    to: 'WHEN entry.from_id THEN entry.amount * CASE WHEN random() < 0.005 THEN -0.5 ELSE -1 END END',
  },
  {
    title: 'resolves a hold again',
    routine: 'lock_hold',
    from: "hold.status <> 'held'",
    to: 'false',
  },
  {
    title: 'gives a later answer to a repeat',
    routine: 'hold_money',
    from: "made.status := 'held';",
    to: '',
  },
  {
    title: 'leaves now and then what is held of a hold that ended',
    routine: 'post_holds',
    from: '-amount AS change',
    to: 'CASE WHEN random() < 0.05 THEN 0 ELSE -amount END AS change',
  },
];

/** Makes the database wrong. */
export async function mutate({ admin }: Ledger, { routine, from, to }: Mutation): Promise<void> {
  await withClient(admin, async (client) => {
    const select = 'SELECT pg_get_functiondef(oid) AS text FROM pg_proc WHERE proname = $1';
    const { rows } = await client.query<{ text: string }>(select, [routine]);
    const text = rows[0]?.text ?? '';
    if (!text.includes(from))
      throw new Error(`${routine} holds no "${from}" any more: think of another way to break it`);
    await client.query(text.replace(from, to));
  });
}
