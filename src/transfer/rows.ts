/**
 * Rows on their way from a source to the warehouse: CSV with exact text, written straight into one buffer so that no value becomes
 * a JavaScript string or a double. NULL is an empty field, '' is `""`; bytes are in hex.
 */
import { writeFileSync } from 'node:fs';
import { type Bytes, MillraceError } from '#core';

/** A record that is no row: its line and bytes, and why. */
export interface Refused {
  readonly line: number;
  readonly reason: string;
  readonly body: Buffer;
  /** Where only values did not fit their types: all of its values by column, as texts. */
  readonly cells: Readonly<Record<string, string | null>> | null;
  /** The columns of these values. */
  readonly misfits: readonly string[];
  /** The columns whose text can't be decoded: what stands in `cells` for it only shows its bytes. */
  readonly undecoded?: readonly string[];
}

/** A run of rows in the source's order. */
export interface Rows {
  readonly count: number;
  readonly bytes: Buffer;
  /** All rows whose cursor is at most this have been given, these ones included; null while the read has completed none (or without cursor). */
  readonly complete: string | null;
  /** Records among them that the source itself could not read; `before` is how many rows of this run came before. */
  readonly refused: readonly (Refused & { readonly before: number })[];
}

/** A longer row is not read into memory. */
export const LONGEST_ROW: Bytes = 64 * 1024 * 1024;

/** A file of its own. Errors: TRANSFER_DISK. */
export const writeSlice = (file: string, bytes: Buffer): void => write(file, bytes, 'w');

/** What stands in the file stays. Errors: TRANSFER_DISK. */
export const appendToSlice = (file: string, bytes: Buffer): void => write(file, bytes, 'a');

function write(file: string, bytes: Buffer, flag: 'w' | 'a'): void {
  try {
    writeFileSync(file, bytes, { mode: 0o600, flag });
  } catch (thrown) {
    throw diskProblem(thrown, bytes.length);
  }
}

/** What to throw where so many bytes could not be written. */
export function diskProblem(thrown: unknown, bytes: Bytes): unknown {
  const { code } = thrown as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' ? new MillraceError('TRANSFER_DISK', { bytes }, thrown) : thrown;
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const LF = 0x0a;

/** Bytes that make quotes necessary: comma, quote, line ends, and NUL, after which some readers stop. */
const SPECIAL = new Uint8Array(256);
for (const byte of [COMMA, QUOTE, LF, 0x0d, 0x00]) SPECIAL[byte] = 1;

const HEX = Uint8Array.from({ length: 512 }, (_, k) => '0123456789abcdef'.charCodeAt(k % 2 === 0 ? k >> 5 : (k >> 1) & 15));

/** DuckDB's group of rows, which it compresses as it comes. */
export const GROUP_ROWS = 122_880;
/** Rows are handed over once they have so many bytes, or are an eighth of a group; a buffer for them has room for the row that goes beyond. */
export const BATCH: Bytes = 8 * 1024 * 1024;
export const BATCH_ROWS = GROUP_ROWS / 8;
export const BATCH_ROOM: Bytes = BATCH + BATCH / 8;

/** Records that are no rows stand in the heap until they are in the warehouse, some of them twice: so many bytes of them are handed over. */
export const REFUSED_BYTES: Bytes = 4 * 1024 * 1024;

/** What it holds, about. */
export function refusedBytes({ body, cells }: Refused): Bytes {
  let bytes = 256 + body.length;
  for (const value of cells === null ? [] : Object.values(cells)) bytes += 16 + (value?.length ?? 0);
  return bytes;
}

export function isBatch({ count, size, refused = 0 }: { readonly count: number; readonly size: Bytes; readonly refused?: Bytes }): boolean {
  return size >= BATCH || count >= BATCH_ROWS || refused >= REFUSED_BYTES;
}

/** Written out and to be filled again: what lies outside of the heap is collected late, and a batch has megabytes. */
const spare: Buffer[] = [];
const MOST_SPARE = 2;

/** A buffer of its own, with whatever stood in it. */
export function roomFor(capacity: Bytes): Buffer {
  return (capacity === BATCH_ROOM ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(capacity);
}

/** The caller gives the rows' bytes up, all views of them included. */
export function recycle({ bytes }: Rows): void {
  if (bytes.buffer.byteLength === BATCH_ROOM && spare.length < MOST_SPARE) spare.push(Buffer.from(bytes.buffer));
}

export class RowWriter {
  #bytes: Buffer;
  #at = 0;
  #first = true;
  #count = 0;
  #refused: (Refused & { readonly before: number })[] = [];
  #refusedBytes = 0;
  readonly #capacity: Bytes;

  /** `capacity` is where the buffer begins; it grows for what does not fit. */
  constructor(capacity: Bytes) {
    this.#capacity = capacity;
    this.#bytes = roomFor(capacity);
  }

  get size(): Bytes {
    return this.#at;
  }

  get count(): number {
    return this.#count;
  }

  get refusals(): number {
    return this.#refused.length;
  }

  /** Bytes of the records that were refused. */
  get refused(): Bytes {
    return this.#refusedBytes;
  }

  refuse(refused: Refused): void {
    this.#refused.push({ ...refused, before: this.#count });
    this.#refusedBytes += refusedBytes(refused);
  }

  null(): void {
    this.#room(1);
    this.#separate();
  }

  /** UTF-8 text from `from` to before `to`. */
  text(source: Uint8Array, from: number, to: number): void {
    this.#room(2 * (to - from) + 3);
    this.#separate();
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let special = from === to ? 1 : 0;
    for (let k = from; k < to; k++) {
      const byte = source[k]!;
      bytes[at++] = byte;
      special |= SPECIAL[byte]!;
    }
    if (special === 0) {
      this.#at = at;
      return;
    }
    at = start;
    bytes[at++] = QUOTE;
    for (let k = from; k < to; k++) {
      const byte = source[k]!;
      bytes[at++] = byte;
      if (byte === QUOTE) bytes[at++] = QUOTE;
    }
    bytes[at++] = QUOTE;
    this.#at = at;
  }

  string(value: string): void {
    const bytes = Buffer.from(value);
    this.text(bytes, 0, bytes.length);
  }

  hex(source: Uint8Array, from: number, to: number): void {
    if (from === to) {
      this.text(source, from, to);
      return;
    }
    this.#room(2 * (to - from) + 1);
    this.#separate();
    const bytes = this.#bytes;
    let at = this.#at;
    for (let k = from; k < to; k++) {
      const pair = source[k]! << 1;
      bytes[at++] = HEX[pair]!;
      bytes[at++] = HEX[pair + 1]!;
    }
    this.#at = at;
  }

  endRow(): void {
    this.#room(1);
    this.#bytes[this.#at++] = LF;
    this.#first = true;
    this.#count++;
  }

  /** What was written since the last call; the writer begins anew. */
  take(complete: string | null): Rows {
    const rows = { count: this.#count, bytes: this.#bytes.subarray(0, this.#at), complete, refused: this.#refused };
    this.#bytes = roomFor(this.#capacity);
    this.#at = 0;
    this.#count = 0;
    this.#refused = [];
    this.#refusedBytes = 0;
    return rows;
  }

  #separate(): void {
    if (this.#first) this.#first = false;
    else this.#bytes[this.#at++] = COMMA;
  }

  /** Room for `bytes` and a comma. */
  #room(bytes: number): void {
    const needed = this.#at + bytes + 1;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

/** The first `limit` rows as text, for people to look at. */
export function decodeRows(bytes: Buffer, limit: number): (string | null)[][] {
  const rows: (string | null)[][] = [];
  for (let at = 0; at < bytes.length && rows.length < limit; ) {
    const { cells, end } = recordAt(bytes, at);
    rows.push(cells.map((cell) => (cell === null ? null : cell.toString())));
    at = end;
  }
  return rows;
}

/** The values of the row that begins there, and where the next one does. */
export function recordAt(bytes: Buffer, from: number): { readonly cells: (Buffer | null)[]; readonly end: number } {
  const cells: (Buffer | null)[] = [];
  for (let at = from; ; ) {
    let end = at;
    if (bytes[at] === QUOTE) {
      end++;
      while (bytes[end] !== QUOTE || bytes[end + 1] === QUOTE) end += bytes[end] === QUOTE ? 2 : 1;
      cells.push(unquoted(bytes.subarray(at + 1, end)));
      end++;
    } else {
      while (bytes[end] !== COMMA && bytes[end] !== LF) end++;
      cells.push(end === at ? null : bytes.subarray(at, end));
    }
    at = end + 1;
    if (bytes[end] === LF) return { cells, end: at };
  }
}

function unquoted(bytes: Buffer): Buffer {
  return bytes.includes(QUOTE) ? Buffer.from(bytes.toString('latin1').replaceAll('""', '"'), 'latin1') : bytes;
}

/** Where the row ends that begins there, its line end included. */
export function recordEnd(bytes: Buffer, from: number): number {
  let quoted = false;
  let at = from;
  for (; quoted || bytes[at] !== LF; at++) if (bytes[at] === QUOTE) quoted = !quoted;
  return at + 1;
}
