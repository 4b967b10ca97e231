import type { IncomingMessage } from 'node:http';
import { SuiteError } from '@azora/db-core';
import { badRequest, refusal } from './http-error';
import { MAX_BODY_BYTES } from './limits';

const JSON_TYPE = /^application\/json\s*(;|$)/i;

/** Reads a request's JSON; one that is too long is not read to its end. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!JSON_TYPE.test(request.headers['content-type'] ?? ''))
    throw badRequest('Its Content-Type is not application/json.');
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw badRequest('Its body is not JSON.');
  }
}

function tooLarge(): SuiteError {
  const error = new SuiteError('STUDIO.BODY_TOO_LARGE', 'The request is larger than 1 MB', {
    kind: 'usage',
    next: 'Save fewer edits at once',
  });
  return refusal(413, error);
}
