/**
 * The types of which large results are made, from the engine's memory to JSON text without a JavaScript value for each cell: a whole
 * vector is copied at once. The client library asks the engine for each string by itself, which takes ten times as long.
 */
import { createRequire } from 'node:module';
import {
  type DuckDBDataChunk,
  DuckDBDateValue,
  type DuckDBDecimalType,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
} from '@duckdb/node-api';
import type Bindings from '@duckdb/node-bindings';
import { type TextBuffer, writeDigits, writeInteger, writeScaled } from './text-buffer.ts';

/** The library's own bindings: no other ones may be asked about its chunks. */
const bindings = createRequire(import.meta.resolve('@duckdb/node-api'))('@duckdb/node-bindings') as typeof Bindings;

/** A column of a chunk. Its cells are written only where they are not NULL. */
export interface VectorText {
  isNull(row: number): boolean;
  /** As a JSON token. */
  json(row: number, to: TextBuffer): void;
  /** The same without quotes and escapes. */
  text(row: number, to: TextBuffer): void;
}

/** null for types that have to go through values. */
export function vectorText(chunk: DuckDBDataChunk, column: number, type: DuckDBType): VectorText | null {
  const kind = kindOf(type);
  if (kind === null) return null;
  const rows = chunk.rowCount;
  const vector = bindings.data_chunk_get_vector(chunk.chunk, column);
  // Copies, little-endian on every platform that the engine is built for.
  const { buffer, byteOffset } = bindings.vector_get_data(vector, rows * kind.bytes);
  const validity = bindings.vector_get_validity(vector, Math.ceil(rows / 64) * 8) as Uint8Array | null;
  const raw = {
    rows,
    validity,
    data: new DataView(buffer, byteOffset),
    words: new Int32Array(buffer, byteOffset, (rows * kind.bytes) >> 2),
  };
  let json: Write | undefined;
  let text: Write | undefined;
  return {
    isNull: (row) => !isValid(validity, row),
    json(row, to) {
      json ??= kind.json(raw);
      json(row, to);
    },
    text(row, to) {
      text ??= kind.text(raw);
      text(row, to);
    },
  };
}

const isValid = (validity: Uint8Array | null, row: number): boolean => validity === null || (validity[row >> 3]! & (1 << (row & 7))) !== 0;

interface Raw {
  readonly rows: number;
  /** A bit for each row, null where no row is NULL. */
  readonly validity: Uint8Array | null;
  readonly data: DataView;
  /** The same, for what comes in 4 bytes or a multiple. */
  readonly words: Int32Array;
}

type Write = VectorText['json'];

interface Kind {
  /** Of a value. */
  readonly bytes: number;
  readonly json: (raw: Raw) => Write;
  readonly text: (raw: Raw) => Write;
}

function kindOf(type: DuckDBType): Kind | null {
  if (type.typeId === DuckDBTypeId.DECIMAL) return decimal(type as DuckDBDecimalType);
  if (type.typeId === DuckDBTypeId.VARCHAR) return type.alias === 'JSON' ? JSON_TEXT : TEXT;
  return KINDS.get(type.typeId) ?? null;
}

/** Types whose JSON is their text. */
const bare = (bytes: number, text: Kind['text']): Kind => ({ bytes, json: text, text });

/** Types whose JSON is their text between quotes. */
const quoted = (bytes: number, text: Kind['text']): Kind => ({
  bytes,
  text,
  json(raw) {
    const write = text(raw);
    return (row, to) => {
      to.write('"');
      write(row, to);
      to.write('"');
    };
  },
});

const integer = (bytes: number, read: (data: DataView, at: number) => number): Kind =>
  bare(
    bytes,
    ({ data }) =>
      (row, to) =>
        writeInteger(read(data, row * bytes), to),
  );

function decimal({ width, scale }: DuckDBDecimalType): Kind {
  const bytes = width <= 4 ? 2 : width <= 9 ? 4 : width <= 18 ? 8 : 16;
  return bare(bytes, scaled(bytes, scale));
}

/** Numbers that JSON has no words for become texts. */
const double = (bytes: number, read: (data: DataView, at: number) => number): Kind => ({
  bytes,
  text:
    ({ data }) =>
    (row, to) =>
      to.write(numberText(read(data, row * bytes))),
  json:
    ({ data }) =>
    (row, to) => {
      const value = read(data, row * bytes);
      to.write(Number.isFinite(value) ? numberText(value) : `"${value}"`);
    },
});

/** Integers of 2 to 16 bytes, the last `scale` digits behind a point. */
function scaled(bytes: number, scale: number): (raw: Raw) => Write {
  return ({ data, words }) =>
    (row, to) => {
      const value = bytes === 2 ? data.getInt16(row * 2, true) : bytes === 4 ? words[row]! : safeOf(words, row, bytes);
      if (Number.isNaN(value)) to.write(decimalText(longOf(data, row, bytes), scale));
      else if (scale === 0) writeInteger(value, to);
      else if (scale <= 9) writeScaled(value, scale, to);
      else to.write(decimalText(value, scale));
    };
}

/** The value where it is a safe integer, else NaN. */
function safeOf(words: Int32Array, row: number, bytes: number): number {
  const at = row * (bytes >> 2);
  const low = words[at]!;
  const high = words[at + 1]!;
  if (bytes === 16 && (words[at + 2] !== high >> 31 || words[at + 3] !== high >> 31)) return Number.NaN;
  if (high === low >> 31) return low;
  return high >= -0x1fffff && high < 0x200000 ? high * 0x1_0000_0000 + (low >>> 0) : Number.NaN;
}

function longOf(data: DataView, row: number, bytes: number): bigint {
  const low = data.getBigInt64(row * bytes, true);
  return bytes === 8 ? low : (data.getBigInt64(row * bytes + 8, true) << 64n) + BigInt.asUintN(64, low);
}

export function decimalText(value: number | bigint, scale: number): string {
  if (scale === 0) return String(value);
  const digits = String(value < 0 ? -value : value).padStart(scale + 1, '0');
  return `${value < 0 ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** -0 is a number of its own; `String` forgets its sign. */
export function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

const NEVER = 0x7fffffff;
/** A result's dates repeat. The client library takes the infinite ones for days of the calendar. */
const dates = new Map<number, string>([
  [NEVER, 'infinity'],
  [-NEVER, '-infinity'],
]);

export function dateText(days: number): string {
  let text = dates.get(days);
  if (text === undefined) {
    text = new DuckDBDateValue(days).toString();
    if (dates.size < 10_000) dates.set(days, text);
  }
  return text;
}

const DAY = 86_400_000_000;

/** Microseconds since 1970 as ISO 8601; fractions only as long as they have to be. */
function instants(zone: string): Kind['text'] {
  return ({ data, words }) =>
    (row, to) => {
      const micros = safeOf(words, row, 8);
      if (Number.isNaN(micros)) return to.write(instantText(longOf(data, row, 8), zone));
      const days = Math.floor(micros / DAY);
      const rest = micros - days * DAY;
      const seconds = Math.floor(rest / 1e6);
      to.write(dateText(days));
      to.room(16);
      writePart(T, Math.floor(seconds / 3600), 2, to);
      writePart(COLON, Math.floor(seconds / 60) % 60, 2, to);
      writePart(COLON, seconds % 60, 2, to);
      const fraction = rest - seconds * 1e6;
      if (fraction !== 0) {
        if (fraction % 1000 === 0) writePart(POINT, fraction / 1000, 3, to);
        else writePart(POINT, fraction, 6, to);
      }
      to.write(zone);
    };
}

function writePart(before: number, value: number, digits: number, to: TextBuffer): void {
  to.bytes[to.end++] = before;
  writeDigits(value, digits, to);
}

const INFINITE = 9_223_372_036_854_775_807n;

/** The same for any number of microseconds. */
export function instantText(micros: bigint, zone: string): string {
  if (micros === INFINITE) return 'infinity';
  if (micros === -INFINITE) return '-infinity';
  // Beyond 100 million days, and before the year 1, Date can't help; DuckDB's own text is exact.
  if (micros > 100_000_000n * BigInt(DAY) || micros < -62_135_596_800_000_000n) return new DuckDBTimestampValue(micros).toString() + zone;
  let seconds = micros / 1_000_000n;
  let rest = micros % 1_000_000n;
  if (rest < 0n) {
    seconds -= 1n;
    rest += 1_000_000n;
  }
  const iso = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
  if (rest === 0n) return iso + zone;
  const digits = String(rest).padStart(6, '0');
  return `${iso}.${digits.endsWith('000') ? digits.slice(0, 3) : digits}${zone}`;
}

/** A text as the engine keeps it: its length in 4 bytes, and either up to 12 bytes of it, or 4 of them and its address. */
const TEXT_BYTES = 16;
const SHORT_TEXT = 12;

type WriteBytes = (bytes: Uint8Array, from: number, to: number, out: TextBuffer) => void;

function texts(write: WriteBytes): Kind['text'] {
  return (raw) => {
    const { data, words } = raw;
    const inline = new Uint8Array(data.buffer, data.byteOffset);
    const long = copyLong(raw);
    return (row, to) => {
      const length = words[row * 4]!;
      if (length <= SHORT_TEXT) write(inline, row * TEXT_BYTES + 4, row * TEXT_BYTES + 4 + length, to);
      else write(long.bytes, long.places[row]!, long.places[row]! + length, to);
    };
  };
}

interface LongTexts {
  readonly bytes: Uint8Array;
  /** Where the text of each row begins in `bytes`. */
  readonly places: Int32Array;
}

const NO_TEXTS: LongTexts = { bytes: new Uint8Array(0), places: new Int32Array(0) };

/**
 * Copies the texts that are not in the vector itself. Most lie beside each other, so they are copied in runs. A gap within a run lies in a
 * page in which a text ends or begins: it may hold anything, but it can be read, and what was read of it is never looked at.
 */
function copyLong({ rows, data, words, validity }: Raw): LongTexts {
  const long: number[] = [];
  for (let row = 0; row < rows; row++) {
    if (words[row * 4]! > SHORT_TEXT && isValid(validity, row)) long.push(row);
  }
  if (long.length === 0) return NO_TEXTS;
  const addressOf = (row: number) => words[row * 4 + 3]! * 0x1_0000_0000 + (words[row * 4 + 2]! >>> 0);
  let runs = runsOf(long, addressOf, words);
  if (runs.length * FEW > long.length) {
    // In the order of their addresses: rows that were sorted or joined point here and there.
    long.sort((a, b) => addressOf(a) - addressOf(b));
    runs = runsOf(long, addressOf, words);
  }
  const size = runs.reduce((sum, { from, to }) => sum + to - from, 0);
  const bytes = runs.length === 1 ? null : new Uint8Array(size);
  const places = new Int32Array(rows);
  let at = 0;
  let only: Uint8Array = NO_TEXTS.bytes;
  for (const { from, to, first, last } of runs) {
    only = bindings.get_data_from_pointer(data.buffer as ArrayBuffer, data.byteOffset + long[first]! * TEXT_BYTES + 8, to - from);
    bytes?.set(only, at);
    for (let k = first; k <= last; k++) places[long[k]!] = at + addressOf(long[k]!) - from;
    at += to - from;
  }
  return { bytes: bytes ?? only, places };
}

const FEW = 8;
/** The smallest page of any machine. */
const PAGE = 4096;

/** Addresses from `from` to before `to`, of the texts `first` to `last`. */
interface Run {
  readonly from: number;
  to: number;
  readonly first: number;
  last: number;
}

function runsOf(long: readonly number[], addressOf: (row: number) => number, words: Int32Array): Run[] {
  const runs: Run[] = [];
  let run: Run | undefined;
  for (const [k, row] of long.entries()) {
    const from = addressOf(row);
    const to = from + words[row * 4]!;
    // Every page from the run's first byte to this text's last holds a byte of a text.
    if (run !== undefined && from >= run.from && from < (Math.floor((run.to - 1) / PAGE) + 2) * PAGE) {
      run.to = Math.max(run.to, to);
      run.last = k;
    } else {
      run = { from, to, first: k, last: k };
      runs.push(run);
    }
  }
  return runs;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const POINT = 0x2e;
const COLON = 0x3a;
const T = 0x54;

/** RFC 8259, clause 7: quotes, backslashes and control characters are escaped. */
function writeQuoted(bytes: Uint8Array, from: number, to: number, out: TextBuffer): void {
  out.room(2 + to - from + escapes(bytes, from, to));
  const into = out.bytes;
  let { end } = out;
  into[end++] = QUOTE;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) {
      for (const unit of ESCAPED[byte]!) into[end++] = unit;
    } else into[end++] = byte;
  }
  into[end++] = QUOTE;
  out.end = end;
}

const LONG = 1024;

/** How many bytes escapes add at most. */
function escapes(bytes: Uint8Array, from: number, to: number): number {
  if (to - from <= LONG) return 5 * (to - from);
  let count = 0;
  for (let at = from; at < to; at++) count += bytes[at]! < 0x20 ? 5 : bytes[at] === QUOTE || bytes[at] === BACKSLASH ? 1 : 0;
  return count;
}

/** By byte, as JSON.stringify has them. */
const ESCAPED = Array.from({ length: BACKSLASH + 1 }, (_, byte) => Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1)));

function writeAsIs(bytes: Uint8Array, from: number, to: number, out: TextBuffer): void {
  out.room(to - from);
  for (let at = from; at < to; at++) out.bytes[out.end++] = bytes[at]!;
}

const TEXT: Kind = { bytes: TEXT_BYTES, json: texts(writeQuoted), text: texts(writeAsIs) };
/** It is JSON already; DuckDB keeps it valid. */
const JSON_TEXT: Kind = bare(TEXT_BYTES, texts(writeAsIs));

const KINDS: ReadonlyMap<DuckDBTypeId, Kind> = new Map([
  [
    DuckDBTypeId.BOOLEAN,
    bare(
      1,
      ({ data }) =>
        (row, to) =>
          to.write(data.getUint8(row) === 0 ? 'false' : 'true'),
    ),
  ],
  [DuckDBTypeId.TINYINT, integer(1, (data, at) => data.getInt8(at))],
  [DuckDBTypeId.UTINYINT, integer(1, (data, at) => data.getUint8(at))],
  [DuckDBTypeId.SMALLINT, integer(2, (data, at) => data.getInt16(at, true))],
  [DuckDBTypeId.USMALLINT, integer(2, (data, at) => data.getUint16(at, true))],
  [DuckDBTypeId.INTEGER, integer(4, (data, at) => data.getInt32(at, true))],
  [DuckDBTypeId.UINTEGER, integer(4, (data, at) => data.getUint32(at, true))],
  [DuckDBTypeId.BIGINT, bare(8, scaled(8, 0))],
  [DuckDBTypeId.HUGEINT, bare(16, scaled(16, 0))],
  [DuckDBTypeId.FLOAT, double(4, (data, at) => data.getFloat32(at, true))],
  [DuckDBTypeId.DOUBLE, double(8, (data, at) => data.getFloat64(at, true))],
  [
    DuckDBTypeId.DATE,
    quoted(
      4,
      ({ words }) =>
        (row, to) =>
          to.write(dateText(words[row]!)),
    ),
  ],
  [DuckDBTypeId.TIMESTAMP, quoted(8, instants(''))],
  [DuckDBTypeId.TIMESTAMP_TZ, quoted(8, instants('Z'))],
]);
