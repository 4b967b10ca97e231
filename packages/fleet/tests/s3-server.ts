import crypto from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** Returns true when it answered the request itself. */
export type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface S3Server {
  /** The variables that lead to this server, for `openStorage`. */
  readonly environment: Readonly<Record<string, string>>;
  /** Variables that the SDK reads from the process, which keep it away from the machine's own configuration. */
  readonly isolation: Readonly<Record<string, string>>;
  /** Intercepts requests until it is called with undefined. */
  intercept(by: Intercept | undefined): void;
  /** Sets the time of all objects below the prefix to this long ago. */
  age(prefix: string, ms: number): Promise<void>;
  /** Adds objects without requests, which is much faster. */
  add(keys: readonly string[]): Promise<void>;
  /** All keys. */
  keys(): Promise<readonly string[]>;
  close(): Promise<void>;
}

interface Context {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  respond: boolean;
}

interface S3rver {
  readonly middleware: ((context: Context, next: () => Promise<void>) => Promise<void>)[];
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}

const OBJECT = '._S3rver_object';

/** Starts an S3 server with one bucket on a free port of the loopback interface. */
export async function startS3Server(bucket: string): Promise<S3Server> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'azora-s3-'));
  const restoreDes = provideDes();
  const Server: new (options: object) => S3rver = require('@20minutes/s3rver');
  const server = new Server({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: bucket }],
    // For a list of a bucket, this server computes the signature without the trailing slash that the SDK includes.
    allowMismatchedSignatures: true,
  });
  let intercept: Intercept | undefined;
  server.middleware.unshift(async (context, next) => {
    if (intercept?.(context.req, context.res) === true) context.respond = false;
    else await next();
  });
  const { port } = await server.run();
  const keys = async () => {
    const files = await readdir(path.join(directory, bucket), { recursive: true });
    const found = files.filter((file) => file.endsWith(OBJECT)).map((file) => file.slice(0, -OBJECT.length));
    return found.map((file) => file.split(path.sep).join('/')).sort();
  };
  return {
    environment: {
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'S3RVER',
      AWS_SECRET_ACCESS_KEY: 'S3RVER',
    },
    isolation: {
      AWS_CONFIG_FILE: path.join(directory, 'none'),
      AWS_SHARED_CREDENTIALS_FILE: path.join(directory, 'none'),
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_MAX_ATTEMPTS: '1',
    },
    intercept: (by) => {
      intercept = by;
    },
    keys,
    add: async (added) => {
      const files = added.map((key) => path.join(directory, bucket, `${key}${OBJECT}`));
      for (const folder of new Set(files.map((file) => path.dirname(file)))) {
        await mkdir(folder, { recursive: true });
        // The server removes empty folders, and fails when two concurrent removals find the same one empty.
        await writeFile(path.join(folder, 'kept'), '');
      }
      for (const file of files) await writeFile(file, '');
    },
    age: async (prefix, ms) => {
      const time = new Date(Date.now() - ms);
      for (const key of await keys()) {
        if (key.startsWith(prefix)) await utimes(path.join(directory, bucket, `${key}${OBJECT}`), time, time);
      }
    },
    close: async () => {
      await server.close();
      restoreDes();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * The server encrypts the tokens between the pages of a list with DES. OpenSSL 3 has only triple DES, which equals DES
 * when all three keys are the same.
 */
function provideDes(): () => void {
  const { createCipheriv, createDecipheriv } = crypto;
  const tripled = (make: typeof createCipheriv | typeof createDecipheriv) => (name: string, key: Buffer, iv: Buffer) =>
    name === 'des' ? make('des-ede3-cbc', Buffer.concat([key, key, key]), iv) : make(name, key, iv);
  Object.assign(crypto, { createCipheriv: tripled(createCipheriv), createDecipheriv: tripled(createDecipheriv) });
  return () => void Object.assign(crypto, { createCipheriv, createDecipheriv });
}
