import { SuiteError } from '@azora/db-core';

interface Advice {
  readonly why: string;
  readonly next: string;
}

/** What the SDK's and Node's errors have in common, if anything. */
interface Thrown {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const CREDENTIALS =
  'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to credentials that are valid now';
const PERMISSIONS =
  'Allow s3:ListBucket on the bucket, and s3:GetObject, PutObject, DeleteObject and AbortMultipartUpload in it';
const NETWORK = 'Check the network, and AWS_ENDPOINT_URL_S3 if the bucket is not at Amazon';
const REGION = 'Set AWS_REGION to the region of the bucket';

/** By the code that the server answered with, or the name of the SDK's own error. */
const ADVICE: Readonly<Record<string, Advice>> = {
  NoSuchBucket: {
    why: 'The server knows no such bucket.',
    next: 'Correct the name, or make the bucket; AWS_ENDPOINT_URL_S3 says which server is asked',
  },
  AccessDenied: {
    why: 'The credentials do not allow it.',
    next: PERMISSIONS,
  },
  CredentialsProviderError: { why: 'No credentials were found.', next: CREDENTIALS },
  InvalidAccessKeyId: { why: 'The server does not know the access key.', next: CREDENTIALS },
  SignatureDoesNotMatch: { why: 'The secret key is not the one of the access key.', next: CREDENTIALS },
  ExpiredToken: { why: 'The credentials have expired.', next: CREDENTIALS },
  InvalidToken: { why: 'The session token is not valid.', next: CREDENTIALS },
  RequestTimeTooSkewed: { why: 'The clocks of this machine and of the server differ.', next: 'Set the clock' },
  PermanentRedirect: { why: 'The bucket is in another region.', next: REGION },
  AuthorizationHeaderMalformed: { why: 'The bucket is in another region.', next: REGION },
};

/**
 * What the SDK threw, as the suite's; passes on what is neither the server's, nor the network's, nor about credentials.
 * Its message is left to the cause: nobody knows what a server puts there.
 */
export function s3Failed(location: string, error: unknown): unknown {
  const advice = error instanceof SuiteError ? undefined : adviceFor(error);
  if (advice === undefined) return error;
  return new SuiteError('BACKUP.STORAGE_FAILED', `The backup storage ${location} cannot be used`, {
    ...advice,
    meta: { location, code: codeOf(error) },
    cause: error,
  });
}

/** Says so before the server would: it counts parts, and refuses only when most of the file is there. */
export function fileTooLarge(location: string, file: string, limit: number): SuiteError {
  return new SuiteError('BACKUP.STORAGE_FAILED', `${file} is too large for ${location}`, {
    why: `A bucket takes files of up to ${limit / 2 ** 30} GiB here.`,
    next: 'Back up to a directory with --out',
    meta: { location, file },
  });
}

/** The set lost files before it was finished: to a rule of the bucket, or to somebody's hand. */
export function filesLost(location: string, set: string, files: readonly string[]): SuiteError {
  return new SuiteError('BACKUP.STORAGE_FAILED', `The set ${set} lost files in ${location} while it was made`, {
    why: `Not there as they were written: ${files.slice(0, 3).join(', ')}${files.length > 3 ? ', …' : ''}.`,
    next: 'See that no rule of the bucket deletes new objects, and back up again',
    meta: { location, set, files },
  });
}

function adviceFor(error: unknown): Advice | undefined {
  const { name, code, message, $metadata } = (error ?? {}) as Thrown;
  const told = codeOf(error);
  const status = $metadata?.httpStatusCode;
  if (ADVICE[told] !== undefined) return ADVICE[told];
  if (status === 301 || status === 307) return ADVICE['PermanentRedirect'];
  if (status !== undefined) {
    const next = status === 403 ? PERMISSIONS : 'Try again, or use another place with --out';
    return { why: `The server answered ${told} (HTTP ${status}).`, next };
  }
  if (name?.endsWith('ProviderError')) return ADVICE['CredentialsProviderError'];
  if (message === 'Region is missing') return { why: 'No region is set.', next: REGION };
  if (message?.startsWith('Checksum mismatch')) return { why: 'What came is not what was stored.', next: 'Try again' };
  // What was sent and has no answer has metadata without a status; `code` is what Node's own errors have.
  if (code === undefined && $metadata === undefined) return undefined;
  return { why: `The server cannot be reached: ${told}.`, next: NETWORK };
}

/** By shape: an error may be of another realm. The server's code is its name. */
function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as Thrown;
  const found = [code, name].find((it) => typeof it === 'string' && /^[A-Za-z]\w{0,60}$/.test(it));
  return found ?? 'an unknown error';
}
