import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  createWebhook,
  type Debate,
  deleteWebhook,
  deliverWebhooks,
  getWebhook,
  listWebhookDeliveries,
  listWebhooks,
  openDebate,
  pruneWebhookDeliveries,
  queueWebhooks,
  resealWebhooks,
  rotateWebhookSecret,
  updateWebhook,
  verifyWebhook,
} from '../src';
import { fresh, givenStore, givenStores, givenWebhook, KEY, outcomes } from './given';

const DAY_MS = 86_400_000;

interface Received {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

describe('webhooks', () => {
  const db = useDatabase('debate');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let debate: Debate;
  const received: Received[] = [];
  let status = 204;
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      received.push({ headers: request.headers, body });
      response.writeHead(status).end();
    });
  });
  let url = '';
  beforeAll(async () => {
    debate = givenStore(db());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  beforeEach(async () => {
    received.length = 0;
    status = 204;
    await db().admin('DELETE FROM webhook_configs');
  });
  afterAll(async () => {
    await debate.close();
    server.close();
    await once(server, 'close');
  });

  const deliver = (store = debate) => deliverWebhooks(store, { allowNetworks: ['127.0.0.1/32'] });
  const queue = (userId: string, messageId = fresh('msg'), eventType = 'error') =>
    queueWebhooks(debate, { messageId, eventType, data: { cycle: 3 }, to: { userId } });
  const statusesOf = async (webhookId: string, by: string) =>
    (await listWebhookDeliveries(debate, { webhookId, by })).items.map((it) => `${it.status} ${it.attempts}`);

  it('receive signed messages of the types that they ask for, once per message', async () => {
    const userId = fresh('user');
    const { secret, webhook } = await givenWebhook(debate, url, userId);
    await createWebhook(debate, { userId, url, eventTypes: ['cycle_start'], idempotencyKey: fresh('key') });
    await givenWebhook(debate, url);

    const queued = await Promise.all(Array.from({ length: 4 }, () => queue(userId, 'msg_once')));
    expect(await deliver()).toEqual({ delivered: 1, retried: 0, failed: 0, disabled: 0, errors: [] });

    expect(queued).toEqual([1, 1, 1, 1]);
    const [{ headers, body } = { headers: {}, body: '' }] = received;
    expect(received).toHaveLength(1);
    expect(JSON.parse(body)).toEqual({ type: 'error', data: { cycle: 3 } });
    const message = {
      ...{ messageId: String(headers['webhook-id']), timestamp: Number(headers['webhook-timestamp']), body, secret },
      ...{ signature: String(headers['webhook-signature']), now: clock.now() },
    };
    expect(verifyWebhook(message)).toBe(true);
    expect(await getWebhook(debate, { webhookId: webhook.id, by: userId })).toMatchObject({
      ...{ deliveryCount: 1, failureCount: 0, lastDeliveryStatus: 204, lastDeliveryAt: clock.now() },
    });
    await expect(queue(userId, 'msg_once', 'cycle_start')).rejects.toMatchObject({ code: 'DEBATE.KEY_REUSED' });
  });

  it('get each message once from eight workers at a time', async () => {
    const stores = givenStores(db(), 8);
    const userId = fresh('user');
    await givenWebhook(debate, url, userId);
    for (let n = 0; n < 30; n += 1) await queue(userId);

    const runs = await Promise.all(stores.map((store) => deliver(store)));

    expect(runs.reduce((sum, { delivered }) => sum + delivered, 0)).toBe(30);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(30);
    expect(received).toHaveLength(30);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('are tried again after 30 s, 2, 8, 32 and 128 minutes, and given up after six attempts', async () => {
    const userId = fresh('user');
    const { webhook } = await givenWebhook(debate, url, userId);
    await queue(userId);
    status = 500;

    for (const seconds of [0, 30, 120, 480, 1_920, 7_680]) {
      if (seconds > 0) {
        await clock.move(seconds * 1_000 - 1);
        expect(await deliver()).toMatchObject({ retried: 0, failed: 0 });
        await clock.move(1);
      }
      const run = await deliver();
      expect(run).toMatchObject(seconds === 7_680 ? { failed: 1 } : { retried: 1 });
    }

    expect(await statusesOf(webhook.id, userId)).toEqual(['failed 6']);
    expect(await getWebhook(debate, { webhookId: webhook.id, by: userId })).toMatchObject({
      ...{ deliveryCount: 6, failureCount: 6, consecutiveFailures: 6, active: true },
    });
  });

  it('are switched off by ten failures in a row, which cancels what waits, and can be switched on again', async () => {
    const userId = fresh('user');
    const { webhook } = await givenWebhook(debate, url, userId);
    const owned = { webhookId: webhook.id, by: userId };
    for (let n = 0; n < 9; n += 1) await queue(userId);
    status = 500;
    expect(await deliver()).toMatchObject({ retried: 9, disabled: 0 });
    await queue(userId);

    expect(await deliver()).toMatchObject({ retried: 0, disabled: 1 });

    expect(await getWebhook(debate, owned)).toMatchObject({
      active: false,
      disabledAt: clock.now(),
      consecutiveFailures: 10,
    });
    expect(new Set(await statusesOf(webhook.id, userId))).toEqual(new Set(['cancelled 1']));
    expect(await queue(userId)).toBe(0);
    const [event] = await db().admin(
      "SELECT payload FROM outbox WHERE type = 'debate.webhook-disabled.v1' AND key = $1",
      [webhook.id],
    );
    expect(event).toEqual({ payload: { webhookId: webhook.id, userId, failures: 10 } });
    status = 200;
    await updateWebhook(debate, { ...owned, active: true });
    await queue(userId);
    expect(await deliver()).toMatchObject({ delivered: 1 });
    expect(await getWebhook(debate, owned)).toMatchObject({ active: true, disabledAt: null, consecutiveFailures: 0 });
  });

  it('are switched off at once by 410 Gone, and by their owner', async () => {
    const userId = fresh('user');
    const { webhook } = await givenWebhook(debate, url, userId);
    status = 410;
    await queue(userId);
    expect(await deliver()).toMatchObject({ disabled: 1 });

    await updateWebhook(debate, { webhookId: webhook.id, by: userId, active: true });
    await queue(userId);
    await updateWebhook(debate, { webhookId: webhook.id, by: userId, active: false });

    expect(await deliver()).toMatchObject({ delivered: 0, retried: 0, disabled: 0 });
    expect(received).toHaveLength(1);
  });

  it('keep a message whose worker died, for the next one after the lease', async () => {
    const userId = fresh('user');
    const { webhook } = await givenWebhook(debate, url, userId);
    await queue(userId);
    await db().app("SELECT * FROM claim_webhook_deliveries('dead', 10, '1 minute')");
    expect(await deliver()).toMatchObject({ delivered: 0 });

    await clock.move(60_000);

    expect(await deliver()).toMatchObject({ delivered: 1 });
    const late = await db().app(
      `SELECT finish_webhook_delivery('dead', '${webhook.id}', message_id, false, 500) AS outcome FROM webhook_deliveries`,
    );
    expect(late).toEqual([{ outcome: 'lost' }]);
    expect(await statusesOf(webhook.id, userId)).toEqual(['delivered 2']);
  });

  it('reach no address that is not public, whatever their owner enters', async () => {
    const userId = fresh('user');
    await givenWebhook(debate, url.replace('http:', 'https:'), userId);
    await givenWebhook(debate, 'https://metadata.internal/', userId);
    await queue(userId);

    const run = await deliverWebhooks(debate, { resolve: async () => [{ address: '169.254.169.254', family: 4 }] });

    expect(run).toMatchObject({ delivered: 0, retried: 2 });
    expect(run.errors.map(({ error }) => (error as Error).message)).toEqual(
      Array(2).fill('the host is not on the public internet'),
    );
    expect(received).toEqual([]);
  });

  it('belong to their owner', async () => {
    const userId = fresh('user');
    const { webhook } = await givenWebhook(debate, url, userId);
    const theirs = { webhookId: webhook.id, by: 'eve' };
    const calls = [getWebhook, deleteWebhook, rotateWebhookSecret, listWebhookDeliveries, updateWebhook];

    expect(await outcomes(calls.map((call) => call(debate, theirs)))).toEqual(
      Array(5).fill('DEBATE.WEBHOOK_NOT_FOUND'),
    );

    expect((await listWebhooks(debate, { userId })).items).toEqual([webhook]);
    expect(Object.keys(webhook)).not.toContain('secret');
    await queue(userId);
    expect(await deleteWebhook(debate, { webhookId: webhook.id, by: userId })).toMatchObject({ id: webhook.id });
    expect(await db().admin('SELECT * FROM webhook_deliveries')).toEqual([]);
  });

  it('are made once per key, with a secret that is encrypted for this webhook', async () => {
    const input = { userId: fresh('user'), url, eventTypes: ['error'], idempotencyKey: fresh('key') };

    const [one, other] = await Promise.all([createWebhook(debate, input), createWebhook(debate, input)]);

    expect(other).toEqual(one);
    expect(one.secret).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
    const [row] = await db().admin('SELECT secret FROM webhook_configs WHERE id = $1', [one.webhook.id]);
    expect(row?.['secret']).toMatch(/^v1\./);
    expect(JSON.stringify(row)).not.toContain(one.secret.slice(6));
    const second = await givenWebhook(debate, url);
    await db().admin('UPDATE webhook_configs SET secret = $1 WHERE id = $2', [row?.['secret'], second.webhook.id]);
    await queue(String(second.webhook.userId));
    expect(await deliver()).toMatchObject({ retried: 0, errors: [{ error: { code: 'DEBATE.CIPHERTEXT_INVALID' } }] });
    expect(await getWebhook(debate, { webhookId: second.webhook.id, by: String(second.webhook.userId) })).toMatchObject(
      {
        ...{ failureCount: 0, consecutiveFailures: 0 },
      },
    );
  });

  it('take new keys, and secrets that an import has brought', async () => {
    const userId = fresh('user');
    const { secret, webhook } = await givenWebhook(debate, url, userId);
    await db().admin(
      `INSERT INTO webhook_configs (id, url, events_json, secret, user_id) VALUES ('imported', '${url}', '["error"]', 'legacy', '${userId}')`,
    );
    const NEW = `v2:${Buffer.alloc(32, 9).toString('base64')}`;
    const [both, only, without] = [`${NEW},v1:${KEY}`, NEW, ''].map((encryptionKeys) =>
      openDebate({ url: db().url, encryptionKeys }),
    ) as [Debate, Debate, Debate];

    await expect(resealWebhooks(without)).rejects.toMatchObject({ code: 'DEBATE.NO_ENCRYPTION_KEY' });
    expect(await resealWebhooks(only)).toEqual({ sealed: 1, unreadable: [webhook.id] });
    expect(await resealWebhooks(both)).toEqual({ sealed: 1, unreadable: [] });
    expect(await resealWebhooks(both)).toEqual({ sealed: 0, unreadable: [] });

    await queue(userId);
    expect(await deliver(only)).toMatchObject({ delivered: 2 });
    const signed = received.map(({ headers, body }) =>
      [secret, 'legacy'].map((key) =>
        verifyWebhook({
          ...{
            secret: key,
            messageId: String(headers['webhook-id']),
            timestamp: Number(headers['webhook-timestamp']),
            body,
          },
          ...{ signature: String(headers['webhook-signature']), now: clock.now() },
        }),
      ),
    );
    expect(signed.flat().filter(Boolean)).toHaveLength(2);
    await expect(
      createWebhook(without, { userId, url, eventTypes: ['x'], idempotencyKey: fresh('key') }),
    ).rejects.toMatchObject({
      code: 'DEBATE.NO_ENCRYPTION_KEY',
    });
    await expect(deliver(without)).rejects.toMatchObject({ code: 'DEBATE.NO_ENCRYPTION_KEY' });
    await queue(userId);
    expect((await deliver(debate)).errors).toMatchObject(Array(2).fill({ error: { code: 'DEBATE.KEY_UNKNOWN' } }));
    await Promise.all([both, only, without].map((store) => store.close()));
  });

  it.each([
    'not a url',
    'ftp://hooks.example/',
    'javascript:alert(1)',
    'https://user:pass@hooks.example/',
    'https://hooks.example/ x',
  ])('have no address like %s', async (address) => {
    await expect(givenWebhook(debate, address)).rejects.toMatchObject({ code: 'DEBATE.INVALID_INPUT' });
  });

  it('forget deliveries that ended 30 days ago', async () => {
    const userId = fresh('user');
    const { webhook } = await givenWebhook(debate, url, userId);
    await queue(userId);
    await deliver();
    await queue(userId);
    await clock.move(31 * DAY_MS);

    expect(await pruneWebhookDeliveries(debate)).toBe(1);
    expect(await statusesOf(webhook.id, userId)).toEqual(['pending 0']);
  });
});
