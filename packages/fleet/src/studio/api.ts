import type { IncomingMessage } from 'node:http';
import { SuiteError } from '@azora/db-core';
import type { StudioContext } from '../operations/studio/context';
import { readStudioEvents } from '../operations/studio/events';
import { findReferences } from '../operations/studio/find-references';
import { readFleet, readOverview } from '../operations/studio/fleet';
import { readModels } from '../operations/studio/models';
import { badRequest, notFound, redactServers } from './errors';
import { changeDeadLetter } from './events';
import { answerQuery, PageRequest, type QueryOptions } from './query';

export interface ApiAnswer {
  readonly data: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The path of the state of the fleet. */
export const FLEET_PATH = '/api/fleet';
const DEAD_LETTERS_PATH = '/api/events/dead-letters';
const SERVICE_PATH = /^\/api\/services\/([^/]+)\/(query|references)$/;
/** A request's body: the largest requests save edits of long texts. */
const MAX_BODY_BYTES = 1024 * 1024;
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/**
 * Answers a request of the page.
 * @throws {SuiteError} `STUDIO.BAD_REQUEST`, `STUDIO.NOT_FOUND`, `STUDIO.UNKNOWN_SERVICE`, `STUDIO.UNKNOWN_COLUMN`,
 * `STUDIO.BAD_METHOD`, `STUDIO.BODY_TOO_LARGE`, `STUDIO.READ_ONLY`, `EVENTS.…`
 */
export async function answerApi(
  context: StudioContext,
  request: IncomingMessage,
  url: URL,
  options: QueryOptions,
): Promise<ApiAnswer> {
  const { pathname } = url;
  const [, service, what] = SERVICE_PATH.exec(pathname) ?? [];
  if (service !== undefined) {
    requireService(context, service);
    if (what === 'references') {
      requireMethod(request, 'GET');
      return { data: redacted(context, await findReferences(context, { service, ...searchOf(url) })) };
    }
    requireMethod(request, 'POST');
    return answerService(context, service, request, options);
  }
  if (pathname === DEAD_LETTERS_PATH) {
    requireMethod(request, 'POST');
    return { data: await changeDeadLetter(context, await readJson(request), options.caller) };
  }
  const read = READERS.get(pathname);
  if (read === undefined) throw notFound();
  requireMethod(request, 'GET');
  return { data: redacted(context, await read(context)) };
}

const READERS: ReadonlyMap<string, (context: StudioContext) => unknown> = new Map<
  string,
  (context: StudioContext) => unknown
>([
  [FLEET_PATH, readFleet],
  ['/api/overview', readOverview],
  ['/api/models', readModels],
  ['/api/events', readStudioEvents],
]);

/** The errors of single databases in these answers name servers. */
function redacted(context: StudioContext, data: unknown): unknown {
  return JSON.parse(JSON.stringify(data), (_key, value: unknown) =>
    typeof value === 'string' ? redactServers(context, value) : value,
  );
}

async function answerService(
  context: StudioContext,
  service: string,
  request: IncomingMessage,
  options: QueryOptions,
): Promise<ApiAnswer> {
  const { success, data, error } = PageRequest.safeParse(await readJson(request));
  if (!success) {
    const [issue] = error.issues;
    throw badRequest(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a request of the studio'}.`);
  }
  const { answer, isCut } = await answerQuery(context, service, data, options);
  return isCut ? { data: answer, headers: { 'x-studio-cut': 'rows' } } : { data: answer };
}

/** Stops reading a body that exceeds {@link MAX_BODY_BYTES}. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!JSON_TYPE.test(request.headers['content-type'] ?? ''))
    throw badRequest('The Content-Type is not application/json.');
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw bodyTooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw bodyTooLarge();
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw badRequest('The body is not valid JSON.');
  }
}

function bodyTooLarge(): SuiteError {
  return new SuiteError('STUDIO.BODY_TOO_LARGE', 'The request is larger than 1 MB', {
    kind: 'usage',
    next: 'Save fewer edits at a time',
  });
}

function requireService({ access }: StudioContext, service: string): void {
  if (access.has(service)) return;
  throw new SuiteError('STUDIO.UNKNOWN_SERVICE', 'The studio does not show this service', {
    kind: 'usage',
    next: `Choose one of: ${[...access.keys()].join(', ')}`,
  });
}

function requireMethod({ method }: IncomingMessage, wanted: 'GET' | 'POST'): void {
  if (method === wanted) return;
  throw new SuiteError('STUDIO.BAD_METHOD', `This address accepts ${wanted} only`, { kind: 'usage' });
}

function searchOf({ searchParams }: URL): { readonly table: string; readonly column: string; readonly value: string } {
  const [table = '', column = '', value = ''] = ['table', 'column', 'value'].map(
    (name) => searchParams.get(name) ?? '',
  );
  if (table === '' || column === '') throw badRequest('The parameters table and column are required.');
  return { table, column, value };
}
