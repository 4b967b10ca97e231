import type { DatabaseUrl } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import type { Account } from '../embedded/account';
import { locatePlace, ownerOf, type Place } from '../embedded/place';
import { stopPlace } from '../embedded/postmaster';
import { startEmbedded } from '../embedded/server';
import { archiveNow, readArchiver, readIdentity } from './archiver';
import { type Area, areaOf, findRecord, makeArea, writeRecord } from './area';
import { foreignArchive, notEnabled } from './errors';
import { installPrograms } from './programs';

export interface WorkOptions {
  readonly home: string;
  readonly onProgress: (line: string) => void;
}

export interface EnabledArchive {
  readonly directory: string;
  /** Whether it was off before. */
  readonly changed: boolean;
  readonly restarted: boolean;
  /** The segment that was archived to see that it works. */
  readonly segment: string;
}

/** A segment is archived at the latest so long after its first change: as much can be lost with the whole disk. */
const ARCHIVE_TIMEOUT = '60';

/**
 * Makes the embedded server archive its log, restarting it if it did not, and proves it by archiving a segment.
 * @throws {SuiteError} `PITR.FOREIGN_ARCHIVE`, `PITR.NO_RUNTIME`, `PITR.ARCHIVE_STALLED`, `EMBEDDED.…`
 */
export async function enableArchive({ home, onProgress }: WorkOptions): Promise<EnabledArchive> {
  const { url } = await startEmbedded({ home, onProgress });
  const place = await locatePlace(home);
  const [area, account] = [areaOf(place), await ownerOf(place)];
  const identity = await withClient(url, readIdentity);
  const record = await findRecord(area);
  if (record !== undefined && record.systemId !== identity.systemId) throw foreignArchive(area.directory);
  await makeArea(area, account);
  const { archive } = await installPrograms(area, account);
  const changes = await withClient(url, (client) => changeSettings(client, archive));
  const restarted = changes.includes('archive_mode') || changes.includes('wal_level');
  if (restarted) {
    onProgress('restarting the embedded server');
    await stopPlace(place);
  }
  const { url: again } = await startEmbedded({ home, onProgress });
  await writeRecord(area, identity, account);
  onProgress('archiving a first segment');
  const segment = await withClient(again, (client) => archiveNow(client, place));
  return { directory: area.directory, changed: changes.length > 0, restarted, segment };
}

/** The server with its archive, proven to be on and of this server. */
export interface OpenArchive {
  readonly url: DatabaseUrl;
  readonly place: Place;
  readonly area: Area;
  readonly account: Account | undefined;
}

/** @throws {SuiteError} `PITR.NOT_ENABLED`, `PITR.FOREIGN_ARCHIVE` */
export async function openArchive({ home, onProgress }: WorkOptions): Promise<OpenArchive> {
  const { url } = await startEmbedded({ home, onProgress });
  const place = await locatePlace(home);
  const [area, account] = [areaOf(place), await ownerOf(place)];
  const record = await findRecord(area);
  const [identity, { isOn }] = await withClient(url, async (client) => {
    return [await readIdentity(client), await readArchiver(client)] as const;
  });
  if (record === undefined || !isOn) throw notEnabled(area.directory);
  if (record.systemId !== identity.systemId) throw foreignArchive(area.directory);
  await writeRecord(area, identity, account);
  return { url, place, area, account };
}

/** Changes what differs; returns the names. What needs no restart takes effect at once. */
async function changeSettings(client: Client, archiveCommand: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    "SELECT name, setting FROM pg_settings WHERE name LIKE 'archive%' OR name = 'wal_level'",
  );
  const found = new Map(rows.map(({ name, setting }) => [name, setting]));
  const wanted = new Map([
    ['archive_mode', found.get('archive_mode') === 'always' ? 'always' : 'on'],
    ['archive_command', archiveCommand],
    ['archive_timeout', ARCHIVE_TIMEOUT],
    // PostgreSQL does not start with an archive and a log that lacks what it takes.
    ['wal_level', found.get('wal_level') === 'logical' ? 'logical' : 'replica'],
  ]);
  const changes = [...wanted].filter(([name, value]) => found.get(name) !== value);
  for (const [name, value] of changes) {
    await client.query(`ALTER SYSTEM SET ${name} = ${client.escapeLiteral(value)}`);
  }
  await client.query('SELECT pg_reload_conf()');
  return changes.map(([name]) => name);
}
