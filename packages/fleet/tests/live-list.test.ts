/** @server none */
import { Writable } from 'node:stream';
import type { ProgressEvent } from '../src/operations/fleet';
import { canRedraw, liveProgress } from '../src/render/progress';

const ESC = '\x1b';
const WITHOUT_EFFECT = new RegExp(`${ESC}\\[(\\d+m|K|\\?25[lh])`, 'g');
const MOVES = new RegExp(`(${ESC}\\[\\d+A\\r|${ESC}\\[J|\\n)`);

/** A terminal that keeps what is on its screen and rejects lines that it would have to wrap. */
class Screen extends Writable {
  readonly isTTY = true;
  readonly lines: string[] = [];
  written = '';
  private row = 0;

  constructor(
    readonly columns: number,
    readonly rows: number,
    private readonly colors = false,
  ) {
    super({ decodeStrings: false });
  }

  hasColors(): boolean {
    return this.colors;
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.written += chunk;
    for (const part of chunk.replaceAll(WITHOUT_EFFECT, '').split(MOVES)) this.put(part);
    done();
  }

  private put(part: string): void {
    if (part === '\n') this.row += 1;
    else if (part === `${ESC}[J`) this.lines.length = Math.min(this.lines.length, this.row);
    else if (part.startsWith(ESC)) {
      const up = Number.parseInt(part.slice(2), 10);
      // The cursor cannot reach lines that have scrolled out of the screen.
      if (up >= this.rows) throw new Error(`moved up by ${up} of ${this.rows} rows`);
      this.row -= up;
    } else if (part !== '') this.lines[this.row] = part;
  }
}

function given(screen: Screen) {
  const { report, log, close } = liveProgress(screen as unknown as NodeJS.WriteStream);
  const send = (service: string, state: ProgressEvent['state'], detail = '') => report({ service, state, detail });
  return { send, log, close };
}

describe('the live list', () => {
  it('shows each service with its last detail, and the state in which it ended', () => {
    const screen = new Screen(80, 24);
    const { send, close } = given(screen);
    for (const service of ['auth', 'forge', 'mint', 'story']) send(service, 'queued');
    for (const service of ['auth', 'forge', 'mint']) send(service, 'started');
    send('auth', 'done', '2 migrations');
    send('forge', 'working', 'step 1');
    send('forge', 'interrupted');
    send('mint', 'failed', 'first line\nsecond line');
    close();

    expect(screen.lines).toEqual([
      '✔ auth  2 migrations',
      '■ forge  step 1',
      '✖ mint  first line second line',
      '◻ story',
    ]);
  });

  it('cuts rows to the width of a narrow terminal', () => {
    const screen = new Screen(40, 24);
    const { send, close } = given(screen);
    send('notification', 'queued');
    send('notification', 'failed', 'a very long message '.repeat(10));
    close();

    expect(screen.lines).toHaveLength(1);
    expect(screen.lines[0]).toMatch(/^✖ notification {2}a very.*…$/);
    expect(screen.lines[0]?.length).toBeLessThan(40);
  });

  it('writes log lines above itself, whole and in their order', () => {
    const screen = new Screen(80, 24);
    const { send, log, close } = given(screen);
    log('before');
    send('auth', 'queued');
    send('mint', 'queued');
    send('auth', 'started');
    log('first');
    send('auth', 'done', 'ready');
    log('second');
    close();

    expect(screen.lines).toEqual(['before', 'first', 'second', '✔ auth  ready', '◻ mint']);
  });

  it('stays within a low terminal, and shows all services at the end', () => {
    const screen = new Screen(80, 6);
    const { send, log, close } = given(screen);
    const services = Array.from({ length: 14 }, (_, index) => `service${index}`);
    for (const service of services) send(service, 'queued');
    send('service9', 'started');
    log('a line');
    expect(screen.lines).toHaveLength(6);
    expect(screen.lines.at(-1)).toBe('  … 10 more');
    expect(screen.lines.join('\n')).toContain('service9');
    close();

    expect(screen.lines.map((line) => line.slice(2))).toEqual(['line', ...services]);
  });

  it('draws a list for each of several runs, and shows the cursor after the last one', () => {
    const screen = new Screen(80, 24);
    const { send, close } = given(screen);
    for (const detail of ['created', 'seeded']) {
      send('mint', 'queued');
      send('mint', 'started');
      send('mint', 'done', detail);
    }
    close();

    expect(screen.lines).toEqual(['✔ mint  created', '✔ mint  seeded']);
    expect(screen.written.split(`${ESC}[?25h`)).toHaveLength(3);
    expect(screen.written.endsWith(`${ESC}[?25h`)).toBe(true);
  });

  it('uses colors only on a terminal that has them', () => {
    const colors = [true, false].map((hasColors) => {
      const screen = new Screen(80, 24, hasColors);
      const { send, close } = given(screen);
      send('mint', 'queued');
      send('mint', 'done', 'created');
      close();
      return screen.written.includes(`${ESC}[32m`);
    });

    expect(colors).toEqual([true, false]);
  });

  it('listens to no signal', () => {
    const counts = () => (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => process.listenerCount(signal));
    const before = counts();
    const { send, close } = given(new Screen(80, 24));
    send('mint', 'queued');
    send('mint', 'started');

    expect(counts()).toEqual(before);
    close();
  });

  it('is drawn only where lines can be redrawn', () => {
    const screen = new Screen(80, 24) as unknown as NodeJS.WriteStream;
    const pipe = { ...screen, isTTY: false } as NodeJS.WriteStream;

    expect(canRedraw(screen, { TERM: 'xterm' })).toBe(true);
    expect(canRedraw(screen, { TERM: 'xterm', CI: 'false' })).toBe(true);
    expect(canRedraw(screen, { TERM: 'dumb' })).toBe(false);
    expect(canRedraw(screen, { TERM: 'xterm', CI: 'true' })).toBe(false);
    expect(canRedraw(pipe, { TERM: 'xterm' })).toBe(false);
  });
});
