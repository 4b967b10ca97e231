import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { FleetAnswer } from '../api/answers';
import type { Polled } from '../api/use-polled';
import { readDataPlace } from '../routing/data-link';
import { Link } from '../routing/link';
import { useHash } from '../routing/location';
import { ServiceLink } from './service-link';

const PAGES = [
  { to: '/', name: 'Overview' },
  { to: '/data', name: 'Data' },
  { to: '/models', name: 'Models' },
];

interface SidebarProps {
  readonly path: string;
  readonly fleet: Polled<FleetAnswer>;
}

/** The pages and the services with their state; on a narrow window a bar with a menu. */
export function Sidebar({ path, fleet }: SidebarProps): ReactNode {
  const hash = useHash();
  const [isOpen, setOpen] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was chosen in the menu closes it
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
      <span className={fleet.write ? 'chip chip-warn' : 'chip'}>{fleet.write ? 'writes' : 'read-only'}</span>
      {fleet.reveal ? <span className="chip chip-warn">revealed</span> : null}
    </span>
  );
}

function Services({
  fleet,
  open,
}: {
  readonly fleet: Polled<FleetAnswer>;
  readonly open: string | undefined;
}): ReactNode {
  const services = fleet.answer?.services;
  const current = services?.find(({ service }) => open === service || open?.startsWith(`${service}.`))?.service;
  const list = useRef<HTMLUListElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another service in the address may be out of sight
  useEffect(() => {
    list.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
  }, [current]);
  return (
    <nav aria-label="Services" aria-busy={services === undefined} className="side-services">
      <h2>Services</h2>
      {services === undefined ? <p className="quiet">{fleet.failure === undefined ? 'Loading' : 'Unknown'}</p> : null}
      {services?.length === 0 ? <p className="quiet">This checkout has no service.</p> : null}
      <ul ref={list}>
        {services?.map((service) => (
          <li key={service.service}>
            <ServiceLink
              service={service}
              writes={fleet.answer?.write === true}
              isCurrent={service.service === current}
            />
          </li>
        ))}
      </ul>
    </nav>
  );
}
