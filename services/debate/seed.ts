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

  // The rows and their events in one transaction, so that an interrupted seed loses no event.
  base: (debate, { now, people }) =>
    debate.transaction(async (tx) => {
      const ago: Ago = (days, minutes = 0) => new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS);
      const rated = playMatches(ago);
      const usage = usageOf(now);
      const { count: isFirst } = await tx.nomicCycle.createMany({ data: cycles(ago), skipDuplicates: true });
      await tx.debateArtifact.createMany({ data: artifacts(ago), skipDuplicates: true });
      await tx.streamEvent.createMany({ data: streamEvents(ago), skipDuplicates: true });
      await tx.streamCursor.createMany({ data: streamCursors(ago), skipDuplicates: true });
      await tx.agentMetric.createMany({ data: agentMetrics(ago), skipDuplicates: true });
      await tx.nomicRollback.createMany({ data: [rollback(ago)], skipDuplicates: true });
      await tx.cycleEvolution.createMany({ data: evolutions(ago), skipDuplicates: true });
      await tx.cycleFileChange.createMany({ data: fileChanges(ago), skipDuplicates: true });
      await tx.agentRating.createMany({ data: rated.ratings, skipDuplicates: true });
      await tx.ratingMatch.createMany({ data: rated.matches, skipDuplicates: true });
      await tx.ratingHistory.createMany({ data: rated.history, skipDuplicates: true });
      await tx.agentPosition.createMany({ data: positions(ago), skipDuplicates: true });
      await tx.memoryEntry.createMany({ data: memories(ago), skipDuplicates: true });
      await tx.memoryTransition.createMany({ data: [promotion(ago)], skipDuplicates: true });
      await tx.debateReplay.createMany({ data: [replay(ago)], skipDuplicates: true });
      await tx.shareLink.createMany({ data: [shareLink(ago, people.educator.id)], skipDuplicates: true });
      await tx.webhookConfig.createMany({ data: [webhook(ago, people.employer.id)], skipDuplicates: true });
      await tx.usageEvent.createMany({ data: usage.events, skipDuplicates: true });
      await tx.usageMonth.createMany({ data: usage.months, skipDuplicates: true });
      if (isFirst > 0) await publishSeed(tx, LOOP);
    }),

  volume: volumeTables,
});
