/** What all sources of files share: an opened source made of tables that hand their rows over in the file's order. */
import { hash } from 'node:crypto';
import { fail } from '#core';
import { canonicalOf } from '../csv/values.ts';
import { BATCH_ROOM, BATCH_ROWS, isBatch, type Refused, type Rows, RowWriter } from '../rows.ts';
import type { Hashed, Opened, SourceColumn, SourceTable, Span, Sum } from '../source.ts';
import type { DataFile } from './bytes.ts';

/** A file with so many records that can't be read, and fewer rows among them than a batch has, is none of this format. */
const MOST_REFUSED = 10_000;

export type Values = readonly (string | null)[];
/** Returning false ends the reading; a promise is waited for. */
export type Go = boolean | Promise<boolean>;
export type Refuse = (refused: Refused) => Go;

export interface FileTable {
  readonly table: SourceTable;
  /** Each row as exact texts of the columns' types. A row that has none is refused. */
  each(columns: readonly SourceColumn[], refuse: Refuse, take: (values: Values) => Go): Promise<void>;
  /** The same into a writer, for a format that can copy bytes; `next` is asked after each row, and by `refuse`. */
  write?(columns: readonly SourceColumn[], refuse: Refuse, writer: RowWriter, next: () => Go): Promise<void>;
}

/** Why a record is no row, and what of it could be read. */
export type Unfit = Pick<Refused, 'reason' | 'cells' | 'misfits'>;

/** The values of a record, or why it has none. `readValue` is undefined for a text that does not fit. */
export function valuesBy<Field extends { readonly name: string; readonly type: string }>(
  fields: readonly Field[],
  readValue: (field: Field) => string | null | undefined,
  textOf: (field: Field) => string | null,
): (string | null)[] | Unfit {
  const values: (string | null)[] = [];
  for (const field of fields) {
    const value = readValue(field);
    if (value === undefined) return unfitValues(fields, readValue, textOf);
    values.push(value);
  }
  return values;
}

export function unfitValues<Field extends { readonly name: string; readonly type: string }>(
  fields: readonly Field[],
  readValue: (field: Field) => string | null | undefined,
  textOf: (field: Field) => string | null,
): Unfit {
  const values = fields.map(readValue);
  const misfits = fields.filter((_, k) => values[k] === undefined);
  const [{ name, type }, shown] = [misfits[0]!, textOf(misfits[0]!)!.slice(0, 200)];
  return {
    reason: `The value ${shown} of "${name}" does not fit ${type}`,
    cells: Object.fromEntries(fields.map((field, k) => [field.name, values[k] === undefined ? textOf(field) : values[k]])),
    misfits: misfits.map((field) => field.name),
  };
}

/** A record that can't be read at all. */
export function unreadable(reason: string): Unfit {
  return { reason, cells: null, misfits: [] };
}

/** A column that has one value in all rows of a file. */
export interface Constant {
  readonly name: string;
  readonly type: string;
  readonly value: string | null;
}

export function withConstants(own: FileTable, constants: readonly Constant[]): FileTable {
  if (constants.length === 0) return own;
  const added = constants.map(({ name, type }) => ({
    name,
    type,
    sourceType: 'file name',
    note: null,
    long: false,
    cursor: cursorOf(type),
  }));
  const columns = [...own.table.columns.filter(({ name }) => !constants.some((constant) => constant.name === name)), ...added];
  return {
    table: { ...own.table, columns },
    each(chosen, refuse, take) {
      const values = new Map(constants.map(({ name, value }) => [name, value]));
      const read = chosen.filter(({ name }) => !values.has(name));
      const told = (refused: Refused) =>
        refuse(refused.cells === null ? refused : { ...refused, cells: { ...refused.cells, ...Object.fromEntries(values) } });
      return own.each(read, told, (row) => {
        let at = 0;
        return take(chosen.map(({ name }) => (values.has(name) ? values.get(name)! : row[at++]!)));
      });
    },
  };
}

export interface Opening {
  /** Of the content; the state of a table without cursor keeps it. */
  readonly version?: string | null;
  readonly constants?: readonly Constant[];
}

/** Each file is a table; what was found of the first is told. */
export async function openFiles<Layout>(
  files: readonly DataFile[],
  { version = null, constants = [] }: Opening,
  each: {
    survey(file: DataFile): Promise<Layout>;
    table(file: DataFile, layout: Layout): FileTable;
    found(layout: Layout): Readonly<Record<string, string>>;
  },
): Promise<Opened> {
  const tables: FileTable[] = [];
  let first: Layout | null = null;
  for (const file of files) {
    const layout = await each.survey(file);
    tables.push(withConstants(each.table(file, layout), constants));
    first ??= layout;
  }
  return openTables(tables, first === null ? {} : each.found(first), version);
}

/** `found` is what the source decided by itself, by the names of its options. */
export function openTables(
  tables: readonly FileTable[],
  found: Readonly<Record<string, string>> = {},
  version: string | null = null,
): Opened {
  const of = (name: string) =>
    tables.find(({ table }) => table.name === name) ?? fail('TRANSFER_TABLE', { table: name, near: tables[0]?.table.name });
  return {
    found,
    async describe(names) {
      return (names?.map(of) ?? tables).map(({ table }) => table);
    },
    snapshot: async (table, cursor, after) =>
      cursor === null ? { span: { cursor, after, upTo: version }, without: false } : newest(of(table.name), cursor, after),
    read: (table, columns, span, _reading, limit) => read(of(table.name), columns, span, limit ?? Number.POSITIVE_INFINITY),
    async checksum(table, columns, span, buckets): Promise<Sum[]> {
      const sums = new Map<number, { rows: number; sum: bigint }>();
      if (buckets === null) sums.set(0, { rows: 0, sum: 0n });
      await eachHash(of(table.name), columns, span, buckets ?? [], (bucket, _key, hashed) => {
        const own = sums.get(bucket) ?? { rows: 0, sum: 0n };
        sums.set(bucket, { rows: own.rows + 1, sum: own.sum + BigInt(`0x${hashed.slice(0, 15)}`) });
      });
      return [...sums].map(([bucket, { rows, sum }]) => ({ bucket, rows, sum: String(sum) }));
    },
    async hashes(table, columns, span, key, bucket): Promise<Hashed[]> {
      const rows: Hashed[] = [];
      await eachHash(of(table.name), columns, span, key, (own, values, hashed) => {
        if (own === bucket) rows.push({ key: JSON.stringify(values), hash: hashed });
      });
      return rows;
    },
    eachHash(table, columns, span, key, take) {
      const places = key.map((name) => columns.findIndex((column) => column.name === name));
      return eachHash(of(table.name), columns, span, [], (_bucket, _key, hashed, values) =>
        take(
          places.map((at) => values[at]!),
          hashed,
        ),
      );
    },
    async close() {},
  };
}

export function cursorOf(type: string): SourceColumn['cursor'] {
  if (/INT|DECIMAL/.test(type)) return 'number';
  return /^(DATE|TIMESTAMP)/.test(type) ? 'time' : null;
}

const ignore = () => true;

async function newest(own: FileTable, cursor: SourceColumn, after: string | null): Promise<{ span: Span; without: boolean }> {
  let upTo: string | null = null;
  let without = false;
  const newer = order(cursor);
  await own.each([cursor], ignore, ([value]) => {
    if (value == null) without = true;
    else if ((after === null || newer(value, after) > 0) && (upTo === null || newer(value, upTo) > 0)) upTo = value;
    return true;
  });
  return { span: { cursor, after, upTo: upTo ?? after }, without };
}

/** Values of a cursor in their order. */
function order(cursor: SourceColumn): (a: string, b: string) => number {
  if (cursor.cursor === 'time') return (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const scaled = (text: string) => {
    const [whole, fraction = ''] = text.split('.');
    return BigInt(whole + fraction.padEnd(38, '0'));
  };
  return (a, b) => (scaled(a) < scaled(b) ? -1 : scaled(a) > scaled(b) ? 1 : 0);
}

function inside({ cursor, after, upTo }: Span, columns: readonly SourceColumn[]): (values: Values) => boolean {
  if (cursor === null) return () => true;
  const at = columns.findIndex(({ name }) => name === cursor.name);
  const newer = order(cursor);
  return (values) => {
    const value = values[at];
    return value != null && (after === null || newer(value, after) > 0) && (upTo === null || newer(value, upTo) <= 0);
  };
}

/** The table hands rows over as it reads; a full writer makes it wait until the batch was taken. */
async function* read(own: FileTable, columns: readonly SourceColumn[], span: Span, limit: number): AsyncGenerator<Rows> {
  const writer = new RowWriter(BATCH_ROOM);
  const ready: Rows[] = [];
  let given = 0;
  let wake = () => {};
  let taken = () => {};
  let ended = false;
  let failure: unknown = null;
  let stopped = false;
  const next = (): Go => {
    if (stopped || given + writer.count >= limit) return false;
    if (!isBatch(writer)) return true;
    given += writer.count;
    ready.push(writer.take(null));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    taken = () => resolve(!stopped);
    wake();
    return promise;
  };
  const scanning = fill(own, columns, span, refusal({ own, columns, span, writer, rows: () => given + writer.count, next }), writer, next)
    .catch((thrown: unknown) => {
      failure = thrown;
    })
    .finally(() => {
      ended = true;
      wake();
    });
  try {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      if (ready.length === 0 && !ended) await promise;
      const batch = ready.shift();
      if (batch === undefined) break;
      taken();
      yield batch;
    }
    if (failure !== null) throw failure;
    if (writer.count > 0 || writer.refusals > 0) yield writer.take(span.upTo);
  } finally {
    stopped = true;
    taken();
    await scanning;
  }
}

function fill(
  own: FileTable,
  columns: readonly SourceColumn[],
  span: Span,
  refuse: Refuse,
  writer: RowWriter,
  next: () => Go,
): Promise<void> {
  if (span.cursor === null && own.write !== undefined) return own.write(columns, refuse, writer, next);
  const within = inside(span, columns);
  return own.each(columns, refuse, (values) => {
    if (!within(values)) return true;
    for (const value of values) value === null ? writer.null() : writer.string(value);
    writer.endRow();
    return next();
  });
}

interface Refusing {
  readonly own: FileTable;
  readonly columns: readonly SourceColumn[];
  readonly span: Span;
  readonly writer: RowWriter;
  /** That were read so far. */
  readonly rows: () => number;
  readonly next: () => Go;
}

function refusal({ own, columns, span, writer, rows, next }: Refusing): Refuse {
  const within = inside(span, columns);
  let [refusals, since] = [0, 0];
  return (refused) => {
    const { cells, misfits, line, reason } = refused;
    // Without a cursor it belongs to no run; with one it is this run's or another's.
    const placed = cells !== null && !misfits.includes(span.cursor?.name ?? '');
    if (placed && !within(columns.map(({ name }) => cells[name] ?? null))) return true;
    if (rows() - since >= BATCH_ROWS) [refusals, since] = [0, rows()];
    if (refusals++ >= MOST_REFUSED)
      fail('TRANSFER_FILE', {
        file: own.table.name,
        format: 'table',
        line,
        problem: `${MOST_REFUSED} rows can't be read; of this one ${reason}`,
      });
    writer.refuse(placed ? refused : { ...refused, cells: null });
    return next();
  };
}

async function eachHash(
  own: FileTable,
  columns: readonly SourceColumn[],
  span: Span,
  key: readonly string[],
  take: (bucket: number, key: Values, hashed: string, values: Values) => void,
): Promise<void> {
  const canonical = columns.map(({ type }) => canonicalOf(type));
  const keys = key.map((name) => columns.findIndex((column) => column.name === name));
  const within = inside(span, columns);
  await own.each(columns, ignore, (values) => {
    if (!within(values)) return true;
    const texts = values.map((value, k) => (value === null ? null : canonical[k]!(value)));
    const parts = keys.map((at) => texts[at]!);
    const bucket = keys.length === 0 ? 0 : Number.parseInt(hash('md5', parts.filter((text) => text !== null).join('\x1f')).slice(0, 2), 16);
    take(bucket, parts, hash('md5', texts.map((text) => (text === null ? '!' : `=${text}`)).join('\x1f')), values);
    return true;
  });
}
