/** CSV, TSV and their like, plain or gzip: encoding, dialect and types by evidence over the whole file. */
import { hash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, isAbsolute, relative, resolve } from 'node:path';
import { createGunzip } from 'node:zlib';
import { fail } from '#core';
import { columnNames, detectDelimiter, looksLikeHeader, modal, texts } from '../csv/dialect.ts';
import { detectEncoding, type Encoding, encodings, toUtf8 } from '../csv/encoding.ts';
import { type DateOrder, type DecimalMark, Evidence, type Found } from '../csv/evidence.ts';
import { DOUBLED, eachRecord, fieldText, PLAIN, type Record } from '../csv/records.ts';
import { type Convert, canonicalOf, converter } from '../csv/values.ts';
import { type Rows, RowWriter } from '../rows.ts';
import type { Connection, Hashed, Opened, Place, Reading, Refused, Source, SourceColumn, SourceTable, Span, Sum } from '../source.ts';

const BATCH = 8 * 1024 * 1024;
const SAMPLE = 1024 * 1024;
/** So many rows that can't be read are kept with their bytes in one slice; a file with more of them is no CSV of this dialect. */
const MOST_REFUSED = 10_000;

export const csv: Source = {
  name: 'csv',
  title: 'CSV files',
  summary: 'A text file of records: CSV, TSV and others, also gzip. Encoding, dialect and types are found by all of its records.',
  options: [
    { name: 'path', type: 'text', summary: 'The file, relative to the workspace.', required: true },
    {
      name: 'encoding',
      type: 'choice',
      choices: ['auto', ...encodings],
      summary: 'How characters are written; euc-kr is CP949 as well.',
      default: 'auto',
    },
    { name: 'delimiter', type: 'text', summary: 'The one character between fields; auto finds it.', default: 'auto' },
    { name: 'header', type: 'choice', choices: ['auto', 'yes', 'no'], summary: 'Does the first record hold the names?', default: 'auto' },
    {
      name: 'dates',
      type: 'choice',
      choices: ['auto', 'ymd', 'dmy', 'mdy'],
      summary: 'The order of day, month and year.',
      default: 'auto',
    },
    { name: 'decimal', type: 'choice', choices: ['auto', 'point', 'comma'], summary: 'What stands before the decimals.', default: 'auto' },
  ],
  async open(connection, place) {
    const file = placed(String(connection['path']), place);
    return opened(file, await survey(file, connection));
  },
  guess(address) {
    return /\.(csv|tsv|txt|tbl)(\.gz)?$/i.test(address) && !/^\w+:\/\//.test(address)
      ? { connection: { path: address }, secrets: {} }
      : null;
  },
};

function placed(path: string, { folder, anywhere }: Place): string {
  const file = resolve(folder, path);
  let real: string;
  try {
    real = realpathSync(file);
  } catch (thrown) {
    return fail(
      'TRANSFER_FILE',
      { file: path, format: 'csv', problem: (thrown as NodeJS.ErrnoException).code ?? 'it is not there' },
      thrown,
    );
  }
  const inside = relative(realpathSync(folder), real);
  if (!anywhere && (inside.startsWith('..') || isAbsolute(inside))) fail('TRANSFER_PATH', { file: path });
  if (!statSync(real).isFile()) fail('TRANSFER_FILE', { file: path, format: 'csv', problem: 'it is not a regular file' });
  return real;
}

interface Layout {
  readonly encoding: Encoding;
  readonly delimiter: string;
  readonly header: boolean;
  /** Fields of a whole record. */
  readonly width: number;
  readonly columns: readonly (Found & { readonly name: string; readonly field: number })[];
  readonly rows: number;
}

async function* bytesOf(file: string): AsyncGenerator<Buffer> {
  const head = Buffer.alloc(2);
  const handle = openSync(file, 'r');
  readSync(handle, head);
  closeSync(handle);
  const plain = createReadStream(file, { highWaterMark: SAMPLE });
  const unpacked = head[0] === 0x1f && head[1] === 0x8b ? plain.pipe(createGunzip({ chunkSize: SAMPLE })) : plain;
  plain.on('error', (error) => unpacked.destroy(error));
  try {
    for await (const chunk of unpacked) yield chunk as Buffer;
  } catch (thrown) {
    fail('TRANSFER_FILE', { file: basename(file), format: 'csv', problem: (thrown as Error).message }, thrown);
  } finally {
    plain.destroy();
  }
}

/** Two passes over the file: one for the encoding, one for everything else. */
async function survey(file: string, options: Connection): Promise<Layout> {
  const given = (name: string) => (options[name] === 'auto' ? null : options[name]);
  const encoding = (given('encoding') as Encoding | null) ?? (await detectEncoding(bytesOf(file)));
  const delimiter = (given('delimiter') as string | null) ?? (await detectDelimiter(await sampleOf(file, encoding)));
  if (!/^[\t -~]$/.test(delimiter) || delimiter === '"')
    fail('TRANSFER_OPTION', { source: 'csv', option: 'delimiter', problem: 'it is one character of ASCII' });
  let first: (string | null)[] | null = null;
  const widths: number[] = [];
  const evidence: Evidence[] = [];
  let rows = 0;
  await eachRecord(toUtf8(bytesOf(file), encoding), { delimiter }, basename(file), (record) => {
    if (first === null) {
      first = texts(record);
      return true;
    }
    rows++;
    if (widths.length < 100_000) widths.push(record.count);
    if (record.problem === null) weigh(evidence, record);
    return true;
  });
  const names: (string | null)[] = first ?? [];
  const header = given('header') === null ? looksLikeHeader(names) : given('header') === 'yes';
  if (!header && first !== null) {
    rows++;
    widths.push(names.length);
    for (const [k, text] of names.entries()) if (text !== null) (evidence[k] ??= new Evidence()).add(text);
  }
  const width = modal(widths) || names.length;
  return {
    encoding,
    delimiter,
    header,
    width,
    rows,
    columns: columnsOf({
      names: header ? names : null,
      width,
      evidence,
      options: { dates: given('dates') as DateOrder | null, mark: given('decimal') as DecimalMark | null },
    }),
  };
}

function weigh(evidence: Evidence[], record: Record): void {
  for (let k = 0; k < record.count; k++) {
    const own = (evidence[k] ??= new Evidence());
    const empty = record.fields[3 * k] === record.fields[3 * k + 1] && record.fields[3 * k + 2] === PLAIN;
    if (empty) continue;
    if (own.decided) own.values++;
    else own.add(fieldText(record, k)!);
  }
}

async function sampleOf(file: string, encoding: Encoding): Promise<Buffer> {
  for await (const chunk of toUtf8(bytesOf(file), encoding)) return chunk;
  return Buffer.alloc(0);
}

function columnsOf(of: {
  names: readonly (string | null)[] | null;
  width: number;
  evidence: readonly Evidence[];
  options: { dates: DateOrder | null; mark: DecimalMark | null };
}): Layout['columns'] {
  const { names, evidence, options } = of;
  let { width } = of;
  // Delimiters at the end of every record make columns that have neither a name nor a value.
  while (width > (names?.length ?? 1) && (evidence[width - 1]?.values ?? 0) === 0) width--;
  while (names !== null && width > 1 && names.length >= width && names[width - 1] === null && (evidence[width - 1]?.values ?? 0) === 0)
    width--;
  const proven = new Set(evidence.map((each) => each.order).filter((order) => order === 'dmy' || order === 'mdy'));
  const preferred = options.dates ?? (proven.size === 1 ? [...proven][0]! : null);
  return columnNames(names, width).map((name, field) => ({
    name,
    field,
    ...(evidence[field] ?? new Evidence()).found(preferred, options.mark),
  }));
}

function opened(file: string, layout: Layout): Opened {
  const table: SourceTable = {
    name: basename(file).replace(/(\.\w+)?\.gz$|\.\w+$/i, ''),
    key: [],
    rows: layout.rows,
    columns: layout.columns.map(({ name, type, note }) => ({ name, sourceType: 'text', type, note, long: false, cursor: cursorOf(type) })),
  };
  return {
    async describe(names) {
      for (const wanted of names ?? []) if (wanted !== table.name) fail('TRANSFER_TABLE', { table: wanted, near: table.name });
      return [table];
    },
    async snapshot(_table, cursor, after) {
      const span: Span = { cursor, after, upTo: null };
      if (cursor === null) return { span, without: false };
      let upTo: string | null = null;
      let without = false;
      const at = layout.columns.findIndex(({ name }) => name === cursor.name);
      const newer = order(cursor);
      await eachRow(file, layout, table.columns, span, null, (values) => {
        const value = values[at];
        if (value === null || value === undefined) without = true;
        else if (upTo === null || newer(value, upTo) > 0) upTo = value;
      });
      return { span: { ...span, upTo: upTo ?? after }, without };
    },
    read: (_table, columns, span, reading, limit) =>
      read({ file, layout, columns, span, limit: limit ?? Number.POSITIVE_INFINITY }, reading),
    async checksum(_table, columns, span, buckets): Promise<Sum[]> {
      const sums = new Map<number, { rows: number; sum: bigint }>();
      if (buckets === null) sums.set(0, { rows: 0, sum: 0n });
      await eachHash(file, layout, columns, span, buckets ?? [], (bucket, _key, hashed) => {
        const own = sums.get(buckets === null ? 0 : bucket) ?? { rows: 0, sum: 0n };
        sums.set(buckets === null ? 0 : bucket, { rows: own.rows + 1, sum: own.sum + BigInt(`0x${hashed.slice(0, 15)}`) });
      });
      return [...sums].map(([bucket, { rows, sum }]) => ({ bucket, rows, sum: String(sum) }));
    },
    async hashes(_table, columns, span, key, bucket): Promise<Hashed[]> {
      const found: Hashed[] = [];
      await eachHash(file, layout, columns, span, key, (own, values, hashed) => {
        if (own === bucket) found.push({ key: JSON.stringify(values), hash: hashed });
      });
      return found;
    },
    async close() {},
  };
}

function cursorOf(type: string): SourceColumn['cursor'] {
  if (/INT|DECIMAL/.test(type)) return 'number';
  return /^(DATE|TIMESTAMP)/.test(type) ? 'time' : null;
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

interface Field {
  readonly name: string;
  readonly at: number;
  readonly type: string;
  readonly convert: Convert | null;
}

function fieldsOf(layout: Layout, columns: readonly SourceColumn[]): Field[] {
  return columns.map(({ name, type }) => {
    const own = layout.columns.find((column) => column.name === name)!;
    return { name, at: own.field, type, convert: converter(type, own.style) };
  });
}

/** Why a record is no row; null when it is one. */
function unfit(record: Record, layout: Layout): string | null {
  if (record.problem !== null) return record.problem;
  // A record may leave out the empty columns at its end, or have the file's own.
  if (record.count === layout.width || record.count === layout.columns.length) return null;
  return `it has ${record.count} fields; the others have ${layout.width}`;
}

async function eachRow(
  file: string,
  layout: Layout,
  columns: readonly SourceColumn[],
  span: Span,
  refuse: ((refused: Refused) => void) | null,
  take: (values: (string | null)[]) => void,
): Promise<void> {
  const fields = fieldsOf(layout, columns);
  const within = inside(span, fields);
  await eachRecord(
    toUtf8(bytesOf(file), layout.encoding),
    layout,
    basename(file),
    skippingHeader(layout, (record) => {
      const values = valuesOf(record, layout, fields);
      if (typeof values === 'string')
        refuse?.({ line: record.line, reason: values, body: Buffer.from(record.bytes.subarray(record.from, record.to)) });
      else if (within(values)) take(values);
    }),
  );
}

function skippingHeader(layout: Layout, take: (record: Record) => void): (record: Record) => boolean {
  let skip = layout.header;
  return (record) => {
    if (!skip) take(record);
    skip = false;
    return true;
  };
}

/** The record's values, or why it has none. */
function valuesOf(record: Record, layout: Layout, fields: readonly Field[]): (string | null)[] | string {
  const problem = unfit(record, layout);
  if (problem !== null) return problem;
  const values: (string | null)[] = [];
  for (const { name, at, type, convert } of fields) {
    const text = fieldText(record, at);
    const value = text === null || convert === null ? text : convert(text);
    if (value === undefined) return `The value ${text!.slice(0, 200)} of "${name}" does not fit ${type}`;
    values.push(value);
  }
  return values;
}

function inside(span: Span, fields: readonly Field[]): (values: readonly (string | null)[]) => boolean {
  if (span.cursor === null) return () => true;
  const at = fields.findIndex(({ name }) => name === span.cursor!.name);
  const newer = order(span.cursor);
  return (values) => {
    const value = values[at];
    return value != null && (span.after === null || newer(value, span.after) > 0) && (span.upTo === null || newer(value, span.upTo) <= 0);
  };
}

async function* read(
  { file, layout, columns, span, limit }: { file: string; layout: Layout; columns: readonly SourceColumn[]; span: Span; limit: number },
  reading: Reading,
): AsyncGenerator<Rows> {
  const fields = fieldsOf(layout, columns);
  const within = inside(span, fields);
  const writer = new RowWriter(BATCH + BATCH / 8);
  const simple = span.cursor === null;
  const take = skippingHeader(layout, (record) => {
    const problem = unfit(record, layout) ?? (simple ? writeRecord(writer, record, fields) : null);
    if (problem !== null) return refuse(record, problem);
    if (simple) return;
    const values = valuesOf(record, layout, fields);
    if (typeof values === 'string') return refuse(record, values);
    if (!within(values)) return;
    for (const value of values) value === null ? writer.null() : writer.string(value);
    writer.endRow();
  });
  const refuse = (record: Record, reason: string) => {
    if (reading.refused.length >= MOST_REFUSED)
      fail('TRANSFER_FILE', {
        file: basename(file),
        format: 'csv',
        line: record.line,
        problem: `${MOST_REFUSED} rows can't be read; of this one ${reason}`,
      });
    reading.refused.push({ line: record.line, reason, body: Buffer.from(record.bytes.subarray(record.from, record.to)) });
  };
  // The scanner hands rows over as it reads; a full writer makes it wait until the batch was taken.
  const ready: Rows[] = [];
  let wake = () => {};
  let taken = () => {};
  let ended = false;
  let failure: unknown = null;
  let stopped = false;
  const scanning = eachRecord(toUtf8(bytesOf(file), layout.encoding), layout, basename(file), (record) => {
    take(record);
    if (stopped || writer.count >= limit) return false;
    if (writer.size < BATCH) return true;
    ready.push(writer.take(null));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    taken = () => resolve(!stopped);
    wake();
    return promise;
  })
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
      const next = ready.shift();
      if (next === undefined) break;
      taken();
      yield next;
    }
    if (failure !== null) throw failure;
    if (writer.count > 0) yield writer.take(span.upTo);
  } finally {
    stopped = true;
    taken();
    await scanning;
  }
}

/** Writes the record's bytes as they are where nothing has to be converted. The row is begun only when all its values are known to fit. */
function writeRecord(writer: RowWriter, record: Record, fields: readonly Field[]): string | null {
  const converted: (string | undefined)[] = [];
  for (const { name, at, type, convert } of fields) {
    if (convert === null) continue;
    const text = fieldText(record, at);
    const value = text === null ? undefined : convert(text);
    if (text !== null && value === undefined) return `The value ${text.slice(0, 200)} of "${name}" does not fit ${type}`;
    converted.push(value);
  }
  let k = 0;
  for (const { at, convert } of fields) {
    if (convert !== null) {
      const value = converted[k++];
      if (value === undefined) writer.null();
      else writer.string(value);
      continue;
    }
    const [from, to, kind] = [record.fields[3 * at]!, record.fields[3 * at + 1]!, record.fields[3 * at + 2]!];
    if (from === to && kind === PLAIN) writer.null();
    else if (kind === DOUBLED) writer.string(fieldText(record, at)!);
    else writer.text(record.bytes, from, to);
  }
  writer.endRow();
  return null;
}

async function eachHash(
  file: string,
  layout: Layout,
  columns: readonly SourceColumn[],
  span: Span,
  key: readonly string[],
  take: (bucket: number, key: (string | null)[], hashed: string) => void,
): Promise<void> {
  const canonical = columns.map(({ type }) => canonicalOf(type));
  const keys = key.map((name) => columns.findIndex((column) => column.name === name));
  await eachRow(file, layout, columns, span, null, (values) => {
    const texts = values.map((value, k) => (value === null ? null : canonical[k]!(value)));
    const row = texts.map((text) => (text === null ? '!' : `=${text}`)).join('\x1f');
    const own = keys.map((at) => texts[at]!);
    const bucket = keys.length === 0 ? 0 : Number.parseInt(hash('md5', own.filter((text) => text !== null).join('\x1f')).slice(0, 2), 16);
    take(bucket, own, hash('md5', row));
  });
}
