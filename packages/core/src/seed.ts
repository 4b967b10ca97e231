import { createHash } from 'node:crypto';

/** A person that several services know under the same id. */
export interface SeedPerson {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly role: 'student' | 'educator' | 'employer';
  readonly city: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  readonly bio: string;
}

/** The input of every service's seed: the same people, ids and day for all services. */
export interface SeedContext {
  /** Midnight UTC of the day of the run. Every seeded time is relative to it. */
  readonly now: Date;
  readonly people: { readonly student: SeedPerson; readonly educator: SeedPerson; readonly employer: SeedPerson };
  /** The password of every seeded user. */
  readonly password: string;
  /** The names of all services of the fleet. */
  readonly services: readonly string[];
  /** The root of this repository. Its source code is the first workspace of rag. */
  readonly repositoryRoot: string;
}

/** Users `firstUser … firstUser + userCount - 1` of `seed --scale`. A block is written whole or not at all. */
export interface SeedBlock {
  readonly firstUser: number;
  readonly userCount: number;
  readonly now: Date;
}

/** A value for a column; `writeRows` documents how the type of the column decides its encoding. */
export type CopyValue = string | number | bigint | boolean | Date | null | readonly unknown[] | object;

/** The values of one row, in the order of the columns. */
export type SeedRow = readonly CopyValue[];

/** Rows for one table, produced while they are written, so that memory stays bounded. */
export interface TableRows {
  readonly table: string;
  /** Column names. In the first table of a block, the first column is the primary key. */
  readonly columns: readonly string[];
  readonly rows: Iterable<SeedRow>;
}

/** The part of one service in the shared seed. */
export interface ServiceSeed<Handle extends { close(): Promise<void> }> {
  readonly open: (options: { url: string; slowQueryMs?: number }) => Handle;
  /** Inserts the missing fixed rows and leaves existing rows unchanged. */
  readonly base: (handle: Handle, context: SeedContext) => Promise<void>;
  /** The rows of the users of one block in this service, parents before children. */
  readonly volume: (block: SeedBlock) => readonly TableRows[];
}

/** Types the seed of a service and returns it unchanged. */
export function defineSeed<Handle extends { close(): Promise<void> }>(seed: ServiceSeed<Handle>): ServiceSeed<Handle> {
  return seed;
}

/** Returns the id of the seeded row with this name (`education.Course.python`): a cuid, the same on every run. */
export function seedId(name: string): string {
  const digest = BigInt(`0x${createHash('sha256').update(name).digest('hex')}`);
  return `c${digest.toString(36).slice(0, 24).padEnd(24, '0')}`;
}

/** Like {@link seedId}, but a UUID of version 7 (RFC 9562) with the time 2026-01-01T00:00:00Z. */
export function seedUuid(name: string): string {
  const digest = createHash('sha256').update(name).digest('hex');
  return uuidV7(digest.slice(0, 3), digest.slice(3, 6), digest.slice(6, 18));
}

/** Returns the id of row `index` of a model (`auth.User`) in the volume seed. Ids ascend with the index. */
export function volumeId(model: string, index: number): string {
  return `c${tagOf(model, 36, 8)}${index.toString(36).padStart(16, '0')}`;
}

/** Like {@link volumeId}, but a UUID of version 7. */
export function volumeUuid(model: string, index: number): string {
  const tag = tagOf(model, 16, 6);
  return uuidV7(tag.slice(0, 3), tag.slice(3, 6), index.toString(16).padStart(12, '0'));
}

/** Yields the rows of each user of a block in turn. */
export function* rowsPerUser(
  block: SeedBlock,
  rowsOf: (user: number, block: SeedBlock) => Iterable<SeedRow>,
): Generator<SeedRow> {
  for (let user = block.firstUser; user < block.firstUser + block.userCount; user += 1) yield* rowsOf(user, block);
}

const GIVEN_NAMES = [
  'Themba',
  'Naledi',
  'Kofi',
  'Amara',
  'Jabari',
  'Zola',
  'Abeni',
  'Lerato',
  'Chidi',
  'Ayanda',
  'Sipho',
];
const FAMILY_NAMES = [
  'Ndlovu',
  'Khumalo',
  'Mensah',
  'Okafor',
  'Dlamini',
  'Mokoena',
  'Adeyemi',
  'Botha',
  'Nkosi',
  'Abebe',
];
const PLACES = [
  { city: 'Johannesburg', country: 'ZA' },
  { city: 'Lagos', country: 'NG' },
  { city: 'Nairobi', country: 'KE' },
  { city: 'Accra', country: 'GH' },
  { city: 'Kigali', country: 'RW' },
] as const;

/** Returns user `index` of the volume seed. Of ten users, eight are students, one an educator, one an employer. */
export function volumePerson(index: number): SeedPerson {
  const place = PLACES[index % PLACES.length] ?? PLACES[0];
  const given = GIVEN_NAMES[index % GIVEN_NAMES.length] ?? '';
  const family = FAMILY_NAMES[index % FAMILY_NAMES.length] ?? '';
  return {
    id: volumeId('auth.User', index),
    email: `user${index}@volume.azora.world`,
    name: `${given} ${family}`,
    role: index % 10 < 8 ? 'student' : index % 10 === 8 ? 'educator' : 'employer',
    ...place,
    bio: `${given} from ${place.city}`,
  };
}

const tags = new Map<string, string>();

function tagOf(model: string, radix: 16 | 36, length: number): string {
  const key = `${model}/${radix}`;
  const known = tags.get(key);
  if (known !== undefined) return known;
  const digest = BigInt(`0x${createHash('sha256').update(model).digest('hex')}`);
  const tag = digest.toString(radix).slice(0, length);
  tags.set(key, tag);
  return tag;
}

const SEED_EPOCH_HEX = Date.UTC(2026, 0, 1).toString(16).padStart(12, '0');

function uuidV7(randomA: string, randomB: string, randomC: string): string {
  return `${SEED_EPOCH_HEX.slice(0, 8)}-${SEED_EPOCH_HEX.slice(8)}-7${randomA}-8${randomB}-${randomC}`;
}
