import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { openAnchorStore } from '../src/backup-store/audit-anchors';
import { findServices } from '../src/config/registry';
import type { ProgressEvent } from '../src/operations/fleet';
import { type PrunedTable, pruneFleet } from '../src/operations/prune';
import type { Target } from '../src/operations/targets';
import { readSchemaModel } from '../src/schema/schema-model';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';

/** The clock of the database stands still, so that a row can lie exactly at the limit. */
const UP = `
  CREATE FUNCTION database_time() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT timestamptz '2026-06-30 12:00:00+00' $$;
  CREATE TABLE baskets (id text PRIMARY KEY, seen_at timestamptz NOT NULL, is_paid boolean NOT NULL DEFAULT true);
  CREATE INDEX ON baskets (seen_at);
  CREATE TABLE lines (id text PRIMARY KEY, basket_id text NOT NULL REFERENCES baskets ON DELETE CASCADE, made_at timestamptz NOT NULL);
  CREATE TABLE clicks (id text NOT NULL, at timestamp NOT NULL) PARTITION BY RANGE (at);
  CREATE TABLE clicks_april PARTITION OF clicks FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
  CREATE TABLE clicks_may PARTITION OF clicks FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
  CREATE TABLE clicks_june PARTITION OF clicks FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
  CREATE TABLE keys (id text PRIMARY KEY, made_at timestamptz NOT NULL);
  CREATE FUNCTION prune_keys(p_keep interval, p_most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM keys WHERE id IN (
      SELECT id FROM keys WHERE id <> 'kept' AND made_at < database_time() - p_keep LIMIT p_most) RETURNING 1)
    SELECT count(*)::int FROM gone $$;
  CREATE TABLE outbox (id text PRIMARY KEY, made_at timestamptz NOT NULL);
  CREATE FUNCTION prune_outbox(p_seen pg_snapshot, p_keep interval, p_most integer) RETURNS integer LANGUAGE sql AS 'SELECT 0';`;

const SCHEMA = `
/// @retain 30d by seenAt where is_paid
model Basket {
  id     String   @id
  seenAt DateTime @map("seen_at") @db.Timestamptz
  isPaid Boolean  @default(true) @map("is_paid")
  lines  Line[]
  @@map("baskets")
}
/// @retain 365d by madeAt
model Line {
  id       String   @id
  basketId String   @map("basket_id")
  madeAt   DateTime @map("made_at") @db.Timestamptz
  basket   Basket   @relation(fields: [basketId], references: [id], onDelete: Cascade)
  @@map("lines")
}
/// @retain 30d by at
model Click {
  id String
  at DateTime
  @@id([id, at])
  @@map("clicks")
}
/// @retain 7d by madeAt
model Key {
  id     String   @id
  madeAt DateTime @map("made_at") @db.Timestamptz
  @@map("keys")
}
/// @retain 1d by madeAt
model Outbox {
  id     String   @id
  madeAt DateTime @map("made_at") @db.Timestamptz
  @@map("outbox")
}
/// @retain 1d by madeAt
model Pending {
  id     String   @id
  madeAt DateTime @map("made_at") @db.Timestamptz
  @@map("pending")
}`;

const ROWS = `
  INSERT INTO baskets (id, seen_at) SELECT 'old-' || n, timestamptz '2026-05-01 12:00:00+00' + n * interval '1 minute' FROM generate_series(1, 1000) AS n;
  INSERT INTO baskets (id, seen_at, is_paid) VALUES ('at-limit', '2026-05-31 12:00:00+00', true),
    ('just-over', '2026-05-31 11:59:59.999999+00', true), ('open', '2020-01-01', false);
  INSERT INTO lines VALUES ('line', 'old-1', '2026-05-01'), ('old-line', 'open', '2020-01-01');
  INSERT INTO clicks SELECT 'c', timestamp '2026-04-15' + n * interval '1 day' FROM generate_series(0, 70) AS n;
  INSERT INTO keys VALUES ('old', '2026-01-01'), ('kept', '2026-01-01'), ('new', '2026-06-29');
  INSERT INTO outbox VALUES ('waits', '2026-01-01');`;

let fleet: GivenFleet;

beforeAll(async () => {
  fleet = await givenMigratedFleet({ shop: { schema: SCHEMA, up: UP } });
});
beforeEach(() => run('TRUNCATE baskets, lines, clicks, keys, outbox').then(() => run(`${PARTITIONS}; ${ROWS}`)));
afterAll(removeFleets);

const PARTITIONS = `
  CREATE TABLE IF NOT EXISTS clicks_april PARTITION OF clicks FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
  CREATE TABLE IF NOT EXISTS clicks_may PARTITION OF clicks FOR VALUES FROM ('2026-05-01') TO ('2026-06-01')`;

const shop = (): Target => fleet.target('shop');

function run<Row extends object>(sql: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  return withClient(shop().admin, async (client) => {
    const { rows } = await (values.length === 0 ? client.query<Row>(sql) : client.query<Row>(sql, [...values]));
    return rows;
  });
}

const idsOf = async (table: string) =>
  (await run<{ id: string }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);

async function prune(yes: boolean, options: Parameters<typeof pruneFleet>[2] = {}) {
  const { services } = await readSchemaModel(await findServices(fleet.root));
  const anchors = await openAnchorStore(path.join(fleet.root, 'anchors'), undefined, {});
  const modelsOf = (name: string) => services.find((it) => it.name === name)?.models ?? [];
  const [row] = await pruneFleet([shop()], { yes, modelsOf, auditDays: undefined, anchors }, options);
  return row;
}

async function tablesOf(yes: boolean): Promise<Readonly<Record<string, PrunedTable>>> {
  const row = await prune(yes);
  if (row?.state !== 'done') throw new Error(JSON.stringify(row));
  return Object.fromEntries(row.data.tables.map((it) => [it.table, it]));
}

describe('prune', () => {
  it('lists old rows by the clock of the database and changes nothing without yes', async () => {
    const found = await tablesOf(false);

    expect(Object.keys(found)).toEqual(['lines', 'baskets', 'clicks', 'keys', 'outbox']);
    expect(found['baskets']).toEqual({
      table: 'baskets',
      days: 30,
      rows: 1001,
      oldest: expect.stringMatching(/^2026-05-01T12:01:00/),
      newest: expect.stringMatching(/^2026-05-31T11:59:59\.999999/),
      deleted: null,
      isBusy: false,
      why: null,
    });
    expect(found['clicks']?.rows).toBe(16);
    expect(await idsOf('baskets')).toHaveLength(1003);
    expect(await idsOf('clicks')).toHaveLength(71);
  });

  it('deletes old rows in batches, keeps a row at the limit and rows that the condition keeps', async () => {
    const pruned = await tablesOf(true);

    expect(pruned['baskets']).toMatchObject({ rows: 1001, deleted: 1001 });
    expect(await idsOf('baskets')).toEqual(['at-limit', 'open']);
    // Children go by their own retention first, and with their parent.
    expect(pruned['lines']).toMatchObject({ deleted: 1 });
    expect(await idsOf('lines')).toEqual([]);
    expect((await tablesOf(true))['baskets']).toMatchObject({ rows: 0, deleted: 0 });
  });

  it('drops partitions whose rows are all old', async () => {
    expect((await tablesOf(true))['clicks']).toMatchObject({ rows: 16, deleted: 16 });
    expect(
      await run("SELECT relname FROM pg_class WHERE relname LIKE 'clicks\\_%' AND relkind = 'r' ORDER BY 1"),
    ).toEqual([{ relname: 'clicks_june' }, { relname: 'clicks_may' }]);
  });

  it('prunes a table by its own function, and leaves the outbox to the relay', async () => {
    const pruned = await tablesOf(true);

    expect(pruned['keys']).toMatchObject({ rows: 2, deleted: 1 });
    expect(await idsOf('keys')).toEqual(['kept', 'new']);
    expect(pruned['outbox']).toMatchObject({ rows: 1, deleted: null, why: expect.stringContaining('relay') });
    expect(await idsOf('outbox')).toEqual(['waits']);
  });

  it('leaves a row that another session holds, and drops no partition under a reader', async () => {
    await withClient(shop().admin, async (holder) => {
      await holder.query("BEGIN; SELECT FROM baskets WHERE id = 'old-500' FOR UPDATE; SELECT FROM clicks");
      const pruned = await tablesOf(true);

      expect(pruned['baskets']).toMatchObject({ rows: 1001, deleted: 1000, isBusy: false });
      expect(pruned['clicks']).toMatchObject({ deleted: 0, isBusy: true });
      await holder.query('ROLLBACK');
    });
    expect(await idsOf('baskets')).toEqual(['at-limit', 'old-500', 'open']);
    expect((await tablesOf(true))['clicks']).toMatchObject({ deleted: 16, isBusy: false });
  });

  it('stops between two batches when it is interrupted, and the next run deletes the rest', async () => {
    const interrupt = new AbortController();
    const progress = ({ detail }: ProgressEvent) => {
      if (detail.startsWith('baskets: ')) interrupt.abort(new Error('interrupted'));
    };

    expect(await prune(true, { progress, signal: interrupt.signal })).toEqual({
      service: 'shop',
      state: 'interrupted',
    });
    const left = (await idsOf('baskets')).length;
    expect(left).toBeGreaterThan(2);
    expect(left).toBeLessThan(1003);
    await tablesOf(true);
    expect(await idsOf('baskets')).toEqual(['at-limit', 'open']);
  });

  it('loses no row of writers that work at the same time', async () => {
    const write = async (writer: number) => {
      for (let n = 0; n < 10; n += 1) {
        await run(`INSERT INTO baskets (id, seen_at) VALUES ($1, '2026-06-30')`, [`new-${writer}-${n}`]);
        await run("UPDATE baskets SET seen_at = '2026-06-30' WHERE id = $1", [`old-${writer * 10 + n + 1}`]);
      }
    };
    const kept = run<{ id: string }>(
      "UPDATE baskets SET seen_at = '2026-06-30' WHERE id IN ('old-998', 'old-999') RETURNING id",
    );
    const [saved] = await Promise.all([kept, prune(true), ...[1, 2, 3].map(write)]);

    const ids = await idsOf('baskets');
    expect(ids.filter((id) => id.startsWith('new-'))).toHaveLength(30);
    expect(ids).toEqual(expect.arrayContaining(saved.map(({ id }) => id)));
    await tablesOf(true);
    expect(await run("SELECT FROM baskets WHERE seen_at < '2026-05-31' AND is_paid")).toEqual([]);
  });
});
