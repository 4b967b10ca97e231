import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Answer, Task, WorkerInput } from './database-protocol';
import { dataOf } from './layout';

/** The database of a companion, in a thread that starts with the first request after it ended. */
export interface Engine {
  /** The messages with which the database greets a client. */
  readonly greeting: Buffer;
  readonly isRunning: () => boolean;
  /** Starts the thread unless it runs. */
  readonly start: () => Promise<void>;
  /**
   * Sends messages to the database and passes its answer on in pieces.
   * @throws {EngineStopped} when the thread ended before the answer
   */
  readonly ask: (messages: Buffer, onData: (data: Buffer) => void) => Promise<{ readonly isInTransaction: boolean }>;
  /** Ends the thread at once, in the middle of a statement too. Committed rows are on disk. */
  readonly kill: () => Promise<void>;
  /** Ends the thread after a checkpoint. No request may be running. */
  readonly close: () => Promise<void>;
}

/** The thread ended before it answered: it was killed, or PGlite failed. */
export class EngineStopped extends Error {}

export interface EngineOptions {
  readonly directory: string;
  readonly log: (line: string) => void;
  /** Called after each start and each end of the thread. */
  readonly onChange?: (isRunning: boolean) => void;
}

/** The thread runs the compiled program also when a test runs this file from src. */
const PROGRAM = path.resolve(__dirname, '..', '..', '..', 'dist', 'postgres', 'companion', 'database-worker.js');

/**
 * Starts the database of a directory, and creates its data if there is none. Every other error than {@link EngineStopped}
 * means that the database cannot be opened.
 */
export async function openEngine({ directory, log, onChange = () => undefined }: EngineOptions): Promise<Engine> {
  let greeting = Buffer.alloc(0);
  let thread: Thread | undefined;
  let starting: Promise<Thread> | undefined;
  const forget = (): void => {
    starting = undefined;
    thread = undefined;
    onChange(false);
  };
  const start = async (): Promise<Thread> => {
    const started = new Thread({ directory, task: 'serve' }, forget);
    await started.receive((answer) => {
      if (answer.kind === 'ready') greeting = Buffer.from(answer.greeting);
      return answer.kind === 'ready';
    });
    thread = started;
    onChange(true);
    return started;
  };
  const running = (): Promise<Thread> => {
    starting ??= start().catch((error: Error) => {
      throw new Error(`the database cannot be opened: ${error.message}`);
    });
    return starting;
  };
  await prepareData(directory, log);
  await running();
  return {
    greeting,
    isRunning: () => starting !== undefined,
    start: async () => {
      await running();
    },
    ask: async (messages, onData) => {
      const current = await running();
      let isInTransaction = false;
      await current.send({ kind: 'ask', messages }, (answer) => {
        if (answer.kind === 'data') onData(Buffer.from(answer.data));
        if (answer.kind === 'done') isInTransaction = answer.isInTransaction;
        return answer.kind === 'done';
      });
      return { isInTransaction };
    },
    kill: async () => thread?.end(),
    close: async () => {
      // A thread that has just begun to start must not outlive the caller.
      const current = await starting?.catch(() => undefined);
      await current?.send({ kind: 'close' }, ({ kind }) => kind === 'closed');
      await current?.end();
    },
  };
}

/** Puts the data of a killed restore in place, or creates data where there is none. */
async function prepareData(directory: string, log: (line: string) => void): Promise<void> {
  const { data, restored } = dataOf(directory);
  // A killed restore: if it had moved the old data away, the new data is put in place; otherwise the old data stays.
  if (!existsSync(data) && existsSync(restored)) await rename(restored, data);
  await rm(restored, { recursive: true, force: true });
  if (existsSync(data)) return;
  log('creating the database');
  // In a thread of its own: the memory that the creation takes is free again when the thread has ended.
  const creation = new Thread({ directory, task: 'create' }, () => undefined);
  await creation.receive(({ kind }) => kind === 'created');
  await creation.end();
}

interface Waiting {
  readonly take: (answer: Answer) => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A thread that runs PGlite, and the one who waits for its answer. */
class Thread {
  private readonly worker: Worker;
  private why = 'it was ended';
  private hasEnded = false;
  private waiting: Waiting | undefined;

  constructor(input: WorkerInput, onEnd: () => void) {
    this.worker = new Worker(PROGRAM, { workerData: input });
    this.worker.on('message', (answer: Answer) => {
      if (answer.kind === 'failed') this.why = answer.why;
      else if (this.waiting?.take(answer) === true) this.waiting.resolve();
    });
    this.worker.on('error', (error: Error) => {
      this.why = error.message;
    });
    this.worker.on('exit', () => {
      this.hasEnded = true;
      onEnd();
      this.waiting?.reject(new EngineStopped(this.why));
    });
  }

  /** Passes the answers to `take` until it returns true. */
  receive(take: (answer: Answer) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting = { take, resolve, reject };
      if (this.hasEnded) reject(new EngineStopped(this.why));
    });
  }

  send(task: Task, take: (answer: Answer) => boolean): Promise<void> {
    const received = this.receive(take);
    this.worker.postMessage(task);
    return received;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }
}
