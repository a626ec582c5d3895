/**
 * Cells of a result as text. JSON: integers and decimals with all their digits, times in ISO 8601, nested values as JSON.
 * Plain text (CSV, terminal): the same without quotes.
 */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  type DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionValue,
} from '@duckdb/node-api';
import type { TextBuffer } from './text-buffer.ts';
import { dateText, instantText, numberText, vectorText } from './vectors.ts';

/** A piece of a result. */
export interface Chunk {
  readonly rows: number;
  /** Writes a cell as a JSON token. */
  json(column: number, row: number, to: TextBuffer): void;
  /** Writes a cell as plain text; false, and nothing, for NULL. */
  text(column: number, row: number, to: TextBuffer): boolean;
}

export function chunkOf(chunk: DuckDBDataChunk, types: readonly DuckDBType[]): Chunk {
  const vectors = types.map((type, k) => vectorText(chunk, k, type));
  const itemAt = (column: number, row: number) => chunk.getColumnVector(column).getItem(row);
  return {
    rows: chunk.rowCount,
    json(column, row, to) {
      const vector = vectors[column]!;
      if (vector === null) to.write(toJson(itemAt(column, row), types[column]!));
      else if (vector.isNull(row)) to.write('null');
      else vector.json(row, to);
    },
    text(column, row, to) {
      const vector = vectors[column]!;
      if (vector === null) {
        const text = toText(itemAt(column, row), types[column]!);
        if (text !== null) to.write(text);
        return text !== null;
      }
      if (vector.isNull(row)) return false;
      vector.text(row, to);
      return true;
    },
  };
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
  if (value instanceof DuckDBTimestampTZValue) return instantText(value.micros, 'Z');
  if (value instanceof DuckDBTimestampValue) return instantText(value.micros, '');
  if (value instanceof DuckDBDateValue) return dateText(value.days);
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('base64');
  return value.toString();
}
