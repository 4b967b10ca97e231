import { realpath, stat } from 'node:fs/promises';

/** Tells a directory that was moved, which keeps its inode, from a copy of it, which has another inode and path. */
export interface DirectoryIdentity {
  readonly inode: string;
  readonly path: string;
}

/** The identity of an existing directory. */
export async function identityOf(directory: string): Promise<DirectoryIdentity> {
  const path = await realpath(directory);
  const { ino } = await stat(path, { bigint: true });
  return { inode: String(ino), path };
}

/** Whether both are one directory. An inode alone may change, for example when a container is started again. */
export function isSameDirectory(one: DirectoryIdentity, other: DirectoryIdentity): boolean {
  return one.inode === other.inode || one.path === other.path;
}

/** Whether the directory of the identity still exists under its path. */
export async function stillExists({ path, inode }: DirectoryIdentity): Promise<boolean> {
  const found = await identityOf(path).catch(() => undefined);
  return found?.inode === inode;
}

/** The identity as text without line breaks. */
export function identityText({ inode, path }: DirectoryIdentity): string {
  return `${inode} ${encodeURI(path)}`;
}

/** Reads what {@link identityText} wrote; undefined for any other text. */
export function parseIdentity(text: string): DirectoryIdentity | undefined {
  const [, inode, path] = /^(\d+) (\S+)$/.exec(text.trim()) ?? [];
  if (inode === undefined || path === undefined) return undefined;
  try {
    return { inode, path: decodeURI(path) };
  } catch {
    return undefined;
  }
}
