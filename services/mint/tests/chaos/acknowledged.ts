import type { Hold, MiningRecord, Prisma, Stake, Transaction } from '../../src';

/** One movement of money, from an answer or from the database. */
export interface Entry {
  /** Two entries with the same line are the same entry. */
  readonly line: string;
  readonly id: string | undefined;
  readonly from: string;
  readonly to: string;
  readonly stakeId: string | null;
  /** In units of 1e-8. */
  readonly units: bigint;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** The content of one answer. */
export interface Facts {
  readonly entries: readonly Entry[];
  readonly hold?: Hold;
  /** The final status of holds and their captured amount. */
  readonly ended?: readonly { readonly holdId: string; readonly how: string }[];
  readonly stake?: Stake;
  readonly record?: MiningRecord;
}

/** Everything that the server has acknowledged, once per key: the ledger on which its clients rely. */
export interface Acknowledged {
  readonly entries: Map<string, readonly Entry[]>;
  readonly holds: Map<string, { readonly key: string; readonly walletId: string; readonly units: bigint }>;
  readonly ends: Map<string, string[]>;
  readonly stakes: Map<string, { readonly walletId: string; readonly units: bigint; readonly annualRate: string }>;
  readonly records: Map<string, string>;
}

export function nothingTold(): Acknowledged {
  return { entries: new Map(), holds: new Map(), ends: new Map(), stakes: new Map(), records: new Map() };
}

/** An amount as a whole number of its smallest units. */
export function unitsOf(amount: Prisma.Decimal | string): bigint {
  const text = typeof amount === 'string' ? amount : amount.toFixed(8);
  const [whole = '', fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(8, '0'));
}

export function textOf(units: bigint): string {
  const digits = (units < 0n ? -units : units).toString().padStart(9, '0');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -8)}.${digits.slice(-8)}`;
}

type Movement = Pick<Transaction, 'type' | 'fromId' | 'toId' | 'createdAt'> &
  Partial<Pick<Transaction, 'id' | 'stakeId' | 'holdId'>> & { readonly amount: Prisma.Decimal | string };

export function entryOf({ id, type, fromId, toId, amount, createdAt, stakeId = null, holdId = null }: Movement): Entry {
  const units = unitsOf(amount);
  const line = [type, fromId, toId, units, stakeId ?? '-', holdId ?? '-'].join(' ');
  return { line, id, from: fromId, to: toId, stakeId, units, at: createdAt.getTime() };
}

export function recordLine({ walletId, proofHash, status, reward, transactionId }: MiningRecord): string {
  return [walletId, proofHash, status, unitsOf(reward), transactionId ?? '-'].join(' ');
}

/** Records an answer; false when its key already has one. */
export function writeDown(acknowledged: Acknowledged, key: string, facts: Facts): boolean {
  if (acknowledged.entries.has(key)) return false;
  acknowledged.entries.set(key, facts.entries);
  const { hold, stake, record, ended = [] } = facts;
  if (hold !== undefined)
    acknowledged.holds.set(hold.id, { key, walletId: hold.walletId, units: unitsOf(hold.amount) });
  if (stake !== undefined) {
    const { id, walletId, amount, annualRate } = stake;
    acknowledged.stakes.set(id, { walletId, units: unitsOf(amount), annualRate: annualRate.toFixed() });
  }
  if (record !== undefined) acknowledged.records.set(record.id, recordLine(record));
  writeEnds(acknowledged, ended);
  return true;
}

export function writeEnds(acknowledged: Acknowledged, ended: NonNullable<Facts['ended']>): void {
  for (const { holdId, how } of ended) acknowledged.ends.set(holdId, [...(acknowledged.ends.get(holdId) ?? []), how]);
}
