import { defineSeed, type SeedContext, seedId, seedUuid } from '@azora/db-core';
import { volumeRows } from './seed/volume';
import { openAgent, type Prisma } from './src/index';

/** This repository, which the seed of rag indexes as a workspace. */
const WORKSPACE_PATH = '/workspaces/azora';
const CODING_AGENT = 'coding-agent';
const MODEL = 'gpt-4o-mini';

const conversationId = seedUuid('agent.Conversation.retries');
const answerId = seedUuid('agent.Message.retries-answer');
const healthCheckId = seedId('agent.Task.health-check');
const dockerfilesId = seedId('agent.Task.dockerfiles');
const performanceId = seedId('agent.Task.performance');

export const seed = defineSeed({
  open: openAgent,

  async base(agent, context) {
    await agent.prisma.conversation.createMany({ data: [conversationRow(context)], skipDuplicates: true });
    await agent.prisma.message.createMany({ data: messageRows(context), skipDuplicates: true });
    await agent.prisma.messageRagContext.createMany({ data: ragContextRows(context), skipDuplicates: true });
    await agent.prisma.agentExecution.createMany({ data: executionRows(context), skipDuplicates: true });
    await agent.prisma.modelPrice.createMany({ data: priceRows(context), skipDuplicates: true });
    await agent.prisma.task.createMany({ data: taskRows(context), skipDuplicates: true });
    await agent.prisma.taskDependency.createMany({ data: dependencyRows(context), skipDuplicates: true });
    await agent.prisma.chatMessage.createMany({ data: chatRows(context), skipDuplicates: true });
  },

  volume: volumeRows,
});

function minutesBefore({ now }: SeedContext, minutes: number): Date {
  return new Date(now.getTime() - minutes * 60_000);
}

function conversationRow(context: SeedContext): Prisma.ConversationCreateManyInput {
  return {
    id: conversationId,
    title: 'How are deadlocks retried?',
    agentId: CODING_AGENT,
    repositoryPath: WORKSPACE_PATH,
    userId: context.people.student.id,
    createdAt: minutesBefore(context, 60),
    updatedAt: minutesBefore(context, 58),
    lastPosition: 3,
  };
}

function messageRows(context: SeedContext): Prisma.MessageCreateManyInput[] {
  const common = { conversationId, model: null, tokensUsed: null };
  return [
    {
      ...common,
      id: seedUuid('agent.Message.retries-system'),
      position: 1,
      role: 'system',
      content: 'You answer questions about this repository and cite the source of each answer.',
      createdAt: minutesBefore(context, 60),
    },
    {
      ...common,
      id: seedUuid('agent.Message.retries-question'),
      position: 2,
      role: 'user',
      content: 'What happens when two transactions deadlock?',
      createdAt: minutesBefore(context, 59),
    },
    {
      ...common,
      id: answerId,
      position: 3,
      role: 'assistant',
      content:
        'The store runs the whole transaction again, up to five times with a pause in between, and then throws the error.',
      model: MODEL,
      tokensUsed: 412,
      createdAt: minutesBefore(context, 58),
    },
  ];
}

/** The chunks as they were when they were retrieved. */
function ragContextRows(context: SeedContext): Prisma.MessageRagContextCreateManyInput[] {
  const chunks = [
    {
      slug: 'transaction',
      file: 'packages/core/src/retry.ts',
      content: 'Runs `work` until it succeeds or fails for another reason, five times at most. Throws the last error.',
      score: 0.83,
    },
    {
      slug: 'store',
      file: 'packages/core/src/store.ts',
      content:
        'Runs `work` in one transaction, retried after a deadlock or serialization failure. An error it throws rolls back.',
      score: 0.79,
    },
  ];
  return chunks.map(({ slug, file, content, score }) => ({
    id: seedUuid(`agent.MessageRagContext.retries-${slug}`),
    messageId: answerId,
    query: 'transaction deadlock retry',
    contentId: `${WORKSPACE_PATH}/${file}`,
    chunkIndex: 0,
    chunkContent: content,
    score,
    sourcePath: `${WORKSPACE_PATH}/${file}`,
    contentType: 'Code',
    retrievedAt: minutesBefore(context, 58),
    createdAt: minutesBefore(context, 58),
  }));
}

function executionRows(context: SeedContext): Prisma.AgentExecutionCreateManyInput[] {
  return [
    {
      id: seedUuid('agent.AgentExecution.retries'),
      agentId: CODING_AGENT,
      conversationId,
      userId: context.people.student.id,
      prompt: 'What happens when two transactions deadlock?',
      response: 'The store runs the whole transaction again.',
      model: MODEL,
      promptTokens: 350,
      completionTokens: 62,
      tokensUsed: 412,
      durationMs: 1_830,
      success: true,
      status: 'succeeded',
      createdAt: minutesBefore(context, 58),
      finishedAt: new Date(minutesBefore(context, 58).getTime() + 1_830),
    },
    {
      id: seedUuid('agent.AgentExecution.review'),
      agentId: 'review-agent',
      userId: context.people.employer.id,
      prompt: 'Review the dashboard of the first milestone.',
      model: MODEL,
      durationMs: 30_000,
      success: false,
      status: 'failed',
      error: 'The model did not answer within 30 seconds',
      createdAt: minutesBefore(context, 30),
      finishedAt: new Date(minutesBefore(context, 30).getTime() + 30_000),
    },
  ];
}

/** US dollars for a million tokens. */
function priceRows(context: SeedContext): Prisma.ModelPriceCreateManyInput[] {
  const validFrom = minutesBefore(context, 365 * 24 * 60);
  return [{ model: MODEL, validFrom, promptPrice: '0.15', completionPrice: '0.6', createdAt: validFrom }];
}

function taskRows(context: SeedContext): Prisma.TaskCreateManyInput[] {
  const common = {
    createdBy: context.people.employer.id,
    taskType: 'autonomous_request',
    metadata: { source: 'seed' },
  };
  return [
    {
      ...common,
      id: healthCheckId,
      title: 'Check the health of all services',
      description: 'Ask every service for its status and write a report.',
      status: 'completed',
      priority: 'medium',
      createdAt: minutesBefore(context, 3_000),
      updatedAt: minutesBefore(context, 2_990),
      completedAt: minutesBefore(context, 2_990),
      attempts: 1,
      leaseId: 'seed',
      nextAt: minutesBefore(context, 2_995),
    },
    {
      ...common,
      id: dockerfilesId,
      title: 'Write Dockerfiles for the services',
      status: 'in_progress',
      priority: 'critical',
      createdAt: minutesBefore(context, 500),
      updatedAt: minutesBefore(context, 120),
      attempts: 1,
      leaseId: 'seed',
      nextAt: minutesBefore(context, 115),
    },
    {
      ...common,
      id: performanceId,
      title: 'Find the slowest queries',
      status: 'pending',
      priority: 'normal',
      createdAt: minutesBefore(context, 90),
      updatedAt: minutesBefore(context, 90),
      nextAt: minutesBefore(context, 90),
    },
  ];
}

/** The slowest queries are looked for when the services are healthy and have Dockerfiles. */
function dependencyRows(context: SeedContext): Prisma.TaskDependencyCreateManyInput[] {
  const createdAt = minutesBefore(context, 90);
  return [healthCheckId, dockerfilesId].map((dependsOnId) => ({ taskId: performanceId, dependsOnId, createdAt }));
}

function chatRows(context: SeedContext): Prisma.ChatMessageCreateManyInput[] {
  const common = { sessionId: 'aurora-1', userId: context.people.student.id, metadata: { channel: 'web' } };
  return [
    { ...common, id: 1, role: 'user', content: 'Is the server up?', createdAt: minutesBefore(context, 20) },
    { ...common, id: 2, role: 'aurora', content: 'All five services answer.', createdAt: minutesBefore(context, 19) },
  ];
}
