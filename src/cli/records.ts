import type { Readable } from 'node:stream';

/** Some records of a file as one NDJSON body. `lines` holds for each record where it began (from 1). */
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
}

/**
 * Cuts a file of records into batches without reading any of them as values: the bytes go out as they came in. A file that begins with `[`,
 * or whose first line is not whole by itself, is JSON: its top-level objects are found by counting brackets. Anything else is one record a line.
 * Memory: one batch and one record.
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
  for await (const { bytes, line } of records(source)) {
    if (lines.length > 0 && (lines.length >= limits.records || size + bytes.length + 1 > limits.bytes)) yield closed();
    parts.push(bytes, newline);
    lines.push(line);
    size += bytes.length + 1;
  }
  if (lines.length > 0) yield closed();
}

const newline = Buffer.from('\n');

async function* records(source: Readable): AsyncGenerator<RecordText> {
  let splitter: Splitter | null = null;
  let head = Buffer.alloc(0);
  for await (const chunk of source) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    if (splitter) yield* splitter.push(bytes);
    else {
      head = Buffer.concat([head, bytes]);
      splitter = chooseSplitter(head, false);
      if (splitter) yield* splitter.push(head);
    }
  }
  if (!splitter) {
    splitter = chooseSplitter(head, true)!;
    yield* splitter.push(head);
  }
  yield* splitter.end();
}

interface Splitter {
  push(bytes: Buffer): Iterable<RecordText>;
  end(): Iterable<RecordText>;
}

/** Decides as soon as the first line that isn't blank is there; null while it isn't. */
function chooseSplitter(head: Buffer, whole: boolean): Splitter | null {
  const text = head
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart();
  if (text.startsWith('[')) return new ValueSplitter();
  const end = text.indexOf('\n');
  if (end < 0 && !whole) return null;
  const firstLine = end < 0 ? text : text.slice(0, end);
  return firstLine.startsWith('{') && depthAfter(firstLine) > 0 && end >= 0 ? new ValueSplitter() : new LineSplitter();
}

/** Open brackets at the end of a text. */
function depthAfter(text: string): number {
  const structure = text.replace(/"(?:\\.|[^"\\])*"/g, '');
  return (structure.match(/[{[]/g)?.length ?? 0) - (structure.match(/[}\]]/g)?.length ?? 0);
}

class LineSplitter implements Splitter {
  #rest: Buffer[] = [];
  #line = 1;

  *push(bytes: Buffer): Iterable<RecordText> {
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      yield* this.#take(bytes.subarray(start, end));
      this.#line += 1;
      start = end + 1;
    }
    if (start < bytes.length) this.#rest.push(Buffer.from(bytes.subarray(start)));
  }

  *end(): Iterable<RecordText> {
    yield* this.#take(Buffer.alloc(0));
  }

  *#take(tail: Buffer): Iterable<RecordText> {
    const bytes = this.#rest.length > 0 ? Buffer.concat([...this.#rest, tail]) : tail;
    this.#rest = [];
    if (!isBlank(bytes)) yield { bytes, line: this.#line };
  }
}

/** Top-level values of a JSON text, the elements of a top-level array counted as such. Text that is no JSON comes out as one last record, for the server to refuse. */
class ValueSplitter implements Splitter {
  #rest: Buffer = Buffer.alloc(0);
  /** Where the scan stands in `#rest`, and where the value under way began (-1: none). */
  #at = 0;
  #start = -1;
  #startLine = 1;
  #line = 1;
  #depth = 0;
  #inArray = false;
  #begun = false;
  #inString = false;
  #escaped = false;

  *push(bytes: Buffer): Iterable<RecordText> {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (; this.#at < this.#rest.length; this.#at++) {
      const record = this.#step(this.#rest[this.#at]!);
      if (record) yield record;
    }
    const keep = this.#start < 0 ? this.#at : this.#start;
    this.#rest = this.#rest.subarray(keep);
    this.#at -= keep;
    if (this.#start >= 0) this.#start = 0;
  }

  *end(): Iterable<RecordText> {
    if (this.#start >= 0) yield this.#close(this.#rest.length);
  }

  #step(byte: number): RecordText | null {
    if (byte === 0x0a) this.#line += 1;
    if (this.#inString) this.#stepString(byte);
    else if (this.#start < 0) this.#stepBetween(byte);
    else if (byte === 0x22) this.#inString = true;
    else if (byte === 0x7b || byte === 0x5b) this.#depth += 1;
    else if (this.#depth === 0 && (byte === 0x2c || byte === 0x5d || isSpace(byte))) return this.#close(this.#at);
    else if (byte === 0x7d || byte === 0x5d) {
      this.#depth -= 1;
      if (this.#depth === 0) return this.#close(this.#at + 1);
    }
    return null;
  }

  #stepString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === 0x5c) this.#escaped = true;
    else if (byte === 0x22) this.#inString = false;
  }

  #stepBetween(byte: number): void {
    if (isSpace(byte) || byte === 0xef || byte === 0xbb || byte === 0xbf) return;
    const first = !this.#begun;
    this.#begun = true;
    if (first && byte === 0x5b) this.#inArray = true;
    else if (!this.#inArray || (byte !== 0x2c && byte !== 0x5d)) this.#open(byte);
  }

  #open(byte: number): void {
    this.#start = this.#at;
    this.#startLine = this.#line;
    this.#inString = byte === 0x22;
    this.#depth = byte === 0x7b || byte === 0x5b ? 1 : 0;
  }

  /** A line break inside a record would make two of it in NDJSON; between tokens a space means the same. */
  #close(end: number): RecordText {
    const bytes = Buffer.from(this.#rest.subarray(this.#start, end));
    for (let at = 0; at < bytes.length; at++) if (bytes[at] === 0x0a || bytes[at] === 0x0d) bytes[at] = 0x20;
    this.#start = -1;
    this.#depth = 0;
    this.#inString = false;
    return { bytes, line: this.#startLine };
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every(isSpace);
}
