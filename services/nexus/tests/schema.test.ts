import { itKeepsAnAuditLog, useDatabase } from '@azora/db-testkit';
import { openNexus } from '../src/index';

const RECOMMEND = `INSERT INTO recommendations (id, profile_id, item_type, item_id, score, reason)
  VALUES ($1, $2, 'course', $3, 0.5, 'Because')`;

describe('the nexus schema', () => {
  const db = useDatabase('nexus');

  beforeAll(async () => {
    await db().app(`INSERT INTO user_profiles (id, user_id) VALUES ('profile', 'ada')`);
    await db().app(RECOMMEND, ['first', 'profile', 'python']);
    await db().app(`INSERT INTO interactions (id, profile_id, kind, item_type, item_id)
      VALUES ('seen', 'profile', 'view', 'course', 'python')`);
    await db().app(
      `INSERT INTO events (id, type, source, idempotency_key) VALUES ('event', 'auth.signed-in', 'auth', 'one')`,
    );
  });

  it('gives new rows their defaults', async () => {
    expect(await db().app('SELECT interests, preferences, locale, personalized FROM user_profiles')).toEqual([
      { interests: [], preferences: {}, locale: 'en', personalized: true },
    ]);
    expect(await db().app('SELECT status, source, shown_at FROM recommendations')).toEqual([
      { status: 'pending', source: 'rules', shown_at: null },
    ]);
    expect(await db().app('SELECT status, attempts, payload FROM events')).toEqual([
      { status: 'pending', attempts: 0, payload: {} },
    ]);
  });

  it.each([
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
    ['events', 'type', `type = 'Signed In'`],
    ['events', 'source', `source = ''`],
    ['events', 'payload', `payload = '1'`],
    ['events', 'attempts', 'attempts = -1'],
    ['events', 'processed_at', `status = 'processed'`],
    ['events', 'last_error', `status = 'failed'`],
  ])('refuses %s whose %s is wrong: %s', async (table, rule, change) => {
    await expect(db().admin(`UPDATE ${table} SET ${change}`)).rejects.toMatchObject({
      constraint: `${table}_${rule}_check`,
    });
  });

  it('has one profile per user', async () => {
    const again = `INSERT INTO user_profiles (id, user_id) VALUES ('other', 'ada')`;

    await expect(db().app(again)).rejects.toMatchObject({ constraint: 'user_profiles_user_id_key' });
  });

  it('opens an item to a user once when four workers recommend it, and again once it was answered', async () => {
    const store = openNexus({ url: db().url });
    const recommend = (id: number) =>
      store.prisma.recommendation.create({
        data: { id: `race-${id}`, profileId: 'profile', itemType: 'course', itemId: 'race', score: 0.4, reason: 'So' },
      });

    const settled = await Promise.allSettled([1, 2, 3, 4].map(recommend));
    await store.close();

    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await db().app(
      `UPDATE recommendations SET status = 'dismissed', shown_at = now(), answered_at = now() WHERE item_id = 'race'`,
    );
    await db().app(RECOMMEND, ['again', 'profile', 'race']);
  });

  it('keeps an event that its source sends twice once', async () => {
    const again = `INSERT INTO events (id, type, source, idempotency_key) VALUES ('twice', 'auth.signed-in', 'auth', 'one')`;

    await expect(db().app(again)).rejects.toMatchObject({ constraint: 'events_source_idempotency_key_key' });
  });

  it('does not let the app rewrite what a user did', async () => {
    await expect(db().app(`UPDATE interactions SET kind = 'click'`)).rejects.toMatchObject({ code: '42501' });
  });

  it('takes recommendations and interactions away with their profile', async () => {
    await db().app(`INSERT INTO user_profiles (id, user_id) VALUES ('gone', 'bob')`);
    await db().app(RECOMMEND, ['gone', 'gone', 'python']);

    await db().app(`DELETE FROM user_profiles WHERE id = 'gone'`);

    expect(await db().app(`SELECT id FROM recommendations WHERE profile_id = 'gone'`)).toEqual([]);
  });

  itKeepsAnAuditLog(db);
});
