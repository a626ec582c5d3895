/** JSON files as records: lines (NDJSON), one array, or values one after another. Values are cut out as they were sent, so that no digit is lost. */
import { type Bytes, fail } from '#core';
import type { Go } from './tables.ts';

export const layouts = ['lines', 'array', 'values'] as const;
export type JsonLayout = (typeof layouts)[number];

/** A longer record is not read into memory. */
const LONGEST: Bytes = 64 * 1024 * 1024;

/** By the first bytes of the file. */
export function layoutOf(sample: Buffer): JsonLayout {
  const text = sample.toString();
  if (/^\s*\[/.test(text)) return 'array';
  const first = /^\s*(\S.*)$/m.exec(text)?.[1] ?? '';
  return first.trim() === '' || parsed(first) !== undefined ? 'lines' : 'values';
}

/** The value of a JSON text; undefined where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Hands over each record's text (not checked yet) and its first line, from 1. Errors: TRANSFER_FILE. */
export async function eachDocument(
  chunks: AsyncIterable<Buffer>,
  layout: JsonLayout,
  file: string,
  take: (text: string, line: number) => Go,
): Promise<void> {
  const cut = layout === 'lines' ? new LineCutter() : new ValueCutter(layout === 'array', file);
  let carry: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (carry.length > LONGEST) fail('TRANSFER_FILE', { file, format: 'json', line: cut.line, problem: 'a record has more than 64 MiB' });
    const bytes = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    for (let found = cut.next(bytes); found !== null; found = cut.next(bytes)) if (!(await take(found.text, found.line))) return;
    carry = bytes.subarray(cut.keep());
  }
  const last = cut.end(carry);
  if (last !== null) await take(last.text, last.line);
}

interface Found {
  readonly text: string;
  readonly line: number;
}

interface Cutter {
  line: number;
  /** The next whole record of the bytes; null where they end before it does. */
  next(bytes: Buffer): Found | null;
  /** From where the bytes are still needed; the next call's bytes begin there. */
  keep(): number;
  end(rest: Buffer): Found | null;
}

class LineCutter implements Cutter {
  line = 1;
  #at = 0;

  next(bytes: Buffer): Found | null {
    for (;;) {
      const end = bytes.indexOf(0x0a, this.#at);
      if (end < 0) return null;
      const text = bytes.toString('utf8', this.#at, end);
      this.#at = end + 1;
      const line = this.line++;
      if (text.trim() !== '') return { text, line };
    }
  }

  keep(): number {
    const at = this.#at;
    this.#at = 0;
    return at;
  }

  end(rest: Buffer): Found | null {
    const text = rest.toString();
    return text.trim() === '' ? null : { text, line: this.line };
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Follows quotes and brackets alone; whether the text between is JSON is seen when it is parsed. */
class ValueCutter implements Cutter {
  line = 1;
  readonly #base: number;
  readonly #file: string;
  #at = 0;
  #start = -1;
  #startLine = 1;
  #depth = 0;
  #quoted = false;
  #closed = false;

  constructor(array: boolean, file: string) {
    this.#base = array ? 1 : 0;
    this.#file = file;
  }

  next(bytes: Buffer): Found | null {
    while (this.#at < bytes.length) {
      const byte = bytes[this.#at++]!;
      if (byte === 0x0a) this.line++;
      if (this.#quoted) {
        if (byte === BACKSLASH) this.#at++;
        else if (byte === QUOTE) this.#quoted = false;
        continue;
      }
      const found = this.#step(bytes, byte);
      if (found !== null) return found;
    }
    return null;
  }

  #step(bytes: Buffer, byte: number): Found | null {
    const space = byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
    if (space) return null;
    const opens = byte === 0x7b || byte === 0x5b;
    const closes = byte === 0x7d || byte === 0x5d;
    if (this.#closed) this.#refuse('there is text after the end of the array');
    if (this.#base === 1 && this.#depth === 0) {
      this.#depth = 1;
      return null;
    }
    const separates = this.#depth === 1 && this.#base === 1 && (byte === 0x2c || closes);
    if (separates) {
      if (byte === 0x7d) this.#refuse('a bracket is closed that was not opened');
      this.#closed = closes;
      return this.#cut(bytes, this.#at - 1);
    }
    if (this.#start < 0) {
      if (this.#base === 0 && !opens) this.#refuse('a record is neither an object nor an array');
      this.#start = this.#at - 1;
      this.#startLine = this.line;
    }
    if (byte === QUOTE) this.#quoted = true;
    if (opens) this.#depth++;
    if (closes && --this.#depth === 0 && this.#base === 0) return this.#cut(bytes, this.#at);
    return null;
  }

  #cut(bytes: Buffer, end: number): Found | null {
    if (this.#start < 0) return this.#closed ? null : this.#refuse('an element of the array is missing');
    const text = bytes.toString('utf8', this.#start, end);
    this.#start = -1;
    return { text, line: this.#startLine };
  }

  #refuse(problem: string): never {
    return fail('TRANSFER_FILE', { file: this.#file, format: 'json', line: this.line, problem });
  }

  keep(): number {
    const kept = this.#start < 0 ? this.#at : this.#start;
    this.#at -= kept;
    if (this.#start >= 0) this.#start = 0;
    return kept;
  }

  end(rest: Buffer): Found | null {
    if (this.#start >= 0 || rest.length > 0 || (this.#base === 1 && !this.#closed)) this.#refuse('it ends in the middle of a record');
    return null;
  }
}

/** The members of a JSON object whose text is known to be valid: each value as it was sent. Of doubled names the last one counts, as in JSON.parse. */
export function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const end = stringEnd(text, at);
    const name = JSON.parse(text.slice(at, end)) as string;
    const from = skipSpace(text, skipSpace(text, end) + 1);
    const to = valueEnd(text, from);
    members.set(name, text.slice(from, to));
    at = skipSpace(text, to);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return members;
}

function skipSpace(text: string, at: number): number {
  let next = at;
  while (next < text.length && text.charCodeAt(next) <= 0x20) next++;
  return next;
}

/** After the closing quote of the string that begins at `at`. */
function stringEnd(text: string, at: number): number {
  for (let k = at + 1; ; k++) {
    const code = text.charCodeAt(k);
    if (code === QUOTE) return k + 1;
    if (code === BACKSLASH) k++;
  }
}

function valueEnd(text: string, from: number): number {
  if (text[from] === '"') return stringEnd(text, from);
  if (text[from] !== '{' && text[from] !== '[') {
    let end = from;
    while (end < text.length && !/[\s,}\]]/.test(text[end]!)) end++;
    return end;
  }
  let depth = 0;
  for (let k = from; ; k++) {
    const character = text[k];
    if (character === '"') k = stringEnd(text, k) - 1;
    else if (character === '{' || character === '[') depth++;
    else if ((character === '}' || character === ']') && --depth === 0) return k + 1;
  }
}
