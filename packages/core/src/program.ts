import type { ErrorKind } from './errors';

/**
 * What the toolkit asks the program of a service to do, sent over the channel between the two processes. A service whose package has
 * `dist/program.js` offers commands that need its code, which the toolkit never imports.
 */
export type ProgramRequest =
  | {
      readonly kind: 'run';
      readonly command: string;
      /** The connection URL of the app role, sent in a message because other users can read arguments and environments. */
      readonly url: string;
      readonly input: Readonly<Record<string, unknown>>;
    }
  /** Ends the command at its next safe point. */
  | { readonly kind: 'stop' };

/** A message from the program to the toolkit; one of `done` and `failed` is the last one. */
export type ProgramMessage =
  | { readonly kind: 'progress'; readonly detail: string }
  | {
      readonly kind: 'done';
      readonly data: Readonly<Record<string, unknown>>;
      readonly text: string;
      /** Whether the command examined data and found something wrong. */
      readonly hasFindings: boolean;
    }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly errorKind: ErrorKind;
      readonly message: string;
      readonly why: string | undefined;
      readonly next: string | undefined;
    };
