import { SuiteError } from '@azora/db-core';
import type { z } from 'zod';

/** RAG.INVALID_INPUT: what a function of this store was given breaks its contract. Values are not shown. */
export function invalidInput(problems: z.ZodError): SuiteError {
  const why = problems.issues.map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`).join('; ');
  return new SuiteError('RAG.INVALID_INPUT', 'The input cannot be used', {
    why,
    next: 'Correct the fields that are named and call again',
    meta: { fields: [...new Set(problems.issues.map((issue) => String(issue.path[0] ?? 'input')))] },
  });
}
