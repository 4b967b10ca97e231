export { openWorkflow, type Workflow, type WorkflowTransaction } from './client';
export { $Enums, Prisma } from './generated/client';
