/** What PostgreSQL's types become: the column, how it is asked for, and its canonical text. */
import type { SourceColumn } from '../source.ts';
import { id } from './postgres-connection.ts';

/** A column as the catalog says it, domains resolved. */
export interface PostgresColumn {
  readonly name: string;
  /** As format_type spells it. */
  readonly shown: string;
  /** pg_type.typname, typtype, and the element's typname of an array. */
  readonly kind: string;
  readonly sort: string;
  readonly element: string | null;
  readonly typmod: number;
}

const PLAIN: Readonly<Record<string, readonly [type: string, cursor: SourceColumn['cursor'], long: boolean]>> = {
  int2: ['SMALLINT', 'number', false],
  int4: ['INTEGER', 'number', false],
  int8: ['BIGINT', 'number', false],
  float4: ['FLOAT', null, false],
  float8: ['DOUBLE', null, false],
  bool: ['BOOLEAN', null, false],
  date: ['DATE', 'time', false],
  timestamp: ['TIMESTAMP', 'time', false],
  timestamptz: ['TIMESTAMP WITH TIME ZONE', 'time', false],
  time: ['TIME', null, false],
  interval: ['INTERVAL', null, false],
  uuid: ['UUID', null, false],
  json: ['JSON', null, true],
  jsonb: ['JSON', null, true],
  bytea: ['BLOB', null, true],
  text: ['VARCHAR', null, true],
  xml: ['VARCHAR', null, true],
};

export function columnOf({ name, shown, kind, sort, element, typmod }: PostgresColumn): SourceColumn {
  const made = (type: string, cursor: SourceColumn['cursor'], long: boolean, note: string | null = null): SourceColumn => ({
    name,
    sourceType:
      kind === 'numeric'
        ? numericName(typmod)
        : element === null
          ? sort === 'e'
            ? `enum ${shown}`
            : PLAIN[kind] === undefined
              ? shown
              : kindName(kind, shown)
          : `${element}[]`,
    type,
    cursor,
    long,
    note,
  });
  if (element !== null) return made('JSON', null, true, 'an array, as JSON');
  if (kind === 'numeric') {
    const bounds = numericBounds(typmod);
    return bounds !== null && bounds.precision <= 38 && bounds.scale >= 0 && bounds.scale <= bounds.precision
      ? made(`DECIMAL(${bounds.precision},${bounds.scale})`, 'number', false)
      : made('VARCHAR', null, false, 'more than 38 digits');
  }
  const plain = PLAIN[kind];
  return plain === undefined ? made('VARCHAR', null, kind === 'tsvector' || kind === 'hstore') : made(...plain);
}

/** A domain is named by what it is. */
function kindName(kind: string, shown: string): string {
  return kind === 'bpchar'
    ? shown
    : ({ int2: 'smallint', int4: 'integer', int8: 'bigint', float4: 'real', float8: 'double precision', bool: 'boolean' }[kind] ?? kind);
}

/** numeric(p,s) stands in the modifier as (p << 16 | s as 11 signed bits) + 4 (numeric.c, make_numeric_typmod). */
function numericBounds(typmod: number): { precision: number; scale: number } | null {
  if (typmod < 4) return null;
  const bits = typmod - 4;
  return { precision: bits >> 16, scale: ((bits & 0x7ff) ^ 1024) - 1024 };
}

function numericName(typmod: number): string {
  const bounds = numericBounds(typmod);
  return bounds === null ? 'numeric' : `numeric(${bounds.precision},${bounds.scale})`;
}

/** Elements whose JSON is a number or true and false; those of any other type are texts. */
const JSON_ELEMENTS = new Set(['int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'bool']);

export const isTextArray = ({ sourceType }: SourceColumn): boolean =>
  sourceType.endsWith('[]') && !JSON_ELEMENTS.has(sourceType.slice(0, -2));

/** How the server is asked for a column, so that its text is exact and a value of the warehouse's type. */
export function selected(column: SourceColumn): string {
  const name = id(column.name);
  if (column.sourceType === 'bytea' && column.type === 'BLOB') return `encode(${name}, 'hex')`;
  if (column.sourceType.endsWith('[]')) return asJson(column);
  return name;
}

/** Its blanks at the end mean nothing. */
export const isBlankPadded = ({ sourceType }: SourceColumn): boolean => sourceType.startsWith('character(');

export const isDay = ({ type }: SourceColumn): boolean => type === 'DATE' || type === 'TIMESTAMP' || type === 'TIMESTAMP WITH TIME ZONE';

/** A day's or an instant's text: the warehouse drops a bare BC without a word. */
export function withEra(value: Buffer): Buffer {
  if (value.length < 3 || value.toString('latin1', value.length - 3) !== ' BC') return value;
  return Buffer.from(value.toString('latin1').replace(/^(\S+)(.*) BC$/, '$1 (BC)$2'), 'latin1');
}

function beforeChrist(name: string): string {
  return `regexp_replace(${name}::text, '^(\\S+)(.*) BC$', '\\1 (BC)\\2')`;
}

function asJson(column: SourceColumn): string {
  const name = id(column.name);
  return isTextArray(column) ? `to_json(${name}::text[])::text` : `to_json(${name})::text`;
}

/** A column's value as the same text that the warehouse makes of it (src/store/parity.ts). */
export function canonical(column: SourceColumn): string {
  const name = id(column.name);
  switch (column.type) {
    case 'BOOLEAN':
      return `CASE WHEN ${name}::boolean THEN '1' WHEN NOT ${name}::boolean THEN '0' END`;
    case 'FLOAT':
    case 'DOUBLE':
      return `CASE WHEN abs(${name}::float8) < 1e27 THEN (${name}::float8::text::numeric(38,10))::text WHEN ${name}::float8 = 'NaN' THEN '0' ELSE sign(${name}::float8)::text END`;
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE': {
      const type = column.type === 'TIMESTAMP' ? 'timestamp' : 'timestamptz';
      // Before Christ the warehouse counts years from 0 down: 44 BC is -43.
      const year = `CASE WHEN ${name}::${type} < '0001-01-01' THEN (extract(year FROM ${name}::${type})::integer + 1)::text || '-' ELSE to_char(${name}::${type}, 'YYYY-') END`;
      return `CASE WHEN isfinite(${name}::${type}) THEN ${year} || to_char(${name}::${type}, 'MM-DD HH24:MI:SS.US') ELSE ${name}::text END`;
    }
    case 'DATE':
      return `CASE WHEN ${name}::date < '0001-01-01' THEN ${beforeChrist(name)} ELSE ${name}::date::text END`;
    case 'INTERVAL':
      // As in the warehouse a month has 30 days; EXTRACT(epoch) would give a year 365.25.
      return `((((extract(year FROM ${name}) * 12 + extract(month FROM ${name})) * 30 + extract(day FROM ${name})) * 86400 + extract(hour FROM ${name}) * 3600
        + extract(minute FROM ${name}) * 60) * 1000000 + extract(microseconds FROM ${name}))::numeric(38,0)::text`;
    case 'BLOB':
      return `md5(${name})`;
    default: {
      const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(column.type);
      if (decimal !== null) return `CASE WHEN ${name}::text <> 'NaN' THEN ${name}::numeric(${decimal[1]},${decimal[2]})::text END`;
      const text = column.sourceType.endsWith('[]') ? asJson(column) : `${name}::text`;
      return column.long ? `md5(${text})` : text;
    }
  }
}
