import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { FleetAnswer, FleetService } from '../api/answers';
import type { Polled } from '../api/requests';
import { dataLink, readDataPlace } from '../routing/data-link';
import { Link, useHash } from '../routing/navigation';
import { formatAge, formatBytes, formatRows } from './format';

const PAGES = [
  { to: '/', name: 'Overview' },
  { to: '/data', name: 'Data' },
  { to: '/models', name: 'Models' },
  { to: '/events', name: 'Events' },
];

interface SidebarProps {
  readonly path: string;
  readonly fleet: Polled<FleetAnswer>;
}

/** The pages, and the services with their state. In a narrow window, a bar with a menu. */
export function Sidebar({ path, fleet }: SidebarProps): ReactNode {
  const hash = useHash();
  const [isOpen, setOpen] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a choice in the menu closes it
  useEffect(() => setOpen(false), [path, hash]);
  useEffect(() => {
    const close = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') setOpen(false);
    };
    window.addEventListener('keydown', close);
    return () => window.removeEventListener('keydown', close);
  }, []);
  return (
    <header className="side" data-open={isOpen}>
      <div className="side-top">
        <span className="side-name">Azora databases</span>
        <Mode fleet={fleet.answer} />
        <button
          type="button"
          className="side-toggle"
          aria-expanded={isOpen}
          aria-controls="side-menu"
          onClick={() => setOpen(!isOpen)}
        >
          Menu
        </button>
      </div>
      <div id="side-menu" className="side-menu">
        <nav aria-label="Pages" className="side-pages">
          {PAGES.map(({ to, name }) => (
            <Link key={to} to={to} current={path === to}>
              {name}
            </Link>
          ))}
        </nav>
        <Services fleet={fleet} open={path === '/data' ? readDataPlace(hash).schema : undefined} />
      </div>
    </header>
  );
}

function Mode({ fleet }: { readonly fleet: FleetAnswer | undefined }): ReactNode {
  if (fleet === undefined) return null;
  return (
    <span className="side-mode">
      <span className={fleet.write ? 'chip chip-warn' : 'chip'}>{fleet.write ? 'read-write' : 'read-only'}</span>
      {fleet.reveal ? <span className="chip chip-warn">PII shown</span> : null}
    </span>
  );
}

interface ServicesProps {
  readonly fleet: Polled<FleetAnswer>;
  /** The schema that Studio shows. */
  readonly open: string | undefined;
}

function Services({ fleet, open }: ServicesProps): ReactNode {
  const services = fleet.answer?.services;
  const current = services?.find(({ service }) => open === service || open?.startsWith(`${service}.`))?.service;
  const list = useRef<HTMLUListElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the service of a new address may be out of sight
  useEffect(() => {
    list.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
  }, [current]);
  return (
    <nav aria-label="Services" aria-busy={services === undefined} className="side-services">
      <h2>Services</h2>
      {services === undefined ? (
        <p className="quiet">{fleet.failure === undefined ? 'Loading…' : 'Unavailable'}</p>
      ) : null}
      {services?.length === 0 ? <p className="quiet">This checkout has no services.</p> : null}
      <ul ref={list}>
        {services?.map((service) => (
          <li key={service.service}>
            <ServiceLink
              service={service}
              isWriteMode={fleet.answer?.write === true}
              isCurrent={service.service === current}
            />
          </li>
        ))}
      </ul>
    </nav>
  );
}

interface ServiceLinkProps {
  readonly service: FleetService;
  /** Whether the studio was started with --write. A database without roles or an audit log stays read-only. */
  readonly isWriteMode: boolean;
  readonly isCurrent: boolean;
}

/** A service with its state: a link to its tables. */
function ServiceLink({ service, isWriteMode, isCurrent }: ServiceLinkProps): ReactNode {
  const { tone, words } = conditionOf(service);
  return (
    <Link to={dataLink({ service: service.service })} current={isCurrent} className="service">
      <span className={`dot dot-${tone}`} aria-hidden="true" />
      <span className="service-name">{service.service}</span>
      <span className={`service-state tone-${tone}`}>{words.join(', ')}</span>
      <span className="service-facts">
        {isWriteMode && !service.write ? 'read-only; ' : null}
        {service.error === null
          ? `${formatRows(service.rows)}, ${formatBytes(service.sizeBytes)}`
          : service.error.message}
      </span>
      <span className="service-facts">{backupText(service.newestBackup)}</span>
    </Link>
  );
}

function backupText(backup: FleetService['newestBackup']): string {
  if (backup === null) return 'no backup';
  return `backup ${formatAge(backup.startedAt)}, ${backup.verified ? 'verified' : 'not verified'}`;
}

interface Condition {
  readonly tone: 'good' | 'warn' | 'bad';
  readonly words: readonly string[];
}

/** The state of a service in words, and how serious it is. */
export function conditionOf(service: FleetService): Condition {
  if (!service.reachable) return { tone: 'bad', words: ['unreachable'] };
  if (service.pending === null) return { tone: 'warn', words: ['not readable'] };
  const pending = service.pending > 0 ? [`${service.pending} pending`] : [];
  const words = [...pending, ...(service.drift === true ? ['drift'] : [])];
  return words.length > 0 ? { tone: 'warn', words } : { tone: 'good', words: ['up to date'] };
}
