import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

const workspaceId = z.string().regex(/^[0-9a-f]{16}$/);
const rag = { service: 'rag', version: 1 } as const;
const byWorkspace = ({ workspaceId: id }: { readonly workspaceId: string }) => id;

export const workspaceRegistered = defineEvent({
  ...rag,
  name: 'workspace-registered',
  about: 'A workspace was registered.',
  data: z.strictObject({ workspaceId }),
  key: byWorkspace,
});

export const workspaceRemoved = defineEvent({
  ...rag,
  name: 'workspace-removed',
  about: 'A workspace was removed with its chunks and its code graph.',
  data: z.strictObject({ workspaceId }),
  key: byWorkspace,
});

export const workspaceIndexed = defineEvent({
  ...rag,
  name: 'workspace-indexed',
  about: 'An index of a workspace is complete; files is the number of files in it.',
  data: z.strictObject({
    workspaceId,
    index: z.enum(['rag', 'graph']),
    commit: z
      .string()
      .regex(/^[0-9a-f]{40}$/)
      .optional(),
    files: z.int().min(0),
  }),
  key: byWorkspace,
});

export const modelSwitched = defineEvent({
  ...rag,
  name: 'model-switched',
  about: 'A workspace answers with the embeddings of another model, after all of its chunks were embedded with it.',
  data: z.strictObject({ workspaceId, dimension: z.int().min(1).max(16_000) }),
  key: byWorkspace,
});

/** The events that rag publishes; the functions of prisma/migrations write them. */
export const EVENTS = [workspaceRegistered, workspaceRemoved, workspaceIndexed, modelSwitched] as const;
