import type { FilledColumn } from '../../studio/src/api/answers';
import { createServiceAdapter, createStudioFetch, type ServiceAdapter } from '../../studio/src/data/service-adapter';
import type { GivenStudio } from './studio-fixture';

/** Studio's own types, which only the page's package may import. */
export type Table = Parameters<ServiceAdapter['query']>[0]['table'];
export type Column = Parameters<ServiceAdapter['checkValue']>[0];

export interface GivenAdapter {
  readonly adapter: ServiceAdapter;
  /** The table as Studio knows it. */
  readonly table: (name: string) => Promise<Table>;
  /** The rows of a table as a page shows them. */
  readonly rows: (table: Table) => Promise<readonly Record<string, unknown>[]>;
}

const SIGNAL = { abortSignal: new AbortController().signal };

/** The page's adapter of the service `people`, which talks to a studio's server over HTTP. */
export function givenAdapter({ server, send }: GivenStudio, filled: readonly FilledColumn[] = []): GivenAdapter {
  const fetch = createStudioFetch(
    () => undefined,
    async (input, init) => {
      const headers = { origin: `http://127.0.0.1:${server.port}`, 'content-type': 'application/json' };
      const { status, text } = await send({ path: String(input), method: 'POST', headers, body: String(init?.body) });
      return new Response(text, { status });
    },
  );
  const adapter = createServiceAdapter('people', { write: true, filled, fetch });
  return {
    adapter,
    table: async (name) => {
      const [error, introspected] = await adapter.introspect({});
      if (error !== null) throw error;
      const found = introspected.schemas['public']?.tables[name];
      if (found === undefined) throw new Error(`no table ${name}`);
      return found;
    },
    rows: async (table) => {
      const [error, result] = await adapter.query({ table, pageIndex: 0, pageSize: 25, sortOrder: [] }, SIGNAL);
      if (error !== null) throw error;
      return result.rows;
    },
  };
}
