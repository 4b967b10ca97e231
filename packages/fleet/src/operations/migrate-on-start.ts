import { findRoot, findServices, selectServices } from '../config/registry';
import { readEnvironment, readSettings } from '../config/settings';
import { migrateTargetUp } from './migrate';
import { openTargets } from './targets';

export interface MigrateOnStartOptions {
  /** A directory inside the checkout or image that holds the services; the working directory without it. */
  readonly directory?: string;
  /** Where the URL comes from: `MINT_DATABASE_URL`, `DATABASE_URL`; the process's own without it. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** How long a copy waits for another one that migrates, in milliseconds; 60,000 without it. */
  readonly lockTimeoutMs?: number;
}

/** Copies of a service that start together wait for the first, whose migrations may take a while. */
const PATIENCE_MS = 60_000;

/**
 * Applies what is pending in a service's database, for the service's own start: any number of copies at once, each
 * migration once. Returns the names of those that this copy applied. The URL is the administrator's; the database exists.
 * @throws {SuiteError} `USAGE.UNKNOWN_SERVICE`, `SERVER.…`, `MIGRATION.…`
 */
export async function migrateOnStart(
  service: string,
  { directory = process.cwd(), environment = process.env, lockTimeoutMs = PATIENCE_MS }: MigrateOnStartOptions = {},
): Promise<readonly string[]> {
  const root = findRoot(directory);
  const all = await findServices(root);
  const settings = readSettings(root, all, readEnvironment(root, environment));
  const [target] = await openTargets(settings, selectServices(all, [service]));
  return target === undefined ? [] : migrateTargetUp(target, { lockTimeoutMs });
}
