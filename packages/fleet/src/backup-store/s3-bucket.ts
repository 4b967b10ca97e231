import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { s3Failed } from './s3-errors';
import { parseS3Location } from './s3-location';
import { storeSource } from './source';
import type { Chunks } from './storage';

/** A part of a bucket. Names are without its prefix, and whatever fails is the suite's error. */
export interface Bucket {
  /** For messages. */
  readonly location: string;
  folders(): Promise<readonly string[]>;
  /** What is below a folder, a page at a time. */
  pages(folder: string): AsyncIterable<readonly StoredObject[]>;
  has(name: string): Promise<boolean>;
  /** Undefined when there is none. */
  get(name: string): Promise<Readable | undefined>;
  put(name: string, text: string): Promise<void>;
  /** @throws what the source throws, as it is */
  upload(name: string, source: Chunks): Promise<void>;
  /** Not more than one page. */
  remove(names: readonly string[]): Promise<void>;
}

export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
  readonly modified: Date;
}

/**
 * An upload holds up to five of them: two on their way, one being collected and joined. A file may have ten thousand:
 * 156 GiB as stored.
 */
const PART_BYTES = 16 * 2 ** 20;
const PARTS_AT_ONCE = 2;
export const LARGEST_BYTES = PART_BYTES * 10_000;
/** The SDK would wait for as long as the system does: minutes. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Endpoint, region and credentials are what the SDK finds in the environment.
 * @throws {SuiteError} `USAGE.BAD_LOCATION`
 */
export function openBucket(url: string): Bucket {
  const { bucket: Bucket, prefix, text: location } = parseS3Location(url);
  const client = new S3Client({
    // Servers other than Amazon's have no name for each bucket.
    forcePathStyle: Boolean(process.env['AWS_ENDPOINT_URL_S3'] || process.env['AWS_ENDPOINT_URL']),
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS },
  });
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
    upload: (name, source) =>
      storeSource(source, (chunks) => {
        const options = { partSize: PART_BYTES, queueSize: PARTS_AT_ONCE };
        const params = { ...at(name), Body: Readable.from(chunks) };
        return coded(new Upload({ client, params, ...options }).done());
      }),
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

/**
 * Goes on where it was when the connection is cut, as long as something came: a reader such as COPY may make the server
 * wait for longer than it does.
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

/** Gives what broke it, apart from what the reader throws in at the yield. */
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

/** The answer tells of each object that could not be removed, and is no error. */
async function removeObjects(client: S3Client, Bucket: string, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
  const { Errors = [], $metadata } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }));
  const [first] = Errors;
  if (first !== undefined) throw Object.assign(new Error('not removed'), { name: first.Code ?? 'Error', $metadata });
}

async function unlessMissing<Result>(answer: Promise<Result>): Promise<Result | undefined> {
  return answer.catch((error: { readonly name?: string }) => {
    // A HEAD is answered without a body, so without the server's own code.
    if (error.name === 'NoSuchKey' || error.name === 'NotFound') return undefined;
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
