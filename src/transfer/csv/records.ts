/** Bytes of UTF-8 into records of fields (RFC 4180, with any single-byte delimiter and quote; line ends are LF, CRLF or CR). */
import { type Bytes, fail } from '#core';

export interface Dialect {
  /** One byte. */
  readonly delimiter: string;
  /** One byte; null where a field ends at the next delimiter whatever stands in it. */
  readonly quote: string | null;
}

/** A record as places in a buffer; valid until the next one is asked for. */
export interface Record {
  readonly bytes: Buffer;
  /** Where it begins and ends, without its line end. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** From, to and kind of each field: 0 plain, 1 quoted, 2 quoted with doubled quotes inside. */
  readonly fields: Int32Array;
  readonly quote: string;
  /** Of its first line, from 1. */
  readonly line: number;
  /** What is wrong with its quotes. */
  readonly problem: string | null;
}

export const PLAIN = 0;
export const QUOTED = 1;
export const DOUBLED = 2;

const LF = 0x0a;
const CR = 0x0d;

/** A record longer than this is not read into memory: most often a quote was left open. */
const LONGEST: Bytes = 64 * 1024 * 1024;

/** Empty lines are left out. Errors: TRANSFER_FILE for a quote that is still open at the end, or a record beyond 64 MiB. */
export async function eachRecord(
  chunks: AsyncIterable<Buffer>,
  dialect: Dialect,
  file: string,
  /** Returning false ends the reading; a promise is waited for before the next chunk. */
  take: (record: Record) => boolean | Promise<boolean>,
): Promise<void> {
  const scanner = new Scanner(dialect);
  let carry: Buffer = Buffer.alloc(0);
  let line = 1;
  const over = async (bytes: Buffer, last: boolean): Promise<boolean> => {
    let at = 0;
    while (at < bytes.length) {
      const next = scanner.scan(bytes, at, last, line);
      if (next < 0) break;
      at = next;
      line += scanner.lines;
      if (scanner.record.from === scanner.record.to) continue;
      const more = take(scanner.record);
      if (more === false || (more !== true && !(await more))) return false;
    }
    carry = bytes.subarray(at);
    return true;
  };
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (carry.length > LONGEST)
      fail('TRANSFER_FILE', { file, format: 'csv', line, problem: 'a record has more than 64 MiB; is a quote left open?' });
    if (!(await over(carry.length === 0 ? chunk : Buffer.concat([carry, chunk]), false))) return;
  }
  if (!(await over(carry, true))) return;
  if (carry.length > 0) fail('TRANSFER_FILE', { file, format: 'csv', line, problem: 'a quote that is opened here is never closed' });
}

class Scanner {
  /** Line ends inside and after the last record. */
  lines = 0;
  readonly #delimiter: number;
  /** No byte is -1. */
  readonly #quote: number;
  readonly #quoteText: string;
  #fields = new Int32Array(3 * 64);
  record: Record;

  constructor({ delimiter, quote }: Dialect) {
    this.#delimiter = delimiter.charCodeAt(0);
    this.#quote = quote?.charCodeAt(0) ?? -1;
    this.#quoteText = quote ?? '';
    this.record = {
      bytes: Buffer.alloc(0),
      from: 0,
      to: 0,
      count: 0,
      fields: this.#fields,
      quote: this.#quoteText,
      line: 1,
      problem: null,
    };
  }

  /** Reads the record that begins at `at`; gives where the next begins, or -1 where the bytes end before this one does. */
  scan(bytes: Buffer, at: number, last: boolean, line: number): number {
    const from = at;
    const end = bytes.length;
    const delimiter = this.#delimiter;
    const quote = this.#quote;
    let count = 0;
    let inside = 0;
    let problem: string | null = null;
    for (;;) {
      let kind = PLAIN;
      let start = at;
      let stop: number;
      if (bytes[at] === quote) {
        kind = QUOTED;
        start = ++at;
        for (;;) {
          const close = bytes.indexOf(quote, at);
          if (close < 0) return -1;
          if (bytes[close + 1] !== quote) {
            if (close + 1 === end && !last) return -1;
            stop = close;
            at = close + 1;
            break;
          }
          kind = DOUBLED;
          at = close + 2;
        }
        for (let k = start; k < stop; k++) if (bytes[k] === LF) inside++;
        if (at < end && bytes[at] !== delimiter && bytes[at] !== LF && bytes[at] !== CR) {
          problem ??= 'there is text after a closing quote';
          while (at < end && bytes[at] !== delimiter && bytes[at] !== LF && bytes[at] !== CR) at++;
        }
      } else {
        let byte = 0;
        while (at < end && (byte = bytes[at]!) !== delimiter && byte !== LF && byte !== CR) at++;
        stop = at;
      }
      if (at === end && !last) return -1;
      if (3 * count + 3 > this.#fields.length) this.#grow();
      this.#fields[3 * count] = start;
      this.#fields[3 * count + 1] = stop;
      this.#fields[3 * count + 2] = kind;
      count++;
      if (at < end && bytes[at] === delimiter) {
        at++;
        continue;
      }
      const to = at;
      let next = at + 1;
      if (bytes[at] === CR) {
        if (next === end && !last) return -1;
        if (bytes[next] === LF) next++;
      }
      this.lines = inside + 1;
      this.record = { bytes, from, to, count, fields: this.#fields, quote: this.#quoteText, line, problem };
      return Math.min(next, end);
    }
  }

  #grow(): void {
    const grown = new Int32Array(this.#fields.length * 2);
    grown.set(this.#fields);
    this.#fields = grown;
  }
}

/** A field's text; null for an empty one without quotes. */
export function fieldText(record: Record, k: number): string | null {
  const from = record.fields[3 * k]!;
  const to = record.fields[3 * k + 1]!;
  const kind = record.fields[3 * k + 2]!;
  if (from === to) return kind === PLAIN ? null : '';
  const text = record.bytes.toString('utf8', from, to);
  return kind === DOUBLED ? text.replaceAll(record.quote + record.quote, record.quote) : text;
}
