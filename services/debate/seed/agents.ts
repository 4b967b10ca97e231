import { seedId } from '@azora/db-core';
import type { Prisma } from '../src/generated/client';
import { AGENTS, type Ago, CYCLES, LOOP } from './loop';

export const TIERS = ['fast', 'medium', 'slow', 'glacial'] as const;

const DOMAIN = 'architecture';
/** The id of a rated debate; the numbers count from 1. */
const debateOf = (number: number): string => `debate-azora-${number}`;

/** The rated debates in order. A debate without a winner was a draw. */
const MATCHES: readonly { players: readonly [string, string]; winner?: string }[] = [
  { players: ['architect', 'builder'], winner: 'architect' },
  { players: ['skeptic', 'auditor'], winner: 'skeptic' },
  { players: ['architect', 'skeptic'] },
  { players: ['builder', 'auditor'], winner: 'builder' },
];

const CLAIMS = [
  {
    debate: 1,
    agent: 'architect',
    claim: 'A lesson needs one cursor per student',
    confidence: 0.8,
    outcome: 'correct',
  },
  { debate: 1, agent: 'builder', claim: 'The catalogue changes once a day', confidence: 0.7, outcome: 'unknown' },
  {
    debate: 2,
    agent: 'skeptic',
    claim: 'A cache will serve courses that are gone',
    confidence: 0.6,
    outcome: 'incorrect',
  },
  { debate: 4, agent: 'auditor', claim: 'Three skills explain every match', confidence: 0.55, outcome: 'pending' },
];

/** Computes the ratings after each debate with K = 32, so that ratings, matches and history agree. */
export function playMatches(ago: Ago) {
  const elo = new Map<string, number>(AGENTS.map((agent) => [agent, 1500]));
  const matches: Prisma.RatingMatchCreateManyInput[] = [];
  const history: Prisma.RatingHistoryCreateManyInput[] = [];
  MATCHES.forEach(({ players: [first, second], winner }, index) => {
    const debateId = debateOf(index + 1);
    const createdAt = ago(7 - index);
    const score = winner === undefined ? 0.5 : winner === first ? 1 : 0;
    const expected = 1 / (1 + 10 ** (((elo.get(second) ?? 0) - (elo.get(first) ?? 0)) / 400));
    const change = Math.round(3200 * (score - expected)) / 100;
    const changes = { [first]: change, [second]: -change };
    for (const [agentName, delta] of Object.entries(changes)) {
      // Rounded, because sums of binary fractions are not the sums of the decimals.
      const rating = Math.round(100 * ((elo.get(agentName) ?? 0) + delta)) / 100;
      elo.set(agentName, rating);
      history.push({ id: history.length + 1, agentName, elo: rating, debateId, createdAt });
    }
    matches.push({
      id: index + 1,
      debateId,
      winner: winner ?? null,
      participants: [first, second],
      domain: DOMAIN,
      scores: { [first]: score, [second]: 1 - score },
      eloChanges: changes,
      createdAt,
    });
  });
  return { matches, history, ratings: AGENTS.map((agent) => ratingOf(agent, elo.get(agent) ?? 0, ago)) };
}

function ratingOf(agentName: string, elo: number, ago: Ago): Prisma.AgentRatingCreateManyInput {
  const played = MATCHES.filter(({ players }) => players.includes(agentName));
  const draws = played.filter(({ winner }) => winner === undefined).length;
  const wins = played.filter(({ winner }) => winner === agentName).length;
  const judged = CLAIMS.filter(({ agent, outcome }) => agent === agentName && outcome.endsWith('correct'));
  const right = judged.filter(({ outcome }) => outcome === 'correct');
  return {
    agentName,
    elo,
    domainElos: { [DOMAIN]: elo },
    wins,
    losses: played.length - wins - draws,
    draws,
    debatesCount: played.length,
    critiquesAccepted: wins,
    critiquesTotal: CYCLES.length,
    calibrationCorrect: right.length,
    calibrationTotal: judged.length,
    calibrationBrierSum: judged.reduce((sum, { confidence, outcome }) => {
      return sum + (confidence - (outcome === 'correct' ? 1 : 0)) ** 2;
    }, 0),
    createdAt: ago(10),
    updatedAt: ago(4),
  };
}

export function positions(ago: Ago): Prisma.AgentPositionCreateManyInput[] {
  return CLAIMS.map(({ debate, agent, outcome, ...claim }) => ({
    ...claim,
    id: seedId(`debate.AgentPosition.${agent}`),
    agentName: agent,
    debateId: debateOf(debate),
    roundNum: 1,
    outcome,
    reversed: outcome === 'incorrect',
    reversalDebateId: outcome === 'incorrect' ? debateOf(debate + 1) : null,
    domain: DOMAIN,
    createdAt: ago(8 - debate),
    resolvedAt: outcome === 'pending' ? null : ago(3),
    updatedAt: ago(3),
  }));
}

export function memories(ago: Ago): Prisma.MemoryEntryCreateManyInput[] {
  const contents = {
    fast: 'The catalogue tests fail when the clock passes midnight',
    medium: 'Small steps were accepted more often than large ones',
    slow: 'Later writes win, and both are recorded',
    glacial: 'A change that cannot be reverted needs two more votes',
  };
  return TIERS.map((tier, index) => ({
    id: seedId(`debate.MemoryEntry.${tier}`),
    tier,
    content: contents[tier],
    importance: 0.4 + 0.15 * index,
    surpriseScore: 0.7 - 0.2 * index,
    consolidationScore: 0.25 * index,
    updateCount: 3 * index,
    successCount: 2 * index,
    failureCount: index,
    lastPromotionAt: tier === 'slow' ? ago(2) : null,
    expiresAt: tier === 'fast' ? ago(-1) : null,
    metadata: { loop: LOOP },
    createdAt: ago(9),
    updatedAt: ago(2),
  }));
}

export function promotion(ago: Ago): Prisma.MemoryTransitionCreateManyInput {
  return {
    id: 1,
    memoryId: seedId('debate.MemoryEntry.slow'),
    fromTier: 'medium',
    toTier: 'slow',
    reason: 'consolidated',
    createdAt: ago(2),
  };
}
