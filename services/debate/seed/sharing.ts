import { seedId } from '@azora/db-core';
import type { Prisma } from '../src/generated/client';
import { AGENTS, type Ago, CYCLES, transcript } from './loop';

const SHARED_DEBATE = 'debate-azora-cycle-1';
const ORGANIZATION = seedId('auth.Organization.azora');

export function replay(ago: Ago): Prisma.DebateReplayCreateManyInput {
  const task = CYCLES[0]?.task ?? '';
  return {
    traceId: seedId('debate.DebateReplay.debate-1'),
    debateId: SHARED_DEBATE,
    task,
    agents: [...AGENTS],
    randomSeed: 20260101n,
    traceJson: { events: transcript(task) },
    startedAt: ago(10),
    completedAt: ago(10, 12),
    createdAt: ago(10, 12),
    updatedAt: ago(10, 12),
  };
}

export function shareLink(ago: Ago, ownerId: string): Prisma.ShareLinkCreateManyInput {
  return {
    token: seedId('debate.ShareLink.debate-1'),
    debateId: SHARED_DEBATE,
    visibility: 'team',
    ownerId,
    orgId: ORGANIZATION,
    createdAt: ago(6),
    expiresAt: ago(-30),
    allowComments: true,
    viewCount: 3,
    lastViewedAt: ago(1),
    updatedAt: ago(1),
  };
}

export function webhook(ago: Ago, userId: string): Prisma.WebhookConfigCreateManyInput {
  return {
    id: seedId('debate.WebhookConfig.cycles'),
    url: 'https://hooks.azora.world/cycles',
    eventsJson: ['cycle_start', 'error'],
    secret: seedId('debate.WebhookConfig.cycles.secret'),
    name: 'Cycles',
    description: 'Tells the team when a cycle starts or fails',
    lastDeliveryAt: ago(1),
    lastDeliveryStatus: 204,
    deliveryCount: 4,
    failureCount: 1,
    userId,
    createdAt: ago(11),
    updatedAt: ago(1),
  };
}

/** The usage of this month and the last, with their sums. */
export function usageOf(now: Date) {
  const months = [-1, 0].map((offset) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1)));
  const events: Prisma.UsageEventCreateManyInput[] = [];
  const sums: Prisma.UsageMonthCreateManyInput[] = [];
  for (const month of months) {
    for (const [eventType, counts] of Object.entries({ debate: [1, 2], api_call: [140, 65] })) {
      for (const count of counts) {
        const id = events.length + 1;
        events.push({
          ...{ id, orgId: ORGANIZATION, eventType, count, timestamp: month, createdAt: month, countedAt: month },
        });
      }
      const count = counts.reduce((sum, each) => sum + each, 0);
      sums.push({
        id: sums.length + 1,
        orgId: ORGANIZATION,
        eventType,
        month,
        count,
        createdAt: month,
        updatedAt: month,
      });
    }
  }
  return { events, months: sums };
}
