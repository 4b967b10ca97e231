import { type Cause, causesOf, isPrismaError } from './database-errors';
import { isRecord } from './errors';

/**
 * What an error of Prisma means that carries no answer of PostgreSQL and no failed connection:
 * - `not-found`: a row that the call needs does not exist
 * - `invalid`: Prisma sent nothing, because the call does not fit the schema
 * - `unreadable`: the statement ran, and its result does not fit the schema
 * - `not-started`: no connection for a transaction became free in time
 * - `expired`: a transaction took longer than its limit and was rolled back
 * - `ended`: a transaction's client was used after the transaction
 * - `failed`: everything else
 */
export type PrismaMeaning = 'not-found' | 'invalid' | 'unreadable' | 'not-started' | 'expired' | 'ended' | 'failed';

/** The codes of Prisma's reference by meaning; `failed` are the others that Prisma can raise on PostgreSQL. */
const CODES: Readonly<Record<Exclude<PrismaMeaning, 'not-started' | 'expired'>, readonly string[]>> = {
  'not-found': ['P2001', 'P2015', 'P2017', 'P2018', 'P2025'],
  invalid: [
    ...['P1012', 'P1013', 'P1014', 'P1015', 'P1016', 'P2006', 'P2007', 'P2008', 'P2009', 'P2012', 'P2013', 'P2016'],
    ...['P2019', 'P2026', 'P2029', 'P2030', 'P2033'],
  ],
  unreadable: ['P2005', 'P2023', 'UnsupportedNativeDataType'],
  ended: ['P1018', 'TransactionAlreadyClosed'],
  failed: [
    ...['P1009', 'P2000', 'P2002', 'P2003', 'P2004', 'P2010', 'P2011', 'P2014', 'P2020', 'P2021', 'P2022', 'P2027'],
    ...['P2031', 'P2034', 'P2035', 'P2036', 'P2037', 'P2038', 'P2039'],
  ],
};

const MEANINGS = new Map<string, PrismaMeaning>(
  Object.entries(CODES).flatMap(([meaning, codes]) => codes.map((code) => [code, meaning as keyof typeof CODES])),
);

/** Prisma's code for everything about transactions. */
const TRANSACTION_API = 'P2028';

const NOT_COMPILED = new Set(['PrismaClientValidationError', 'PrismaClientUnknownRequestError']);

/**
 * The meaning of an error that Prisma made, and Prisma's code for it, or the name of its class, or `''`; undefined for
 * other errors.
 */
export function prismaMeaning(error: unknown): { readonly meaning: PrismaMeaning; readonly code: string } | undefined {
  const causes = [...causesOf(error)];
  const transaction = causes.find(({ code }) => code === TRANSACTION_API);
  if (transaction !== undefined) return { meaning: meaningOfTransaction(transaction), code: TRANSACTION_API };
  if (!isPrismaError(error)) return undefined;
  const name = isRecord(error) ? String(error['name']) : '';
  const [code = '', ...kinds] = causes.map((cause) => cause.code);
  // Its message and its meta are all that tell a wrong isolation level from an unreadable value.
  if (isRecord(error) && isRecord(error['meta']) && 'providedIsolationLevel' in error['meta'])
    return { meaning: 'invalid', code };
  // The kind of the driver's error is more exact than P2010, which says that raw SQL failed.
  const known = kinds.map((kind) => MEANINGS.get(kind)).find(Boolean) ?? MEANINGS.get(code);
  if (known !== undefined || code !== '') return { meaning: known ?? 'failed', code };
  // Errors without a code come from the check of the arguments and from the compilation of the query, or are panics.
  return NOT_COMPILED.has(name) ? { meaning: 'invalid', code } : { meaning: 'failed', code: name };
}

function meaningOfTransaction({ message }: Cause): PrismaMeaning {
  if (message.includes('Unable to start a transaction')) return 'not-started';
  if (/committed transaction|was rolled back|Transaction not found/.test(message)) return 'ended';
  return message.includes('isolation level') ? 'invalid' : 'expired';
}

/**
 * The sentence at the end of Prisma's message, after the copy of the arguments. Only for `not-found` and for arguments that
 * do not fit: elsewhere it may quote a row's value.
 */
export function prismaSentence(error: unknown): string {
  const [{ message } = { message: '' }] = causesOf(error);
  const paragraphs = message.trim().split(/\n{2,}/);
  const sentence = paragraphs.at(message.includes('invocation:') ? -1 : 0) ?? '';
  // The list with these marks is part of the copy.
  const alone = sentence.replace(/\s+/g, ' ').replace(/ Available options are marked with \?\.?/, '');
  return alone.replace(/[:.]?$/, '.');
}
