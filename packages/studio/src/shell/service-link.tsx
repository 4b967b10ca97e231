import type { ReactNode } from 'react';
import type { FleetService } from '../api/answers';
import { dataLink } from '../routing/data-link';
import { Link } from '../routing/link';
import { ago, bytes, rows } from './quantities';

interface Condition {
  readonly tone: 'good' | 'warn' | 'bad';
  readonly words: readonly string[];
}

/** What is to be said of a service, and how grave it is. */
export function conditionOf(service: FleetService): Condition {
  if (!service.reachable) return { tone: 'bad', words: ['unreachable'] };
  if (service.pending === null) return { tone: 'warn', words: ['not readable'] };
  const pending = service.pending > 0 ? [`${service.pending} pending`] : [];
  const words = [...pending, ...(service.drift === true ? ['drift'] : [])];
  return words.length > 0 ? { tone: 'warn', words } : { tone: 'good', words: ['up to date'] };
}

/** A service at the side: its state, and a link that opens the studio on its database. */
export function ServiceLink({
  service,
  writes,
  isCurrent,
}: {
  readonly service: FleetService;
  /** Whether the studio was started for changing rows; a database without roles or an audit log is read all the same. */
  readonly writes: boolean;
  readonly isCurrent: boolean;
}): ReactNode {
  const { tone, words } = conditionOf(service);
  const backup = service.newestBackup;
  return (
    <Link to={dataLink({ service: service.service })} current={isCurrent} className="service">
      <span className={`dot dot-${tone}`} aria-hidden="true" />
      <span className="service-name">{service.service}</span>
      <span className={`service-state tone-${tone}`}>{words.join(', ')}</span>
      <span className="service-facts">
        {writes && !service.write ? 'reads only; ' : null}
        {service.error === null ? `${rows(service.rows)}, ${bytes(service.sizeBytes)}` : service.error.message}
      </span>
      <span className="service-facts">
        {backup === null
          ? 'no backup'
          : `backup ${ago(backup.startedAt)}${backup.verified ? ', verified' : ', not verified'}`}
      </span>
    </Link>
  );
}
