import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** A consumer that records each event as an effect. Places are `<key> <number>`. */
export interface RecordingConsumer {
  readonly name: string;
  readonly types: readonly string[];
  /** Events whose first attempt in a process fails. */
  readonly failsOnce?: readonly string[];
  /** The event after whose effect, and before whose commit, the handler waits for `proceed`. */
  readonly waitsAt?: string;
  readonly takesMs?: number;
}

export interface Task {
  /** The URL of the log. */
  readonly bus: string;
  /** The URL of the service that publishes or consumes. */
  readonly url: string;
  readonly pollMs?: number;
  readonly batch?: number;
  /** Without consumers, the program relays. */
  readonly consumers?: readonly RecordingConsumer[];
}

/** A relay or a worker in a process of its own. */
export interface Program {
  /** Ends the process at once, as the kernel does without memory. */
  kill(): Promise<void>;
  /** Ends it gracefully. */
  stop(): Promise<void>;
  /** Takes its time away and gives it back. */
  freeze(): void;
  thaw(): void;
  /** Resolves when the handler waits. */
  readonly isWaiting: Promise<void>;
  proceed(): void;
}

/** Code that programs run: the compiled packages, or a copy with a planted bug. */
export interface Code {
  readonly program: string;
  readonly storePackage: string;
}

const root = path.resolve(__dirname, '..', '..', '..');
export const COMPILED: Code = {
  program: path.join(__dirname, 'program.js'),
  storePackage: path.join(root, 'services', 'family'),
};

/** Starts programs and ends them after each test of the surrounding `describe`. */
export function usePrograms(): (task: Task, code?: Code) => Promise<Program> {
  const children = new Set<ChildProcess>();
  afterEach(async () => {
    await Promise.all([...children].map(killChild));
    children.clear();
  });
  return async (task, { program, storePackage } = COMPILED) => {
    const child = fork(program, [JSON.stringify({ pollMs: 50, ...task, storePackage })], { execArgv: [] });
    children.add(child);
    const waiting = told(child, 'waiting');
    // Only tests that use it wait for it; the process may end before.
    waiting.catch(() => undefined);
    await told(child, 'started');
    return {
      kill: () => killChild(child),
      stop: async () => {
        const ended = once(child, 'exit');
        child.send('stop');
        const [code] = await ended;
        if (code !== 0) throw new Error(`A program did not end gracefully: ${code}`);
      },
      freeze: () => void child.kill('SIGSTOP'),
      thaw: () => void child.kill('SIGCONT'),
      isWaiting: waiting,
      proceed: () => void child.send('proceed'),
    };
  };
}

function told(child: ChildProcess, kind: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: { readonly kind: string }) => {
      if (message.kind === kind) resolve();
    });
    child.once('exit', () => reject(new Error(`A program ended before it was ${kind}`)));
  });
}

async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
