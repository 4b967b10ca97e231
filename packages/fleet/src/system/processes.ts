import { readFile, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';
import { childEnvironment } from './child-environment';
import { runProgram } from './children';
import { codeOf } from './system-errors';

/**
 * When a process started, as text that tells it from a later process with the same pid. Undefined when the process is
 * gone or a zombie: a killed process stays a zombie forever in a container whose first process does not reap children.
 */
export async function processStart(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return linuxStart(pid);
  if (process.platform === 'win32') return windowsStart(pid);
  const { state, start } = await psOf(pid);
  return state === '' || state.startsWith('Z') ? undefined : start;
}

/** Whether a process with this pid exists, whatever program it runs. */
export function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/**
 * Whether the process runs in this directory (Linux) or names it in its command line (macOS). Windows shows neither, so
 * any process with the pid counts there.
 */
export async function runsIn(pid: number, directory: string): Promise<boolean> {
  if (process.platform === 'win32') return pidExists(pid);
  if (process.platform !== 'linux') return (await psOf(pid)).command.includes(directory);
  if ((await linuxStart(pid)) === undefined) return false;
  const current = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  return current !== undefined && path.resolve(current) === (await realpath(directory).catch(() => directory));
}

async function linuxStart(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field, the command, may contain spaces and parentheses: the rest begins after the last parenthesis.
  const [state, ...rest] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  const ticks = rest[18];
  if (ticks === undefined || state === 'Z' || state === 'X') return undefined;
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return `${boot.trim().slice(0, 8)}-${ticks}`;
}

async function psOf(pid: number): Promise<{ state: string; start: string; command: string }> {
  const columns = ['-o', 'stat=', '-o', 'lstart=', '-o', 'command='];
  // A fixed locale and time zone: every caller must read the same start time.
  const env = childEnvironment({}, { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' });
  const { stdout } = await runProgram('ps', ['-ww', '-p', String(pid), ...columns], { env }).catch(() => ({
    stdout: '',
  }));
  // lstart is five words: Fri Nov 21 04:12:00 2025
  const [state = '', ...words] = stdout.trim().split(/\s+/);
  return { state, start: words.slice(0, 5).join('-'), command: words.slice(5).join(' ') };
}

async function windowsStart(pid: number): Promise<string | undefined> {
  if (!pidExists(pid)) return undefined;
  const script = `(Get-Process -Id ${pid}).StartTime.ToFileTimeUtc()`;
  // Node itself adds the variables that Windows needs to start a program, PATH among them.
  const options = { env: childEnvironment({}) };
  const { stdout } = await runProgram('powershell', ['-NoProfile', '-Command', script], options).catch(() => ({
    stdout: '',
  }));
  return stdout.trim() === '' ? 'unknown' : stdout.trim();
}
