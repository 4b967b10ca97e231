import type { ErrorKind } from './errors';

/** What the toolkit asks of the seed orchestrator, over the channel between the two processes. */
export interface SeedRequest {
  readonly services: readonly SeedTarget[];
  /** Names of services; a wave starts when the one before it is done. */
  readonly waves: readonly (readonly string[])[];
  readonly repositoryRoot: string;
  /** Thousands of users to add. */
  readonly scale: number;
}

export interface SeedTarget {
  readonly name: string;
  readonly packageName: string;
  /** The app role's URL. It travels in a message, for arguments and environments can be read by others. */
  readonly url: string;
}

/** What the orchestrator tells. */
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
