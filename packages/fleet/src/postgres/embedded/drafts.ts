import { randomBytes } from 'node:crypto';
import { processStart } from './process';

const DRAFT = /\.(?:new|part)-(\d+)-([\w-]+)-[0-9a-f]{8}$/;

/** The name of work in progress: it says which process is at it, so that what a killed one left can be told. */
export async function draftName(name: string, kind: 'new' | 'part'): Promise<string> {
  const start = (await processStart(process.pid)) ?? 'unknown';
  return `${name}.${kind}-${process.pid}-${start}-${randomBytes(4).toString('hex')}`;
}

export function isDraft(name: string): boolean {
  return DRAFT.test(name);
}

/** Whether it is a draft, and the process that made it is gone. */
export async function isAbandoned(name: string): Promise<boolean> {
  const [, pid, start] = DRAFT.exec(name) ?? [];
  return pid !== undefined && (await processStart(Number(pid))) !== start;
}
