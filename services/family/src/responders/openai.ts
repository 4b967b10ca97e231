import { z } from 'zod';
import { readInput } from '../errors';
import { type HttpResponderOptions, httpResponder } from './http';
import type { Responder } from './responder';

export interface OpenAiResponderOptions extends HttpResponderOptions {
  /** Sent as a bearer token; a local server may need none. */
  readonly apiKey?: string;
}

const keyInput = z
  .string()
  .max(1_000)
  .regex(/^[\x21-\x7e]+$/, 'is not made of printable ASCII characters without spaces')
  .optional();
const answerInput = z
  .object({ choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })], z.unknown()) })
  .transform(({ choices: [{ message }] }) => message.content);

/**
 * A responder that asks an API like OpenAI's (`POST <url>/chat/completions`), which vLLM, llama.cpp, LM Studio and others offer too.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`; its answers throw `FAMILY.RESPONDER_TIMEOUT`, `FAMILY.RESPONDER_FAILED`,
 *   `FAMILY.RESPONDER_ANSWER`
 */
export function openAiResponder({ apiKey, ...options }: OpenAiResponderOptions): Responder {
  const key = readInput(z.object({ apiKey: keyInput }), { apiKey }).apiKey;
  return httpResponder(options, (model) => ({
    name: 'openai',
    path: '/chat/completions',
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    bodyOf: (messages, temperature) => ({ model, messages, temperature, stream: false }),
    answer: answerInput,
  }));
}
