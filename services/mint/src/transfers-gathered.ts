import { gatherCalls, isConnectionError, type Outcome, type Store, SuiteError } from '@azora/db-core';
import { errorOfRule } from './errors';
import { LockedWallets } from './locked-wallets';
import { onlyRow, TRANSACTION_COLUMNS, type Transaction, type TransactionRow, transactionOf } from './rows';

/** A transfer whose input was checked, with its id. */
export interface TransferRequest {
  readonly key: string;
  readonly hash: string;
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly amount: string;
  readonly description: string | null;
}

/** Batches concurrent transfers of one store into one statement each time. */
export interface TransferGatherer {
  /**
   * Makes a transfer, in one statement with the transfers that were requested while earlier statements were running. Each
   * succeeds or fails by itself. No transfer waits for others to arrive: without load each one is a statement of its own.
   */
  make(request: TransferRequest): Promise<Transaction>;
}

/** The maximum number of transfers in one statement: it bounds the time for which their wallets are locked. */
const MAX_GATHERED = 100;

type Queries = Pick<Store<unknown, unknown>, 'query'>;
type Outcomes = ReadonlyMap<TransferRequest, Outcome<Transaction>>;

export function openGatherer(store: Queries): TransferGatherer {
  const locked = new LockedWallets(store);
  const run = gatherCalls<TransferRequest, Transaction>({
    together: async (requests) => {
      const outcomes = await makeTogether(store, requests);
      // Without any outcome the statement was rolled back, mostly because it waited too long for a wallet.
      const walletIds = outcomes.size === 0 ? await locked.find(requests) : new Set<string>();
      return new Map(requests.map((one) => [one, outcomes.get(one) ?? (() => makeAfter(one, walletIds))]));
    },
    alone: (request) => makeAlone(store, request),
    most: MAX_GATHERED,
  });
  return { make: gather };

  async function gather(request: TransferRequest): Promise<Transaction> {
    if (locked.areWaitedFor(request)) await locked.waitFor(request);
    return run(request);
  }

  /** One transfer waits for a locked wallet; the others that need the wallet gather again when it has ended. */
  function makeAfter(request: TransferRequest, walletIds: ReadonlySet<string>): Promise<Transaction> {
    const walletId = [request.from, request.to].find((id) => walletIds.has(id));
    if (walletId === undefined) return makeAlone(store, request);
    if (locked.isWaitedFor(walletId)) return gather(request);
    return locked.wait(walletId, makeAlone(store, request));
  }
}

/** The transaction of one key, or the rule that rejected its transfer and the facts for the error. */
type OutcomeRow = { readonly key: string } & (
  | (TransactionRow & { readonly rule: null })
  | { readonly rule: string; readonly facts: Readonly<Record<string, unknown>> }
);

/**
 * Makes all that can be made, in one statement. Transfers without an outcome are still to be made: all of them when the
 * statement was rolled back, as it is after waiting too long for a lock, and the second of two with one key.
 */
async function makeTogether(store: Queries, requests: readonly TransferRequest[]): Promise<Outcomes> {
  const byKey = new Map<string, TransferRequest>();
  for (const request of requests) if (!byKey.has(request.key)) byKey.set(request.key, request);
  const distinct = [...byKey.values()];
  const column = <Field extends keyof TransferRequest>(field: Field) => distinct.map((request) => request[field]);
  const outcomes = new Map<TransferRequest, Outcome<Transaction>>();
  try {
    const rows = await store.query<OutcomeRow>({
      text: 'SELECT key, rule, facts, (made).* FROM transfer_each($1, $2, $3, $4, $5, $6, $7)',
      values: [
        column('key'),
        column('hash'),
        column('id'),
        column('from'),
        column('to'),
        column('amount'),
        column('description'),
      ],
    });
    for (const row of rows) {
      const request = byKey.get(row.key);
      if (request !== undefined) outcomes.set(request, outcomeOf(row));
    }
  } catch (error) {
    // Without a connection a statement for each single transfer fails too, or, after CONNECTION_LOST, may be the second one.
    if (!(error instanceof SuiteError) || isConnectionError(error)) throw error;
  }
  return outcomes;
}

function outcomeOf(row: OutcomeRow): Outcome<Transaction> {
  return async () => {
    if (row.rule !== null) throw errorOfRule(row.rule, row.facts);
    return transactionOf(row);
  };
}

async function makeAlone(store: Queries, request: TransferRequest): Promise<Transaction> {
  const { key, hash, id, from, to, amount, description } = request;
  const rows = await store.query<TransactionRow>({
    text: `SELECT ${TRANSACTION_COLUMNS} FROM transfer_money($1, $2, $3, $4, $5, $6, $7)`,
    values: [key, hash, id, from, to, amount, description],
  });
  return transactionOf(onlyRow(rows));
}
