/** @server any */
import {
  acceptedInput,
  BAD,
  type BadCall,
  type BadValues,
  badElements,
  outcomeOfGood,
  rowsOf,
  useDatabase,
} from '@azora/db-testkit';
import * as store from '../src';
import { type Health, openHealth } from '../src';
import { check, line, report } from './given';

const PAGE = { limit: BAD.limits, cursor: BAD.cursors };
const SPAN = { since: BAD.times, until: BAD.times };
/** The name of a service has letters, digits and a few signs. */
const SERVICES: BadValues = [...BAD.texts, ['a space', 'the mint'], ['a slash', 'a/b']];
const PORTS: BadValues = [...BAD.ordinals, ['65,536', 65_536]];
const CHOICES: BadValues = [
  ['none', []],
  ['a word', 'open'],
  ['null', null],
  ...BAD.choices.map(([what, value]) => [`${what} in the list`, [value]] as const),
];
const OBJECTS = BAD.objects;
const SUBJECTS: BadValues = [
  ['text', 'x'],
  ['no id', { type: 'Job' }],
  ['an unknown field', { type: 'Job', id: 'x', stranger: 1 }],
  ...BAD.texts.flatMap(([what, text]) => [
    [`type with ${what}`, { type: text, id: 'x' }] as const,
    [`id with ${what}`, { type: 'Job', id: text }] as const,
  ]),
];
const DAYS: BadValues = [...BAD.ordinals, ['29', 29], ['3,651', 3_651]];
const ENDPOINT = { serviceName: 'mint', port: 4008 };

/** Each function with valid input, and invalid values of its fields. */
const CALLS: Readonly<Record<string, BadCall<Health>>> = {
  appendLogs: [
    store.appendLogs,
    { lines: [line('x')] },
    {
      lines: [
        ...badElements(line('x') as never, {
          ...{ level: BAD.choices, service: BAD.texts, message: BAD.texts, userId: BAD.ids, requestId: BAD.texts },
          metadata: OBJECTS,
        }),
        ['none', []],
        ['10,001', Array.from({ length: 10_001 }, () => line('x'))],
      ],
      idempotencyKey: BAD.texts,
    },
  ],
  listLogs: [
    store.listLogs,
    {},
    { levels: CHOICES, service: BAD.texts, userId: BAD.ids, requestId: BAD.texts, text: BAD.texts, ...SPAN, ...PAGE },
  ],
  recordCheck: [
    store.recordCheck,
    { ...check('bad-input') },
    {
      ...{ service: SERVICES, action: BAD.texts, article: BAD.texts, verdict: BAD.choices },
      ...{ complianceScore: BAD.shares, reasoning: BAD.texts, subject: SUBJECTS, userId: BAD.ids },
      ...{ evidence: OBJECTS, metadata: OBJECTS, idempotencyKey: BAD.texts },
    },
  ],
  listChecks: [
    store.listChecks,
    {},
    {
      ...{ service: BAD.texts, article: BAD.texts, verdicts: CHOICES, subject: SUBJECTS, userId: BAD.ids },
      ...{ ...SPAN, ...PAGE },
    },
  ],
  complianceReport: [store.complianceReport, { since: new Date('2026-01-01') }, { ...SPAN, service: BAD.texts }],
  reportHealth: [
    store.reportHealth,
    { reports: [report()] },
    {
      reports: [
        ...badElements(report() as never, {
          ...{ serviceName: SERVICES, port: PORTS, status: BAD.choices, responseTimeMs: BAD.counts },
          ...{ errorMessage: BAD.texts, metadata: OBJECTS },
        }),
        ['none', []],
        ['an error without a message', [report({ status: 'error' })]],
      ],
    },
  ],
  listServiceHealth: [store.listServiceHealth, {}, { serviceName: SERVICES, statuses: CHOICES }],
  getServiceHealth: [store.getServiceHealth, ENDPOINT, { serviceName: SERVICES, port: PORTS }],
  healthHistory: [
    store.healthHistory,
    ENDPOINT,
    {
      ...{ serviceName: SERVICES, port: PORTS, limit: BAD.limits },
      cursor: [...BAD.cursors, ['of another list', Buffer.from('1 abc').toString('base64url')]],
    },
  ],
  uptime: [
    store.uptime,
    { serviceName: 'mint', since: new Date('2026-01-01') },
    { serviceName: SERVICES, port: PORTS, ...SPAN, validForMs: BAD.ordinals },
  ],
  setAlertRule: [
    store.setAlertRule,
    { name: 'slow', kind: 'slow', checks: 3, thresholdMs: 100 },
    {
      name: [...BAD.texts, ['a space', 'a b'], ['upper case', 'Slow']],
      ...{ kind: BAD.choices, checks: [...BAD.ordinals, ['101', 101]], thresholdMs: BAD.ordinals },
      ...{ serviceName: SERVICES, isEnabled: BAD.flags },
    },
  ],
  listAlerts: [
    store.listAlerts,
    {},
    { statuses: CHOICES, serviceName: SERVICES, rule: [...BAD.texts, ['a space', 'a b']], ...SPAN, ...PAGE },
  ],
  acknowledgeAlert: [store.acknowledgeAlert, { alertId: 'x', userId: 'ada' }, { alertId: BAD.ids, userId: BAD.ids }],
  resolveAlert: [store.resolveAlert, { alertId: 'x' }, { alertId: BAD.ids }],
  maintainHealth: [
    store.maintainHealth,
    {},
    { keepLogDays: DAYS, keepCheckDays: DAYS, monthsAhead: [...BAD.ordinals, ['13', 13]] },
  ],
};

describe('invalid input', () => {
  const db = useDatabase('health');
  let health: Health;
  beforeAll(async () => {
    health = openHealth({ url: db().url });
    await store.reportHealth(health, { reports: [report()] });
  });
  afterAll(() => health.close());

  it.each(Object.entries(CALLS))(
    'of %s is rejected with the name of the field, and changes nothing',
    async (_, call) => {
      const before = await rowsOf(db());

      expect(await acceptedInput(health, 'HEALTH.INVALID_INPUT', call)).toEqual([]);
      expect(await rowsOf(db())).toEqual(before);
      expect(await outcomeOfGood(health, call)).not.toBe('HEALTH.INVALID_INPUT');
    },
  );

  it('of the functions about a person is rejected', async () => {
    for (const [, id] of BAD.ids) {
      for (const call of [store.exportPerson(health, id as string), store.erasePerson(health, id as string)])
        await expect(call).rejects.toMatchObject({ code: 'HEALTH.INVALID_INPUT' });
    }
  });

  it('is tested for every function with input', () => {
    const others = ['openHealth', 'eventLog', 'exportPerson', 'erasePerson', 'judgeAlerts', 'listAlertRules'];
    const functions = Object.entries(store).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !others.includes(name)).sort()).toEqual(
      Object.keys(CALLS).sort(),
    );
  });
});
