/**
 * Records of topics into their tables, exactly once: the slice's positions are committed in the same transaction as its rows,
 * and a slice that was taken before is not taken again.
 */
import { closeSync, openSync, unlinkSync, writeFileSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode, Position, Topic } from '#core';
import {
  canBeColumn,
  createTable,
  declaredOf,
  lossless,
  MAX_COLUMNS,
  MAX_EXACT,
  type Promoted,
  pointer,
  STAMPS,
  structure,
  typeFromSeen,
  unchanged,
  widened,
} from './columns.ts';
import { onlyFresh, openSeen, rememberLate, type Seen, STAGED_IDS, type StagedIds, stagedIdsOf, stampedIdsOf } from './dedupe.ts';
import type { Row, Transaction } from './lane.ts';
import { type Stamps, stampsOf } from './lines.ts';
import { name, text } from './names.ts';
import { newRecentRoom, type RecentRoom } from './recent.ts';

/**
 * Rejected records on their way into quarantine: lines of the log whose JSON has topic, code, reason, sender and the client's bytes in
 * base64. A retry, which has the id of a record that stands there already, puts nothing beside it.
 */
export async function deliverQuarantine(tx: Transaction, slices: string, delivery: Delivery): Promise<Delivered> {
  const file = join(slices, 'quarantine.tsv');
  const longest = writeLines(file, delivery.lines);
  const field = (key: string) => `json_extract_string(d, '/${key}')`;
  const stamps = stampsOf(delivery.lines);
  const fresh =
    stamps?.ids === 0
      ? ''
      : `WHERE i IS NULL OR NOT EXISTS (SELECT 1 FROM millrace.quarantine q WHERE q.record = i AND q.topic = ${field('topic')})
        QUALIFY i IS NULL OR row_number() OVER (PARTITION BY i, ${field('topic')} ORDER BY p) = 1`;
  let rows: number;
  try {
    rows = await tx.run(`INSERT INTO millrace.quarantine (id, topic, received, code, reason, sender, body, record)
      SELECT 'q-' || p, ${field('topic')}, make_timestamptz(r), ${field('code')}, ${field('reason')}, ${field('sender')}, from_base64(${field('body')}), i
      FROM ${readLines(file, longest)} ${fresh}`);
  } finally {
    unlinkSync(file);
  }
  const { name: topic } = delivery.topic;
  const duplicates = stamps === null ? 0 : stamps.n - rows;
  tx.changed({ kind: 'deliver', target: 'millrace.quarantine', topic, from: delivery.from, to: delivery.to, rows, duplicates });
  return { topic, to: delivery.to, rows, duplicates, quarantined: 0, columns: [] };
}

/** Whoever reads from it takes all columns: where some are left out, DuckDB (1.5) fails for good on a line that is no UTF-8. */
function readLines(file: string, longest: number): string {
  return `read_csv(${text(file)}, columns = ${LINE}, delim = '\t', quote = '', escape = '', header = false, auto_detect = false,
    max_line_size = ${Math.max(2_097_152, longest + 1)}, buffer_size = ${Math.max(8_388_608, 4 * longest)})`;
}

/** A run of log lines of one topic. */
export interface Delivery {
  readonly topic: Topic;
  readonly from: Position;
  readonly to: Position;
  readonly lines: readonly Buffer[];
  /** Single lines of the slice that the engine can't read at all, with its words: they go to quarantine in the same transaction. */
  readonly refused?: readonly { readonly line: Buffer; readonly reason: string }[];
}

export interface Delivered {
  readonly topic: string;
  readonly to: Position;
  readonly rows: number;
  readonly duplicates: number;
  readonly quarantined: number;
  /** The columns of the topic's table that are filled from fields, as they are now. */
  readonly columns: readonly string[];
}

/** How many columns the table of a topic has, of which so many are filled from fields. */
export const columnsOf = (filled: readonly unknown[]): number => STAMPS.length + 1 + filled.length;

const LINE = `{'p': 'BIGINT', 'r': 'BIGINT', 't': 'BIGINT', 'i': 'VARCHAR', 'f': 'UTINYINT', 'e': 'VARCHAR', 'd': 'VARCHAR'}`;
const UNKNOWN_FIELDS = 1;
const EXACT = 2;

/** What the store remembers of a topic's table, so that it need not ask the catalog at every tick. */
export interface Shape {
  readonly topic: Topic;
  readonly columns: Promoted[];
  readonly seen: Seen;
  /** What became of the columns in the write that is under way, for the change record. */
  reshaped: Reshaped;
  /** Those of its last slice's lines together: the next one is most likely the same. */
  flags: number;
  /** Whether all of its last slice's lines became rows: most likely the next one's do. */
  whole: boolean;
}

/** Views hear of it: what they made of the former columns can't stand beside what they make of these. */
type Reshaped = 'columns' | 'types' | null;

export interface Shapes {
  readonly known: Map<string, Shape>;
  readonly room: RecentRoom;
}

export const newShapes = (): Shapes => ({ known: new Map(), room: newRecentRoom() });

export async function deliverSlice(tx: Transaction, slices: string, shapes: Shapes, delivery: Delivery): Promise<Delivered> {
  const { topic } = delivery;
  const shape = await shapeOf(tx, shapes, topic);
  const file = join(slices, `${topic.name}.tsv`);
  const lines = readLines(file, writeLines(file, delivery.lines));
  const stamps = stampsOf(delivery.lines);
  let counts: Counts;
  try {
    counts =
      (stamps === null ? null : await insertWhole(tx, shape, { stamps, from: delivery.from }, lines)) ?? (await insert(tx, shape, lines));
  } finally {
    unlinkSync(file);
  }
  if (stamps !== null) shape.seen.recent.add(stamps);
  else shapes.known.delete(topic.name);
  for (const { line, reason } of delivery.refused ?? []) await refuse(tx, topic.name, line, reason);
  const quarantined = counts.quarantined + (delivery.refused?.length ?? 0);
  tx.changed({
    kind: 'deliver',
    target: `raw.${topic.name}`,
    topic: topic.name,
    from: delivery.from,
    to: delivery.to,
    ...(shape.reshaped !== null && { key: shape.reshaped }),
    columns: counts.rows === 0 ? 0 : columnsOf(shape.columns),
    ...counts,
    quarantined,
  });
  shape.reshaped = null;
  return { topic: topic.name, to: delivery.to, ...counts, quarantined, columns: shape.columns.map((column) => column.name) };
}

async function refuse(tx: Transaction, topic: string, line: Buffer, reason: string): Promise<void> {
  const [position, received, , id] = line.toString('utf8', 0, 1024).split('\t', 4);
  const code: ErrorCode = 'RECORD_UNREADABLE';
  const json = line.subarray(line.lastIndexOf(0x09) + 1, -1);
  await tx.run(
    `INSERT INTO millrace.quarantine (id, topic, received, code, reason, body, record)
     VALUES ('d-' || ${text(topic)} || '-' || $1, ${text(topic)}, make_timestamptz($2::BIGINT), ${text(code)}, $3, from_base64($4), nullif($5, ''))`,
    [position, received, reason, json.toString('base64'), id],
  );
}

function writeLines(file: string, lines: readonly Buffer[]): number {
  const fd = openSync(file, 'w', 0o600);
  try {
    for (let k = 0; k < lines.length; k += 512) {
      const some = lines.slice(k, k + 512);
      const size = some.reduce((sum, line) => sum + line.length, 0);
      const written = writevSync(fd, some);
      if (written !== size) {
        const rest = Buffer.concat(some).subarray(written);
        writeFileSync(fd, rest);
      }
    }
  } finally {
    closeSync(fd);
  }
  // A line is no longer than its group; only groups above the reader's default need a look.
  let longest = 0;
  for (const group of lines) {
    if (group.length <= 2_000_000) longest = Math.max(longest, 0);
    else
      for (let at = 0; at < group.length; ) {
        const end = group.indexOf(0x0a, at);
        longest = Math.max(longest, end - at);
        at = end + 1;
      }
  }
  return longest;
}

/** Makes the topic's table, or brings it up to the topic's definition. A column whose declared type changed keeps its old type if its values don't fit the new one. */
export async function shapeOf(tx: Transaction, shapes: Shapes, topic: Topic): Promise<Shape> {
  const known = shapes.known.get(topic.name);
  if (known !== undefined && known.topic === topic) return known;
  const declared = declaredOf(topic);
  await tx.run(createTable(topic.name, declared));
  const existing = await tx.rows(
    `SELECT column_name AS name, data_type AS type FROM duckdb_columns() WHERE schema_name = 'raw' AND table_name = ${text(topic.name)} ORDER BY column_index`,
  );
  const stamps = new Set<string>([...STAMPS, 'data']);
  const columns: Promoted[] = existing
    .filter((column) => !stamps.has(String(column['name'])))
    .map((column) => ({ name: String(column['name']), type: String(column['type']), declared: false }));
  let reshaped: Reshaped = null;
  for (const wanted of declared) {
    const at = columns.findIndex((column) => column.name.toLowerCase() === wanted.name.toLowerCase());
    if (at < 0) {
      await tx.run(`ALTER TABLE raw.${name(topic.name)} ADD COLUMN ${name(wanted.name)} ${wanted.type}`);
      reshaped ??= 'columns';
      columns.push(wanted);
    } else if (columns[at]!.type === wanted.type) columns[at] = wanted;
    else if (await retype(tx, topic.name, wanted)) [columns[at], reshaped] = [wanted, 'types'];
    else columns[at] = { ...columns[at]!, declared: true };
  }
  const shape: Shape = {
    topic,
    columns,
    reshaped,
    seen: known?.seen ?? (await openSeen(tx, topic.name, shapes.room)),
    flags: known?.flags ?? 0,
    whole: known?.whole ?? true,
  };
  shapes.known.set(topic.name, shape);
  return shape;
}

async function retype(tx: Transaction, topic: string, wanted: Promoted): Promise<boolean> {
  const column = name(wanted.name);
  const cast = lossless(`CAST(${column} AS VARCHAR)`, wanted.type);
  const [misfits] = await tx.rows(`SELECT count(*) AS n FROM raw.${name(topic)} WHERE ${column} IS NOT NULL AND (${cast}) IS NULL`);
  if (Number(misfits!['n']) > 0) return false;
  await tx.run(`ALTER TABLE raw.${name(topic)} ALTER COLUMN ${column} TYPE ${wanted.type} USING (${cast})`);
  return true;
}

/** For a column more. Without it, fields that are not known are none that must be looked at. */
const hasRoom = ({ columns }: Shape): boolean => columns.length < MAX_COLUMNS;

/** Makes columns of fields that were not seen before, while there is room. */
async function promote(tx: Transaction, topic: Topic, shape: Shape): Promise<void> {
  if (!hasRoom(shape)) return;
  const seen = await tx.rows(
    `SELECT key, list(DISTINCT type) AS types FROM (
       SELECT k.key, json_type(d, '/' || replace(replace(k.key, '~', '~0'), '/', '~1')) AS type
       FROM slice, (SELECT unnest(json_keys(d)) AS key, p AS kp FROM slice WHERE (f & ${UNKNOWN_FIELDS}) <> 0) k WHERE kp = p
     ) GROUP BY key ORDER BY key`,
  );
  const taken = new Set(shape.columns.map((column) => column.name.toLowerCase()));
  for (const row of seen) {
    const field = String(row['key']);
    const type = typeFromSeen((row['types'] as unknown[]).map(String));
    if (type === null || shape.columns.length >= MAX_COLUMNS || !canBeColumn(field, taken)) continue;
    await tx.run(`ALTER TABLE raw.${name(topic.name)} ADD COLUMN ${name(field)} ${type}`);
    shape.reshaped ??= 'columns';
    shape.columns.push({ name: field, type, declared: false });
    taken.add(field.toLowerCase());
  }
}

/** The lines as rows of `staged`. They are read as the last slice had to be read; where they turn out to need more, once more with that. */
async function stageLines(tx: Transaction, topic: Topic, shape: Shape, lines: string): Promise<Staged> {
  if ((shape.flags & UNKNOWN_FIELDS) === 0 || !hasRoom(shape)) {
    const staged = await stage(tx, topic, shape, { from: lines, flags: shape.flags });
    if (staged !== null) return staged;
  }
  const [found] = await tx.rows(`CREATE OR REPLACE TEMP TABLE slice AS SELECT * FROM ${lines};
    SELECT coalesce(bit_or(f), 0)::INTEGER AS flags FROM slice`);
  shape.flags = Number(found!['flags']);
  if ((shape.flags & UNKNOWN_FIELDS) !== 0) await promote(tx, topic, shape);
  return (await stage(tx, topic, shape, { from: 'slice', flags: shape.flags }))!;
}

/** Casts the lines into the table's types; a promoted column that can't take a value is widened first. Null where some have other flags. */
async function stage(
  tx: Transaction,
  topic: Topic,
  shape: Shape,
  { from, flags }: { from: string; flags: number },
): Promise<Staged | null> {
  for (;;) {
    const [facts] = await tx.rows(`${stagingSql(shape.columns, from, (flags & EXACT) !== 0)}; ${STAGED}`);
    if ((Number(facts!['flags']) & ~flags) !== 0) return null;
    if (Number(facts!['misfits']) === 0) return await stagedOf(tx, facts!);
    const misfits = await tx.rows(`SELECT _misfit AS k, bool_and(_number) AS numbers FROM staged WHERE _misfit >= 0 GROUP BY 1`);
    for (const misfit of misfits) {
      const column = shape.columns[Number(misfit['k'])]!;
      const wider = widened(column.type, misfit['numbers'] === true && (await isExactAsDouble(tx, topic.name, column)));
      // What stands there already gets its own spelling back where it becomes text: a 5 in a DOUBLE would read 5.0.
      // Nested values stand there as they were sent, which a second reading would print anew.
      const plain = `CAST(${name(column.name)} AS VARCHAR)`;
      const spelled = column.type === 'JSON' ? plain : `coalesce(json_extract_string(data, ${pointer(column.name)}), ${plain})`;
      const using =
        wider === 'VARCHAR' ? `CASE WHEN ${name(column.name)} IS NOT NULL THEN ${spelled} END` : `CAST(${name(column.name)} AS ${wider})`;
      await tx.run(`ALTER TABLE raw.${name(topic.name)} ALTER COLUMN ${name(column.name)} TYPE ${wider} USING ${using}`);
      shape.reshaped = 'types';
      shape.columns[Number(misfit['k'])] = { ...column, type: wider };
    }
  }
}

async function isExactAsDouble(tx: Transaction, topic: string, column: Promoted): Promise<boolean> {
  if (column.type !== 'BIGINT') return true;
  const [beyond] = await tx.rows(
    `SELECT 1 FROM raw.${name(topic)} WHERE NOT ${name(column.name)} BETWEEN -${MAX_EXACT} AND ${MAX_EXACT} LIMIT 1`,
  );
  return beyond === undefined;
}

/**
 * The lines with the promoted columns' values cast, `c0` and so on. `_bad` is the number of the first declared column that a row's value
 * does not fit, `_misfit` of the first promoted one; -1 when there is none.
 */
function castSql(columns: readonly Promoted[], from: string, exact: boolean): string {
  const cast = (column: Promoted) => {
    if (column.eventTime) return 'make_timestamptz(t)';
    return (column.declared ? lossless : unchanged)(valueSql(column, exact), column.type);
  };
  const casts = columns.map((column, k) => `${cast(column)} AS c${k}`);
  const first = (declared: boolean) => {
    const cases = columns.map((column, k) =>
      column.declared === declared && column.type !== 'VARCHAR' && !column.eventTime
        ? `WHEN c${k} IS NULL AND ${valueSql(column, exact)} IS NOT NULL THEN ${k} `
        : '',
    );
    return cases.every((text) => text === '') ? '-1' : `CASE ${cases.join('')}ELSE -1 END`;
  };
  const parsed = [`json_transform(d, ${structure(columns)}) AS x`, ...(exact ? [`json_transform(e, ${structure(columns)}) AS y`] : [])];
  const read = columns.length === 0 ? from : `(SELECT *, ${parsed.join(', ')} FROM ${from})`;
  return `SELECT *, ${first(true)} AS _bad, ${first(false)} AS _misfit FROM (SELECT ${['*', ...casts].join(', ')} FROM ${read})`;
}

/** A column's text in a record, in a query over what `castSql` reads. */
function valueSql(column: Promoted, exact: boolean): string {
  const field = `x.${name(column.name)}`;
  return exact ? `coalesce(y.${name(column.name)}, ${field})` : field;
}

/** `_value` is the value that does not fit, `_number` says whether it is a number that a double keeps. */
function stagingSql(columns: readonly Promoted[], from: string, exact: boolean): string {
  const culprit = `CASE greatest(_bad, _misfit) ${columns.map((column, k) => `WHEN ${k} THEN ${valueSql(column, exact)} `).join('')}END`;
  const shown = columns.length === 0 ? 'NULL::VARCHAR' : culprit;
  return `CREATE OR REPLACE TEMP TABLE staged AS
    SELECT * EXCLUDE (_shown), CASE WHEN _misfit >= 0 THEN TRY_CAST(_shown AS DOUBLE) IS NOT NULL AND length(_shown) < 16 END AS _number, _shown AS _value FROM (
      SELECT ${['p', 'r', 't', 'i', 'f', 'e', 'd', ...columns.map((_, k) => `c${k}`)].join(', ')}, _bad, _misfit, CASE WHEN _bad >= 0 OR _misfit >= 0 THEN ${shown} END AS _shown
      FROM (${castSql(columns, from, exact)}))`;
}

/** What is to be known of the staged slice, asked in one go: beside questions that compute, each way to the engine and back costs its turn. */
const STAGED = `SELECT count(*) AS n, coalesce(bit_or(f), 0)::INTEGER AS flags, count(*) FILTER (WHERE _bad >= 0) AS bad, count(*) FILTER (WHERE _misfit >= 0) AS misfits,
    CAST(make_timestamptz(min(t)) AS VARCHAR) AS lo, CAST(make_timestamptz(max(t)) AS VARCHAR) AS hi, ${STAGED_IDS} FROM staged`;

interface Staged extends StagedIds {
  readonly n: number;
  readonly bad: number;
  readonly lo: string | null;
  readonly hi: string | null;
}

async function stagedOf(tx: Transaction, facts: Row): Promise<Staged> {
  return {
    ...(await stagedIdsOf(tx, facts)),
    n: Number(facts['n']),
    bad: Number(facts['bad']),
    lo: facts['lo'] as string | null,
    hi: facts['hi'] as string | null,
  };
}

interface Counts {
  readonly rows: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly minTime: string | null;
  readonly maxTime: string | null;
}

/** The columns of the topic's table, and what goes into them of a query over lines that are cast, with the rest of that query. */
function insertSql(tx: Transaction, { topic, columns }: Shape, rest: string): string {
  const names = ['_position', '_batch', '_received', '_time', '_id', ...columns.map((column) => name(column.name)), 'data'];
  const values = ['p', `${tx.batch}`, 'make_timestamptz(r)', 'make_timestamptz(t)', 'i', ...columns.map((_, k) => `c${k}`), 'd'];
  return `INSERT INTO raw.${name(topic.name)} (${names.join(', ')}) SELECT ${values.join(', ')} FROM ${rest} ORDER BY p`;
}

/**
 * All lines into the table by one statement, which is most of what a delivery beside questions costs. Null where they can't be, or
 * where not all of them became rows: then none has.
 */
async function insertWhole(
  tx: Transaction,
  shape: Shape,
  { stamps, from }: { stamps: Stamps; from: Position },
  read: string,
): Promise<Counts | null> {
  const { topic } = shape;
  const ids = stampedIdsOf(stamps, shape.seen);
  if (!shape.whole || ids === null || stamps.n === 0 || ((stamps.flags & UNKNOWN_FIELDS) !== 0 && hasRoom(shape))) return null;
  const fresh = ids.ids === 0 ? 'WHERE _bad < 0' : onlyFresh(topic, shape.seen, ids);
  const cast = castSql(shape.columns, read, (stamps.flags & EXACT) !== 0);
  // All columns of the lines are used, as whoever reads them must.
  const fits = '_misfit < 0 AND f IS NOT NULL AND (e IS NULL OR length(e) >= 0)';
  const rows = await tx.run(insertSql(tx, shape, `(SELECT * FROM (${cast}) WHERE ${fits}) s ${fresh}`));
  if (rows < stamps.n) {
    const since = `_received >= make_timestamptz(${stamps.received}::BIGINT)`;
    if (rows > 0) await tx.run(`DELETE FROM raw.${name(topic.name)} WHERE _batch = ${tx.batch} AND _position >= ${from} AND ${since}`);
    return null;
  }
  if (ids.ids > 0) await rememberLate(tx, topic, shape.seen, ids);
  return { rows, duplicates: 0, quarantined: 0, minTime: timeText(stamps.lo), maxTime: timeText(stamps.hi) };
}

/** As the engine writes it. */
function timeText(micros: number | null): string | null {
  if (micros === null) return null;
  const [seconds, fraction] = [Math.floor(micros / 1e6), micros % 1e6];
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
  return `${whole}${fraction === 0 ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`}+00`;
}

/** The lines that fit and were not taken before into the table, those that don't fit into quarantine. */
async function insert(tx: Transaction, shape: Shape, lines: string): Promise<Counts> {
  const { topic } = shape;
  const staged = await stageLines(tx, topic, shape, lines);
  if (staged.bad > 0) await tx.run(badRows(topic, shape.columns));
  const fresh = staged.ids === 0 ? 'WHERE _bad < 0' : onlyFresh(topic, shape.seen, staged);
  const rows = staged.late
    ? await tx.run(
        `CREATE OR REPLACE TEMP TABLE fresh AS SELECT p FROM staged s ${fresh}; ${insertSql(tx, shape, 'staged s WHERE p IN (FROM fresh)')}`,
      )
    : await tx.run(insertSql(tx, shape, `staged s ${fresh}`));
  if (staged.ids > 0) await rememberLate(tx, topic, shape.seen, staged);
  shape.whole = rows === staged.n;
  return { rows, duplicates: staged.n - staged.bad - rows, quarantined: staged.bad, minTime: staged.lo, maxTime: staged.hi };
}

function badRows(topic: Topic, columns: readonly Promoted[]): string {
  const code: ErrorCode = 'RECORD_FIELD';
  const names = `[${columns.map((column) => text(`${column.name}\t${column.type}`)).join(', ') || "''"}][_bad + 1]`;
  return `INSERT INTO millrace.quarantine (id, topic, received, code, reason, body, record)
    SELECT 'd-' || ${text(topic.name)} || '-' || p, ${text(topic.name)}, make_timestamptz(r), ${text(code)},
      'The value ' || left(_value, 200) || ' of "' || split_part(${names}, '\t', 1) || '" does not fit ' || split_part(${names}, '\t', 2) || '.', encode(d), i
    FROM staged WHERE _bad >= 0`;
}
