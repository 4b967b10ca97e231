import { Prisma } from '../src/index';
import { daysBefore, WELCOME_PLAN } from './fixtures';

const RUN_INPUT = { userId: 'user-1' };
const FAILURE = 'template is missing';
const LEASE = 'seed';

interface SeededRun {
  readonly id: string;
  readonly at: Date;
  /** Whether the mail was sent. */
  readonly isMailed: boolean;
}

/** A run that is completed and one whose mail could not be sent, by the steps of the welcome workflow. */
export function runsOf(now: Date): readonly SeededRun[] {
  return [
    { id: 'run-welcome-1', at: daysBefore(now, 6), isMailed: true },
    { id: 'run-welcome-2', at: daysBefore(now, 5), isMailed: false },
  ];
}

export function runRow({ id, at, isMailed }: SeededRun, startedBy: string): Prisma.WorkflowRunCreateManyInput {
  const endedAt = new Date(at.getTime() + 2_000);
  return {
    ...{ id, workflowId: 1, number: 1, status: isMailed ? 'completed' : 'failed', input: RUN_INPUT, startedBy },
    ...{
      error: isMailed ? null : `Step mail failed: ${FAILURE}`,
      finishedAt: endedAt,
      createdAt: at,
      updatedAt: endedAt,
    },
  };
}

export function stepRows({ id, at, isMailed }: SeededRun): Prisma.RunStepCreateManyInput[] {
  return WELCOME_PLAN.map((step) => {
    const isTrigger = step.type === 'trigger';
    const isDone = step.node_id !== 'mail' || isMailed;
    const endedAt = new Date(at.getTime() + (isTrigger ? 0 : 2_000));
    return {
      ...{ runId: id, nodeId: step.node_id, type: step.type, position: step.position },
      ...{ needs: step.needs, nextNodes: step.next_nodes, status: isDone ? 'completed' : 'failed' },
      ...{ maxAttempts: step.max_attempts, retryDelayMs: step.retry_delay_ms, timeoutMs: step.timeout_ms },
      ...{ attempts: isTrigger ? 0 : isDone ? 1 : step.max_attempts, leaseId: isTrigger ? 'start' : LEASE },
      ...{
        error: isDone ? null : FAILURE,
        startedAt: at,
        dueAt: at,
        finishedAt: endedAt,
        createdAt: at,
        updatedAt: endedAt,
      },
    };
  });
}

export function resultRows(run: SeededRun): Prisma.StepResultCreateManyInput[] {
  return stepRows(run)
    .filter(({ status }) => status === 'completed')
    .map(({ nodeId, leaseId, finishedAt }) => ({
      ...{ runId: run.id, nodeId, leaseId: leaseId ?? LEASE, createdAt: finishedAt ?? run.at },
      result: nodeId === 'registered' ? RUN_INPUT : Prisma.JsonNull,
    }));
}
