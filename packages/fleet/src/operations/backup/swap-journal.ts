import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { z } from 'zod';
import { companionDirectory, findFormerData } from '../../postgres/companion/layout';
import { putBackCompanion, replaceCompanion } from '../../postgres/companion/replace';
import { swapDatabases } from '../../postgres/dump/swap';
import { replacedName } from '../../postgres/replaced';
import { isScratchLocked } from '../../postgres/scratch';
import { makeDirectory, replaceFile } from '../../system/atomic-files';
import { orAbsent } from '../../system/leftovers';
import { ownerMark, ownerState } from '../../system/owners';
import type { Target } from '../targets';
import { readDatabases } from './live-databases';

const entry = z.strictObject({
  service: z.string(),
  /** The name of the restored database, or the home of the restored companion. */
  side: z.string(),
  /** The identities of both databases; the identity of a restored companion is not known before it is copied. */
  former: z.string().nullable(),
  restored: z.string().nullable(),
  /** Whether the settings of the live database pass to the restored one. */
  keepSettings: z.boolean(),
});
const journal = z.strictObject({ set: z.string(), owner: z.string(), entries: z.array(entry) });

type Journal = z.infer<typeof journal>;
export type JournalEntry = z.infer<typeof entry>;

const fileIn = (home: string) => path.join(home, 'restore.json');

/**
 * Records which databases are about to be replaced while `work` replaces them. All databases of one server are replaced in one
 * transaction; between several servers, only this record shows what a killed restore has not replaced.
 */
export async function withSwapJournal<Result>(
  home: string,
  set: string,
  entries: readonly JournalEntry[],
  work: () => Promise<Result>,
): Promise<Result> {
  await writeJournal(home, { set, owner: await ownerMark(), entries: [...entries] });
  try {
    return await work();
  } finally {
    await rm(fileIn(home), { force: true });
  }
}

export async function writeJournal(home: string, written: Journal): Promise<void> {
  await makeDirectory(home, 0o700);
  await replaceFile(fileIn(home), `${JSON.stringify(written, null, 2)}\n`);
}

/**
 * Finishes the replacement that a killed restore began, or undoes it when a restored database is gone: the references between
 * services agree only within a set. Says what it did, or what is left to do by hand.
 */
export async function finishSwap(targets: readonly Target[], home: string, log: (line: string) => void): Promise<void> {
  const text = await orAbsent(readFile(fileIn(home), 'utf8'));
  const found = text === undefined ? undefined : journal.safeParse(JSON.parse(text)).data;
  if (found === undefined || (await ownerState(found.owner)) === 'alive') return;
  const all = found.entries.flatMap((it) => {
    const target = targets.find(({ service }) => service.name === it.service);
    return target === undefined ? [] : [{ ...it, target }];
  });
  if (all.length < found.entries.length) {
    log(
      `A killed restore of ${found.set} may have replaced only some databases; run "npx azora-db setup" to finish it`,
    );
    return;
  }
  // The process may live on another machine; then its sessions hold the locks of the restored databases.
  if ((await Promise.all(all.map(isAtWork))).includes(true)) return;
  const states = await Promise.all(all.map(async (it) => ({ ...it, ...(await stateOf(it, home)) })));
  const [replaced, open] = [states.filter((it) => it.isReplaced), states.filter((it) => !it.isReplaced)];
  if (replaced.length > 0 && open.length > 0) await finishOrUndo(found.set, { replaced, open }, home, log);
  await rm(fileIn(home), { force: true });
}

type Located = JournalEntry & { readonly target: Target };
type Examined = Located & {
  readonly isReplaced: boolean;
  readonly canFinish: boolean;
  /** The name of the former database, or the path of a companion's former data; undefined when it is gone. */
  readonly formerName: string | undefined;
};

async function isAtWork({ target, side }: Located): Promise<boolean> {
  if (target.server === 'companion') return false;
  return withClient(target.maintenance, (client) => isScratchLocked(client, side));
}

async function stateOf(it: Located, home: string): Promise<Omit<Examined, keyof Located>> {
  const databases = await readDatabases(it.target, home);
  const now = databases.get(it.target.database) ?? null;
  if (it.target.server === 'companion') {
    const directory = companionDirectory(home, it.service);
    const formerName = it.former === null ? undefined : await findFormerData(directory, it.former);
    return { isReplaced: now !== it.former, canFinish: existsSync(it.side), formerName };
  }
  const nameOf = (id: string | null) => [...databases].find(([, other]) => other === id)?.[0];
  const canFinish = databases.get(it.side) === it.restored;
  return { isReplaced: now === it.restored, canFinish, formerName: nameOf(it.former) };
}

async function finishOrUndo(
  set: string,
  { replaced, open }: { readonly replaced: readonly Examined[]; readonly open: readonly Examined[] },
  home: string,
  log: (line: string) => void,
): Promise<void> {
  const namesOf = (some: readonly Examined[]) => some.map(({ service }) => service).join(', ');
  if (open.every(({ canFinish }) => canFinish)) {
    for (const it of open) await replace(it, it.side, set, home);
    log(`finished the restore of ${set} that was killed: replaced ${namesOf(open)} too`);
    return;
  }
  if (replaced.every(({ formerName }) => formerName !== undefined)) {
    for (const it of replaced) await replace(it, it.formerName ?? '', set, home);
    log(`undid the restore of ${set} that was killed: the former databases of ${namesOf(replaced)} are back`);
    return;
  }
  log(
    `warning: a restore of ${set} was killed, and replaced only ${namesOf(replaced)}, not ${namesOf(open)}; restore the set again`,
  );
}

async function replace(it: Examined, by: string, set: string, home: string): Promise<void> {
  const { target } = it;
  if (target.server === 'companion') {
    const service = target.service.name;
    const kept = `data__before_${set}`;
    if (by === it.side) await replaceCompanion({ home, service }, { home: by, service }, kept);
    else await putBackCompanion({ home, service }, by, kept);
    return;
  }
  const kept = replacedName(target.database, set);
  await swapDatabases(target.maintenance, [
    { live: target.database, side: by, kept, keepSettings: it.keepSettings && by === it.side },
  ]);
}
