/** What the thread that runs PGlite and the thread that owns it send each other. */

export interface WorkerInput {
  readonly directory: string;
  /** `create` makes the data and ends: making it takes memory that a running database does not need. */
  readonly task: 'create' | 'serve';
}

export type Task = { readonly kind: 'ask'; readonly messages: Uint8Array } | { readonly kind: 'close' };

export type Answer =
  | { readonly kind: 'created' | 'closed' }
  | { readonly kind: 'ready'; readonly greeting: Uint8Array }
  | { readonly kind: 'data'; readonly data: Uint8Array }
  | { readonly kind: 'done'; readonly isInTransaction: boolean }
  | { readonly kind: 'failed'; readonly why: string };

/** The number of ENOSPC in WebAssembly's system interface. */
const NO_SPACE_ERRNO = 51;

/** PGlite's file system throws objects with a number, not errors. */
export function describeFailure(error: unknown): string {
  if (error instanceof Error) return error.message.split('\n')[0] ?? error.name;
  const isFull = typeof error === 'object' && error !== null && 'errno' in error && error.errno === NO_SPACE_ERRNO;
  return isFull ? 'No space left on device' : JSON.stringify(error);
}
