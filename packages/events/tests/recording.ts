import type { Query, TestDatabase } from '@azora/db-testkit';
import type { History } from './checker';

export const COUNTED = 'family.counted.v1';

/** What publishers commit, in the transaction of the event. The row of a key orders its events. */
const IN_SOURCE = `
  CREATE TABLE counters (key text PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
  CREATE TABLE published (event_id uuid PRIMARY KEY, key text NOT NULL, n bigint NOT NULL,
    lsn pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn());
  CREATE FUNCTION publish_next(p_keys text[], p_padding text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
  DECLARE
    chosen text;
    number bigint;
  BEGIN
    FOR chosen IN SELECT k FROM unnest(p_keys) AS k ORDER BY k LOOP
      INSERT INTO counters AS c (key, n) VALUES (chosen, 1) ON CONFLICT (key) DO UPDATE SET n = c.n + 1 RETURNING c.n INTO number;
      INSERT INTO published (event_id, key, n)
      VALUES (publish_event('${COUNTED}', chosen, jsonb_build_object('n', number, 'padding', p_padding), NULL), chosen, number);
    END LOOP;
  END
  $$`;

/** The effects of consumers. Each has the version that it gave to the consumer's row of its key, and its place before the commit. */
const IN_TARGET = `
  CREATE TABLE versions (consumer text, key text, version bigint NOT NULL, PRIMARY KEY (consumer, key));
  CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, consumer text NOT NULL, event_id uuid NOT NULL,
    key text NOT NULL, n bigint NOT NULL, version bigint NOT NULL, lsn pg_lsn);
  CREATE INDEX ON effects (consumer);
  CREATE FUNCTION record_effect(p_consumer text, p_event_id uuid, p_key text, p_n bigint) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER AS $$
  DECLARE
    reached bigint;
  BEGIN
    INSERT INTO versions AS v VALUES (p_consumer, p_key, 1)
    ON CONFLICT (consumer, key) DO UPDATE SET version = v.version + 1 RETURNING v.version INTO reached;
    INSERT INTO effects (consumer, event_id, key, n, version) VALUES (p_consumer, p_event_id, p_key, p_n, reached);
    RETURN reached;
  END
  $$;
  CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    UPDATE effects SET lsn = pg_current_wal_insert_lsn() WHERE id = NEW.id;
    RETURN NULL;
  END
  $$;
  CREATE CONSTRAINT TRIGGER effects_commit AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION note_commit()`;

/** What the log does with events: which lanes have passed them, which were parked, and who took whose lane. */
const IN_NEXUS = `
  CREATE TABLE passed (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subscription text NOT NULL, lane smallint NOT NULL,
    reached bigint NOT NULL, lsn pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn());
  CREATE INDEX ON passed (subscription, lane, id);
  CREATE TABLE parked (subscription text, position bigint, ended pg_lsn, PRIMARY KEY (subscription, position));
  CREATE TABLE takeovers (subscription text NOT NULL, lane smallint NOT NULL, taken_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL);
  CREATE FUNCTION note_lane() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF NEW.position > OLD.position THEN
      INSERT INTO passed (subscription, lane, reached) VALUES (NEW.subscription, NEW.lane, NEW.position);
    END IF;
    IF NEW.owner <> OLD.owner THEN
      INSERT INTO takeovers VALUES (NEW.subscription, NEW.lane, database_time(), OLD.leased_until);
    END IF;
    RETURN NULL;
  END
  $$;
  CREATE TRIGGER note_lane AFTER UPDATE ON subscription_lanes FOR EACH ROW EXECUTE FUNCTION note_lane();
  CREATE FUNCTION note_parked() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF TG_OP = 'INSERT' THEN
      INSERT INTO parked VALUES (NEW.subscription, NEW.position) ON CONFLICT DO NOTHING;
    ELSE
      UPDATE parked SET ended = pg_current_wal_insert_lsn() WHERE subscription = OLD.subscription AND position = OLD.position;
    END IF;
    RETURN NULL;
  END
  $$;
  CREATE TRIGGER note_parked AFTER INSERT OR DELETE ON deliveries FOR EACH ROW EXECUTE FUNCTION note_parked()`;

export interface Databases {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
  readonly nexus: TestDatabase;
}

/** Lets the databases record what the checker judges. All three must be on one server, whose WAL orders their histories. */
export async function startRecording({ source, target, nexus }: Databases): Promise<void> {
  await source.admin(`${IN_SOURCE}; GRANT EXECUTE ON FUNCTION publish_next TO ${source.target.role}`);
  await target.admin(`${IN_TARGET}; GRANT EXECUTE ON FUNCTION record_effect TO ${target.target.role}`);
  await nexus.admin(IN_NEXUS);
}

/** Forgets what was recorded and published, so that the next test has a history of its own. Nothing may be running. */
export async function clearRecording({ source, target, nexus }: Databases): Promise<void> {
  await source.admin('TRUNCATE counters, published, outbox');
  await target.admin('TRUNCATE versions, effects, inbox');
  await nexus.admin('TRUNCATE passed, parked, takeovers, subscriptions, events, event_sources CASCADE');
}

/** Reads the whole history. */
export async function readHistory({ source, target, nexus }: Databases): Promise<History> {
  const published = await rowsOf(
    source.admin,
    'SELECT event_id::text AS id, key, n::int AS number, lsn FROM published',
  );
  const appended = await rowsOf(nexus.admin, 'SELECT event_id::text AS id, key, position FROM events');
  const handled = await rowsOf(
    target.admin,
    'SELECT consumer, event_id::text AS id, key, version::int AS version, lsn FROM effects',
  );
  // A parked event is done when its delivery is gone, although its lane has passed it before.
  const acknowledged = await rowsOf(
    nexus.admin,
    `SELECT s.name AS consumer, e.event_id::text AS id, CASE WHEN p.position IS NULL THEN first.lsn ELSE p.ended END AS lsn
     FROM subscriptions AS s CROSS JOIN events AS e
     CROSS JOIN LATERAL (
       SELECT lsn FROM passed WHERE subscription = s.name AND lane = e.lane AND reached >= e.position ORDER BY id LIMIT 1
     ) AS first
     LEFT JOIN parked AS p ON p.subscription = s.name AND p.position = e.position
     WHERE e.type = ANY (s.types) AND (p.position IS NULL OR p.ended IS NOT NULL)`,
  );
  const takeovers = await rowsOf(
    nexus.admin,
    `SELECT subscription AS consumer, lane, (extract(epoch FROM taken_at) * 1000)::float8 AS "takenAt",
       (extract(epoch FROM leased_until) * 1000)::float8 AS "leasedUntil" FROM takeovers`,
  );
  return { published, appended, handled, acknowledged, takeovers } as unknown as History;
}

/** Rows with places in the WAL and positions as numbers that can be compared. */
async function rowsOf(query: Query, sql: string): Promise<readonly unknown[]> {
  const rows = await query(sql);
  return rows.map(({ lsn, position, ...row }) => ({
    ...row,
    ...(typeof lsn === 'string' ? { lsn: placeOf(lsn) } : {}),
    ...(position === undefined ? {} : { position: BigInt(String(position)) }),
  }));
}

/** PostgreSQL writes a place in the WAL as two hexadecimal numbers. */
function placeOf(lsn: string): bigint {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}
