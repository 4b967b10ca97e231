import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { createFile } from '../system/atomic-files';
import { codeOf, reasonOf } from '../system/system-errors';

/** Returns the password of a role, the same every time for one checkout. */
export type PasswordOf = (role: string) => string;

const SECRET_BYTES = 32;

/**
 * Reads the checkout's random secret in `credentials.json` (0600), and creates it on first use. The password of a role is
 * the HMAC of its name under this secret. The file never changes, so two commands at once cannot overwrite each other's
 * entries.
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
  throw new SuiteError('CREDENTIALS.UNREADABLE', `${file} contains no secret`, {
    kind: 'configuration',
    why: 'It must be {"secret": "<32 bytes, base64url>"}.',
    next: 'Restore it, or remove it and run "npm run db:setup" to give the app roles new passwords',
  });
}

async function createSecret(file: string): Promise<Buffer> {
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await createFile(file, `${JSON.stringify({ secret }, null, 2)}\n`);
  } catch (error) {
    throw new SuiteError('CREDENTIALS.UNWRITABLE', `${file} cannot be written`, {
      kind: 'configuration',
      why: `${codeOf(error) ?? reasonOf(error)}.`,
      next: 'Make the directory writable, or set AZORA_HOME to one that is',
      cause: error,
    });
  }
  // Another command may have created the file first; its secret is the one that counts.
  return (await readSecret(file)) ?? Buffer.from(secret, 'base64url');
}
