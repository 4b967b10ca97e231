const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export const WELCOME_NODES = [
  { id: 'registered', type: 'trigger', settings: { event: 'auth.user-registered' } },
  { id: 'mail', type: 'email', settings: { template: 'welcome' }, retry: { maxAttempts: 5, delayMs: 2_000 } },
  { id: 'announce', type: 'http-request', settings: { method: 'POST', path: '/notifications' }, timeoutMs: 30_000 },
];
export const WELCOME_CONNECTIONS = [
  { from: 'registered', to: 'mail' },
  { from: 'registered', to: 'announce' },
];
export const WELCOME_SETTINGS = { timezone: 'Africa/Johannesburg', retry: { maxAttempts: 3, delayMs: 1_000 } };
/** What the function `plan_of` makes of them. */
export const WELCOME_PLAN = WELCOME_NODES.map(({ id, type, retry, timeoutMs = null }, position) => ({
  node_id: id,
  type,
  position,
  needs: WELCOME_CONNECTIONS.filter(({ to }) => to === id).map(({ from }) => from),
  next_nodes: WELCOME_CONNECTIONS.filter(({ from }) => from === id)
    .map(({ to }) => to)
    .sort(),
  max_attempts: (retry ?? WELCOME_SETTINGS.retry).maxAttempts,
  retry_delay_ms: (retry ?? WELCOME_SETTINGS.retry).delayMs,
  timeout_ms: timeoutMs,
}));
export const PLUGINS = [
  {
    id: 1,
    name: 'email',
    description: 'Sends mail from a template',
    version: '1.2.0',
    author: 'Azora',
    configSchema: { type: 'object', required: ['template'], properties: { template: { type: 'string' } } },
  },
  {
    id: 2,
    name: 'http-request',
    description: 'Calls an HTTP endpoint',
    version: '2.0.1',
    author: 'Azora',
    configSchema: { type: 'object', required: ['method', 'path'], properties: { method: { enum: ['GET', 'POST'] } } },
  },
];
export const VERSION_PLUGINS = PLUGINS.map(({ id, name, version, configSchema }) => ({
  id,
  name,
  version,
  configSchema,
}));
export const LOGS = [
  { id: 1, level: 'info', message: 'Run started', metadata: { run: 1 } },
  { id: 2, level: 'warn', message: 'Node announce was slow', metadata: { run: 1, node: 'announce', durationMs: 1840 } },
  { id: 3, level: 'error', message: 'Node mail failed: template is missing', metadata: { run: 1, node: 'mail' } },
  { id: 4, level: 'info', message: 'Run started', metadata: { run: 2 } },
];

export function daysBefore(now: Date, days: number, minutes = 0): Date {
  return new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS);
}
