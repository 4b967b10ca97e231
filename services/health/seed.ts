import { defineSeed, type SeedContext, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { type Health, openHealth, type Prisma } from './src/index';

const MINUTE_MS = 60_000;
const FIRST_PORT = 4_001;

const LOGS = [
  ['DEBUG', 'rag', 'Index ix_rag_chunks_embedding_768 was used'],
  ['INFO', 'auth', 'Signed in'],
  ['WARN', 'mint', 'A transfer was retried after a serialization failure'],
  ['ERROR', 'notification', 'The mail server refused a message'],
  ['FATAL', 'agent', 'Out of memory, restarting'],
] as const;

const CHECKS = [
  [
    'sapiens',
    'answer-question',
    'Article 4: teach, do not tell',
    'compliant',
    0.97,
    'The answer leads to the solution.',
  ],
  [
    'forge',
    'rank-applications',
    'Article 7: fairness',
    'warning',
    0.72,
    'Place of residence had weight in the ranking.',
  ],
  ['family', 'console-user', 'Article 2: dignity', 'compliant', 0.99, 'Kind, and true.'],
  ['nexus', 'recommend-course', 'Article 9: no dark patterns', 'violation', 0.2, 'The text said that places run out.'],
] as const;

export const seed = defineSeed({ open: openHealth, base, volume });

async function base(health: Health, context: SeedContext): Promise<void> {
  await makeMonths(health, context);
  await seedLogs(health, context);
  await seedChecks(health, context);
  await seedServices(health, context);
  await seedAlerts(health, context);
}

/** The months of the log lines of this seed and of its volume. The store makes only the present month and the next ones. */
async function makeMonths(health: Health, { now }: SeedContext): Promise<void> {
  await health.query({
    text: `SELECT make_log_month(day::date) FROM generate_series($1::timestamptz - interval '31 days', $1, interval '10 days') AS day`,
    values: [now],
  });
}

/** A second run recognizes the lines by their ids: on another day they have another time, which is a part of the key. */
async function seedLogs({ prisma }: Health, { now, people }: SeedContext): Promise<void> {
  const lines = LOGS.map(([level, service, message], index) => ({
    id: seedId(`health.Log.${index}`),
    level,
    service,
    message,
    userId: service === 'auth' ? people.student.id : null,
    requestId: `request-${index + 1}`,
    createdAt: new Date(now.getTime() - (60 - index) * MINUTE_MS),
  }));
  const found = await prisma.log.findMany({ where: { id: { in: lines.map(({ id }) => id) } }, select: { id: true } });
  const known = new Set(found.map(({ id }) => id));
  await prisma.log.createMany({ data: lines.filter(({ id }) => !known.has(id)), skipDuplicates: true });
  await prisma.logBatch.createMany({
    data: [{ key: 'seed', bodyHash: '0'.repeat(64), lines: lines.length, createdAt: now }],
    skipDuplicates: true,
  });
}

async function seedChecks({ prisma }: Health, { now, people }: SeedContext): Promise<void> {
  await prisma.constitutionalLog.createMany({
    data: CHECKS.map(([service, action, article, verdict, complianceScore, reasoning], index) => ({
      id: seedId(`health.ConstitutionalLog.${index}`),
      service,
      action,
      article,
      verdict,
      complianceScore,
      reasoning,
      userId: people.student.id,
      subjectType: 'auth.User',
      subjectId: people.student.id,
      evidence: { reviewer: 'seed' },
      createdAt: new Date(now.getTime() - (120 - index) * MINUTE_MS),
    })),
    skipDuplicates: true,
  });
}

/** One row per service of the fleet. A second run recognizes the rows by their names, not by their ids. */
async function seedServices({ prisma }: Health, { now, services }: SeedContext): Promise<void> {
  await prisma.serviceHealth.createMany({
    data: services.map((serviceName, index) => ({
      id: index + 1,
      serviceName,
      port: FIRST_PORT + index,
      status: 'running',
      lastCheck: now,
      responseTimeMs: 8 + index,
      createdAt: now,
      updatedAt: now,
    })),
    skipDuplicates: true,
  });
}

/** The rules of a new installation, the checks behind the seeded states, and an alert that is over. */
async function seedAlerts({ prisma }: Health, { now, services, people }: SeedContext): Promise<void> {
  const at = (minutes: number) => new Date(now.getTime() - minutes * MINUTE_MS);
  const rule = (
    name: string,
    terms: Pick<Prisma.AlertRuleCreateManyInput, 'kind' | 'threshold' | 'checks' | 'windowSeconds'>,
  ) => {
    return { id: seedId(`health.AlertRule.${name}`), name, ...terms, createdAt: now, updatedAt: now };
  };
  await prisma.alertRule.createMany({
    data: [
      rule('endpoint-down', { kind: 'down', threshold: 1, checks: 2 }),
      rule('endpoint-slow', { kind: 'slow', threshold: 1_000, checks: 3 }),
      rule('errors-in-log', { kind: 'errors', threshold: 100, windowSeconds: 300 }),
    ],
    skipDuplicates: true,
  });
  const endpoints = await prisma.serviceHealth.findMany({ where: { serviceName: { in: [...services] } } });
  await prisma.healthCheck.createMany({
    data: endpoints.flatMap(({ id, responseTimeMs }, index) =>
      [1, 0].map((minutes, check) => ({
        id: index * 2 + check + 1,
        endpointId: id,
        status: 'running',
        responseTimeMs,
        createdAt: at(minutes),
      })),
    ),
    skipDuplicates: true,
  });
  await prisma.alert.createMany({
    data: [
      {
        id: seedId('health.Alert.notification'),
        ruleId: seedId('health.AlertRule.endpoint-down'),
        serviceName: 'notification',
        port: FIRST_PORT,
        status: 'resolved',
        acknowledgedBy: people.employer.id,
        acknowledgedAt: at(50),
        resolvedAt: at(40),
        createdAt: at(55),
        updatedAt: at(40),
      },
    ],
    skipDuplicates: true,
  });
}
