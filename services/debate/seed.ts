import { defineSeed } from '@azora/db-core';
import { memories, playMatches, positions, promotion } from './seed/agents';
import { publishSeed } from './seed/events';
import {
  type Ago,
  agentMetrics,
  artifacts,
  cycles,
  evolutions,
  fileChanges,
  LOOP,
  rollback,
  streamCursors,
  streamEvents,
} from './seed/loop';
import { replay, shareLink, usageOf, webhook } from './seed/sharing';
import { volumeTables } from './seed/volume';
import { openDebate } from './src/index';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

export const seed = defineSeed({
  open: openDebate,

  async base(debate, { now, people }) {
    const { prisma } = debate;
    const ago: Ago = (days, minutes = 0) => new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS);
    const rated = playMatches(ago);
    const usage = usageOf(now);
    const { count: isFirst } = await prisma.nomicCycle.createMany({ data: cycles(ago), skipDuplicates: true });
    await prisma.debateArtifact.createMany({ data: artifacts(ago), skipDuplicates: true });
    await prisma.streamEvent.createMany({ data: streamEvents(ago), skipDuplicates: true });
    await prisma.streamCursor.createMany({ data: streamCursors(ago), skipDuplicates: true });
    await prisma.agentMetric.createMany({ data: agentMetrics(ago), skipDuplicates: true });
    await prisma.nomicRollback.createMany({ data: [rollback(ago)], skipDuplicates: true });
    await prisma.cycleEvolution.createMany({ data: evolutions(ago), skipDuplicates: true });
    await prisma.cycleFileChange.createMany({ data: fileChanges(ago), skipDuplicates: true });
    await prisma.agentRating.createMany({ data: rated.ratings, skipDuplicates: true });
    await prisma.ratingMatch.createMany({ data: rated.matches, skipDuplicates: true });
    await prisma.ratingHistory.createMany({ data: rated.history, skipDuplicates: true });
    await prisma.agentPosition.createMany({ data: positions(ago), skipDuplicates: true });
    await prisma.memoryEntry.createMany({ data: memories(ago), skipDuplicates: true });
    await prisma.memoryTransition.createMany({ data: [promotion(ago)], skipDuplicates: true });
    await prisma.debateReplay.createMany({ data: [replay(ago)], skipDuplicates: true });
    await prisma.shareLink.createMany({ data: [shareLink(ago, people.educator.id)], skipDuplicates: true });
    await prisma.webhookConfig.createMany({ data: [webhook(ago, people.employer.id)], skipDuplicates: true });
    await prisma.usageEvent.createMany({ data: usage.events, skipDuplicates: true });
    await prisma.usageMonth.createMany({ data: usage.months, skipDuplicates: true });
    if (isFirst > 0) await publishSeed(debate, LOOP);
  },

  volume: volumeTables,
});
