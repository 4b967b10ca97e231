/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  balanceAt,
  burn,
  capture,
  closeWallet,
  findWallet,
  getHold,
  getWallet,
  history,
  hold,
  mint as issue,
  type Mint,
  openMint,
  openWallet,
  Prisma,
  release,
  releaseExpired,
  transfer,
  transferMany,
} from '../src';
import { dump, fresh, givenHold, givenWallet, HOUR_MS } from './ledger-given';

type Fields = Readonly<Record<string, unknown>>;
type Operation = (mint: Mint, input: never) => Promise<unknown>;

const MANY = '10 MB of text';
const TEXTS: readonly (readonly [string, unknown])[] = [
  [MANY, 'x'.repeat(10_000_000)],
  ['a NUL byte', 'a\0b'],
  ['half of a surrogate pair', 'a\ud800b'],
  ['an empty string', ''],
  ['blanks', '  '],
  ['a number', 7],
  ['null', null],
  ['an object', { toString: () => 'x' }],
];
/** Not valid as an id. In a description or a key, SQL is ordinary text. */
const IDS = [...TEXTS, ['SQL', "'; DROP TABLE wallets; --"], ['a line feed', 'a\n']] as const;

const AMOUNTS: readonly (readonly [string, unknown, string])[] = [
  ['0', '0', 'MINT.INVALID_INPUT'],
  ['0.00', '0.00', 'MINT.INVALID_INPUT'],
  ['-0', new Prisma.Decimal('-0'), 'MINT.INVALID_INPUT'],
  ['a negative amount', '-1', 'MINT.INVALID_INPUT'],
  ['1e-9', '1e-9', 'MONEY.NOT_DECIMAL'],
  ['1e-9 as a Decimal', new Prisma.Decimal('1e-9'), 'MONEY.TOO_PRECISE'],
  ['9 decimals', '1.000000001', 'MONEY.TOO_PRECISE'],
  ['NaN', 'NaN', 'MONEY.NOT_DECIMAL'],
  ['NaN as a Decimal', new Prisma.Decimal(Number.NaN), 'MONEY.NOT_DECIMAL'],
  ['NaN as a number', Number.NaN, 'MONEY.NOT_DECIMAL'],
  ['Infinity', 'Infinity', 'MONEY.NOT_DECIMAL'],
  ['Infinity as a Decimal', new Prisma.Decimal(Number.POSITIVE_INFINITY), 'MONEY.NOT_DECIMAL'],
  ['1e11', '1e11', 'MONEY.NOT_DECIMAL'],
  ['1e11 as a Decimal', new Prisma.Decimal('1e11'), 'MONEY.TOO_LARGE'],
  ['10^10', '10000000000', 'MONEY.TOO_LARGE'],
  ['a JavaScript number', 1.5, 'MONEY.NOT_DECIMAL'],
  ['a bigint', 1n, 'MINT.INVALID_INPUT'],
  ['hexadecimal', '0x10', 'MONEY.NOT_DECIMAL'],
  ['full-width digits', '１', 'MONEY.NOT_DECIMAL'],
  ['spaces', ' 1 ', 'MONEY.NOT_DECIMAL'],
  ['a comma', '1,5', 'MONEY.NOT_DECIMAL'],
  ['SQL', "1'; DROP TABLE wallets; --", 'MONEY.NOT_DECIMAL'],
  ['10 MB of digits', '1'.repeat(10_000_000), 'MINT.INVALID_INPUT'],
  ['null', null, 'MINT.INVALID_INPUT'],
  ['undefined', undefined, 'MINT.INVALID_INPUT'],
  ['an object', {}, 'MINT.INVALID_INPUT'],
];

describe('invalid input', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  let before: string;
  /** Each function with valid input. */
  let good: Readonly<Record<string, readonly [Operation, Fields]>>;

  beforeAll(async () => {
    mint = openMint({ url: db().url });
    const [a, b, c] = [await givenWallet(mint, '10'), await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const holdId = await givenHold(mint, a, '4');
    const idempotencyKey = 'the-key';
    good = {
      openWallet: [openWallet, { userId: 'somebody', currency: 'AZR' }],
      findWallet: [findWallet, { userId: 'somebody', currency: 'AZR' }],
      getWallet: [getWallet, { walletId: a }],
      closeWallet: [closeWallet, { walletId: c }],
      transfer: [transfer, { from: a, to: b, amount: '1', description: 'x', idempotencyKey }],
      transferMany: [transferMany, { transfers: [{ from: a, to: b, amount: '1' }], idempotencyKey }],
      mint: [issue, { to: a, amount: '1', type: 'mint', description: 'x', idempotencyKey }],
      burn: [burn, { from: a, amount: '1', description: 'x', idempotencyKey }],
      hold: [hold, { from: a, to: b, amount: '1', expiresIn: HOUR_MS, description: 'x', idempotencyKey }],
      getHold: [getHold, { holdId }],
      capture: [capture, { holdId, to: b, amount: '1', description: 'x', idempotencyKey }],
      release: [release, { holdId, idempotencyKey }],
      releaseExpired: [releaseExpired, { limit: 1 }],
      history: [history, { walletId: a, types: ['mint'], limit: 1, cursor: 'MSB4' }],
      balanceAt: [balanceAt, { walletId: a, at: new Date() }],
    } as unknown as typeof good;
    before = await dump(db());
  });
  afterAll(() => mint.close());

  const call = (name: string, change: Fields): Promise<unknown> => {
    const [operation, input] = good[name] ?? [];
    if (operation === undefined) throw new Error(`no ${name}`);
    return operation(mint, { ...input, ...change } as never);
  };
  const refused = async (name: string, change: Fields, expected: object): Promise<void> => {
    await expect(call(name, change)).rejects.toMatchObject(expected);
    expect(await dump(db())).toBe(before);
  };
  const withAmount = ['transfer', 'mint', 'burn', 'hold', 'capture'];

  it.each(AMOUNTS)('as an amount (%s) is rejected and writes nothing', async (_what, amount, code) => {
    for (const name of withAmount) {
      // A capture without an amount takes the whole hold.
      if (name === 'capture' && amount === undefined) continue;
      await refused(name, { amount }, { code });
    }
    const { idempotencyKey: _key, ...order } = good['transfer']?.[1] ?? {};
    await refused('transferMany', { transfers: [{ ...order, amount }] }, { code });
  });

  const fieldsOf: readonly (readonly [string, readonly string[]])[] = [
    ['openWallet', ['userId', 'currency']],
    ['findWallet', ['userId', 'currency']],
    ['getWallet', ['walletId']],
    ['closeWallet', ['walletId']],
    ['transfer', ['from', 'to']],
    ['mint', ['to', 'type']],
    ['burn', ['from']],
    ['hold', ['from', 'to']],
    ['getHold', ['holdId']],
    ['capture', ['holdId', 'to']],
    ['release', ['holdId']],
    ['history', ['walletId']],
    ['balanceAt', ['walletId']],
  ];
  it.each(fieldsOf)('as an id of %s is rejected and writes nothing', async (name, fields) => {
    for (const field of fields) {
      for (const [, value] of IDS)
        await refused(name, { [field]: value }, { code: 'MINT.INVALID_INPUT', meta: { fields: [field] } });
    }
  });

  it.each(['transfer', 'mint', 'burn', 'hold', 'capture'])(
    'as a text of %s is rejected and writes nothing',
    async (name) => {
      for (const field of ['description', 'idempotencyKey']) {
        for (const [, value] of TEXTS)
          await refused(name, { [field]: value }, { code: 'MINT.INVALID_INPUT', meta: { fields: [field] } });
      }
      await refused(name, { idempotencyKey: 'x'.repeat(201) }, { meta: { fields: ['idempotencyKey'] } });
      await refused(name, { description: 'x'.repeat(501) }, { meta: { fields: ['description'] } });
    },
  );

  it('as a time of balanceAt is rejected and writes nothing', async () => {
    const times = ['2026-01-01', 0, new Date(Number.NaN), new Date(8.64e15), new Date(-8.64e15), null];
    for (const at of times)
      await refused('balanceAt', { at }, { code: 'MINT.INVALID_INPUT', meta: { fields: ['at'] } });
  });

  it('as the duration of a hold is rejected and writes nothing', async () => {
    const durations = [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 3_650 * 86_400_000 + 1, '1', new Date(), null];
    for (const expiresIn of durations)
      await refused('hold', { expiresIn }, { code: 'MINT.INVALID_INPUT', meta: { fields: ['expiresIn'] } });
  });

  it.each(
    Object.keys({
      openWallet,
      findWallet,
      getWallet,
      closeWallet,
      transfer,
      transferMany,
      mint: issue,
      burn,
      hold,
    }).concat('getHold', 'capture', 'release', 'releaseExpired', 'history', 'balanceAt'),
  )('with an unknown field of %s is rejected, and the error does not show its name', async (name) => {
    const error = await call(name, { 'x; DROP TABLE': 1 }).catch((caught: unknown) => caught);

    expect(error).toMatchObject({ code: 'MINT.INVALID_INPUT' });
    expect(JSON.stringify(error) + String((error as Error & { why: string }).why)).not.toContain('DROP');
    const [operation] = good[name] ?? [];
    for (const input of [null, 7, 'x', []]) {
      await expect(operation?.(mint, input as never)).rejects.toMatchObject({ code: 'MINT.INVALID_INPUT' });
    }
    expect(await dump(db())).toBe(before);
  });

  it.each([
    ['another currency', 'MINT.CURRENCY_MISMATCH', async () => ({ to: await opened('btc') })],
    ['a closed wallet', 'MINT.WALLET_CLOSED', async () => ({ to: await opened('closed') })],
    ['a closed payer', 'MINT.WALLET_CLOSED', async () => ({ from: await opened('closed') })],
    ['the payer itself', 'MINT.SAME_WALLET', async () => ({ to: good['transfer']?.[1]['from'] })],
    ['an unknown receiver', 'MINT.WALLET_NOT_FOUND', async () => ({ to: 'nobody' })],
    ['an unknown payer', 'MINT.WALLET_NOT_FOUND', async () => ({ from: 'nobody' })],
    ['both unknown', 'MINT.WALLET_NOT_FOUND', async () => ({ from: 'nobody', to: 'no-one' })],
    ['the treasury as payer', 'MINT.SYSTEM_WALLET', async () => ({ from: 'treasury-AZR' })],
    ['the treasury as receiver', 'MINT.SYSTEM_WALLET', async () => ({ to: 'treasury-AZR' })],
    ['the staking wallet', 'MINT.SYSTEM_WALLET', async () => ({ from: 'staking-AZR' })],
    ['more than the available amount', 'MINT.INSUFFICIENT_FUNDS', async () => ({ amount: '6.00000001' })],
  ])('with %s moves no money and creates no hold', async (_what, code, changeOf) => {
    const change: Fields = await changeOf();
    before = await dump(db());

    await refused('transfer', change, { code });
    await refused('hold', change, { code });
    const { idempotencyKey: _key, ...order } = { ...good['transfer']?.[1], ...change };
    await refused('transferMany', { transfers: [order] }, { code });
  });

  async function opened(what: 'btc' | 'closed'): Promise<string> {
    const id = await givenWallet(mint, '0', what === 'btc' ? 'BTC' : 'AZR');
    if (what === 'closed') await closeWallet(mint, { walletId: id });
    return id;
  }

  it('does not include SQL in a description: it is stored as text', async () => {
    const [from, to] = [await givenWallet(mint, '1'), await givenWallet(mint, '0')];
    const text = "'); DELETE FROM wallets; --$1\\";

    const made = await transfer(mint, {
      from,
      to,
      amount: '1',
      description: text,
      idempotencyKey: `${text}${fresh('key')}`,
    });

    expect(made.description).toBe(text);
  });

  it('never appears in the error', async () => {
    const secret = 'very secret\0';
    const error = await call('transfer', { description: secret, from: secret }).catch((caught: unknown) => caught);

    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('very secret');
  });
});
