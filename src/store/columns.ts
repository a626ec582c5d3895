/** Which columns a topic's table has, what each takes, and how text from a record becomes a value without loss. */
import type { Field, FieldType, Topic } from '#core';
import { name, text } from './names.ts';

/** A column that is filled from a record's top-level field of the same name. */
export interface Promoted {
  readonly name: string;
  /** DuckDB's type. */
  readonly type: string;
  /** Declared in the topic: what does not fit is quarantined. Otherwise the column is widened to take it. */
  readonly declared: boolean;
  /** The column of the event time: intake has parsed it (in the workspace's zone where it has no offset), so the stamp is taken. */
  readonly eventTime?: boolean;
}

export const MAX_COLUMNS = 200;

/** Integers below it stand in a double as they are. */
export const MAX_EXACT = 2 ** 53;

/** Columns of every `raw.` table before the promoted ones; `data`, the client's JSON as it was sent, comes last. */
export const STAMPS = ['_position', '_batch', '_received', '_time', '_id'] as const;

export function typeOf(type: FieldType): string {
  switch (type) {
    case 'text':
      return 'VARCHAR';
    case 'integer':
      return 'BIGINT';
    case 'double':
      return 'DOUBLE';
    case 'boolean':
      return 'BOOLEAN';
    case 'timestamp':
      return 'TIMESTAMP WITH TIME ZONE';
    case 'date':
      return 'DATE';
    case 'json':
      return 'JSON';
    default:
      return type.toUpperCase();
  }
}

/**
 * The fields that a topic declares, the id, time and type among them: these are text (or as sent) unless declared otherwise. One that has
 * the name of a column that is there anyway (`_id` as the id) becomes none of its own.
 */
export function declaredOf(topic: Topic): readonly Promoted[] {
  const fields: Pick<Field, 'name' | 'type'>[] = [...topic.fields];
  const implied: [string | null | undefined, FieldType][] = [
    [topic.id, 'text'],
    [topic.type, 'text'],
    [topic.time?.field, topic.time?.unit === 'iso' ? 'timestamp' : 'text'],
  ];
  for (const [field, type] of implied) {
    if (field != null && isNew(field, fields)) fields.push({ name: field, type });
  }
  return fields.map((field) => ({
    name: field.name,
    type: typeOf(field.type),
    declared: true,
    eventTime: field.name === topic.time?.field && field.type === 'timestamp',
  }));
}

function isNew(field: string, fields: readonly { readonly name: string }[]): boolean {
  const lower = field.toLowerCase();
  return lower !== 'data' && !(STAMPS as readonly string[]).includes(lower) && !fields.some((other) => other.name.toLowerCase() === lower);
}

/**
 * A value's text as the column's type, NULL where it would change: DuckDB's own cast makes 2 of '1.5' and drops digits
 * that a DECIMAL has no room for.
 */
export function lossless(value: string, type: string): string {
  switch (type) {
    case 'VARCHAR':
      return value;
    case 'JSON':
      return `TRY_CAST(${value} AS JSON)`;
    case 'BIGINT':
      return `TRY_CAST(CASE WHEN regexp_full_match(${value}, '-?[0-9]+(\\.0+)?') THEN split_part(${value}, '.', 1) END AS BIGINT)`;
    case 'BOOLEAN':
      return `CASE ${value} WHEN 'true' THEN true WHEN 'false' THEN false END`;
    case 'DOUBLE':
      // Beyond 2^53 a double drops digits of an integer; beyond 1.8e308 DuckDB makes it infinite.
      return `CASE WHEN (NOT regexp_full_match(${value}, '-?[0-9]{16,}') OR abs(TRY_CAST(${value} AS HUGEINT)) < ${MAX_EXACT})
        AND isfinite(TRY_CAST(${value} AS DOUBLE)) THEN TRY_CAST(${value} AS DOUBLE) END`;
    case 'TIMESTAMP WITH TIME ZONE':
    case 'DATE':
      return `TRY_CAST(${value} AS ${type})`;
    default: {
      const scale = /^DECIMAL\(\d+,(\d+)\)$/.exec(type)?.[1];
      return scale === undefined
        ? `TRY_CAST(${value} AS ${type})`
        : `CASE WHEN regexp_full_match(${value}, '-?[0-9]*(\\.[0-9]{0,${scale}}0*)?') THEN TRY_CAST(${value} AS ${type}) END`;
    }
  }
}

/**
 * As `lossless`, for a column whose type was guessed: text that only looks like the type stays text ('007' is not 7, 'nan' no
 * number, '5' no JSON).
 */
export function unchanged(value: string, type: string): string {
  switch (type) {
    case 'BIGINT':
    case 'DOUBLE':
      return `CASE WHEN regexp_full_match(${value}, '-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?') THEN ${lossless(value, type)} END`;
    case 'JSON':
      return `CASE WHEN left(${value}, 1) IN ('{', '[') THEN ${lossless(value, type)} END`;
    default:
      return lossless(value, type);
  }
}

/** A field's place in a JSON text as a JSON pointer (RFC 6901). */
export function pointer(field: string): string {
  return text(`/${field.replaceAll('~', '~0').replaceAll('/', '~1')}`);
}

/** The structure for json_transform that takes every promoted field as text. */
export function structure(columns: readonly Promoted[]): string {
  return text(JSON.stringify(Object.fromEntries(columns.map((column) => [column.name, 'VARCHAR']))));
}

/** The column type for a field seen for the first time, from the JSON types of its values; null when nothing but null was seen. */
export function typeFromSeen(seen: readonly string[]): string | null {
  const types = new Set(seen.filter((type) => type !== 'NULL'));
  if (types.size === 0) return null;
  const only = (...allowed: string[]) => [...types].every((type) => allowed.includes(type));
  if (only('UBIGINT', 'BIGINT')) return 'BIGINT';
  if (only('UBIGINT', 'BIGINT', 'DOUBLE')) return 'DOUBLE';
  if (only('BOOLEAN')) return 'BOOLEAN';
  if (only('OBJECT', 'ARRAY')) return 'JSON';
  return 'VARCHAR';
}

/** The next wider type for a value that does not fit: numbers that a double keeps become DOUBLE, everything else text. */
export function widened(type: string, allNumbers: boolean): string {
  return type === 'BIGINT' && allNumbers ? 'DOUBLE' : 'VARCHAR';
}

/** Can a field of this name be a column? Names that Millrace uses, and those that can't be told apart from one there, stay in `data`. */
export function canBeColumn(field: string, taken: ReadonlySet<string>): boolean {
  const lower = field.toLowerCase();
  return (
    field.length > 0 &&
    field.length <= 63 &&
    !field.startsWith('_') &&
    lower !== 'data' &&
    !taken.has(lower) &&
    !/[\u0000-\u001f\u007f]/.test(field)
  );
}

export function createTable(topic: string, columns: readonly Promoted[]): string {
  const promoted = columns.map((column) => `${name(column.name)} ${column.type}, `).join('');
  return `CREATE TABLE IF NOT EXISTS raw.${name(topic)} (_position BIGINT, _batch BIGINT, _received TIMESTAMPTZ, _time TIMESTAMPTZ, _id VARCHAR, ${promoted}data VARCHAR)`;
}
