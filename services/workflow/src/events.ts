import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this or another service, as `newId` and the seed make them. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
/** Workflows and plugins have numbers as ids. */
const rowNumber = z.int().min(1).max(2_147_483_647);

const workflow = { service: 'workflow', version: 1 } as const;
const ofWorkflow = ({ workflowId }: { readonly workflowId: number }) => String(workflowId);
const ofPlugin = ({ pluginId }: { readonly pluginId: number }) => String(pluginId);
const ofRun = ({ runId }: { readonly runId: string }) => runId;

const owned = { workflowId: rowNumber, ownerId: id };

export const workflowCreated = defineEvent({
  ...workflow,
  name: 'workflow-created',
  about: 'A draft was created.',
  data: z.strictObject(owned),
  key: ofWorkflow,
});

export const workflowPublished = defineEvent({
  ...workflow,
  name: 'workflow-published',
  about: 'A version was published, which runs execute from now on.',
  data: z.strictObject({ ...owned, number: rowNumber }),
  key: ofWorkflow,
});

export const workflowArchived = defineEvent({
  ...workflow,
  name: 'workflow-archived',
  about: 'A workflow was archived: it starts no more runs.',
  data: z.strictObject(owned),
  key: ofWorkflow,
});

export const workflowDeleted = defineEvent({
  ...workflow,
  name: 'workflow-deleted',
  about: 'A workflow was deleted, and can be restored.',
  data: z.strictObject(owned),
  key: ofWorkflow,
});

export const workflowRestored = defineEvent({
  ...workflow,
  name: 'workflow-restored',
  about: 'A deleted workflow was restored.',
  data: z.strictObject(owned),
  key: ofWorkflow,
});

export const workflowTransferred = defineEvent({
  ...workflow,
  name: 'workflow-transferred',
  about: 'A workflow has a new owner.',
  data: z.strictObject({ ...owned, fromId: id }),
  key: ofWorkflow,
});

export const workflowErased = defineEvent({
  ...workflow,
  name: 'workflow-erased',
  about: 'A workflow was deleted for good, with its versions, runs and logs, because its owner was erased.',
  data: z.strictObject(owned),
  key: ofWorkflow,
});

const plugin = z.strictObject({ pluginId: rowNumber, enabled: z.boolean() });

export const pluginRegistered = defineEvent({
  ...workflow,
  name: 'plugin-registered',
  about: 'A plugin was added.',
  data: plugin,
  key: ofPlugin,
});

export const pluginChanged = defineEvent({
  ...workflow,
  name: 'plugin-changed',
  about: 'A plugin has a new version or schema, or was enabled or disabled.',
  data: plugin,
  key: ofPlugin,
});

const run = { runId: id, workflowId: rowNumber, number: rowNumber };

export const runStarted = defineEvent({
  ...workflow,
  name: 'run-started',
  about: 'A run of a published version has begun.',
  data: z.strictObject(run),
  key: ofRun,
});

export const runEnded = defineEvent({
  ...workflow,
  name: 'run-ended',
  about: 'A run is completed, has failed, or was canceled.',
  data: z.strictObject({ ...run, status: z.enum(['completed', 'failed', 'cancelled']) }),
  key: ofRun,
});

export const runRetried = defineEvent({
  ...workflow,
  name: 'run-retried',
  about: 'A failed or canceled run continues.',
  data: z.strictObject(run),
  key: ofRun,
});

/** The events that workflow publishes; triggers of prisma/migrations write them. */
export const EVENTS = [
  workflowCreated,
  workflowPublished,
  workflowArchived,
  workflowDeleted,
  workflowRestored,
  workflowTransferred,
  workflowErased,
  pluginRegistered,
  pluginChanged,
  runStarted,
  runEnded,
  runRetried,
] as const;
