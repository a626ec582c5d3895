/**
 * How a file is to be read, where the reader's own guess would leave something out of it or make something else of it: it skips lines
 * that have other columns than most, takes a file with one short line for one of a single column, and one with a quote that is not
 * closed for one without quotes; it makes doubles of integers that none holds, and guesses which number of 01/02/2026 is the month.
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { type Column, MillraceError } from '#core';
import { MAX_EXACT } from './columns.ts';
import { name, text } from './names.ts';
import { firstLine } from './open.ts';

export type LoadFormat = 'csv' | 'ndjson' | 'parquet';

export type Rows = (sql: string) => Promise<Record<string, unknown>[]>;

/** A file as a table. */
export interface Reader {
  /** As they are guessed. */
  readonly columns: readonly Column[];
  /** The file, with these columns as text. */
  readonly source: (asText: ReadonlySet<string>) => string;
  /** How dates and times are written in it, for strptime; null where they are as ISO 8601 has them. */
  readonly dates: { readonly DATE: string | null; readonly TIMESTAMP: string | null };
}

const HEAD = 65_536;

/** Errors: LOAD_FILE. */
export async function readerOf(rows: Rows, format: LoadFormat, file: string): Promise<Reader> {
  const head = headOf(file);
  if (/^(\ufeff|\u00ef\u00bb\u00bf)?\s*$/.test(head)) refuse(format, 'it is empty');
  if (head.startsWith('\u001f\u008b')) refuse(format, 'it is packed with gzip: unpack it first, or send it with Content-Encoding: gzip');
  if (format === 'csv') return csv(rows, file, head);
  const read = format === 'parquet' ? () => `read_parquet(${text(file)})` : json(file, head);
  const columns = await columnsOf(rows, `SELECT * FROM ${read(null)}`).catch((cause: unknown) => {
    if (String(cause).includes('expected records')) refuse(format, 'a line is no object, or no object has a field', cause);
    throw cause;
  });
  const typed = (asText: ReadonlySet<string>) =>
    read(columns.map((column) => ({ name: column.name, type: asText.has(column.name) ? 'VARCHAR' : column.type })));
  return { columns, dates: { DATE: null, TIMESTAMP: null }, source: (asText) => (asText.size === 0 ? read(null) : typed(asText)) };
}

function headOf(file: string): string {
  const fd = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(HEAD);
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, HEAD, 0));
  } finally {
    closeSync(fd);
  }
}

function refuse(format: LoadFormat, detail: string, cause?: unknown): never {
  throw new MillraceError('LOAD_FILE', { format, detail }, cause);
}

/** What nests deeper is JSON as a whole: a type of ten thousand levels takes a gigabyte. */
const DEPTH = 20;

/** One object a line, or one array of them. */
function json(file: string, head: string): (columns: readonly Column[] | null) => string {
  const format = /^\s*\[/.test(head) ? 'array' : 'newline_delimited';
  return (columns) => {
    const types =
      columns === null
        ? `sample_size = -1, map_inference_threshold = -1, maximum_depth = ${DEPTH}, records = true`
        : `columns = {${columns.map((column) => `${text(column.name)}: ${text(column.type)}`).join(', ')}}`;
    return `read_json(${text(file)}, format = '${format}', ${types})`;
  };
}

const NONE = '(empty)';
const DELIMITERS = [',', ';', '\t', '|'];

interface Dialect {
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  readonly skip: number;
  readonly header: boolean;
}

async function csv(rows: Rows, file: string, head: string): Promise<Reader> {
  const [found] = await rows(
    `SELECT Delimiter AS delimiter, Quote AS quote, Escape AS escape, SkipRows::INTEGER AS skip, HasHeader AS header, DateFormat AS dates,
      TimestampFormat AS times, to_json(Columns)::VARCHAR AS columns FROM sniff_csv(${text(file)}, sample_size = -1, strict_mode = true, comment = '')`,
  ).catch((cause: unknown) => refuse('csv', csvDetail(cause), cause));
  const { columns: guessed, dates, times, ...written } = found as Record<string, never>;
  const columns = JSON.parse(guessed) as Column[];
  const dialect = written as unknown as Dialect;
  // Where no quote is the beginning of a value none was found, and none is needed. A table with tabs may have been written without.
  const quote = dialect.quote !== NONE ? dialect.quote : dialect.delimiter === '\t' ? '' : '"';
  const kept: Dialect = { ...dialect, quote, escape: dialect.escape === NONE ? quote : dialect.escape };
  const lines = head
    .replaceAll('\0', '')
    .replace(/^(\u00ff\u00fe|\u00fe\u00ff|\u00ef\u00bb\u00bf)/, '')
    .split(/\r\n|\n|\r/);
  for (const [k, line] of lines.slice(0, kept.skip).entries())
    if (line.includes(kept.delimiter))
      refuse('csv', `line ${k + 1} has other columns than the lines below it: ${JSON.stringify(line.slice(0, 100))}`);
  if (columns.length === 1) await refuseBroken(rows, file, kept, lines[kept.skip] ?? '');
  if (dialect.quote === NONE && quote !== '' && (await hasQuote(file))) await readsWhole(rows, file, kept, columns.length);
  const options = `delim = ${text(kept.delimiter)}, quote = ${text(kept.quote)}, escape = ${text(kept.escape)}, comment = '', skip = ${kept.skip}, header = ${kept.header}`;
  return {
    columns,
    dates: { DATE: dates, TIMESTAMP: times },
    source(asText) {
      // A reader that is told all types no longer looks for how times are written.
      const told = columns.filter((column) => asText.has(column.name)).map((column) => `${text(column.name)}: 'VARCHAR'`);
      const types = told.length === 0 ? '' : `, types = {${told.join(', ')}}`;
      return `read_csv(${text(file)}, sample_size = -1, strict_mode = true, ${options}${types})`;
    },
  };
}

async function hasQuote(file: string): Promise<boolean> {
  for await (const piece of createReadStream(file)) if ((piece as Buffer).includes(0x22)) return true;
  return false;
}

/** A heading of several columns over what was read as one: some line has more of them, or fewer. */
async function refuseBroken(rows: Rows, file: string, dialect: Dialect, heading: string): Promise<void> {
  const bare = heading.replaceAll(/"[^"]*"/g, '');
  const [delimiter, count] = DELIMITERS.map((one) => [one, bare.split(one).length] as const).reduce((a, b) => (b[1] > a[1] ? b : a));
  if (count > 1) await readsWhole(rows, file, { ...dialect, delimiter }, count);
}

/** Errors: LOAD_FILE with the first line that has not so many columns, or a quote that is not closed. */
async function readsWhole(rows: Rows, file: string, dialect: Dialect, columns: number): Promise<void> {
  const types = Array.from({ length: columns }, (_, k) => `'c${k}': 'VARCHAR'`);
  const read = `read_csv(${text(file)}, auto_detect = false, columns = {${types.join(', ')}}, delim = ${text(dialect.delimiter)}, quote = ${text(dialect.quote)},
    escape = ${text(dialect.escape)}, comment = '', skip = ${dialect.skip}, header = false, strict_mode = true)`;
  await rows(`SELECT count(*) FROM (SELECT hash(${types.map((_, k) => `c${k}`).join(', ')}) AS h FROM ${read}) WHERE h IS NOT NULL`).catch(
    (cause: unknown) => refuse('csv', csvDetail(cause), cause),
  );
}

/** DuckDB says over several lines what is wrong, and then at length what could be tried. */
export function csvDetail(cause: unknown): string {
  const [first = '', ...more] = String(cause instanceof Error ? cause.message : cause).split('\n');
  const line = /CSV Error on Line: (\d+)/.exec(first)?.[1];
  // The line itself may hold line ends.
  const why = /^(Expected |Value |Maximum |Error |Invalid |Unterminated |Missing |Too )/;
  const reason = more.find((each) => why.test(each))?.replace(/\.$/, '');
  if (line !== undefined && reason !== undefined)
    return `line ${line}: ${reason.slice(0, 200)} (${more[0]!.replace('Original Line: ', '').slice(0, 100)})`;
  return first.includes('when sniffing') ? 'its lines have different numbers of columns, or ends of different kinds' : firstLine(cause);
}

export async function columnsOf(rows: Rows, table: string): Promise<Column[]> {
  return (await rows(`DESCRIBE ${table}`)).map((row) => ({ name: String(row['column_name']), type: String(row['column_type']) }));
}

/** A day that could be a month: 01/02/2026. A year of two digits could be a day as well. */
const isAmbiguous = (column: string, written: string | null): string =>
  written === null || written.startsWith('%Y') ? 'false' : written.includes('%y') ? 'true' : `bool_and(day(${column}) <= 12)`;

/**
 * Columns of `parquet`, in which the file was written as it was guessed, that have to be read again as text, and what becomes of them then:
 * an expression in which the column is text.
 */
export async function misread(rows: Rows, format: LoadFormat, reader: Reader, parquet: string): Promise<ReadonlyMap<string, string>> {
  if (format === 'parquet') return new Map();
  const written = `read_parquet(${text(parquet)})`;
  const columns = await columnsOf(rows, `SELECT * FROM ${written}`);
  const doubts = columns.flatMap(({ name: column, type }) => {
    if (type === 'DOUBLE') return [{ column, type, doubt: `bool_or(NOT isnan(${name(column)}) AND abs(${name(column)}) >= ${MAX_EXACT})` }];
    if (format === 'ndjson') return type === 'TIMESTAMP' ? [{ column, type, doubt: 'true' }] : [];
    if (type !== 'DATE' && type !== 'TIMESTAMP') return [];
    return [{ column, type, doubt: isAmbiguous(name(column), reader.dates[type]) }];
  });
  if (doubts.length === 0) return new Map();
  const [asked] = await rows(`SELECT ${doubts.map(({ doubt }, k) => `coalesce(${doubt}, false) AS k${k}`).join(', ')} FROM ${written}`);
  const doubted = doubts.filter((_, k) => asked![`k${k}`] === true);
  if (doubted.length === 0) return new Map();
  const source = reader.source(new Set(doubted.map(({ column }) => column)));
  const again = new Map<string, string>();
  for (const { column, type } of doubted) {
    const value = name(column);
    const becomes =
      format === 'csv' && type !== 'DOUBLE'
        ? value
        : type === 'DOUBLE'
          ? await number(rows, value, source)
          : await instant(rows, value, source);
    if (becomes !== null) again.set(column, becomes);
  }
  return again;
}

/** A condition that holds for a number's text of which a double drops digits, or which it has no room for. */
export const cutByDouble = (text: string): string =>
  `coalesce(regexp_full_match(${text}, '[-+]?[0-9]{16,}') AND coalesce(abs(TRY_CAST(${text} AS HUGEINT)) >= ${MAX_EXACT}, true)
    OR regexp_matches(${text}, '[0-9]') AND isinf(TRY_CAST(${text} AS DOUBLE)), false)`;

/** Numbers of which a double would lose digits: a DECIMAL where one holds them all, otherwise text. Null where a double keeps them. */
async function number(rows: Rows, column: string, source: string): Promise<string | null> {
  const [found] = await rows(
    `SELECT bool_or(${cutByDouble('v')}) AS lost,
      bool_and(regexp_full_match(v, '-?[0-9]+(\\.[0-9]+)?')) AS plain,
      max(length(ltrim(split_part(ltrim(v, '-'), '.', 1), '0')))::INTEGER AS before, max(length(split_part(v, '.', 2)))::INTEGER AS after
     FROM (SELECT trim(${column}) AS v FROM ${source})`,
  );
  if (found!['lost'] !== true) return null;
  const { before, after } = found as { before: number; after: number };
  return found!['plain'] === true && before + after <= 38 ? `CAST(trim(${column}) AS DECIMAL(38,${after}))` : column;
}

/** Times with an offset are instants; the reader makes times without a zone of them. Text where some have one and some have none. */
async function instant(rows: Rows, column: string, source: string): Promise<string | null> {
  const zoned = `regexp_matches(v, ':[0-9]{2}.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$')`;
  const [found] = await rows(
    `SELECT bool_or(${zoned}) AS some, bool_and(${zoned} AND TRY_CAST(v AS TIMESTAMPTZ) IS NOT NULL) AS every FROM (SELECT ${column} AS v FROM ${source})`,
  );
  if (found!['some'] !== true) return null;
  return found!['every'] === true ? `CAST(${column} AS TIMESTAMPTZ)` : column;
}
