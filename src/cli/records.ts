import type { Readable } from 'node:stream';
import { recordEnd } from '#collect';
import { fail } from '#core';

/** Some records of a file as one body. `lines` holds for each record where it began (from 1). */
export interface Batch {
  readonly body: Buffer;
  readonly lines: readonly number[];
}

export interface BatchLimits {
  readonly records: number;
  /** A batch is closed before it gets longer; a single record that is longer goes alone, and the server judges it. */
  readonly bytes: number;
}

interface RecordText {
  readonly bytes: Buffer;
  readonly line: number;
  /** As lines of NDJSON the server would take it for something else: it begins with a bracket, or a string of it has a raw line break. */
  readonly alone: boolean;
}

/**
 * Cuts a file of records into batches; the bytes go out as they came in. A file that begins with `[` is one array: its elements are found by
 * counting brackets. Anything else is one object a line, or objects over several lines. Memory: one batch and one record.
 * Errors: RECORD_TOO_LARGE; BODY_JSON after the last batch, where the array is not closed.
 */
export async function* batches(source: Readable, limits: BatchLimits): AsyncGenerator<Batch> {
  let parts: Buffer[] = [];
  let lines: number[] = [];
  let size = 0;
  const closed = (): Batch => {
    const batch = { body: Buffer.concat(parts), lines };
    parts = [];
    lines = [];
    size = 0;
    return batch;
  };
  const cut: Cut = { at: null };
  for await (const { bytes, line, alone } of records(source, cut)) {
    const full = lines.length >= limits.records || size + bytes.length + 1 > limits.bytes;
    if (lines.length > 0 && (full || alone)) yield closed();
    // What follows the bracket of an array that doesn't close is refused as one piece, with its bytes.
    if (alone) yield { body: Buffer.concat([bracket, bytes]), lines: [line] };
    else {
      parts.push(bytes, newline);
      lines.push(line);
      size += bytes.length + 1;
    }
  }
  if (lines.length > 0) yield closed();
  if (cut.at !== null) fail('BODY_JSON', { problem: 'the array is not closed: the file seems to be cut off', at: cut.at });
}

const newline = Buffer.from('\n');
const bracket = Buffer.from('[');
/** The byte order mark of UTF-8. */
const mark = Buffer.from('\ufeff');

/** How many bytes a file had whose array was not closed. */
interface Cut {
  at: number | null;
}

async function* records(source: Readable, cut: Cut): AsyncGenerator<RecordText> {
  let splitter: Splitter | null = null;
  let head: Buffer = Buffer.alloc(0);
  let read = 0;
  for await (const chunk of source) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    read += bytes.length;
    if (splitter) yield* splitter.push(bytes);
    else {
      head = Buffer.concat([head, bytes]);
      const text = withoutMark(head);
      const first = text?.find((byte) => !isSpace(byte));
      if (!text || first === undefined) continue;
      splitter = first === 0x5b ? new ArraySplitter() : new TextSplitter();
      yield* splitter.push(text);
    }
  }
  if (splitter) yield* splitter.end();
  if (splitter?.open === true) cut.at = read;
}

interface Splitter {
  push(bytes: Buffer): Iterable<RecordText>;
  end(): Iterable<RecordText>;
  /** Something that was begun has not ended, and no record says so. */
  readonly open: boolean;
}

/** The most that limits.record_bytes can be. */
const longest = 16 * 2 ** 20;

/** Objects one a line, or over several. Where each ends is found by intake's own rule: a broken one spoils its line and no other. */
class TextSplitter implements Splitter {
  /** Bytes in which no further record ends, and those that came since. */
  #rest: Buffer = Buffer.alloc(0);
  #more: Buffer[] = [];
  #moreBytes = 0;
  #line = 1;
  readonly open = false;

  *push(bytes: Buffer): Iterable<RecordText> {
    this.#more.push(bytes);
    this.#moreBytes += bytes.length;
    // Looked at again when there is twice as much: so a long record is read a few times, and not with every chunk.
    if (this.#moreBytes >= this.#rest.length || this.#rest.length + this.#moreBytes > longest) yield* this.#take(false);
  }

  end(): Iterable<RecordText> {
    return this.#take(true);
  }

  *#take(last: boolean): Iterable<RecordText> {
    const bytes = Buffer.concat([this.#rest, ...this.#more]);
    this.#more = [];
    this.#moreBytes = 0;
    let at = 0;
    for (;;) {
      const from = at;
      while (at < bytes.length && isSpace(bytes[at]!)) at++;
      this.#line += lineBreaks(bytes, from, at);
      const end = at === bytes.length ? -1 : endOf(bytes, at, last);
      if (end < 0) break;
      yield { bytes: bytes.subarray(at, end), line: this.#line, alone: bytes[at] === 0x5b };
      this.#line += lineBreaks(bytes, at, end);
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}

/** Where the record at `at` ends, -1 while more bytes have to tell. One that has not ended where none may be as long ends with its line. */
function endOf(bytes: Buffer, at: number, last: boolean): number {
  const end = recordEnd(bytes, at, last);
  if (end >= 0 || bytes.length - at <= longest) return end;
  const lineEnd = bytes.indexOf(0x0a, at);
  return lineEnd < 0 ? tooLong() : lineEnd;
}

function tooLong(): never {
  return fail('RECORD_TOO_LARGE', { bytes: `more than ${longest}`, limit: longest });
}

function lineBreaks(bytes: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at++) if (bytes[at] === 0x0a) count++;
  return count;
}

/** The elements of an array. What it leaves open comes out as one last record, for the server to refuse. */
class ArraySplitter implements Splitter {
  /** What the value under way has in the chunks before this one. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  /** Where the value under way began in this chunk (-1: there is none). */
  #start = -1;
  #startLine = 1;
  #line = 1;
  #depth = 0;
  #begun = false;
  #inString = false;
  #escaped = false;
  #broken = false;
  #closed = false;

  get open(): boolean {
    return !this.#closed;
  }

  *push(bytes: Buffer): Iterable<RecordText> {
    for (let at = 0; at < bytes.length; at++) {
      const end = this.#step(bytes[at]!, at);
      if (end >= 0) yield this.#close(bytes.subarray(this.#start, end));
    }
    if (this.#start < 0) return;
    this.#parts.push(bytes.subarray(this.#start));
    this.#partsBytes += bytes.length - this.#start;
    this.#start = 0;
    if (this.#partsBytes > longest) tooLong();
  }

  *end(): Iterable<RecordText> {
    if (this.#start < 0) return;
    // The server says what is wrong with it.
    this.#closed = true;
    yield this.#close(Buffer.alloc(0));
  }

  /** Where the value under way ends, if this byte says so. */
  #step(byte: number, at: number): number {
    if (byte === 0x0a) this.#line += 1;
    if (this.#inString) this.#stepString(byte);
    else if (this.#start < 0) this.#stepBetween(byte, at);
    else if (byte === 0x22) this.#inString = true;
    else if (byte === 0x7b || byte === 0x5b) this.#depth += 1;
    else if (this.#depth === 0 && (byte === 0x2c || byte === 0x5d || isSpace(byte))) {
      if (byte === 0x5d) this.#closed = true;
      return at;
    } else if (byte === 0x7d || byte === 0x5d) {
      this.#depth -= 1;
      if (this.#depth === 0) return at + 1;
    }
    return -1;
  }

  #stepString(byte: number): void {
    if (byte === 0x0a) this.#broken = true;
    if (this.#escaped) this.#escaped = false;
    else if (byte === 0x5c) this.#escaped = true;
    else if (byte === 0x22) this.#inString = false;
  }

  #stepBetween(byte: number, at: number): void {
    if (isSpace(byte)) return;
    if (!this.#begun) this.#begun = true;
    else if (byte === 0x5d) this.#closed = true;
    else if (byte !== 0x2c) this.#open(byte, at);
  }

  #open(byte: number, at: number): void {
    this.#start = at;
    this.#startLine = this.#line;
    this.#inString = byte === 0x22;
    this.#depth = byte === 0x7b || byte === 0x5b ? 1 : 0;
  }

  #close(tail: Buffer): RecordText {
    const bytes = Buffer.concat([...this.#parts, tail]);
    const alone = this.#broken || bytes[0] === 0x5b;
    // A line break inside a record would make two of it in NDJSON; between tokens a space means the same.
    if (!alone) for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at)) bytes[at] = 0x20;
    this.#parts = [];
    this.#partsBytes = 0;
    this.#start = -1;
    this.#depth = 0;
    this.#inString = false;
    this.#broken = false;
    return { bytes, line: this.#startLine, alone };
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Without the mark that some programs begin a file with; null while it can't be told. */
function withoutMark(head: Buffer): Buffer | null {
  if (head.length < mark.length) return mark.subarray(0, head.length).equals(head) ? null : head;
  return mark.equals(head.subarray(0, mark.length)) ? head.subarray(mark.length) : head;
}
