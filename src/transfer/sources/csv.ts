/** CSV, TSV and their like, plain, gzip or zip: encoding, dialect and types by evidence over the whole file. */
import { asMillraceError, fail, MillraceError } from '#core';
import { columnNames, count, detectDelimiter, modal, texts } from '../csv/dialect.ts';
import { detectEncoding, type Encoding, encodings, toUtf8 } from '../csv/encoding.ts';
import { type DateOrder, type DecimalMark, Evidence, type Found, markOf } from '../csv/evidence.ts';
import { HeaderEvidence } from '../csv/header.ts';
import { APOSTROPHE, isQuotedByApostrophe } from '../csv/quote.ts';
import { DOUBLED, eachRecord, fieldText, PLAIN, type Record } from '../csv/records.ts';
import { type Convert, converter } from '../csv/values.ts';
import { bytesOf, type DataFile, dataFiles, placed } from '../files/bytes.ts';
import {
  cursorOf,
  type FileTable,
  type Go,
  type Opening,
  openFiles,
  type Unfit,
  unfitValues,
  unreadable,
  valuesBy,
} from '../files/tables.ts';
import type { RowWriter } from '../rows.ts';
import type { Connection, Opened, Source, SourceColumn, SourceTable } from '../source.ts';

export const csv: Source = {
  name: 'csv',
  title: 'CSV files',
  summary: 'A text file of records: CSV, TSV and others, also in gzip or zip. Encoding, dialect and types are found by all of its records.',
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
    {
      name: 'quote',
      type: 'text',
      summary: 'The one character around fields with delimiters or line ends in them, or none; auto finds " and \'.',
      default: 'auto',
    },
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
    return openCsv(dataFiles(placed(String(connection['path']), place, 'csv'), 'csv'), connection);
  },
  guess(address) {
    return /\.(csv|tsv|txt|tbl)(\.gz|\.zip)?$/i.test(address) && !/^\w+:\/\//.test(address)
      ? { connection: { path: address }, secrets: {} }
      : null;
  },
};

export function openCsv(files: readonly DataFile[], options: Connection, opening: Opening = {}): Promise<Opened> {
  return openFiles(files, opening, { survey: (file) => survey(file, options), table: csvTable, found: foundBy });
}

/** What was decided, as the options say it: with these each column is read as without them. */
function foundBy({ encoding, delimiter, quote, header, dates, decimal }: Layout): { [option: string]: string } {
  return { encoding, delimiter, quote: quote ?? 'none', header: header ? 'yes' : 'no', dates: dates ?? 'auto', decimal: decimal ?? 'auto' };
}

interface Layout {
  readonly encoding: Encoding;
  readonly delimiter: string;
  readonly quote: string | null;
  readonly header: boolean;
  /** Fields of a whole record. */
  readonly width: number;
  readonly columns: readonly (Found & { readonly name: string; readonly field: number })[];
  /** For the columns that do not show it themselves; null where nothing tells. */
  readonly dates: DateOrder | null;
  readonly decimal: DecimalMark | null;
  readonly rows: number;
  /** Records that can't be read, or whose width is not that of most. */
  readonly wrong: number;
}

/** Two passes over the file: one for the encoding, one for everything else. One with apostrophes may take two more for its quote. */
async function survey(file: DataFile, options: Connection): Promise<Layout> {
  const encoding = (given(options, 'encoding') as Encoding | null) ?? (await detectEncoding(bytesOf(file)));
  const quote = given(options, 'quote');
  if (quote !== null) return surveyBy(file, options, encoding, givenQuote(String(quote)));
  let apostrophes = false;
  const usual = await surveyBy(file, options, encoding, '"', (chunk) => {
    apostrophes ||= chunk.includes(APOSTROPHE);
  }).catch(asMillraceError);
  if (apostrophes && given(options, 'delimiter') !== APOSTROPHE) {
    const delimiter = await delimiterOf(file, options, encoding, APOSTROPHE);
    const wrong = usual instanceof MillraceError ? Number.POSITIVE_INFINITY : usual.wrong;
    if (await isQuotedByApostrophe(toUtf8(bytesOf(file), encoding), delimiter, wrong)) return surveyBy(file, options, encoding, APOSTROPHE);
  }
  if (usual instanceof MillraceError) throw usual;
  return usual;
}

const given = (options: Connection, name: string) => (options[name] === 'auto' ? null : (options[name] ?? null));

function givenQuote(quote: string): string | null {
  if (quote === 'none') return null;
  return /^[!-~]$/.test(quote)
    ? quote
    : fail('TRANSFER_OPTION', { source: 'csv', option: 'quote', problem: 'it is one character of ASCII, or none' });
}

async function delimiterOf(file: DataFile, options: Connection, encoding: Encoding, quote: string | null): Promise<string> {
  const delimiter = given(options, 'delimiter') ?? (await detectDelimiter(await sampleOf(file, encoding), quote));
  if (typeof delimiter === 'string' && /^[\t -~]$/.test(delimiter) && delimiter !== quote) return delimiter;
  return fail('TRANSFER_OPTION', { source: 'csv', option: 'delimiter', problem: 'it is one character of ASCII, and not the quote' });
}

async function* each(chunks: AsyncIterable<Buffer>, see: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    see(chunk);
    yield chunk;
  }
}

/** Everything but encoding and quote, in one pass; `see` gets each chunk of it. */
async function surveyBy(
  file: DataFile,
  options: Connection,
  encoding: Encoding,
  quote: string | null,
  see: (chunk: Buffer) => void = () => {},
): Promise<Layout> {
  const delimiter = await delimiterOf(file, options, encoding, quote);
  const header = given(options, 'header');
  let first: (string | null)[] | null = null;
  let headers: HeaderEvidence | null = null;
  const widths = new Map<number, number>();
  const evidence: Evidence[] = [];
  let rows = 0;
  await eachRecord(each(toUtf8(bytesOf(file), encoding), see), { delimiter, quote }, file.name, (record) => {
    if (first === null) {
      first = texts(record);
      if (header === null) headers = new HeaderEvidence(first);
      return true;
    }
    rows++;
    if (record.problem === null) {
      count(widths, record.count);
      weigh(evidence, record);
      headers?.add(record, evidence);
    }
    return true;
  });
  const names: (string | null)[] = first ?? [];
  const found = (headers as HeaderEvidence | null)?.found(evidence, modal(widths).width) ?? { there: header === 'yes', known: true };
  const wrong = rows - modal(widths).records;
  if (!found.there && first !== null) {
    rows++;
    count(widths, names.length);
    for (const [k, text] of names.entries()) if (text !== null) (evidence[k] ??= new Evidence()).add(text);
  }
  const width = modal(widths).width || names.length;
  const dates = (given(options, 'dates') as DateOrder | null) ?? orderOf(evidence);
  const mark = given(options, 'decimal') as DecimalMark | null;
  const decimal = mark ?? markOf(evidence);
  return {
    encoding,
    delimiter,
    quote,
    dates,
    decimal,
    header: found.there,
    width,
    rows,
    wrong,
    columns: columnsOf({
      names: found.there ? names : null,
      width,
      evidence,
      note: found.known ? null : 'no record tells whether the first one is a row or the names; the option "header" decides',
      typeOf: (own) => own.found(dates, mark, decimal),
    }),
  };
}

function weigh(evidence: Evidence[], record: Record): void {
  for (let k = 0; k < record.count; k++) {
    const own = (evidence[k] ??= new Evidence());
    const empty = record.fields[3 * k] === record.fields[3 * k + 1] && record.fields[3 * k + 2] === PLAIN;
    if (empty) continue;
    if (own.decided) own.values++;
    else if (record.fields[3 * k + 2] === PLAIN) own.addBytes(record.bytes, record.fields[3 * k]!, record.fields[3 * k + 1]!);
    else own.add(fieldText(record, k)!);
  }
}

async function sampleOf(file: DataFile, encoding: Encoding): Promise<Buffer> {
  for await (const chunk of toUtf8(bytesOf(file), encoding)) return chunk;
  return Buffer.alloc(0);
}

function columnsOf(of: {
  names: readonly (string | null)[] | null;
  width: number;
  evidence: readonly Evidence[];
  /** What is to be known of the first record. */
  note: string | null;
  typeOf: (evidence: Evidence) => Found;
}): Layout['columns'] {
  const { names, evidence } = of;
  let { width } = of;
  // Delimiters at the end of every record make columns that have neither a name nor a value.
  while (width > (names?.length ?? 1) && (evidence[width - 1]?.values ?? 0) === 0) width--;
  while (names !== null && width > 1 && names.length >= width && names[width - 1] === null && (evidence[width - 1]?.values ?? 0) === 0)
    width--;
  return columnNames(names, width).map((name, field) => {
    const found = of.typeOf(evidence[field] ?? new Evidence());
    return { name, field, ...found, note: field === 0 ? (of.note ?? found.note) : found.note };
  });
}

/** Between dd/mm and mm/dd, by the columns that show it. */
function orderOf(evidence: readonly (Evidence | undefined)[]): DateOrder | null {
  const proven = new Set(evidence.map((each) => each?.order).filter((order) => order === 'dmy' || order === 'mdy'));
  return proven.size === 1 ? [...proven][0]! : null;
}

function csvTable(file: DataFile, layout: Layout): FileTable {
  const table: SourceTable = {
    name: file.table,
    key: [],
    rows: layout.rows,
    columns: layout.columns.map(({ name, type, note }) => ({ name, sourceType: 'text', type, note, long: false, cursor: cursorOf(type) })),
  };
  const records = (take: (record: Record) => Go) =>
    eachRecord(toUtf8(bytesOf(file), layout.encoding), layout, file.name, skippingHeader(layout, take));
  return {
    table,
    each(columns, refuse, take) {
      const fields = fieldsOf(layout, columns);
      return records((record) => {
        const values = valuesOf(record, layout, fields);
        if (Array.isArray(values)) return take(values);
        return refuse({ ...values, line: record.line, body: Buffer.from(record.bytes.subarray(record.from, record.to)) });
      });
    },
    write(columns, refuse, writer, next) {
      const fields = fieldsOf(layout, columns).map((field) => (field.asIs ? { ...field, convert: null } : field));
      return records((record) => {
        const problem = unfit(record, layout) ?? writeRecord(writer, record, fields);
        if (problem === null) return next();
        return refuse({ ...problem, line: record.line, body: Buffer.from(record.bytes.subarray(record.from, record.to)) });
      });
    },
  };
}

function skippingHeader(layout: Layout, take: (record: Record) => Go): (record: Record) => Go {
  let skip = layout.header;
  return (record) => {
    if (!skip) return take(record);
    skip = false;
    return true;
  };
}

interface Field {
  readonly name: string;
  readonly at: number;
  readonly type: string;
  readonly convert: Convert | null;
  /** Its texts are values of the type without being converted. */
  readonly asIs: boolean;
}

function fieldsOf(layout: Layout, columns: readonly SourceColumn[]): Field[] {
  return columns.map(({ name, type }) => {
    const own = layout.columns.find((column) => column.name === name)!;
    return { name, at: own.field, type, convert: converter(type, own.style), asIs: own.asIs && own.type === type };
  });
}

/** Why a record is no row; null when it is one. */
function unfit(record: Record, layout: Layout): Unfit | null {
  if (record.problem !== null) return unreadable(record.problem);
  // A record may leave out the empty columns at its end, or have the file's own.
  if (record.count === layout.width || record.count === layout.columns.length) return null;
  return unreadable(`it has ${record.count} fields; the others have ${layout.width}`);
}

/** The record's values, or why it has none. */
function valuesOf(record: Record, layout: Layout, fields: readonly Field[]): (string | null)[] | Unfit {
  return unfit(record, layout) ?? valuesBy(fields, fieldValue(record), ({ at }) => fieldText(record, at));
}

function fieldValue(record: Record): (field: Field) => string | null | undefined {
  return ({ at, convert }) => {
    const text = fieldText(record, at);
    return text === null || convert === null ? text : convert(text);
  };
}

/** Writes the record's bytes as they are where nothing has to be converted. The row is begun only when all its values are known to fit. */
function writeRecord(writer: RowWriter, record: Record, fields: readonly Field[]): Unfit | null {
  const converted: (string | undefined)[] = [];
  for (const { at, convert } of fields) {
    if (convert === null) continue;
    const text = fieldText(record, at);
    const value = text === null ? undefined : convert(text);
    if (text !== null && value === undefined) return unfitValues(fields, fieldValue(record), (field) => fieldText(record, field.at));
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
