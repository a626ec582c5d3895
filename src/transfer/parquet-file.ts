/**
 * A Parquet file of one row group, from columns whose values stand in memory as the format has them: one page each, uncompressed, a
 * dictionary where there is one (parquet-format 2.x: parquet.thrift and Encodings.md; Thrift's compact protocol).
 */
export interface ParquetColumn {
  readonly name: string;
  readonly physical: 'int32' | 'int64' | 'bytes';
  readonly logical: 'text' | 'date' | 'timestamp' | { readonly precision: number; readonly scale: number } | null;
  /** A bit for each row, the lowest first: 1 where there is a value. Null where each row has one. */
  readonly present: Uint8Array | null;
  /** How many there are. */
  readonly values: number;
  /** Values as PLAIN has them, or with a dictionary numbers of a byte. */
  readonly blocks: readonly Uint8Array[];
  readonly dictionary: { readonly entries: number; readonly bytes: Uint8Array } | null;
}

const PHYSICAL = { int32: 1, int64: 2, bytes: 6 } as const;
const CONVERTED = { text: 0, decimal: 5, date: 6, timestamp: 10 } as const;
const [REQUIRED, OPTIONAL] = [0, 1] as const;
const [PLAIN, RLE, RLE_DICTIONARY] = [0, 3, 8] as const;
const [DATA_PAGE, DICTIONARY_PAGE] = [0, 2] as const;
const UNCOMPRESSED = 0;
const MAGIC = Buffer.from('PAR1');

/** The file's parts, in order; they are valid as long as the columns are. */
export function parquet(rows: number, columns: readonly ParquetColumn[]): Uint8Array[] {
  const parts: Uint8Array[] = [MAGIC];
  let at: number = MAGIC.length;
  const chunks = columns.map((column) => {
    const from = at;
    const pages = pagesOf(rows, column);
    for (const part of pages.flat()) {
      parts.push(part);
      at += part.length;
    }
    const data = at - lengthOf(pages.at(-1)!);
    return struct([2, i64(from)], [3, chunk(rows, column, { from, data, bytes: at - from })]);
  });
  const schema = [struct([4, text('rows')], [5, i32(columns.length)]), ...columns.map(element)];
  const group = struct([1, list(STRUCT, chunks)], [2, i64(at)], [3, i64(rows)]);
  const footer = struct([1, i32(1)], [2, list(STRUCT, schema)], [3, i64(rows)], [4, list(STRUCT, [group])]).bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return [...parts, footer, length, MAGIC];
}

function element({ name, physical, logical, present }: ParquetColumn): Value {
  const decimal = logical !== null && typeof logical === 'object' ? logical : null;
  const converted = logical === null ? null : decimal === null ? CONVERTED[logical as keyof typeof CONVERTED] : CONVERTED.decimal;
  return struct(
    [1, i32(PHYSICAL[physical])],
    [3, i32(present === null ? REQUIRED : OPTIONAL)],
    [4, text(name)],
    [6, converted === null ? null : i32(converted)],
    [7, decimal === null ? null : i32(decimal.scale)],
    [8, decimal === null ? null : i32(decimal.precision)],
  );
}

function chunk(rows: number, { name, physical, dictionary }: ParquetColumn, at: { from: number; data: number; bytes: number }): Value {
  const encodings = [PLAIN, RLE, ...(dictionary === null ? [] : [RLE_DICTIONARY])];
  return struct(
    [1, i32(PHYSICAL[physical])],
    [2, list(I32, encodings.map(i32))],
    [3, list(BINARY, [text(name)])],
    [4, i32(UNCOMPRESSED)],
    [5, i64(rows)],
    [6, i64(at.bytes)],
    [7, i64(at.bytes)],
    [9, i64(at.data)],
    [11, dictionary === null ? null : i64(at.from)],
  );
}

/** Each with its header: the dictionary if there is one, the data. */
function pagesOf(rows: number, { present, values, blocks, dictionary }: ParquetColumn): Uint8Array[][] {
  const levels = present === null ? [] : [...levelsOf(rows, present)];
  const body = dictionary === null ? blocks : [Buffer.of(8), ...runs(values, blocks)];
  const encoding = dictionary === null ? PLAIN : RLE_DICTIONARY;
  const data = page(DATA_PAGE, [...levels, ...body], [5, struct([1, i32(rows)], [2, i32(encoding)], [3, i32(RLE)], [4, i32(RLE)])]);
  if (dictionary === null) return [data];
  return [page(DICTIONARY_PAGE, [dictionary.bytes], [7, struct([1, i32(dictionary.entries)], [2, i32(PLAIN)])]), data];
}

function page(type: number, body: readonly Uint8Array[], header: readonly [number, Value]): Uint8Array[] {
  const length = lengthOf(body);
  return [struct([1, i32(type)], [2, i32(length)], [3, i32(length)], header).bytes, ...body];
}

/** One run of numbers of one bit. */
function levelsOf(rows: number, present: Uint8Array): Uint8Array[] {
  const run = Buffer.from(varint((Math.ceil(rows / 8) << 1) | 1));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(run.length + present.length);
  return [length, run, present];
}

/** One run of numbers of a byte, in groups of eight. */
function runs(values: number, blocks: readonly Uint8Array[]): Uint8Array[] {
  const groups = Math.ceil(values / 8);
  return [Buffer.from(varint((groups << 1) | 1)), ...blocks, Buffer.alloc(groups * 8 - values)];
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

// Thrift's compact protocol

interface Value {
  readonly type: number;
  readonly bytes: Buffer;
}

const [I32, I64, BINARY, LIST, STRUCT] = [5, 6, 8, 9, 12] as const;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return [...bytes, left];
}

/** Numbers here are never negative: a zigzag is the double. */
const number =
  (type: number) =>
  (value: number): Value => ({ type, bytes: Buffer.from(varint(value * 2)) });
const i32 = number(I32);
const i64 = number(I64);

function text(value: string): Value {
  const bytes = Buffer.from(value);
  return { type: BINARY, bytes: Buffer.concat([Buffer.from(varint(bytes.length)), bytes]) };
}

function list(type: number, values: readonly Value[]): Value {
  const head = values.length < 15 ? [(values.length << 4) | type] : [0xf0 | type, ...varint(values.length)];
  return { type: LIST, bytes: Buffer.concat([Buffer.from(head), ...values.map(({ bytes }) => bytes)]) };
}

/** Fields by their growing numbers, those that are null left out. */
function struct(...fields: readonly (readonly [number, Value | null])[]): Value {
  const parts: Buffer[] = [];
  let last = 0;
  for (const [id, value] of fields) {
    if (value === null) continue;
    parts.push(Buffer.of(((id - last) << 4) | value.type), value.bytes);
    last = id;
  }
  return { type: STRUCT, bytes: Buffer.concat([...parts, Buffer.of(0)]) };
}
