export { type Workflow, type WorkflowTransaction, openWorkflow } from './client';
export { Prisma, $Enums } from './generated/client';
