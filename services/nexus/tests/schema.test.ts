import { randomUUID } from 'node:crypto';
import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

const RECOMMEND = `INSERT INTO recommendations (id, profile_id, item_type, item_id, score, reason)
  VALUES ($1, $2, 'course', $3, 0.5, 'Because')`;

const APPEND = `SELECT append_events('auth', $1, '30 s', '1:1:', NULL, NULL, $2,
  '{auth.signed-in.v1}', '{ada}', '{"{}"}', '{NULL}', '{2026-01-01}')`;

/** A table, the rule that a change of its rows violates, and the change. */
const INVALID = [
  ['user_profiles', 'user_id', `user_id = ' '`],
  ['user_profiles', 'preferences', `preferences = '[]'`],
  ['user_profiles', 'behavior', `behavior = '1'`],
  ['user_profiles', 'locale', `locale = 'english please'`],
  ['recommendations', 'item_type', `item_type = ''`],
  ['recommendations', 'item_id', `item_id = ' '`],
  ['recommendations', 'score', 'score = 1.5'],
  ['recommendations', 'reason', `reason = ''`],
  ['recommendations', 'context', `context = '[]'`],
  ['recommendations', 'shown_at', `status = 'shown'`],
  ['recommendations', 'answered_at', `status = 'accepted', shown_at = now()`],
  ['recommendations', 'answered_at', 'answered_at = now()'],
  ['recommendations', 'order', `status = 'accepted', shown_at = now(), answered_at = now() - interval '1 hour'`],
  ['recommendations', 'expires_at', 'expires_at = created_at'],
  ['interactions', 'kind', `kind = 'stare'`],
  ['interactions', 'item_type', `item_type = ''`],
  ['interactions', 'item_id', `item_id = ''`],
  ['interactions', 'duration_ms', 'duration_ms = -1'],
  ['interactions', 'context', `context = '[]'`],
  ['interactions', 'event_id', `event_id = ' '`],
  ['interactions', 'rating', 'rating = 3'],
  ['interactions', 'rating', `kind = 'rate', rating = 6`],
  ['interactions', 'occurred_at', `occurred_at = created_at + interval '1 ms'`],
  ['interactions', 'occurred_at', `occurred_at = created_at - interval '367 days'`],
  ['items', 'item_type', `item_type = 'Course'`],
  ['items', 'item_id', `item_id = 'a b'`],
  ['items', 'tags', `tags = '{NULL}'`],
  ['items', 'tags', `tags = array_fill('x'::text, '{51}')`],
  ['items', 'locale', `locale = 'english please'`],
  ['items', 'popularity', 'popularity = -1'],
  ['items', 'popularity', `popularity = 'NaN'`],
  ['profile_items', 'signal', 'liked_at = NULL, strength = 0'],
  ['profile_items', 'strength', 'strength = 4'],
  ['profile_items', 'strength', 'strength = 0'],
  ['profile_items', 'counted', 'counted = -1'],
  ['profile_items', 'counted', `counted = 'NaN'`],
  ['item_pairs', 'order', 'first_id = second_id'],
  ['item_pairs', 'weight', 'weight = 0'],
  ['item_pairs', 'weight', `weight = 'NaN'`],
  ['events', 'source', `source = ''`],
  ['events', 'type', `type = 'Signed In'`],
  ['events', 'key', `key = ' '`],
  ['events', 'lane', 'lane = 16'],
  ['events', 'payload', `payload = '1'`],
  ['event_log', 'id', 'id = false'],
  ['event_log', 'floor', 'floor = head + 1'],
  ['event_sources', 'source', `source = 'A b'`],
  ['event_sources', 'seen', `seen = 'all'`],
  ['event_sources', 'tick', `tick = '1:2:'`],
  ['event_sources', 'tick', `tick = 'all', tick_position = 1`],
  ['event_sources', 'owner', 'owner = gen_random_uuid()'],
  ['subscriptions', 'name', `name = 'everything'`],
  ['subscriptions', 'types', `types = '{}'`],
  ['subscriptions', 'max_attempts', 'max_attempts = 0'],
  ['subscription_lanes', 'lane', 'lane = lane + 16'],
  ['subscription_progress', 'lane', 'lane = lane + 16'],
  ['subscription_progress', 'position', 'position = -1'],
  ['subscription_lanes', 'owner', 'owner = gen_random_uuid()'],
  ['deliveries', 'attempts', 'attempts = -1'],
  ['deliveries', 'next_at', 'next_at = now()'],
  ['sagas', 'name', `name = 'Buy it'`],
  ['sagas', 'key', `key = ' '`],
  ['sagas', 'input', `input = '[]'`],
  ['sagas', 'input', `input = jsonb_build_object('text', repeat('x', 140000))`],
  ['sagas', 'steps', `state = 'stuck', steps = '{}'`],
  ['sagas', 'steps', `steps = '{pay,NULL}'`],
  ['sagas', 'steps', `steps = '{Pay}'`],
  ['sagas', 'step', 'step = -1'],
  ['sagas', 'step', 'step = 2'],
  ['sagas', 'results', `results = '1'`],
  ['sagas', 'attempts', 'attempts = -1'],
  ['sagas', 'max_attempts', 'max_attempts = 0'],
  ['sagas', 'deadline', `state = 'stuck', deadline = now()`],
  ['sagas', 'owner', `state = 'stuck', owner = gen_random_uuid()`],
  ['sagas', 'failure', `failure = 'refused'`],
  ['sagas', 'failure', `state = 'compensated', step = 0, finished_at = now()`],
  ['sagas', 'finished_at', 'finished_at = now()'],
] as const;

describe('the nexus schema', () => {
  const db = useDatabase('nexus');

  beforeAll(async () => {
    await db().admin(`INSERT INTO user_profiles (id, user_id) VALUES ('profile', 'ada')`);
    await db().admin(RECOMMEND, ['first', 'profile', 'python']);
    await db().admin(`INSERT INTO interactions (id, profile_id, kind, item_type, item_id)
      VALUES ('seen', 'profile', 'view', 'course', 'python'), ('next', 'profile', 'view', 'course', 'react')`);
    await db().app('SELECT refresh_profiles(10)');
    const owner = randomUUID();
    await db().app(`SELECT claim_source('auth', $1, 'here', '30 s')`, [owner]);
    await db().app(APPEND, [owner, [randomUUID()]]);
    await db().app(`SELECT release_source('auth', $1)`, [owner]);
    await db().app(`SELECT join_subscription('family.greet', '{auth.signed-in.v1}', 3, 'start')`);
    await db().admin(`INSERT INTO deliveries (position, subscription, key, lane, state)
      SELECT position, 'family.greet', key, lane, 'waiting' FROM events`);
    await db().app(`SELECT start_saga('order', 'one', '{}', '{pay}', NULL, 3)`);
  });

  it('gives new rows their defaults', async () => {
    expect(await db().app('SELECT interests, preferences, locale, personalized FROM user_profiles')).toEqual([
      { interests: [], preferences: {}, locale: 'en', personalized: true },
    ]);
    expect(await db().app('SELECT status, source, shown_at FROM recommendations')).toEqual([
      { status: 'pending', source: 'rules', shown_at: null },
    ]);
    expect(await db().app('SELECT position, source, type, key FROM events')).toEqual([
      { position: '1', source: 'auth', type: 'auth.signed-in.v1', key: 'ada' },
    ]);
  });

  it.each(INVALID)('rejects rows of %s with an invalid %s: %s', async (table, rule, change) => {
    await schemaRefuses(db().admin(`UPDATE ${table} SET ${change}`), `${table}_${rule}_check`);
  });

  it('accepts one profile per user', async () => {
    const again = `INSERT INTO user_profiles (id, user_id) VALUES ('other', 'ada')`;

    await schemaRefuses(db().admin(again), 'user_profiles_user_id_key');
  });

  it('accepts one open recommendation per item when four workers race, and another once it is answered', async () => {
    const recommend = (id: number) => db().admin(RECOMMEND, [`race-${id}`, 'profile', 'race']);
    const refused = await refusalsOf([1, 2, 3, 4].map(recommend));

    expect(refused).toEqual(Array(3).fill('recommendations_open_key'));
    await db().admin(
      `UPDATE recommendations SET status = 'dismissed', shown_at = now(), answered_at = now() WHERE item_id = 'race'`,
    );
    await db().admin(RECOMMEND, ['again', 'profile', 'race']);

    expect(await db().app(`SELECT id, status FROM recommendations WHERE id = 'again'`)).toEqual([
      { id: 'again', status: 'pending' },
    ]);
  });

  it('deletes the recommendations of a profile with it', async () => {
    await db().admin(`INSERT INTO user_profiles (id, user_id) VALUES ('gone', 'bob')`);
    await db().admin(RECOMMEND, ['gone', 'gone', 'python']);

    await db().admin(`DELETE FROM user_profiles WHERE id = 'gone'`);

    expect(await db().app(`SELECT id FROM recommendations WHERE profile_id = 'gone'`)).toEqual([]);
  });

  itTestsEveryCheck(
    db,
    INVALID.map(([table, rule]) => `${table}_${rule}_check`),
  );

  itKeepsAnAuditLog(db);
});
