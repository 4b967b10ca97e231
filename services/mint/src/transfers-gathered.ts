import { SuiteError } from '@azora/db-core';
import DataLoader from 'dataloader';
import type { Mint } from './client';
import type { Transaction } from './generated/client';
import { onlyRow, type TransactionRow, transactionOf } from './rows';

/** A transfer that was read, and has its id and its moment. */
export interface TransferRequest {
  readonly key: string;
  readonly hash: string;
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly amount: string;
  readonly description: string | null;
  readonly at: Date;
}

/** What one call of the database makes at most: a bound for the time that its wallets are locked. */
const MOST_GATHERED = 100;
/** Calls of one store under way: the server works on one while the process reads and writes another. */
const MOST_CALLS = 2;
/** A call that takes longer waits for somebody. What has nothing to do with it goes on without its end. */
const CALL_MS = 100;

/** After these nobody knows what a call did, or it was never sent; to send it again is for who asked. */
const UNKNOWN_END = ['DATABASE.CONNECTION_LOST', 'DATABASE.NO_CONNECTION'];

/** What is left to do for one transfer when the call that it went with is over: nothing, or to be asked for alone. */
type Rest = () => Promise<Transaction>;
type Gatherer = DataLoader<TransferRequest, Rest>;
const gatherers = new WeakMap<Mint, Gatherer>();

/**
 * Makes a transfer by one call of the database with those that were asked for while earlier calls were under way. Each
 * succeeds or fails by itself. Nothing waits for others to come: without load each transfer is a call.
 */
export async function makeTransfer(mint: Mint, request: TransferRequest): Promise<Transaction> {
  let gatherer = gatherers.get(mint);
  if (gatherer === undefined) {
    gatherer = openGatherer(mint);
    gatherers.set(mint, gatherer);
  }
  const rest = await gatherer.load(request);
  return rest();
}

function openGatherer(mint: Mint): Gatherer {
  const calls = new Calls();
  return new DataLoader(
    async (requests: readonly TransferRequest[]): Promise<readonly Rest[]> => {
      if (requests.length === 1) return requests.map((only) => () => calls.count(makeAlone(mint, only)));
      const made = await calls.count(makeTogether(mint, requests));
      return made?.map((one) => async () => one) ?? requests.map((request) => () => makeAlone(mint, request));
    },
    { cache: false, maxBatchSize: MOST_GATHERED, batchScheduleFn: (dispatch) => calls.schedule(dispatch) },
  );
}

/** Lets few calls be under way; the next one gathers until its turn comes. */
class Calls {
  private underWay = 0;
  private readonly waiting: (() => void)[] = [];

  schedule(dispatch: () => void): void {
    if (this.underWay >= MOST_CALLS) {
      this.waiting.push(dispatch);
      return;
    }
    this.underWay += 1;
    // What is asked for in the same turn of the event loop comes along.
    setImmediate(dispatch);
  }

  async count<Result>(call: Promise<Result>): Promise<Result> {
    let counts = true;
    const stop = () => {
      if (counts) this.makeRoom();
      counts = false;
    };
    const overdue = setTimeout(stop, CALL_MS);
    try {
      return await call;
    } finally {
      clearTimeout(overdue);
      stop();
    }
  }

  private makeRoom(): void {
    this.underWay -= 1;
    const dispatch = this.waiting.shift();
    if (dispatch !== undefined) this.schedule(dispatch);
  }
}

/** Makes all of them, or none, when one at least does not fit or has to wait. */
async function makeTogether(
  mint: Mint,
  requests: readonly TransferRequest[],
): Promise<readonly Transaction[] | undefined> {
  const column = <Field extends keyof TransferRequest>(field: Field) => requests.map((request) => request[field]);
  try {
    const rows = await mint.query<TransactionRow>({
      text: 'SELECT * FROM transfer_gathered($1, $2, $3, $4, $5, $6, $7, $8)',
      values: [
        column('key'),
        column('hash'),
        column('id'),
        column('from'),
        column('to'),
        column('amount'),
        column('description'),
        column('at'),
      ],
    });
    return requests.map(({ key }) => transactionOf(onlyRow(rows.filter((row) => row.request_key === key))));
  } catch (error) {
    // Only what the database refused is certain not to have happened.
    if (error instanceof SuiteError && !UNKNOWN_END.includes(error.code)) return undefined;
    throw error;
  }
}

async function makeAlone(mint: Mint, request: TransferRequest): Promise<Transaction> {
  const { key, hash, id, from, to, amount, description, at } = request;
  const rows = await mint.query<TransactionRow>({
    text: 'SELECT * FROM transfer_money($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [key, hash, id, from, to, amount, description, at],
  });
  return transactionOf(onlyRow(rows));
}
