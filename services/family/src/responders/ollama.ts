import { z } from 'zod';
import { type HttpResponderOptions, httpResponder } from './http';
import type { Responder } from './responder';

const answerInput = z
  .object({ message: z.object({ content: z.string() }) })
  .transform(({ message }) => message.content);

/**
 * A responder that asks an Ollama server (`POST <url>/api/chat`).
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`; its answers throw `FAMILY.RESPONDER_TIMEOUT`, `FAMILY.RESPONDER_FAILED`,
 *   `FAMILY.RESPONDER_ANSWER`
 */
export function ollamaResponder(options: HttpResponderOptions): Responder {
  return httpResponder(options, (model) => ({
    name: 'ollama',
    path: '/api/chat',
    headers: {},
    bodyOf: (messages, temperature) => ({ model, messages, stream: false, options: { temperature } }),
    answer: answerInput,
  }));
}
