import { execFile } from 'node:child_process';
import { readFile, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { codeOf } from './errors';

const run = promisify(execFile);

/**
 * What tells a process from a later one with the same pid: when it started. Undefined when it is gone or a zombie, as
 * which a killed process can stay for ever in a container whose first process does not reap.
 */
export async function processStart(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return linuxStart(pid);
  if (process.platform === 'win32') return windowsStart(pid);
  const { state, start } = await psOf(pid);
  return state === '' || state.startsWith('Z') ? undefined : start;
}

/** Whether a process of this number is there at all, whatever it is. */
export function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/**
 * Whether the process is a postmaster of this data directory, as far as can be told without connecting: a postmaster's
 * working directory is its data directory, also after the checkout was moved. On Windows nothing tells.
 */
export async function isPostmasterOf(pid: number, data: string): Promise<boolean> {
  if (process.platform === 'win32') return pidExists(pid);
  if (process.platform !== 'linux') return (await psOf(pid)).command.includes(data);
  if ((await linuxStart(pid)) === undefined) return false;
  const at = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  return at !== undefined && path.resolve(at) === (await realpath(data).catch(() => data));
}

async function linuxStart(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field, the command, may hold spaces and brackets: the rest begins after the last bracket.
  const [state, ...rest] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  const ticks = rest[18];
  if (ticks === undefined || state === 'Z' || state === 'X') return undefined;
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return `${boot.trim().slice(0, 8)}-${ticks}`;
}

async function psOf(pid: number): Promise<{ state: string; start: string; command: string }> {
  const columns = ['-o', 'stat=', '-o', 'lstart=', '-o', 'command='];
  // The time is to read alike whoever asks.
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const { stdout } = await run('ps', ['-ww', '-p', String(pid), ...columns], { env }).catch(() => ({ stdout: '' }));
  // lstart is five words: Fri Nov 21 04:12:00 2025
  const [state = '', ...words] = stdout.trim().split(/\s+/);
  return { state, start: words.slice(0, 5).join('-'), command: words.slice(5).join(' ') };
}

async function windowsStart(pid: number): Promise<string | undefined> {
  if (!pidExists(pid)) return undefined;
  const script = `(Get-Process -Id ${pid}).StartTime.ToFileTimeUtc()`;
  const { stdout } = await run('powershell', ['-NoProfile', '-Command', script]).catch(() => ({ stdout: '' }));
  return stdout.trim() === '' ? 'unknown' : stdout.trim();
}
