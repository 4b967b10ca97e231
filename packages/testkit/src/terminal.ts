import { spawn } from 'node:child_process';

export interface TerminalOptions {
  readonly cwd: string;
  /** The whole environment of the program; TERM is added. */
  readonly env: Readonly<Record<string, string>>;
}

/** A program that runs under a pseudo-terminal of 120 columns and 40 rows. */
export interface Terminal {
  /** Everything that the program has written, with the terminal's control sequences. */
  readonly output: () => string;
  /** Resolves when the output matches; rejects when the program ends without that. Counts only output after `from`. */
  readonly waitFor: (pattern: RegExp, from?: number) => Promise<void>;
  /** Types text, as a person does. {@link CTRL_C} interrupts the program in the foreground. */
  readonly type: (text: string) => void;
  /** Resolves with the exit code when the program has ended and its output has been read. */
  readonly ended: Promise<number | null>;
  /** Closes the terminal, which ends the program with SIGHUP. */
  readonly close: () => Promise<void>;
}

export const CTRL_C = '\x03';

/** Runs a program under a pseudo-terminal of util-linux `script`, which is part of every Debian. */
export function openTerminal(command: readonly string[], { cwd, env }: TerminalOptions): Terminal {
  const line = `stty cols 120 rows 40; exec ${command.map(shellQuoted).join(' ')}`;
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', line, '/dev/null'], {
    cwd,
    env: { ...env, TERM: 'xterm-256color', SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let hasEnded = false;
  let check = (): void => undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output += text;
      check();
    });
  }
  // The program may end before it has read what was typed.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      hasEnded = true;
      resolve(code);
      check();
    });
  });
  return {
    output: () => output,
    waitFor: (pattern, from = 0) =>
      new Promise((resolve, reject) => {
        check = () => {
          if (pattern.test(output.slice(from))) resolve();
          else if (hasEnded) reject(new Error(`the program ended without ${pattern}; it wrote:\n${output}`));
        };
        check();
      }),
    type: (text) => child.stdin.write(text),
    ended,
    close: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
