import { SuiteError } from '@azora/db-core';

/** What the URL of a broker says. */
export interface BrokerUrl {
  /** Addresses such as `localhost:4222`. */
  readonly servers: readonly string[];
  readonly isTls: boolean;
  readonly credentials: { readonly user?: string; readonly pass?: string; readonly token?: string };
  /** 1 when absent. */
  readonly replicas: number;
}

const URL_PARTS = /^(nats|tls):\/\/(?:([^@/?#]*)@)?([^/?#@]+)\/?(?:\?([^#]*))?$/i;
const MAX_REPLICAS = 5;

/** Whether a URL names a broker instead of a database. */
export function isBrokerUrl(text: string): boolean {
  return /^(nats|tls):/i.test(text);
}

/**
 * Reads `nats://user:password@host:4222,other-host:4222?replicas=3`. No message shows the URL, because it may contain a password.
 * @throws {SuiteError} `CONFIG.BAD_URL` naming the source and the reason
 */
export function parseBrokerUrl(text: string, source: string): BrokerUrl {
  const refuse = (why: string): never => {
    throw new SuiteError('CONFIG.BAD_URL', `${source} is not a valid NATS URL`, {
      kind: 'configuration',
      why,
      next: `Set ${source} to a URL such as nats://user:password@localhost:4222`,
    });
  };
  const [, scheme, login = '', hosts = '', query = ''] =
    URL_PARTS.exec(text) ?? refuse('It is not of the form nats://user:password@host:port.');
  const parameters = new URLSearchParams(query);
  const unknown = [...parameters.keys()].find((name) => name !== 'replicas');
  if (unknown !== undefined) refuse(`It has the parameter ${JSON.stringify(unknown)}, and only "replicas" is known.`);
  const replicas = Number(parameters.get('replicas') ?? 1);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > MAX_REPLICAS) {
    refuse(`Its parameter "replicas" is not a whole number from 1 to ${MAX_REPLICAS}.`);
  }
  const servers = hosts.split(',');
  if (servers.some((server) => !URL.canParse(`nats://${server}`))) refuse('It has a host or a port that is not valid.');
  return { servers, isTls: scheme?.toLowerCase() === 'tls', credentials: credentialsOf(login, refuse), replicas };
}

function credentialsOf(login: string, refuse: (why: string) => never): BrokerUrl['credentials'] {
  if (login === '') return {};
  const [user = '', pass, ...rest] = login.split(':').map((part) => decode(part, refuse));
  if (rest.length > 0) return refuse('Its password has a ":" that is not encoded as %3A.');
  return pass === undefined ? { token: user } : { user, pass };
}

function decode(text: string, refuse: (why: string) => never): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse('Its user or password has a "%" that is not encoded as %25.');
  }
}
