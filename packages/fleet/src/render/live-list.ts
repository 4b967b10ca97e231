import { stripVTControlCharacters, styleText } from 'node:util';
import type { ProgressEvent } from '../operations/fleet';

type RowState = ProgressEvent['state'];

interface Row {
  state: RowState;
  detail: string;
}

interface Mark {
  readonly symbol: string;
  readonly plain: string;
  readonly color: 'green' | 'red' | 'yellow' | 'gray';
}

const MARKS: Readonly<Record<Exclude<RowState, 'started' | 'working'>, Mark>> = {
  queued: { symbol: '◻', plain: ' ', color: 'gray' },
  done: { symbol: '✔', plain: '+', color: 'green' },
  failed: { symbol: '✖', plain: 'x', color: 'red' },
  interrupted: { symbol: '■', plain: '!', color: 'yellow' },
};
const SPINNER = { symbols: [...'⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'], plain: ['-', '\\', '|', '/'] };
const FRAME_MS = 80;

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const ERASE_LINE_END = '\x1b[K';
const ERASE_BELOW = '\x1b[J';

/**
 * A list on a terminal with a row per service, which is redrawn in place. Lines that are logged meanwhile appear above the
 * list. Every row is cut to the width of the terminal, because a wrapped row could not be redrawn. The list registers no
 * signal listener: an interrupted command ends it as any other command does.
 */
export class LiveList {
  private readonly rows = new Map<string, Row>();
  /** The widths of the lines on the screen, above the cursor. */
  private drawn: readonly number[] = [];
  private frame = 0;
  private readonly timer: NodeJS.Timeout;
  private readonly restoreCursor = (): void => {
    this.stream.write(SHOW_CURSOR);
  };

  constructor(
    private readonly stream: NodeJS.WriteStream,
    services: readonly string[],
  ) {
    for (const service of services) this.rows.set(service, { state: 'queued', detail: '' });
    stream.write(HIDE_CURSOR);
    process.on('exit', this.restoreCursor);
    // A command whose promise never settles must still end.
    this.timer = setInterval(() => this.draw(), FRAME_MS).unref();
    this.draw();
  }

  /** Shows the new state of a service; a change appears in the next frame. */
  update({ service, state, detail }: ProgressEvent): void {
    const row = this.rows.get(service);
    if (row === undefined) return;
    row.state = state;
    row.detail = state === 'started' || detail === '' ? row.detail : detail;
  }

  /** Writes a line above the list. */
  log(line: string): void {
    this.stream.write(`${this.toTop()}${ERASE_BELOW}${line}\n`);
    this.drawn = [];
    this.draw();
  }

  /** Leaves the last state on the screen and shows the cursor again. */
  end(): void {
    clearInterval(this.timer);
    this.draw(Number.POSITIVE_INFINITY);
    process.removeListener('exit', this.restoreCursor);
    this.restoreCursor();
  }

  private draw(height = Math.max(1, this.stream.rows - 1)): void {
    this.frame += 1;
    const lines = this.fitting(height).map((line) => cut(line, this.stream.columns - 1));
    const shown = lines.map(({ text, mark }) => `${mark}${text}${ERASE_LINE_END}\n`).join('');
    this.stream.write(`${this.toTop()}${shown}${ERASE_BELOW}`);
    this.drawn = lines.map(({ width }) => width);
  }

  /** Moves the cursor to the first line of the list. A terminal that became narrower has wrapped the lines. */
  private toTop(): string {
    const up = this.drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / this.stream.columns)), 0);
    return up === 0 ? '' : `\x1b[${up}A\r`;
  }

  /** The rows in their order; if they are too many, the ones at work and the failed ones, and how many others there are. */
  private fitting(height: number): readonly Line[] {
    const rows = [...this.rows];
    const lineOf = ([service, row]: [string, Row]) => this.line(service, row);
    if (rows.length <= height) return rows.map(lineOf);
    const first = rows.toSorted(([, one], [, other]) => rank(one.state) - rank(other.state)).slice(0, height - 1);
    const others = { mark: '', text: `  … ${rows.length - first.length} more` };
    return [...rows.filter((row) => first.includes(row)).map(lineOf), others];
  }

  private line(service: string, { state, detail }: Row): Line {
    const text = ` ${service}${detail === '' ? '' : `  ${stripVTControlCharacters(detail).replaceAll(/\s+/g, ' ').trim()}`}`;
    return { mark: this.mark(state), text };
  }

  private mark(state: RowState): string {
    const symbols = showsUnicode();
    if (state === 'started' || state === 'working') {
      const frames = symbols ? SPINNER.symbols : SPINNER.plain;
      return this.colored('yellow', frames[this.frame % frames.length] ?? '');
    }
    const { symbol, plain, color } = MARKS[state];
    return this.colored(color, symbols ? symbol : plain);
  }

  private colored(color: Mark['color'], text: string): string {
    // Respects NO_COLOR and FORCE_COLOR.
    return this.stream.hasColors() ? styleText(color, text, { validateStream: false }) : text;
  }
}

interface Line {
  /** One column wide, without a color. */
  readonly mark: string;
  readonly text: string;
}

function cut({ mark, text }: Line, columns: number): Line & { readonly width: number } {
  let width = 1;
  let kept = '';
  for (const character of text) {
    const next = width + columnsOf(character);
    if (next > columns) return { mark, text: `${kept.slice(0, -1)}…`, width };
    kept += character;
    width = next;
  }
  return { mark, text: kept, width };
}

/** Characters of East Asian scripts and emoji are two columns wide. */
function columnsOf(character: string): number {
  return (character.codePointAt(0) ?? 0) >= 0x1100 && !/[\u2000-\u2bff]/.test(character) ? 2 : 1;
}

function rank(state: RowState): number {
  if (state === 'started' || state === 'working') return 0;
  return ['failed', 'interrupted', 'queued', 'done'].indexOf(state) + 1;
}

/** The console of the Linux kernel and the old console of Windows lack these symbols. */
function showsUnicode(): boolean {
  const { TERM, WT_SESSION, TERM_PROGRAM } = process.env;
  if (process.platform === 'win32') return WT_SESSION !== undefined || TERM_PROGRAM === 'vscode';
  return TERM !== 'linux';
}
