import { seedId } from '@azora/db-core';
import type { Prisma } from '../src/generated/client';

/** Returns the time that is this many days before the day of the run, plus minutes. */
export type Ago = (days: number, minutes?: number) => Date;

export const LOOP = 'loop-azora-1';
export const AGENTS = ['architect', 'builder', 'skeptic', 'auditor'] as const;
export const PHASES = ['debate', 'design', 'implement', 'verify', 'commit'] as const;
const ROLLBACK = seedId('debate.NomicRollback.cycle-2');

/** The outcomes of a phase. */
const OUTCOMES = {
  done: { stage: 'executing', success: true, completedTasks: 3, errorMessage: null },
  failed: { stage: 'executing', success: false, completedTasks: 2, errorMessage: 'Two tests of the catalogue failed' },
  running: { stage: 'voting', success: null, completedTasks: 1, errorMessage: null },
} as const;

/** The three cycles of the loop, with the outcome of each phase that they reached. */
export const CYCLES = [
  {
    number: 1,
    daysAgo: 10,
    task: 'Let a student resume a lesson where she left it',
    votes: { architect: 3, builder: 1 },
    outcomes: ['done', 'done', 'done', 'done', 'done'],
  },
  {
    number: 2,
    daysAgo: 8,
    task: 'Cache the course catalogue',
    votes: { builder: 3, skeptic: 1 },
    outcomes: ['done', 'done', 'done', 'failed'],
  },
  { number: 3, daysAgo: 1, task: 'Explain why a job matches a profile', votes: { skeptic: 4 }, outcomes: ['running'] },
] as const;

export function cycles(ago: Ago): Prisma.NomicCycleCreateManyInput[] {
  return CYCLES.flatMap(({ number, daysAgo, task, outcomes }) =>
    outcomes.map((outcome, step) => {
      const startedAt = ago(daysAgo, step * 15);
      const completedAt = outcome === 'running' ? null : ago(daysAgo, step * 15 + 12);
      const phase = PHASES[step] ?? 'debate';
      return {
        ...OUTCOMES[outcome],
        id: number * 10 + step,
        loopId: LOOP,
        cycleNumber: number,
        phase,
        startedAt,
        completedAt,
        gitCommit: phase === 'commit' ? '4f1c2d7a9b3e' : null,
        taskDescription: task,
        totalTasks: 3,
        createdAt: startedAt,
        updatedAt: completedAt ?? startedAt,
      };
    }),
  );
}

export function artifacts(ago: Ago): Prisma.DebateArtifactCreateManyInput[] {
  return CYCLES.map(({ number, daysAgo, task, votes }) => ({
    id: number,
    loopId: LOOP,
    cycleNumber: number,
    phase: 'debate',
    task,
    agents: [...AGENTS],
    transcript: transcript(task),
    consensusReached: number !== 2,
    confidence: [0.82, 0.55, 0.91][number - 1] ?? 0,
    winningProposal: `Do it in the smallest step that can be reverted: ${task.toLowerCase()}`,
    voteTally: votes,
    viewCount: 4 - number,
    createdAt: ago(daysAgo, 12),
    updatedAt: ago(daysAgo, 12),
    concludedAt: ago(daysAgo, 12),
  }));
}

export function transcript(task: string): Prisma.InputJsonArray {
  return [
    {
      agent: 'architect',
      role: 'proposer',
      round: 1,
      content: `${task}: keep the state beside the row it belongs to.`,
    },
    { agent: 'skeptic', role: 'critic', round: 1, content: 'What happens when two devices write at once?' },
    { agent: 'builder', role: 'proposer', round: 2, content: 'The later write wins, and both are recorded.' },
    { agent: 'auditor', role: 'judge', round: 2, content: 'That can be tested; I vote for it.' },
  ];
}

export function streamEvents(ago: Ago): Prisma.StreamEventCreateManyInput[] {
  return [
    { id: 1, sequence: 1, cycle: 1, eventType: 'cycle_start', eventData: { tasks: 3 }, timestamp: ago(10) },
    { id: 2, sequence: 2, cycle: 1, eventType: 'phase_start', eventData: { phase: 'debate' }, timestamp: ago(10, 1) },
    {
      id: 3,
      sequence: 3,
      cycle: 1,
      eventType: 'task_complete',
      eventData: { task: 1 },
      agent: 'builder',
      timestamp: ago(10, 40),
    },
    { id: 4, sequence: 1, cycle: 2, eventType: 'cycle_start', eventData: { tasks: 3 }, timestamp: ago(8) },
    {
      id: 5,
      sequence: 2,
      cycle: 2,
      eventType: 'error',
      eventData: { phase: 'verify' },
      agent: 'auditor',
      timestamp: ago(8, 57),
    },
    { id: 6, sequence: 1, cycle: 3, eventType: 'cycle_start', eventData: { tasks: 3 }, timestamp: ago(1) },
  ].map((event) => ({ ...event, loopId: LOOP, createdAt: event.timestamp }));
}

/** The last number of each cycle. */
export function streamCursors(ago: Ago): Prisma.StreamCursorCreateManyInput[] {
  return [3, 2, 1].map((lastSequence, index) => ({
    ...{ loopId: LOOP, cycle: index + 1, lastSequence, createdAt: ago(10), updatedAt: ago(1) },
  }));
}

export function agentMetrics(ago: Ago): Prisma.AgentMetricCreateManyInput[] {
  return CYCLES.flatMap(({ number, daysAgo, votes }) =>
    AGENTS.map((agentName, index) => ({
      id: number * 10 + index,
      loopId: LOOP,
      cycle: number,
      agentName,
      model: index % 2 === 0 ? 'azora-large' : 'azora-small',
      phase: 'debate',
      messagesSent: 1,
      proposalsMade: index < 2 ? 1 : 0,
      critiquesGiven: 1,
      votesWon: new Map(Object.entries(votes)).get(agentName) ?? 0,
      votesReceived: AGENTS.length,
      consensusContributions: number === 2 ? 0 : 1,
      avgResponseTimeMs: 620 + 135 * index + 20 * number,
      timestamp: ago(daysAgo, 12),
      createdAt: ago(daysAgo, 12),
      updatedAt: ago(daysAgo, 12),
    })),
  );
}

export function rollback(ago: Ago): Prisma.NomicRollbackCreateManyInput {
  return {
    id: ROLLBACK,
    loopId: LOOP,
    cycleNumber: 2,
    phase: 'verify',
    reason: 'verify_failure',
    severity: 'high',
    rolledBackCommit: '9ac01be4d27f',
    preservedBranch: 'rollback/loop-azora-1-cycle-2',
    filesAffected: ['src/catalogue.ts'],
    diffSummary: '1 file, 42 lines added',
    errorMessage: 'Two tests of the catalogue failed',
    createdAt: ago(8, 58),
  };
}

export function evolutions(ago: Ago): Prisma.CycleEvolutionCreateManyInput[] {
  return [
    {
      cycleNumber: 1,
      filesChanged: ['src/lessons.ts', 'tests/lessons.test.ts'],
      gitCommit: '4f1c2d7a9b3e',
      at: ago(10, 75),
    },
    {
      cycleNumber: 2,
      filesChanged: ['src/catalogue.ts'],
      gitCommit: '9ac01be4d27f',
      rollbackId: ROLLBACK,
      at: ago(8, 58),
    },
  ].map(({ at, ...evolution }) => ({
    ...evolution,
    id: seedId(`debate.CycleEvolution.${evolution.cycleNumber}`),
    loopId: LOOP,
    debateArtifactId: evolution.cycleNumber,
    winningProposalSummary: 'The smallest step that can be taken back',
    createdAt: at,
    updatedAt: at,
  }));
}

export function fileChanges(ago: Ago): Prisma.CycleFileChangeCreateManyInput[] {
  return [
    {
      id: 1,
      cycleNumber: 1,
      filePath: 'src/lessons.ts',
      changeType: 'modified',
      insertions: 38,
      createdAt: ago(10, 75),
    },
    {
      id: 2,
      cycleNumber: 1,
      filePath: 'tests/lessons.test.ts',
      changeType: 'added',
      insertions: 54,
      createdAt: ago(10, 75),
    },
    {
      id: 3,
      cycleNumber: 2,
      filePath: 'src/catalogue.ts',
      changeType: 'modified',
      insertions: 42,
      createdAt: ago(8, 58),
    },
  ].map((change) => ({ ...change, loopId: LOOP }));
}
