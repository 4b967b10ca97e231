import { redactUrl } from '@azora/db-core';
import type { StudioContext } from '../operations/studio/context';

/** A message without the users and addresses of servers: a page is told neither. */
export function redactServers({ targets }: StudioContext, message: string): string {
  const places = targets.flatMap(({ admin, maintenance, database }) => [
    [admin.href, database],
    [maintenance.href, 'the server'],
    [redactUrl(admin), database],
    [redactUrl(maintenance), 'the server'],
  ]);
  return places.reduce((text, [place = '', instead = '']) => text.replaceAll(place, instead), message);
}
