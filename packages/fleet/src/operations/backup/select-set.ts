import { SuiteError } from '@azora/db-core';
import type { Secret } from '../../backup-store/encryption';
import type { Manifest } from '../../backup-store/manifest';
import { findSet, type OpenedSet, openSet, readManifest } from '../../backup-store/set';
import type { Storage } from '../../backup-store/storage';
import type { Service } from '../../config/registry';
import { countOf } from '../fleet';
import { describeSet } from './sets';

/** The codes of services that were not set up when the set was made: there was nothing to back up. */
const NO_DATABASE: readonly string[] = ['SERVER.NO_DATABASE', 'SERVER.MISSING_EXTENSION'];
/** The name that stands for the newest set with all services. */
const LATEST = 'latest';

export interface SetSelection {
  readonly secret: Secret | undefined;
  readonly services: readonly Service[];
  /** Whether `--service` named the services; otherwise those that the set has no database of are left out. */
  readonly isNamed: boolean;
  /** Whether a masked set may be chosen; otherwise it is refused, and is never the latest one. */
  readonly allowsMasked: boolean;
  /** Whether a set in plain text or without a signature may be chosen although there is a key: anybody may have made it. */
  readonly allowsPlain: boolean;
  /** The words of the command with which a person names another set: `backup verify`. */
  readonly command: string;
  /** The argument that names a set of the storage: its id, or its path. */
  readonly argumentOf: (set: string) => string;
}

export interface SelectedSet {
  readonly set: OpenedSet;
  readonly services: readonly Service[];
  /** What a person must know about the choice, one sentence each. */
  readonly notes: readonly string[];
}

/** A set with the asked services that it holds. */
interface Candidate {
  readonly id: string;
  readonly masked: boolean;
  /** Why it is never the latest one, after "but"; null when it may be. */
  readonly unfit: string | null;
  readonly held: readonly string[];
  /** Whether it lacks no asked service, except services that had no database when it was made. */
  readonly isWhole: boolean;
}

/**
 * Opens the set with this id and selects the services to work on. `latest` is the newest set with all asked services that
 * neither failed its verification nor claims to begin in the future: a masked set only when it is allowed and no other set has
 * them.
 * @throws {SuiteError} `BACKUP.…`, `RESTORE.MASKED`
 */
export async function selectSet(storage: Storage, name: string, selection: SetSelection): Promise<SelectedSet> {
  const { id, notes } = name === LATEST ? await findLatest(storage, selection) : { id: name, notes: [] };
  const set = await openSet(storage, await findSet(storage, id), selection.secret);
  if (selection.secret !== undefined && set.key === undefined && !selection.allowsPlain) {
    throw notEncrypted(set.manifest, selection);
  }
  if (set.key !== undefined && !set.isSigned && !selection.allowsPlain) throw notSigned(set.manifest, selection);
  if (set.manifest.masked && !selection.allowsMasked) throw isMasked(set.manifest, selection);
  const { services, isNamed } = selection;
  const held = services.filter((service) => holds(set.manifest, service.name));
  const isPartial = !isNamed && held.length < services.length;
  const { verified, isFuture } = await describeSet(storage, set.manifest.id, selection.secret);
  const all = [
    ...notes,
    ...(isPartial ? [partialNote(set.manifest, services)] : []),
    ...(verified?.ok === false ? [failedNote(set.manifest, selection)] : []),
    ...(isFuture ? [`The set ${set.manifest.id} claims to begin in the future; check the clocks`] : []),
  ];
  return { set, services: isPartial ? held : services, notes: all };
}

async function findLatest(storage: Storage, selection: SetSelection) {
  const passed: Candidate[] = [];
  let masked: { readonly id: string; readonly notes: readonly string[] } | undefined;
  const ids = (await storage.list()).toReversed();
  for (const [index, id] of ids.entries()) {
    const candidate = candidateOf(
      (await readManifest(storage, id)).manifest,
      await unfitness(storage, id, selection),
      selection,
    );
    const found = { id, notes: newerNotes(passed, selection) };
    passed.push(candidate);
    if (!candidate.isWhole || candidate.unfit !== null) continue;
    if (candidate.masked) {
      masked ??= found;
      continue;
    }
    const lost = await lostServices(storage, candidate, ids.slice(index + 1), selection);
    if (lost.length > 0) throw lacksLost(storage, candidate, lost, selection);
    return found;
  }
  if (masked !== undefined) return masked;
  // Without any set, findSet says so.
  if (passed.length === 0) return { id: LATEST, notes: [] };
  throw noWholeSet(storage, passed, selection);
}

/** The newest older set with each service that had no database when this set was made: a database that was lost since. */
async function lostServices(
  storage: Storage,
  { held }: Candidate,
  older: readonly string[],
  selection: SetSelection,
): Promise<readonly { readonly service: string; readonly set: string }[]> {
  const missing = new Set(selection.services.map(({ name }) => name).filter((name) => !held.includes(name)));
  const found: { service: string; set: string }[] = [];
  for (const set of older) {
    if (missing.size === 0) break;
    const manifest = await readOlder(storage, set);
    if (manifest === undefined || manifest.masked) continue;
    for (const service of [...missing].filter((name) => holds(manifest, name))) {
      found.push({ service, set });
      missing.delete(service);
    }
  }
  return found;
}

/** The manifest of a set that is not chosen: one that is not valid must not stop the choice of a newer set. */
async function readOlder(storage: Storage, set: string): Promise<Manifest | undefined> {
  try {
    return (await readManifest(storage, set)).manifest;
  } catch (error) {
    if (error instanceof SuiteError && error.kind === 'finding') return undefined;
    throw error;
  }
}

async function unfitness(storage: Storage, id: string, { secret }: SetSelection): Promise<string | null> {
  const { verified, isFuture } = await describeSet(storage, id, secret);
  if (isFuture) return 'claims to begin in the future';
  return verified?.ok === false ? 'failed its last verification' : null;
}

function candidateOf(manifest: Manifest, unfit: string | null, { services, isNamed }: SetSelection): Candidate {
  const held = services.map(({ name }) => name).filter((name) => holds(manifest, name));
  const hadNone = manifest.missing.filter(({ code }) => NO_DATABASE.includes(code)).map(({ service }) => service);
  const lacks = services.filter(({ name }) => !held.includes(name) && (isNamed || !hadNone.includes(name)));
  return { id: manifest.id, masked: manifest.masked, unfit, held, isWhole: held.length > 0 && lacks.length === 0 };
}

function holds({ databases }: Manifest, name: string): boolean {
  return databases.some(({ service }) => service === name);
}

/** Says that newer sets were passed over, and how to use the newest of them. */
function newerNotes(passed: readonly Candidate[], selection: SetSelection): readonly string[] {
  const [partial] = passed.filter(({ held, isWhole }) => !isWhole && held.length > 0);
  const [unfit] = passed.filter(({ isWhole, unfit: reason }) => isWhole && reason !== null);
  const [masked] = passed.filter((set) => set.isWhole && set.unfit === null && set.masked);
  const use = (id: string) => `to use it, run "npx azora-db ${selection.command} ${selection.argumentOf(id)}"`;
  const all = selection.services.length;
  return [
    ...(partial === undefined
      ? []
      : [
          `The set ${partial.id} is newer, but holds only ${listOf(partial.held)} (${partial.held.length} of ${all}); ${use(partial.id)}`,
        ]),
    ...(unfit === undefined ? [] : [`The set ${unfit.id} is newer, but ${unfit.unfit}; ${use(unfit.id)}`]),
    ...(masked === undefined ? [] : [`The set ${masked.id} is newer, but masked; ${use(masked.id)}`]),
  ];
}

function partialNote(manifest: Manifest, services: readonly Service[]): string {
  const lacking = services.map(({ name }) => name).filter((name) => !holds(manifest, name));
  const reasonOf = (name: string) => manifest.missing.find(({ service }) => service === name)?.reason;
  const reasons = lacking.flatMap((name) => {
    const reason = reasonOf(name);
    return reason === undefined ? [] : [`${name}: ${reason}`];
  });
  const count = `${services.length - lacking.length} of ${countOf(services.length, 'database')}`;
  const why = reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
  return `The set ${manifest.id} holds ${count}, without ${listOf(lacking)}${why}`;
}

function failedNote({ id }: Manifest, { argumentOf }: SetSelection): string {
  return `The set ${id} failed its last verification; "npx azora-db backup verify ${argumentOf(id)}" shows why`;
}

function notEncrypted({ id }: Manifest, { command, argumentOf }: SetSelection): SuiteError {
  return new SuiteError('BACKUP.NOT_ENCRYPTED', `The backup set ${id} is not encrypted`, {
    kind: 'usage',
    why: 'A key is set, and nothing shows that a set in plain text was made by its owner.',
    next: `Choose an encrypted set, or run "npx azora-db ${command} ${argumentOf(id)} --plain"`,
    meta: { set: id },
  });
}

function notSigned({ id }: Manifest, { command, argumentOf }: SetSelection): SuiteError {
  return new SuiteError('BACKUP.NOT_SIGNED', `The backup set ${id} is not signed by the owner of the key`, {
    kind: 'usage',
    why: 'Everybody who knows the public half of the key can encrypt a set to it. Versions before 0.2 signed no sets.',
    next: `Choose a signed set, or run "npx azora-db ${command} ${argumentOf(id)} --plain"`,
    meta: { set: id },
  });
}

function isMasked({ id }: Manifest, { command, argumentOf }: SetSelection): SuiteError {
  return new SuiteError('RESTORE.MASKED', `The backup set ${id} is masked`, {
    kind: 'usage',
    why: 'Pseudonyms stand for its personal data, and its secrets are gone: a database that it replaces loses them.',
    next: `Choose another set, or run "npx azora-db ${command} ${argumentOf(id)} --masked"`,
    meta: { set: id },
  });
}

/** `BACKUP.NO_WHOLE_SET`, with the newest set of each service and the commands that use them. */
function noWholeSet(storage: Storage, sets: readonly Candidate[], selection: SetSelection): SuiteError {
  const { services, command, argumentOf } = selection;
  const groups = new Map<string, string[]>();
  for (const { name } of services) {
    const having = sets.filter(({ held, unfit }) => unfit === null && held.includes(name));
    const newest = having.find(({ masked }) => !masked) ?? having[0];
    if (newest !== undefined) groups.set(newest.id, [...(groups.get(newest.id) ?? []), name]);
  }
  const found = [...groups.values()].flat();
  const nowhere = services.map(({ name }) => name).filter((name) => !found.includes(name));
  const unfit = sets.flatMap(({ id, unfit: reason }) => (reason === null ? [] : [`The set ${id} ${reason}.`]));
  const newest = [...groups].map(([id, names]) => `The newest set with ${listOf(names)} is ${id}.`);
  const commands = [...groups].map(
    ([id, names]) => `"npx azora-db ${command} ${argumentOf(id)} --service ${names.join(',')}"`,
  );
  const asked = services.length === 1 ? listOf(services.map(({ name }) => name)) : `all ${services.length} services`;
  return new SuiteError('BACKUP.NO_WHOLE_SET', `No backup set in ${storage.location} holds ${asked}`, {
    kind: 'usage',
    why: [...newest, ...(nowhere.length === 0 ? [] : [`No set holds ${listOf(nowhere)}.`]), ...unfit].join(' '),
    next: commands.length === 0 ? 'Make a backup with "npx azora-db backup"' : `Run ${commands.join(' and ')}`,
    meta: { location: storage.location, newest: Object.fromEntries(groups), nowhere },
  });
}

/** `BACKUP.NO_WHOLE_SET` for a set that lacks a database which older sets hold: nobody chooses the loss silently. */
function lacksLost(
  storage: Storage,
  { id, held }: Candidate,
  lost: readonly { readonly service: string; readonly set: string }[],
  { command, argumentOf }: SetSelection,
): SuiteError {
  const names = lost.map(({ service }) => service);
  const run = (set: string, services: readonly string[]) =>
    `"npx azora-db ${command} ${argumentOf(set)} --service ${services.join(',')}"`;
  const commands = [run(id, held), ...lost.map(({ service, set }) => run(set, [service]))];
  return new SuiteError('BACKUP.NO_WHOLE_SET', `The newest backup set in ${storage.location} lacks ${listOf(names)}`, {
    kind: 'usage',
    why: `There was no database when ${id} was made. ${lost.map(({ service, set }) => `The newest set with ${service} is ${set}.`).join(' ')}`,
    next: `Run ${commands.join(' and ')}`,
    meta: { location: storage.location, set: id, lost: Object.fromEntries(lost.map((it) => [it.service, it.set])) },
  });
}

/** `auth`, `auth and mint`, `auth, forge and mint`. */
function listOf(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
