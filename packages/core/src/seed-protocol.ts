import type { ErrorKind } from './errors';

/** The request of the toolkit to the seed orchestrator, sent over the channel between the two processes. */
export interface SeedRequest {
  readonly services: readonly SeedTarget[];
  /** Names of services. A wave starts when the previous wave has finished. */
  readonly waves: readonly (readonly string[])[];
  readonly repositoryRoot: string;
  /** How many thousand users to add. */
  readonly scale: number;
}

export interface SeedTarget {
  readonly name: string;
  readonly packageName: string;
  /** The administrator's connection URL, sent in a message because other users can read arguments and environments. */
  readonly url: string;
}

/** A message from the orchestrator to the toolkit. */
export type SeedMessage =
  | { readonly kind: 'progress'; readonly service: string; readonly detail: string }
  | { readonly kind: 'done'; readonly service: string; readonly rows: number }
  | {
      readonly kind: 'failed';
      readonly service: string;
      readonly code: string;
      readonly errorKind: ErrorKind;
      readonly message: string;
      readonly why: string | undefined;
      readonly next: string | undefined;
    };
