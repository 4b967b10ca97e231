const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export const WELCOME_NODES = [
  { id: 'registered', type: 'trigger', event: 'auth.user-registered' },
  { id: 'mail', type: 'email', template: 'welcome' },
  { id: 'announce', type: 'http-request', method: 'POST', path: '/notifications' },
];
export const WELCOME_CONNECTIONS = [
  { from: 'registered', to: 'mail' },
  { from: 'registered', to: 'announce' },
];
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
export const LOGS = [
  { id: 1, level: 'info', message: 'Run started', metadata: { run: 1 } },
  { id: 2, level: 'warn', message: 'Node announce was slow', metadata: { run: 1, node: 'announce', durationMs: 1840 } },
  { id: 3, level: 'error', message: 'Node mail failed: template is missing', metadata: { run: 1, node: 'mail' } },
  { id: 4, level: 'info', message: 'Run started', metadata: { run: 2 } },
];

export function daysBefore(now: Date, days: number, minutes = 0): Date {
  return new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS);
}
