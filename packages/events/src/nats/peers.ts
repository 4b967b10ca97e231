import type { Subscription } from '@nats-io/transport-node';
import type { Bell } from '../bell';
import type { Broker } from './broker';
import { asToken } from './state';

/** What workers of a consumer tell each other. It is not stored. */
interface Notice {
  readonly worker: string;
  /** The types of its consumer: workers of another version have no share. */
  readonly types: readonly string[];
  /** `free`: it has given lanes back. `reload`: the records of the lanes have changed. */
  readonly says: 'here' | 'gone' | 'free' | 'reload';
}

interface Peer {
  readonly heardAt: number;
  readonly types: string;
}

const NOTICE_MS = 5_000;

export function noticeSubject(consumer: string): string {
  return `azora-workers.${asToken(consumer)}`;
}

/** The workers of a consumer that one of them knows of. */
export class Peers {
  readonly #broker: Broker;
  readonly #consumer: string;
  readonly #worker: string;
  readonly #types: readonly string[];
  readonly #leaseMs: number;
  readonly #bell: Bell;
  readonly #heard = new Map<string, Peer>();
  readonly #subscription: Subscription;
  readonly #timer: NodeJS.Timeout;
  /** Whether the workers or their lanes may have changed since the owner of this object has set it to false. */
  hasNews = true;
  /** Whether somebody else has changed the records of the lanes. */
  mustReload = false;

  constructor(
    broker: Broker,
    worker: { readonly consumer: string; readonly worker: string; readonly types: readonly string[] },
    leaseMs: number,
    bell: Bell,
  ) {
    this.#broker = broker;
    this.#consumer = worker.consumer;
    this.#worker = worker.worker;
    this.#types = worker.types;
    this.#leaseMs = leaseMs;
    this.#bell = bell;
    this.#subscription = broker.connection.subscribe(noticeSubject(worker.consumer), {
      callback: (error, message) => {
        if (error === null) this.#hear(message.json<Notice>());
      },
    });
    this.#timer = setInterval(() => this.tell('here'), NOTICE_MS);
    this.tell('here');
  }

  /** The ids of the live workers of the same version, this one too, in an order that all of them agree on. */
  live(): readonly string[] {
    for (const [worker, { heardAt }] of this.#heard) {
      if (performance.now() - heardAt >= this.#leaseMs) this.#heard.delete(worker);
    }
    const same = [...this.#heard].filter(([, { types }]) => types === this.#types.join());
    return [this.#worker, ...same.map(([worker]) => worker)].sort();
  }

  tell(says: Notice['says']): void {
    if (this.#broker.connection.isClosed()) return;
    const notice: Notice = { worker: this.#worker, types: this.#types, says };
    this.#broker.connection.publish(noticeSubject(this.#consumer), JSON.stringify(notice));
  }

  close(): void {
    clearInterval(this.#timer);
    this.tell('gone');
    this.#subscription.unsubscribe();
  }

  #hear({ worker, types, says }: Notice): void {
    if (worker === this.#worker) return;
    const isNew = !this.#heard.has(worker);
    if (says === 'reload') this.mustReload = true;
    else if (says === 'gone') this.#heard.delete(worker);
    else this.#heard.set(worker, { heardAt: performance.now(), types: types.join() });
    if (says === 'here' && !isNew) return;
    this.hasNews = true;
    // A new worker knows nobody yet.
    if (says === 'here') this.tell('here');
    this.#bell.ring();
  }
}
