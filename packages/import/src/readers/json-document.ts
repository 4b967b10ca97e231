import { type Position, Rejection, type SourceItem, toReject } from '../source';
import { asRecord, parseJson } from './json-text';
import { RECORD_LIMIT_BYTES, readChunks } from './lines';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const NEWLINE = 0x0a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const isOpen = (byte: number) => byte === OPEN_ARRAY || byte === 0x7b;
const isClose = (byte: number) => byte === CLOSE_ARRAY || byte === 0x7d;
const isSpace = (byte: number) => byte === 0x20 || byte === 0x09 || byte === NEWLINE || byte === 0x0d;

type State = 'start' | 'first' | 'element' | 'comma' | 'end' | 'whole';

/** One element of the array of a document, or the whole document if it is not an array. */
interface Element {
  readonly line: number;
  readonly byte: number;
  readonly bytes: Buffer;
}

/**
 * Reads a JSON document. The elements of an array are its records, read one at a time; another document is one record.
 * @param name the file in positions
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 */
export async function* readJsonDocument(file: string, name: string): AsyncGenerator<SourceItem> {
  const cutter = new ElementCutter();
  let record = 0;
  try {
    for await (const { line, byte, bytes } of readElements(file, cutter)) {
      record += 1;
      yield itemOf(bytes, { file: name, record, line, byte });
    }
  } catch (error) {
    // The document itself is broken, so nothing behind this position can be read.
    yield toReject(error, { file: name, record: record + 1, ...cutter.place });
  }
}

function itemOf(bytes: Buffer, position: Position): SourceItem {
  try {
    return { position, value: asRecord(parseJson(bytes)) };
  } catch (error) {
    return toReject(error, position);
  }
}

/** Where in an array a byte is: outside of its elements, or inside of one. */
class ArrayScanner {
  state: State = 'start';
  private depth = 0;
  private inString = false;
  private isEscaped = false;

  get isInside(): boolean {
    return this.state === 'element' || this.state === 'whole';
  }

  /**
   * Takes the next byte, and says whether an element begins with it or ends before it.
   * @throws {Rejection} `INVALID_JSON` for a byte that no array has there
   */
  take(byte: number): 'begin' | 'end' | 'inside' | 'outside' {
    if (this.state === 'whole') return 'inside';
    if (this.state === 'element') return this.takeInside(byte);
    return isSpace(byte) ? 'outside' : this.takeOutside(byte);
  }

  private takeInside(byte: number): 'end' | 'inside' {
    if (this.inString) {
      this.takeInString(byte);
    } else if (byte === QUOTE) {
      this.inString = true;
    } else if (isOpen(byte)) {
      this.depth += 1;
    } else if (isClose(byte) && this.depth > 0) {
      this.depth -= 1;
    } else if (this.depth === 0 && (byte === COMMA || byte === CLOSE_ARRAY)) {
      this.state = byte === COMMA ? 'comma' : 'end';
      return 'end';
    }
    return 'inside';
  }

  private takeInString(byte: number): void {
    if (this.isEscaped) this.isEscaped = false;
    else if (byte === BACKSLASH) this.isEscaped = true;
    else if (byte === QUOTE) this.inString = false;
  }

  private takeOutside(byte: number): 'begin' | 'outside' {
    if (this.state === 'end') throw new Rejection('INVALID_JSON', 'The document goes on after its end');
    if (this.state === 'start' && byte === OPEN_ARRAY) {
      this.state = 'first';
      return 'outside';
    }
    if (this.state === 'first' && byte === CLOSE_ARRAY) {
      this.state = 'end';
      return 'outside';
    }
    if (byte === COMMA || (isClose(byte) && this.state !== 'start')) {
      throw new Rejection('INVALID_JSON', 'An element of the array is missing');
    }
    this.state = this.state === 'start' ? 'whole' : 'element';
    this.inString = byte === QUOTE;
    this.depth = isOpen(byte) ? 1 : 0;
    return 'begin';
  }
}

/** The bytes of an element, which may come in several chunks. */
class ElementBytes {
  private parts: Buffer[] = [];
  private length = 0;
  place = { line: 1, byte: 0 };

  /** @throws {Rejection} `TOO_LONG` */
  add(bytes: Buffer): void {
    this.length += bytes.length;
    if (this.length > RECORD_LIMIT_BYTES) {
      throw new Rejection('TOO_LONG', `The record is longer than ${RECORD_LIMIT_BYTES} bytes`);
    }
    this.parts.push(bytes);
  }

  take(): Element {
    const element = { ...this.place, bytes: Buffer.concat(this.parts, this.length) };
    this.parts = [];
    this.length = 0;
    return element;
  }
}

/** Cuts chunks into elements, and knows the place of the byte that it took last. */
class ElementCutter {
  private readonly scanner = new ArrayScanner();
  private readonly element = new ElementBytes();
  place = { line: 1, byte: 0 };

  *take({ byte, bytes }: { readonly byte: number; readonly bytes: Buffer }): Generator<Element> {
    let { line } = this.place;
    let from = 0;
    for (let index = 0; index < bytes.length; index += 1) {
      const character = bytes[index] ?? 0;
      if (character === NEWLINE) line += 1;
      if (!this.scanner.isInside) this.place = { line, byte: byte + index };
      const step = this.scanner.take(character);
      if (step === 'end') {
        this.element.add(bytes.subarray(from, index));
        yield this.element.take();
      } else if (step === 'begin') {
        this.element.place = { line, byte: byte + index };
        from = index;
      }
    }
    this.place = { line, byte: byte + bytes.length };
    if (this.scanner.isInside) this.element.add(bytes.subarray(from));
  }

  /** The document, if it is not an array. */
  *end(): Generator<Element> {
    if (this.scanner.state === 'whole') yield this.element.take();
    else if (this.scanner.state !== 'end') throw new Rejection('INVALID_JSON', 'The JSON text ends too early');
  }
}

/** Finds where the elements begin and end, by brackets and strings. The parser checks what is inside of them. */
async function* readElements(file: string, cutter: ElementCutter): AsyncGenerator<Element> {
  for await (const chunk of readChunks(file)) yield* cutter.take(chunk);
  yield* cutter.end();
}
