import { defineSeed, type SeedContext, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { type Health, openHealth } from './src/index';

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
  await seedLogs(health, context);
  await seedChecks(health, context);
  await seedServices(health, context);
}

async function seedLogs({ prisma }: Health, { now, people }: SeedContext): Promise<void> {
  await prisma.log.createMany({
    data: LOGS.map(([level, service, message], index) => ({
      id: seedId(`health.Log.${index}`),
      level,
      service,
      message,
      userId: service === 'auth' ? people.student.id : null,
      requestId: `request-${index + 1}`,
      createdAt: new Date(now.getTime() - (60 - index) * MINUTE_MS),
    })),
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
