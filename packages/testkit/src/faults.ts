import { once } from 'node:events';
import net from 'node:net';

/** `upstream` is from the client to the server, `downstream` from the server to the client. */
export type Direction = 'upstream' | 'downstream';

/** The faults of one direction. Without a fault, its bytes pass unchanged. */
export interface Faults {
  /** Each byte arrives this much later, plus or minus `jitterMs`. The order of the bytes is kept. */
  readonly latencyMs?: number;
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** The end of a connection arrives this much later. */
  readonly slowCloseMs?: number;
  /** Nothing arrives and the connection stays open, as in a partitioned network. Its bytes arrive after the fault. */
  readonly stalls?: boolean;
  /** A connection closes when it has carried this many bytes since the fault was set. Later bytes are lost. */
  readonly limitBytes?: number;
}

/** A proxy in front of a server. A fault that a test sets applies to open and new connections at once. */
export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  /** A URL of the server with the address of the proxy. */
  readonly through: (url: string) => string;
  /** Replaces the faults of a direction. */
  readonly set: (direction: Direction, faults: Faults) => void;
  /** Resets every open connection (RST) and returns their number. Bytes on their way are lost. */
  readonly reset: () => number;
  /** Resets every open connection and each new one, until `up`. */
  readonly down: () => void;
  readonly up: () => void;
  readonly connections: () => number;
  /** How many connections faults have ended. */
  readonly cuts: () => number;
  readonly close: () => Promise<void>;
}

/** How many bytes of one direction may wait in the proxy before the sender has to wait. */
const MAX_WAITING_BYTES = 1 << 20;
/** A limited bandwidth passes its bytes in this many portions a second. */
const PORTIONS_PER_SECOND = 50;

/** Opens a proxy on a free port of the loopback interface, without faults. */
export async function openFaultProxy(server: { readonly host: string; readonly port: number }): Promise<FaultProxy> {
  const faults: Record<Direction, Faults> = { upstream: {}, downstream: {} };
  const lines = new Set<Line>();
  let [isDown, cuts] = [false, 0];
  const cut = () => {
    cuts += 1;
  };
  const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (front) => {
    front.on('error', () => undefined);
    // A closed port could be taken by another program before `up`, so a connection is reset instead of refused.
    if (isDown) front.resetAndDestroy();
    else joinSockets([front, connectTo(server)], faults, lines, cut);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as net.AddressInfo;
  const reset = () => {
    const open = [...lines];
    for (const { sockets } of open) for (const socket of sockets) resetSocket(socket);
    cuts += open.length;
    return open.length;
  };
  return {
    host: '127.0.0.1',
    port,
    through: (url) => addressed(url, port),
    set: (direction, next) => {
      faults[direction] = next;
      for (const line of lines) line.wake();
    },
    reset,
    down: () => {
      isDown = true;
      reset();
    },
    up: () => {
      isDown = false;
    },
    connections: () => lines.size,
    cuts: () => cuts,
    close: async () => {
      const closed = once(listener, 'close');
      listener.close();
      reset();
      await closed;
    },
  };
}

/**
 * Resets a connection. One with an unfinished write or end is only closed: Node cannot reset it before the peer has taken its bytes,
 * and if the peer has died by then, the process spins in its own exit because the socket never closes.
 */
function resetSocket(socket: net.Socket): void {
  if (socket.writableEnded || socket.writableLength > 0) socket.destroy();
  else socket.resetAndDestroy();
}

interface Line {
  readonly sockets: readonly net.Socket[];
  /** Looks at the faults again. */
  readonly wake: () => void;
}

function connectTo({ host, port }: { readonly host: string; readonly port: number }): net.Socket {
  const address = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
  const back = net.connect({ ...address, allowHalfOpen: true, noDelay: true });
  return back.on('error', () => undefined);
}

function addressed(url: string, port: number): string {
  const changed = new URL(url);
  for (const name of ['host', 'port']) changed.searchParams.delete(name);
  changed.hostname = '127.0.0.1';
  changed.port = String(port);
  return changed.href;
}

function joinSockets(
  sockets: readonly [net.Socket, net.Socket],
  faults: Record<Direction, Faults>,
  lines: Set<Line>,
  onCut: () => void,
): void {
  const [front, back] = sockets;
  const wakes = [carry(front, back, () => faults.upstream, onCut), carry(back, front, () => faults.downstream, onCut)];
  const wake = () => {
    for (const each of wakes) each();
  };
  const line = { sockets, wake };
  lines.add(line);
  const forget = () => {
    if (front.destroyed && back.destroyed) lines.delete(line);
  };
  front.on('close', forget);
  back.on('close', forget);
}

interface Item {
  readonly at: number;
  /** Between -1 and 1. */
  readonly jitter: number;
  /** What a socket sent: bytes, or the way in which it ended. */
  readonly what: Buffer | 'end' | 'reset';
}

/** Passes on what a socket sends, with the faults that hold at the time. Returns a function that looks at them again. */
function carry(from: net.Socket, to: net.Socket, faults: () => Faults, onCut: () => void): () => void {
  const items: Item[] = [];
  let [waiting, carried, freeAt] = [0, 0, 0];
  let timer: NodeJS.Timeout | undefined;
  let counted: Faults | undefined;
  const add = (what: Item['what']) => {
    items.push({ at: performance.now(), jitter: Math.random() * 2 - 1, what });
    waiting += sizeOf(what);
    if (waiting > MAX_WAITING_BYTES) from.pause();
    pass();
  };
  const pass = () => {
    clearTimeout(timer);
    for (let item = ready(); item !== undefined; item = ready()) {
      if (typeof item.what !== 'string') {
        write(item.what);
        continue;
      }
      items.shift();
      if (item.what === 'end') to.end();
      else resetSocket(to);
    }
  };
  /** The first item if it may pass now. Otherwise `pass` runs again when that changes. */
  const ready = (): Item | undefined => {
    const [item] = items;
    // A receiver that does not read lets the sender wait, as without a proxy.
    if (item === undefined || faults().stalls || to.destroyed || to.writableNeedDrain) return undefined;
    const early = Math.max(dueTime(item, faults()), freeAt) - performance.now();
    if (early <= 0) return item;
    timer = setTimeout(pass, Math.ceil(early));
    return undefined;
  };
  /** Writes as much as the bandwidth and the limit allow. */
  const write = (bytes: Buffer) => {
    const current = faults();
    if (current !== counted) carried = 0;
    counted = current;
    const { bytesPerSecond = Number.POSITIVE_INFINITY, limitBytes = Number.POSITIVE_INFINITY } = current;
    const portion = Math.ceil(bytesPerSecond / PORTIONS_PER_SECOND);
    const size = Math.min(bytes.length, portion, limitBytes - carried);
    to.write(bytes.subarray(0, size));
    carried += size;
    waiting -= size;
    freeAt = performance.now() + (size * 1_000) / bytesPerSecond;
    const [first] = items.splice(0, 1);
    if (first !== undefined && size < bytes.length) items.unshift({ ...first, what: bytes.subarray(size) });
    if (waiting <= MAX_WAITING_BYTES) from.resume();
    if (carried < limitBytes) return;
    items.length = 0;
    onCut();
    for (const socket of [to, from]) socket.destroySoon();
  };
  from.on('data', add);
  from.on('end', () => add('end'));
  // The other side learns of a broken connection by way of the faults too: a partition hides it.
  from.on('close', (hadError) => {
    if ((hadError || !from.readableEnded) && !to.writableEnded) add('reset');
  });
  to.on('drain', pass);
  to.on('close', () => clearTimeout(timer));
  return pass;
}

function sizeOf(what: Item['what']): number {
  return typeof what === 'string' ? 0 : what.length;
}

function dueTime({ at, jitter, what }: Item, { latencyMs = 0, jitterMs = 0, slowCloseMs = 0 }: Faults): number {
  return at + latencyMs + jitterMs * jitter + (typeof what === 'string' ? slowCloseMs : 0);
}
