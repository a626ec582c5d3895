/**
 * Cells of a result as text. JSON: integers and decimals with all their digits, times in ISO 8601, nested values as JSON.
 * Plain text (CSV, terminal): the same without quotes.
 */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  type DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBDateVector,
  DuckDBDecimal16Vector,
  DuckDBDecimal32Vector,
  DuckDBDecimal64Vector,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionValue,
  type DuckDBVector,
} from '@duckdb/node-api';

/** A piece of a result: `json(column, row)` is a JSON token, `text(column, row)` is null for NULL. */
export interface Chunk {
  readonly rows: number;
  json(column: number, row: number): string;
  text(column: number, row: number): string | null;
}

export function chunkOf(chunk: DuckDBDataChunk, types: readonly DuckDBType[]): Chunk {
  const vectors = types.map((_, k) => chunk.getColumnVector(k));
  const plain = vectors.map(plainText);
  return {
    rows: chunk.rowCount,
    json(column, row) {
      const quick = plain[column];
      if (quick == null) return toJson(vectors[column]!.getItem(row), types[column]!);
      const text = quick.text(row);
      return text === null ? 'null' : quick.quoted ? `"${text}"` : text;
    },
    text: (column, row) => plain[column]?.text(row) ?? toText(vectors[column]!.getItem(row), types[column]!),
  };
}

/** Types of which large results are made, without an object for each value; null for the others. */
function plainText(vector: DuckDBVector): { text(row: number): string | null; quoted: boolean } | null {
  if (vector instanceof DuckDBDecimal16Vector || vector instanceof DuckDBDecimal32Vector || vector instanceof DuckDBDecimal64Vector) {
    const { scale } = vector.type;
    return {
      quoted: false,
      text(row) {
        const scaled = vector.getScaledValue(row);
        return scaled === null ? null : decimalText(scaled, scale);
      },
    };
  }
  if (!(vector instanceof DuckDBDateVector)) return null;
  return {
    quoted: true,
    text(row) {
      const date = vector.getItem(row);
      return date === null ? null : dateText(date);
    },
  };
}

function decimalText(scaled: number | bigint, scale: number): string {
  if (scale === 0) return String(scaled);
  const digits = String(scaled < 0 ? -scaled : scaled).padStart(scale + 1, '0');
  return `${scaled < 0 ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** A result's dates repeat. */
const dates = new Map<number, string>();

function dateText(date: DuckDBDateValue): string {
  let text = dates.get(date.days);
  if (text === undefined) {
    if (dates.size > 10_000) dates.clear();
    text = date.toString();
    dates.set(date.days, text);
  }
  return text;
}

function toJson(value: unknown, type: DuckDBType): string {
  if (value === null || value === undefined) return 'null';
  switch (typeof value) {
    case 'string':
      // A JSON column is JSON already; DuckDB keeps it valid.
      return type.alias === 'JSON' ? value : JSON.stringify(value);
    case 'number':
      return Number.isFinite(value) ? numberText(value) : `"${value}"`;
    case 'bigint':
      return value.toString();
    case 'boolean':
      return value ? 'true' : 'false';
    default:
      return objectToJson(value as object);
  }
}

function objectToJson(value: object): string {
  if (value instanceof DuckDBDecimalValue) return value.toString();
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return `[${value.items.map(nested).join(',')}]`;
  if (value instanceof DuckDBStructValue) {
    return `{${Object.entries(value.entries)
      .map(([key, item]) => `${JSON.stringify(key)}:${nested(item)}`)
      .join(',')}}`;
  }
  if (value instanceof DuckDBMapValue) {
    return `{${value.entries.map(({ key, value: item }) => `${JSON.stringify(typeof key === 'string' ? key : String(key))}:${nested(item)}`).join(',')}}`;
  }
  if (value instanceof DuckDBUnionValue) return nested(value.value);
  return JSON.stringify(scalarText(value));
}

/** Nested values carry no type of their own here; their classes say enough. */
function nested(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return Number.isFinite(value) ? numberText(value) : `"${value}"`;
    case 'object':
      return objectToJson(value);
    default:
      return String(value);
  }
}

/** -0 is a number of its own; `String` forgets its sign. */
function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function toText(value: unknown, type: DuckDBType): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return numberText(value);
  if (typeof value !== 'object') return String(value);
  if (
    type.typeId === DuckDBTypeId.LIST ||
    type.typeId === DuckDBTypeId.STRUCT ||
    type.typeId === DuckDBTypeId.MAP ||
    type.typeId === DuckDBTypeId.ARRAY
  ) {
    return objectToJson(value);
  }
  return scalarText(value);
}

function scalarText(value: object): string {
  if (value instanceof DuckDBTimestampTZValue) return instant(value.micros, 'Z');
  if (value instanceof DuckDBTimestampValue) return instant(value.micros, '');
  if (value instanceof DuckDBDateValue) return value.toString();
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('base64');
  return value.toString();
}

const DAY = 86_400_000_000n;
const INFINITE = 9_223_372_036_854_775_807n;

/** Microseconds since 1970 as ISO 8601; fractions only as long as they have to be. */
function instant(micros: bigint, zone: string): string {
  if (micros === INFINITE) return 'infinity';
  if (micros === -INFINITE) return '-infinity';
  // Beyond ±100 million days Date can't help; DuckDB's own text is exact.
  if (micros > 8_640_000_000n * DAY || micros < -62_135_596_800_000_000n) return new DuckDBTimestampValue(micros).toString() + zone;
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
