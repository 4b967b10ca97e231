export interface TreeFile {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the content, in hexadecimal. */
  readonly hash: string;
}

export type SkipReason =
  | 'too-large'
  | 'binary'
  | 'invalid-utf-8'
  | 'unreadable'
  | 'symbolic-link'
  | 'not-a-file'
  | 'invalid-name';

export interface SkippedFile {
  readonly path: string;
  readonly reason: SkipReason;
}

export interface Tree {
  readonly isGitTree: boolean;
  /** In the order of their paths. */
  readonly files: readonly TreeFile[];
  readonly skipped: readonly SkippedFile[];
}

/** A path as a lister found it; `isValid` is false when its name is not UTF-8. */
export interface ListedPath {
  readonly path: string;
  readonly isValid: boolean;
}
