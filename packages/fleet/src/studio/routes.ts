import type { IncomingMessage } from 'node:http';
import { SuiteError } from '@azora/db-core';
import type { StudioContext } from '../operations/studio/context';
import { readFleet } from '../operations/studio/fleet';
import { readModels } from '../operations/studio/models';
import { readOverview } from '../operations/studio/overview';
import { findUses } from '../operations/studio/usage';
import { readJson } from './body';
import { badRequest, notFound, refusal } from './http-error';
import { StudioRequest } from './protocol';
import { answerQuery, type QueryOptions } from './query';
import { redactServers } from './redact';

export interface ApiAnswer {
  readonly data: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Where the state of the fleet is. */
export const FLEET = '/api/fleet';
const SERVICE_ROUTE = /^\/api\/services\/([^/]+)\/(query|usage)$/;

/** Answers what the page asks. */
export async function answerApi(
  context: StudioContext,
  request: IncomingMessage,
  url: URL,
  options: Omit<QueryOptions, 'caller'>,
): Promise<ApiAnswer> {
  const { pathname } = url;
  const [, service, what] = SERVICE_ROUTE.exec(pathname) ?? [];
  if (service !== undefined) {
    requireService(context, service);
    if (what === 'usage') {
      requireMethod(request, 'GET');
      return { data: redacted(context, await findUses(context, { service, ...usageOf(url) })) };
    }
    requireMethod(request, 'POST');
    const caller = { address: request.socket.remoteAddress, agent: request.headers['user-agent'] };
    return answerService(context, service, request, { ...options, caller });
  }
  const read = READERS.get(pathname);
  if (read === undefined) throw notFound();
  requireMethod(request, 'GET');
  return { data: redacted(context, await read(context)) };
}

/** Errors of databases that are told in such an answer name servers. */
function redacted(context: StudioContext, data: unknown): unknown {
  return JSON.parse(redactServers(context, JSON.stringify(data)));
}

const READERS: ReadonlyMap<string, (context: StudioContext) => unknown> = new Map<
  string,
  (context: StudioContext) => unknown
>([
  [FLEET, readFleet],
  ['/api/overview', readOverview],
  ['/api/models', readModels],
]);

async function answerService(
  context: StudioContext,
  service: string,
  request: IncomingMessage,
  options: QueryOptions,
): Promise<ApiAnswer> {
  const { success, data, error } = StudioRequest.safeParse(await readJson(request));
  if (!success) {
    const [issue] = error.issues;
    throw badRequest(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a request of the studio'}.`);
  }
  const { answer, isCut } = await answerQuery(context, service, data, options);
  return isCut ? { data: answer, headers: { 'x-studio-cut': 'rows' } } : { data: answer };
}

function requireService({ access }: StudioContext, service: string): void {
  if (access.has(service)) return;
  const error = new SuiteError('STUDIO.UNKNOWN_SERVICE', 'The studio does not show this service', {
    kind: 'usage',
    next: `Services: ${[...access.keys()].join(', ')}`,
  });
  throw refusal(404, error);
}

function requireMethod({ method }: IncomingMessage, wanted: 'GET' | 'POST'): void {
  if (method === wanted) return;
  throw refusal(405, new SuiteError('STUDIO.BAD_METHOD', `This address answers ${wanted} only`, { kind: 'usage' }));
}

function usageOf({ searchParams }: URL): { readonly table: string; readonly column: string; readonly value: string } {
  const [table, column, value] = ['table', 'column', 'value'].map((name) => searchParams.get(name) ?? '');
  if (table === undefined || column === undefined || value === undefined || table === '' || column === '')
    throw badRequest('It must name table, column and value.');
  return { table, column, value };
}
