import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';
import { processStart } from './processes';

/** `unknown`: the owner ran on another machine, in another container or before a restart, or its system does not show when a process started. */
export type OwnerState = 'alive' | 'ended' | 'unknown';

/** The pattern of {@link ownerMark} inside a larger pattern. Versions before 0.2 wrote no machine. */
export const OWNER_MARK = '\\d+-[\\w-]+?(?:@[0-9a-f]{8})?';

const PARTS = /^(\d+)-([\w-]+?)(?:@([0-9a-f]{8}))?$/;
const UNKNOWN_START = 'unknown';
const MACHINE_LENGTH = 8;
let machine: string | undefined;

/** `<pid>-<start>@<machine>`: names this process in the names of its unfinished files, so that a later one can tell whether it has ended. */
export async function ownerMark(): Promise<string> {
  return `${process.pid}-${(await processStart(process.pid)) ?? UNKNOWN_START}@${thisMachine()}`;
}

/** The state of the process that a mark names. */
export async function ownerState(mark: string): Promise<OwnerState> {
  const [, pid, start, owner = thisMachine()] = PARTS.exec(mark) ?? [];
  if (pid === undefined || start === UNKNOWN_START || owner !== thisMachine()) return 'unknown';
  return (await processStart(Number(pid))) === start ? 'alive' : 'ended';
}

/**
 * A hash of what gives a pid its meaning: the name of the machine and, on Linux, the process namespace of the container and the
 * boot. The first namespace has the same number on every machine, and machines that share a directory may share their name.
 */
function thisMachine(): string {
  const boot = () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  machine ??= createHash('sha256')
    .update(`${os.hostname()} ${orEmpty(() => readlinkSync('/proc/self/ns/pid'))} ${orEmpty(boot)}`)
    .digest('hex')
    .slice(0, MACHINE_LENGTH);
  return machine;
}

/** What the system does not show is empty. */
function orEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
