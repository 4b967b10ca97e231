import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandInput,
  type ListMultipartUploadsCommandOutput,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { SuiteError } from '@azora/db-core';
import type { Environment } from '../system/child-environment';
import { type Chunks, keepSourceError } from './storage';

/** A part of a bucket, as `s3://bucket/optional/prefix` names it. */
export interface S3Location {
  readonly bucket: string;
  /** The start of every key: empty, or it ends in a slash. */
  readonly prefix: string;
  /** For messages. */
  readonly text: string;
}

/** Reads and writes a part of a bucket. Names leave its prefix out, and every failure is a coded error. */
export interface Bucket {
  /** For messages. */
  readonly location: string;
  folders(): Promise<readonly string[]>;
  /** The objects below a folder, one page at a time. */
  pages(folder: string): AsyncIterable<readonly StoredObject[]>;
  has(name: string): Promise<boolean>;
  /** Undefined when the object does not exist. */
  get(name: string): Promise<Readable | undefined>;
  put(name: string, text: string): Promise<void>;
  /** Throws the source's own errors. */
  upload(name: string, source: Chunks): Promise<void>;
  /** Copies an object within the bucket. False when it does not exist. */
  copy(from: string, to: string): Promise<boolean>;
  /** Removes at most one page of objects. */
  remove(names: readonly string[]): Promise<void>;
  /** The multipart uploads that are not finished; none when the credentials may not list them. */
  uploads(): Promise<readonly StartedUpload[]>;
  /** Ends an upload and removes its parts. */
  abort(upload: StartedUpload): Promise<void>;
}

export interface StartedUpload {
  readonly name: string;
  readonly id: string;
  readonly started: Date;
}

interface StoredObject {
  readonly name: string;
  readonly bytes: number;
  readonly modified: Date;
}

/**
 * An upload holds up to five parts in memory: two in flight, one being collected and joined. S3 allows 10,000 parts,
 * which limits a stored file to 156 GiB.
 */
const PART_BYTES = 16 * 2 ** 20;
const CONCURRENT_PARTS = 2;
export const LARGEST_BYTES = PART_BYTES * 10_000;
/** The most that S3 copies with one request. */
export const LARGEST_COPY_BYTES = 5 * 2 ** 30;
const UPLOADS_NOT_LISTED: readonly string[] = ['AccessDenied', 'NotImplemented', 'MethodNotAllowed'];
/** Without it the SDK waits as long as the operating system does, which is minutes. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Opens a bucket with the endpoint, region and credentials of the environment. The SDK looks up everything that is not
 * set there (profiles, instance roles) by itself.
 */
export function openBucket({ bucket: Bucket, prefix, text: location }: S3Location, environment: Environment): Bucket {
  const client = new S3Client(clientConfig(environment));
  const at = (name: string) => ({ Bucket, Key: `${prefix}${name}` });
  const coded = <Result>(work: Promise<Result>): Promise<Result> =>
    work.catch((error: unknown) => {
      throw s3Failed(location, error);
    });
  return {
    location,
    folders: () => coded(listFolders(client, Bucket, prefix)),
    pages: (folder) => codedChunks(location, listPages(client, Bucket, { prefix, folder })),
    has: (name) => coded(unlessMissing(client.send(new HeadObjectCommand(at(name))))).then((it) => it !== undefined),
    get: async (name) => {
      const found = await coded(unlessMissing(client.send(new GetObjectCommand(at(name)))));
      const more = (from: object) => client.send(new GetObjectCommand({ ...at(name), ...from }));
      return found && Readable.from(codedChunks(location, readWhole(found, more)));
    },
    put: async (name, text) => {
      await coded(client.send(new PutObjectCommand({ ...at(name), Body: Buffer.from(text) })));
    },
    upload: async (name, source) => {
      await keepSourceError(source, (chunks) => {
        const options = { partSize: PART_BYTES, queueSize: CONCURRENT_PARTS };
        const params = { ...at(name), Body: Readable.from(chunks) };
        return coded(new Upload({ client, params, ...options }).done());
      });
    },
    copy: async (from, to) => {
      const CopySource = encodeURI(`${Bucket}/${at(from).Key}`);
      const copied = coded(unlessMissing(client.send(new CopyObjectCommand({ ...at(to), CopySource }))));
      return (await copied) !== undefined;
    },
    uploads: () => coded(listUploads(client, Bucket, prefix)),
    abort: async ({ name, id }) => {
      await coded(unlessMissing(client.send(new AbortMultipartUploadCommand({ ...at(name), UploadId: id }))));
    },
    remove: (names) =>
      coded(
        removeObjects(
          client,
          Bucket,
          names.map((name) => at(name).Key),
        ),
      ),
  };
}

function clientConfig(environment: Environment): S3ClientConfig {
  const endpoint = environment['AWS_ENDPOINT_URL_S3'] || environment['AWS_ENDPOINT_URL'];
  const region = environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'];
  const profile = environment['AWS_PROFILE'];
  const [accessKeyId, secretAccessKey] = [environment['AWS_ACCESS_KEY_ID'], environment['AWS_SECRET_ACCESS_KEY']];
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  return {
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS },
    // Servers other than Amazon's do not give each bucket a host name.
    ...(!endpoint ? {} : { endpoint, forcePathStyle: true }),
    ...(!region ? {} : { region }),
    ...(!profile ? {} : { profile }),
    ...(!profile && accessKeyId && secretAccessKey
      ? { credentials: { accessKeyId, secretAccessKey, ...(!sessionToken ? {} : { sessionToken }) } }
      : {}),
  };
}

async function listFolders(client: S3Client, Bucket: string, Prefix: string): Promise<readonly string[]> {
  const folders: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket, Prefix, Delimiter: '/' })) {
    for (const found of page.CommonPrefixes ?? []) folders.push((found.Prefix ?? '').slice(Prefix.length, -1));
  }
  return folders;
}

async function* listPages(
  client: S3Client,
  Bucket: string,
  { prefix, folder }: { readonly prefix: string; readonly folder: string },
): AsyncGenerator<readonly StoredObject[]> {
  for await (const page of paginateListObjectsV2({ client }, { Bucket, Prefix: `${prefix}${folder}/` })) {
    yield (page.Contents ?? []).map(({ Key = '', Size = 0, LastModified = new Date() }) => ({
      name: Key.slice(prefix.length),
      bytes: Size,
      modified: LastModified,
    }));
  }
}

/** Listing needs a permission that backups do not need, and some servers do not know the request. */
async function listUploads(client: S3Client, Bucket: string, Prefix: string): Promise<readonly StartedUpload[]> {
  const found: StartedUpload[] = [];
  let after: Partial<ListMultipartUploadsCommandInput> | undefined = {};
  while (after !== undefined) {
    const page: ListMultipartUploadsCommandOutput | undefined = await unlessNotListed(
      client.send(new ListMultipartUploadsCommand({ Bucket, Prefix, ...after })),
    );
    for (const { Key = '', UploadId = '', Initiated = new Date() } of page?.Uploads ?? [])
      found.push({ name: Key.slice(Prefix.length), id: UploadId, started: Initiated });
    after =
      page?.IsTruncated === true
        ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
        : undefined;
  }
  return found;
}

async function unlessNotListed<Result>(answer: Promise<Result>): Promise<Result | undefined> {
  return answer.catch((error: Thrown) => {
    if (UPLOADS_NOT_LISTED.includes(errorCode(error))) return undefined;
    throw error;
  });
}

/**
 * Resumes where the connection broke, as long as each attempt received something: a slow reader such as COPY can keep
 * the server waiting longer than the server allows.
 */
async function* readWhole(
  first: GetObjectCommandOutput,
  more: (from: { readonly Range: string; readonly IfMatch: string | undefined }) => Promise<GetObjectCommandOutput>,
): AsyncGenerator<Uint8Array> {
  let body = first.Body as Readable;
  let [bytes, resumedAt] = [0, 0];
  try {
    for (;;) {
      const chunks: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]();
      const broken = yield* passOn(chunks, (length) => {
        bytes += length;
      });
      if (broken === undefined) return;
      if (bytes === resumedAt || bytes === first.ContentLength) throw broken.error;
      const rest = await more({ Range: `bytes=${bytes}-`, IfMatch: first.ETag });
      body = rest.Body as Readable;
      if (!rest.ContentRange?.startsWith(`bytes ${bytes}-`)) throw broken.error;
      resumedAt = bytes;
    }
  } finally {
    body.destroy();
  }
}

interface Broken {
  readonly error: unknown;
}

/** Returns the error of the source. An error that the reader throws in at the yield passes through. */
async function* passOn(
  chunks: AsyncIterator<Uint8Array>,
  count: (length: number) => void,
): AsyncGenerator<Uint8Array, Broken | undefined> {
  for (;;) {
    const next = await chunks.next().catch((error: unknown): Broken => ({ error }));
    if ('error' in next) return next;
    if (next.done === true) return undefined;
    count(next.value.length);
    yield next.value;
  }
}

/** The request succeeds even when some objects could not be removed; the answer lists those. */
async function removeObjects(client: S3Client, Bucket: string, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
  const { Errors = [], $metadata } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }));
  const [first] = Errors;
  if (first !== undefined) throw Object.assign(new Error('not removed'), { name: first.Code ?? 'Error', $metadata });
}

async function unlessMissing<Result>(answer: Promise<Result>): Promise<Result | undefined> {
  return answer.catch((error: { readonly name?: string }) => {
    // The answer to HEAD has no body and so no error code of the server.
    if (['NoSuchKey', 'NotFound', 'NoSuchUpload'].includes(error.name ?? '')) return undefined;
    throw error;
  });
}

async function* codedChunks<Chunk>(location: string, chunks: AsyncIterable<Chunk>): AsyncGenerator<Chunk> {
  try {
    yield* chunks;
  } catch (error) {
    throw s3Failed(location, error);
  }
}

interface Advice {
  readonly why: string;
  readonly next: string;
}

/** The fields that errors of the SDK and of Node may have. */
interface Thrown {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const CREDENTIALS = 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to valid credentials';
const PERMISSIONS =
  'Allow s3:ListBucket on the bucket, and s3:GetObject, PutObject, DeleteObject and AbortMultipartUpload in it';
const NETWORK = 'Check the network, and AWS_ENDPOINT_URL_S3 if the bucket is not hosted by Amazon';
const REGION = 'Set AWS_REGION to the region of the bucket';

/** By the server's error code, or by the name of the SDK's own error. */
const ADVICE: Readonly<Record<string, Advice>> = {
  NoSuchBucket: {
    why: 'The bucket does not exist.',
    next: 'Correct the name or create the bucket; AWS_ENDPOINT_URL_S3 selects the server',
  },
  AccessDenied: { why: 'The credentials do not have the required permissions.', next: PERMISSIONS },
  CredentialsProviderError: { why: 'No credentials were found.', next: CREDENTIALS },
  InvalidAccessKeyId: { why: 'The server does not recognize the access key.', next: CREDENTIALS },
  SignatureDoesNotMatch: { why: 'The secret key does not belong to the access key.', next: CREDENTIALS },
  ExpiredToken: { why: 'The credentials have expired.', next: CREDENTIALS },
  InvalidToken: { why: 'The session token is not valid.', next: CREDENTIALS },
  RequestTimeTooSkewed: { why: 'The clocks of this machine and of the server differ.', next: 'Set the clock' },
  PermanentRedirect: { why: 'The bucket is in another region.', next: REGION },
  AuthorizationHeaderMalformed: { why: 'The bucket is in another region.', next: REGION },
};

/**
 * `BACKUP.STORAGE_FAILED` for an error of the server, the network or the credentials; any other error as it is. The
 * original message stays in the cause, because a server may put anything into it.
 */
function s3Failed(location: string, error: unknown): unknown {
  const advice = error instanceof SuiteError ? undefined : adviceFor(error);
  if (advice === undefined) return error;
  return new SuiteError('BACKUP.STORAGE_FAILED', `Cannot use the backup storage ${location}`, {
    ...advice,
    meta: { location, code: errorCode(error) },
    cause: error,
  });
}

/** Fails early: the server counts parts, and would reject the file only after most of it was sent. */
export function fileTooLarge(location: string, file: string, limit: number): SuiteError {
  return new SuiteError('BACKUP.STORAGE_FAILED', `${file} is too large for ${location}`, {
    why: `A file in a bucket can be at most ${limit / 2 ** 30} GiB.`,
    next: 'Back up to a directory with --out',
    meta: { location, file },
  });
}

function adviceFor(error: unknown): Advice | undefined {
  const { name, code, message, $metadata } = (error ?? {}) as Thrown;
  const named = errorCode(error);
  const status = $metadata?.httpStatusCode;
  if (ADVICE[named] !== undefined) return ADVICE[named];
  if (status === 301 || status === 307) return ADVICE['PermanentRedirect'];
  if (status !== undefined) {
    const next = status === 403 ? PERMISSIONS : 'Try again, or name another location with --out';
    return { why: `The server answered ${named} (HTTP ${status}).`, next };
  }
  if (name?.endsWith('ProviderError')) return ADVICE['CredentialsProviderError'];
  if (message === 'Region is missing') return { why: 'No region is set.', next: REGION };
  if (message?.startsWith('Checksum mismatch')) {
    return { why: 'The received bytes do not match the stored checksum.', next: 'Try again' };
  }
  // A request without an answer has metadata without a status; Node's own errors have a code.
  if (code === undefined && $metadata === undefined) return undefined;
  return { why: `The server cannot be reached: ${named}.`, next: NETWORK };
}

/** By shape, because an error may come from another realm. The name of an SDK error is the server's code. */
function errorCode(error: unknown): string {
  const { code, name } = (error ?? {}) as Thrown;
  const found = [code, name].find((it) => typeof it === 'string' && /^[A-Za-z]\w{0,60}$/.test(it));
  return found ?? 'an unknown error';
}
