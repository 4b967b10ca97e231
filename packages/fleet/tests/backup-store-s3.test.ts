/** @server none */
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SuiteError } from '@azora/db-core';
import { chunksOf, textOf } from '../src/backup-store/file';
import { parseS3Location } from '../src/backup-store/location';
import { s3Storage } from '../src/backup-store/s3';
import type { Chunks, SetWriter } from '../src/backup-store/storage';
import type { Environment } from '../src/system/child-environment';
import { type S3Server, startS3Server } from './s3-server';

const FIRST = '20260101T020304000Z-0a1b2c';
const SECOND = '20260102T020304000Z-0a1b2c';
const THIRD = '20260103T020304000Z-0a1b2c';
const HOUR_MS = 3_600_000;
const MIB = 2 ** 20;

describe('backup sets in a bucket', () => {
  const before = { ...process.env };
  let server: S3Server;
  let environment: Environment;
  let prefix = 0;
  const at = (url: string, variables: Environment = environment, heartbeatMs?: number) =>
    s3Storage(parseS3Location(url), variables, heartbeatMs);
  const open = (variables?: Environment) => at(`s3://backups/of/${prefix}`, variables);
  const keys = async () => {
    const own = `of/${prefix}/`;
    return (await server.keys()).filter((key) => key.startsWith(own)).map((key) => key.slice(own.length));
  };

  beforeAll(async () => {
    server = await startS3Server('backups');
    environment = server.environment;
    // The SDK must not find this machine's profiles.
    Object.assign(process.env, server.isolation);
  });

  beforeEach(() => {
    prefix += 1;
    server.intercept(undefined);
  });

  afterAll(async () => {
    await server.close();
    for (const name of Object.keys(server.isolation)) delete process.env[name];
    Object.assign(process.env, before);
  });

  it('are listed and read back, including large and empty files', async () => {
    const blocks = Array.from({ length: 40 }, () => randomBytes(MIB));

    const writer = await open().begin(FIRST);
    await writer.write('mint/large.gz', chunksFrom(blocks));
    await writer.write('mint/empty.gz', chunksFrom([]));
    await seal(writer);

    expect(await open().list()).toEqual([FIRST]);
    expect(await hashOf(await open().read(FIRST, 'mint/large.gz'))).toBe(await hashOf(chunksFrom(blocks)));
    expect(await textOf(await open().read(FIRST, 'mint/empty.gz'))).toBe('');
    expect(await open().readText(FIRST, 'manifest.json')).toBe('{}\n');
    expect(await open().readText(FIRST, 'manifest.seal')).toBe('sealed\n');
    expect(open().location).toBe(`s3://backups/of/${prefix}`);
  });

  it('are listed oldest first, and only when they are finished', async () => {
    await store(SECOND);
    await store(FIRST);
    await open().writeText('notes', 'manifest.seal', 'no set');

    const unfinished = await open().begin(THIRD);
    await unfinished.write('manifest.json', chunksOf('{}\n'));
    await unfinished.write('manifest.seal', chunksOf('sealed\n'));

    expect(await open().list()).toEqual([FIRST, SECOND]);
    expect(await at('s3://backups').list()).toEqual([]);
    await unfinished.finish();
    expect(await open().list()).toEqual([FIRST, SECOND, THIRD]);
  });

  it('cannot be finished without a checksum of the manifest, or when files were removed meanwhile', async () => {
    const incomplete = await open().begin(FIRST);
    await expect(incomplete.finish()).rejects.toThrow('has no manifest.seal');

    const emptied = await open().begin(SECOND);
    await emptied.write('mint/one.gz', chunksOf('one'));
    await open().remove(SECOND);
    await expect(seal(emptied)).rejects.toMatchObject({
      code: 'BACKUP.STORAGE_FAILED',
      why: 'Missing or changed: mint/one.gz.',
    });

    expect(await open().list()).toEqual([]);
  });

  it('leave nothing behind when they are abandoned during an upload', async () => {
    const writer = await open().begin(FIRST);
    await writer.write('mint/one.gz', chunksOf('one'));
    const running = writer.write('mint/two.gz', endless());
    const failed = expect(running).rejects.toThrow('was abandoned');
    await writer.abandon();

    await failed;
    expect(await keys()).toEqual([]);
  });

  it.each([0, 40])('throw the error of a source that fails after %i MiB', async (size) => {
    const writer = await open().begin(FIRST);
    const problem = Object.assign(new Error('the database went away'), { code: 'ECONNRESET' });

    await expect(writer.write('mint/one.gz', failing(size, problem))).rejects.toBe(problem);

    expect(await keys()).toEqual([]);
  });

  it('take a file of another set over within the bucket, unless it is missing or too large to copy', async () => {
    await store(FIRST);
    await open().writeText(FIRST, 'mint/one.gz', 'one');
    const sent: string[] = [];
    server.intercept(({ method, url = '', headers }) => {
      if (method === 'PUT' && url.includes('mint')) sent.push(String(headers['x-amz-copy-source']));
      return false;
    });

    const writer = await open().begin(SECOND);
    expect(await writer.adopt(FIRST, { path: 'mint/one.gz', bytes: 3 }, 'mint/renamed.gz')).toBe(true);
    expect(await writer.adopt(FIRST, { path: 'mint/one.gz', bytes: 5 * 2 ** 30 + 1 }, 'mint/large.gz')).toBe(false);
    const missing = writer.adopt(FIRST, { path: 'mint/two.gz', bytes: 3 }, 'mint/two.gz');
    await expect(missing).rejects.toMatchObject({ code: 'BACKUP.NO_FILE' });
    await seal(writer);
    await open().remove(FIRST);

    expect(await textOf(await open().read(SECOND, 'mint/renamed.gz'))).toBe('one');
    expect(sent[0]).toBe(`backups/of/${prefix}/${FIRST}/mint/one.gz`);
    expect(await keys()).not.toContain(`${SECOND}/mint/large.gz`);
  });

  it('begin by ending uploads that killed runs left a week ago', async () => {
    const set = (id: string, file: string) => `of/${prefix}/${id}/mint/${file}`;
    const pages = [
      uploadsXml([[set(FIRST, 'old.gz'), 'u1', 8 * 24 * HOUR_MS]], [set(FIRST, 'old.gz'), 'u1']),
      uploadsXml([
        [set(SECOND, 'young.gz'), 'u2', 6 * 24 * HOUR_MS],
        [`of/${prefix}/photos/2026.zip`, 'u3', 30 * 24 * HOUR_MS],
      ]),
    ];
    const asked: string[] = [];
    server.intercept(({ method, url = '' }, response) => {
      const { searchParams, pathname } = new URL(url, 'http://s3');
      if (method === 'DELETE') asked.push(`${pathname} ${searchParams.get('uploadId')}`);
      else if (!searchParams.has('uploads')) return false;
      response.writeHead(method === 'DELETE' ? 204 : 200, { 'content-type': 'application/xml' });
      response.end(method === 'DELETE' ? '' : pages[Number(searchParams.has('key-marker'))]);
      return true;
    });

    const found = await open().unfinished(() => undefined);
    await open().begin(THIRD);

    expect(found.map(({ what, name, state }) => `${what} ${name} ${state}`)).toEqual([
      `unfinished upload s3://backups/of/${prefix}/${FIRST}/mint/old.gz unused`,
      `unfinished upload s3://backups/of/${prefix}/${SECOND}/mint/young.gz unknown`,
    ]);
    expect(asked).toEqual([`/backups/${set(FIRST, 'old.gz')} u1`]);
  });

  it('begin although old uploads cannot be listed or removed', async () => {
    const old = `of/${prefix}/${FIRST}/mint/old.gz`;
    for (const [set, refused] of [
      [SECOND, 'GET'],
      [THIRD, 'DELETE'],
    ] as const) {
      server.intercept(({ method, url = '' }, response) => {
        const { searchParams } = new URL(url, 'http://s3');
        if (!searchParams.has('uploads') && !searchParams.has('uploadId')) return false;
        response.writeHead(method === refused ? 403 : 200, { 'content-type': 'application/xml' });
        const denied = '<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>';
        response.end(method === refused ? denied : uploadsXml([[old, 'u1', 8 * 24 * HOUR_MS]]));
        return true;
      });

      const writer = await open().begin(set);
      await seal(writer);

      expect(await open().list()).toContain(set);
    }
  });

  it('begin by removing unfinished sets that are older than a day, and nothing else', async () => {
    await store(FIRST);
    for (const set of [SECOND, THIRD]) {
      const writer = await open().begin(set);
      await writer.write('manifest.json', chunksOf('{}\n'));
      await writer.write('mint/one.gz', chunksOf('one'));
    }
    await server.age(`of/${prefix}/${FIRST}`, 48 * HOUR_MS);
    await server.age(`of/${prefix}/${SECOND}`, 25 * HOUR_MS);
    await server.age(`of/${prefix}/${THIRD}`, 23 * HOUR_MS);

    await open().begin('20260104T020304000Z-0a1b2c');

    expect(await keys()).toEqual([
      `${FIRST}/manifest.json`,
      `${FIRST}/manifest.seal`,
      `${FIRST}/mint/one.gz`,
      `${THIRD}/manifest.json`,
      `${THIRD}/mint/one.gz`,
    ]);
  });

  it('are kept while their backup runs, although an upload takes longer than a week', async () => {
    const upload = `of/${prefix}/${FIRST}/mint/large.gz`;
    let beats = 0;
    const second = new Promise<void>((resolve) => {
      server.intercept(({ method, url = '' }, response) => {
        const { searchParams, pathname } = new URL(url, 'http://s3');
        // The first beat is stored; the server cannot list a folder while an object in it is replaced.
        const isLater = method === 'PUT' && pathname.endsWith('/running') && ++beats > 1;
        if (isLater) resolve();
        if (!isLater && (method !== 'GET' || !searchParams.has('uploads'))) return false;
        response.writeHead(200, { 'content-type': 'application/xml' });
        response.end(isLater ? '' : uploadsXml([[upload, 'u1', 30 * 24 * HOUR_MS]]));
        return true;
      });
    });
    const writer = await at(`s3://backups/of/${prefix}`, environment, 1).begin(FIRST);
    await second;

    const found = await open().unfinished(() => undefined);
    expect(found.map(({ what, state }) => `${what} ${state}`)).toEqual([
      'unfinished upload unknown',
      'unfinished backup set unknown',
    ]);
    await seal(writer);
    expect(await keys()).toEqual([`${FIRST}/manifest.json`, `${FIRST}/manifest.seal`]);
  });

  it('can be removed with more files than one request allows, and stop being listed at once', async () => {
    await store(FIRST);
    await store(SECOND);
    await server.add(Array.from({ length: 1_050 }, (_, index) => `of/${prefix}/${FIRST}/mint/${index}.gz`));

    let removals = 0;
    server.intercept(({ method, url = '' }, response) => {
      const isSecond = method === 'POST' && url.includes('delete') && ++removals === 2;
      if (isSecond) response.writeHead(403).end();
      return isSecond;
    });
    await expect(open().remove(FIRST)).rejects.toMatchObject({ code: 'BACKUP.STORAGE_FAILED' });
    expect(await open().list()).toEqual([SECOND]);
    expect(await keys()).toHaveLength(1_052 + 3);

    await open().remove(FIRST);
    expect(removals).toBe(5);
    expect(await keys()).toEqual([`${SECOND}/manifest.json`, `${SECOND}/manifest.seal`, `${SECOND}/mint/one.gz`]);
  });

  it('resume reading where the connection broke', async () => {
    const text = 'a long line of rows\n'.repeat(10_000);
    await open().writeText(FIRST, 'mint/one.gz', text);
    let cuts = 0;
    server.intercept(({ headers }, response) => {
      const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
      if (++cuts > 2) return false;
      const range = from === 0 ? {} : { 'content-range': `bytes ${from}-${text.length - 1}/${text.length}` };
      response.writeHead(from === 0 ? 200 : 206, { 'content-length': text.length - from, ...range });
      response.write(text.slice(from, from + 70_001));
      sleep(50).then(() => response.destroy());
      return true;
    });

    expect(await textOf(await open().read(FIRST, 'mint/one.gz'))).toBe(text);
    expect(cuts).toBe(3);
  });

  it('report which file is missing', async () => {
    await store(FIRST);

    expect(await open().readText(FIRST, 'key.age')).toBeUndefined();
    await expect(open().read(FIRST, 'mint/two.gz')).rejects.toMatchObject({
      code: 'BACKUP.NO_FILE',
      meta: { set: FIRST, file: 'mint/two.gz' },
    });
  });

  it('replace a file', async () => {
    await store(FIRST);
    await open().writeText(FIRST, 'verified.json', 'once');
    await open().writeText(FIRST, 'verified.json', 'twice');

    expect(await open().readText(FIRST, 'verified.json')).toBe('twice');
  });

  describe('when the bucket cannot be used', () => {
    it('report a missing bucket from every operation', async () => {
      const wrong = at('s3://elsewhere/sets');
      const asked = [
        wrong.list(),
        wrong.begin(FIRST),
        wrong.read(FIRST, 'manifest.json'),
        wrong.readText(FIRST, 'manifest.json'),
        wrong.writeText(FIRST, 'verified.json', ''),
        wrong.remove(FIRST),
      ];

      for (const problem of await Promise.all(asked.map(problemOf))) {
        expect(problem).toMatchObject({
          code: 'BACKUP.STORAGE_FAILED',
          message: 'Cannot use the backup storage s3://elsewhere/sets',
          why: 'The bucket does not exist.',
          next: expect.stringContaining('AWS_ENDPOINT_URL_S3'),
          meta: { location: 's3://elsewhere/sets', code: 'NoSuchBucket' },
        });
      }
    });

    it.each([
      ['AWS_ACCESS_KEY_ID', 'AKIANOBODY', 'The server does not recognize the access key.'],
      ['AWS_ACCESS_KEY_ID', undefined, 'No credentials were found.'],
      ['AWS_REGION', undefined, 'No region is set.'],
    ])('report a problem with %s', async (name, value, why) => {
      const problem = await problemOf(open({ ...environment, [name]: value }).list());

      expect(problem).toMatchObject({ code: 'BACKUP.STORAGE_FAILED', why, next: expect.stringContaining(name) });
    });

    it('use the region and the credentials that are given, not those of the process', async () => {
      const requests: string[] = [];
      server.intercept(({ headers }) => {
        requests.push(headers.authorization ?? '');
        return false;
      });

      await open({ ...environment, AWS_REGION: 'eu-central-9' }).list();
      await problemOf(open({ ...environment, AWS_ACCESS_KEY_ID: 'AKIANOBODY' }).list());

      expect(requests).toEqual([
        expect.stringMatching(/Credential=S3RVER\/\d+\/eu-central-9\/s3\//),
        expect.stringMatching(/Credential=AKIANOBODY\/\d+\/us-east-1\/s3\//),
      ]);
    });

    it('repeat no text of the server, which may hold a secret', async () => {
      const body = '<Error><Code>SignatureDoesNotMatch</Code><Message>open sesame</Message></Error>';
      server.intercept((_, response) => Boolean(response.writeHead(403).end(body)));

      const problem = await problemOf(open().list());

      expect(problem).toMatchObject({
        code: 'BACKUP.STORAGE_FAILED',
        why: 'The secret key does not belong to the access key.',
        next: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
      });
      expect(textsOf(problem)).not.toContain('sesame');
    });

    it('report a server that cannot be reached', async () => {
      const closed = net.createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => closed.once('listening', resolve));
      const { port } = closed.address() as net.AddressInfo;
      await new Promise((resolve) => closed.close(resolve));
      const AWS_ENDPOINT_URL_S3 = `http://127.0.0.1:${port}`;

      expect(await problemOf(open({ ...environment, AWS_ENDPOINT_URL_S3 }).list())).toMatchObject({
        code: 'BACKUP.STORAGE_FAILED',
        why: expect.stringContaining('The server cannot be reached'),
      });
    });

    it('report the answer of the server', async () => {
      const writer = await open().begin(FIRST);
      server.intercept((_, response) => Boolean(response.writeHead(403).end()));
      expect(await problemOf(open().list())).toMatchObject({ next: expect.stringContaining('s3:ListBucket') });
      expect(await problemOf(writer.write('mint/one.gz', chunksOf('one')))).toMatchObject({
        code: 'BACKUP.STORAGE_FAILED',
      });
      server.intercept((_, response) => Boolean(response.writeHead(503).end()));
      expect(await problemOf(open().list())).toMatchObject({ why: expect.stringContaining('HTTP 503') });
    });

    it('report a connection that ends in the middle of a file', async () => {
      await store(FIRST);
      server.intercept((_, response) => {
        response.writeHead(200, { 'content-length': '1000' }).write('a part');
        sleep(50).then(() => response.destroy());
        return true;
      });

      expect(await problemOf(open().readText(FIRST, 'manifest.json'))).toMatchObject({ code: 'BACKUP.STORAGE_FAILED' });
    });
  });

  async function store(set: string): Promise<void> {
    const writer = await open().begin(set);
    await writer.write('mint/one.gz', chunksOf('one'));
    await seal(writer);
  }
});

async function problemOf(work: Promise<unknown>): Promise<SuiteError> {
  return work.then(
    () => Promise.reject(new Error('the operation succeeded')),
    (error: SuiteError) => error,
  );
}

function textsOf(problem: SuiteError): string {
  return JSON.stringify([problem, problem.message, problem.stack]);
}

async function seal(writer: SetWriter): Promise<void> {
  await writer.write('manifest.json', chunksOf('{}\n'));
  await writer.write('manifest.seal', chunksOf('sealed\n'));
  await writer.finish();
}

async function* chunksFrom(blocks: readonly Uint8Array[]): Chunks {
  yield* blocks;
}

async function* endless(): Chunks {
  for (;;) {
    yield randomBytes(1024);
    await sleep(5);
  }
}

async function* failing(mebibytes: number, problem: Error): Chunks {
  for (let given = 0; given < mebibytes; given += 1) yield randomBytes(MIB);
  throw problem;
}

async function hashOf(chunks: Chunks): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

/** The answer to a list of multipart uploads: key, id and age of each, and the last one of a page that another follows. */
function uploadsXml(uploads: readonly (readonly [string, string, number])[], next?: readonly [string, string]): string {
  const entries = uploads.map(
    ([key, id, ageMs]) =>
      `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${new Date(Date.now() - ageMs).toISOString()}</Initiated></Upload>`,
  );
  const more =
    next === undefined
      ? ''
      : `<NextKeyMarker>${next[0]}</NextKeyMarker><NextUploadIdMarker>${next[1]}</NextUploadIdMarker>`;
  return `<?xml version="1.0" encoding="UTF-8"?><ListMultipartUploadsResult><IsTruncated>${next !== undefined}</IsTruncated>${more}${entries.join('')}</ListMultipartUploadsResult>`;
}
