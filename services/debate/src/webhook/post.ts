import * as http from 'node:http';
import * as https from 'node:https';
import { isIP } from 'node:net';
import { checkedLookup, demandReachable, TargetRefused, type TargetRules } from './target';

export interface PostInput {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number;
}

/**
 * Posts a text and returns the status of the response. Connects only to an address that it has checked, with a connection of its own, and
 * never follows a redirect: the answer 3xx is a status like others. The body of the response is not read.
 * @throws {TargetRefused} if the rules do not allow the target
 */
export async function post({ url, headers, body, timeoutMs }: PostInput, rules: TargetRules): Promise<number> {
  const target = new URL(url);
  if (target.protocol !== 'https:' && target.protocol !== 'http:')
    throw new TargetRefused('the URL has no web address');
  // Node resolves no literal address, so lookup does not see it. URL has turned forms such as 0x7f.1 into 127.0.0.1.
  const literal = target.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(literal) !== 0) demandReachable(target, literal, rules);
  const { request } = target.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const sent = request(target, {
      method: 'POST',
      headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
      agent: false,
      lookup: checkedLookup(target, rules),
      signal: AbortSignal.timeout(timeoutMs),
    });
    sent.on('response', (response) => {
      response.on('error', () => undefined);
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
