import { createHmac, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';

/** Gives the password of a role; the same one every time for the same checkout. */
export type PasswordOf = (role: string) => string;

const SECRET_BYTES = 32;

/**
 * Reads, or makes on first use, the checkout's random secret in `credentials.json` (0600). Each role's password is an
 * HMAC of its name under that secret: the file never changes after it was made, so two commands at once cannot lose
 * each other's entries.
 * @throws {SuiteError} `CREDENTIALS.UNREADABLE`, `CREDENTIALS.UNWRITABLE`
 */
export async function openCredentials(home: string): Promise<PasswordOf> {
  const file = path.join(home, 'credentials.json');
  const secret = (await readSecret(file)) ?? (await createSecret(file));
  return (role) => createHmac('sha256', secret).update(role).digest('base64url');
}

async function readSecret(file: string): Promise<Buffer | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new SuiteError('CREDENTIALS.UNREADABLE', `${file} cannot be read`, {
      kind: 'configuration',
      why: `${error.code ?? error.message}.`,
      next: 'Make it readable for the user who runs the command',
      cause: error,
    });
  });
  if (text === undefined) return undefined;
  const match = /"secret"\s*:\s*"([A-Za-z0-9_-]{43})"/.exec(text);
  if (match?.[1] !== undefined) return Buffer.from(match[1], 'base64url');
  throw new SuiteError('CREDENTIALS.UNREADABLE', `${file} holds no secret`, {
    kind: 'configuration',
    why: 'It must be {"secret": "<32 bytes, base64url>"}.',
    next: 'Restore it, or remove it and run "npm run db:setup" to give the app roles new passwords',
  });
}

/** Written under another name and linked into place: whoever links first wins, and no reader sees half a file. */
async function createSecret(file: string): Promise<Buffer> {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(draft, `${JSON.stringify({ secret }, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new SuiteError('CREDENTIALS.UNWRITABLE', `${file} cannot be written`, {
      kind: 'configuration',
      why: `${reason}.`,
      next: 'Make the directory writable, or set AZORA_HOME to one that is',
      cause: error,
    });
  } finally {
    await unlink(draft).catch(() => undefined);
  }
  return (await readSecret(file)) ?? Buffer.from(secret, 'base64url');
}
