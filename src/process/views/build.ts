/**
 * A large view is built beside the old one in chunks, each a transaction of its own, so that deliveries and other views go on; readers
 * see the old rows until the new ones take their place.
 *
 *   chunk 1 … chunk n ──► partitions that were touched meanwhile ──► swap, in one transaction with the last of these
 */
import { fail } from '#core';
import { NEXT, quoted, type Row, type Store, type Transaction, text } from '#store';
import { quotedName } from './engine.ts';
import { watermarkAfter } from './late.ts';
import { forget, record } from './record.ts';
import { COLUMNS, changeTable, ordered, ownColumns, type Refreshed, refreshView, withSources } from './refresh.ts';
import type { Running } from './running.ts';
import { timesOf } from './time.ts';
import { type Input, type Part, sourceParts, timePart, type View } from './view.ts';

/** A condition: does the row whose partition the expressions give belong to the chunk? `read` adds what lets DuckDB skip the rest. */
export interface Chunk {
  own(expressions: readonly string[]): string;
  read(parts: readonly Part[]): string;
}

export interface Progress {
  done: number;
  readonly of: number;
  cancelled: boolean;
}

/** The chunks of a view, of some `chunkRows` rows of the source each; one or none for what is built in one go. */
export async function chunksOf(rows: (sql: string) => Promise<Row[]>, view: View, chunkRows: number): Promise<readonly Chunk[]> {
  const parts = sourceParts(view);
  if (parts === null || view.inputs.some((input) => input.by === 'partition' && input.parts.some((part) => part.list !== null))) return [];
  const [size] = await rows(
    `SELECT coalesce(sum(estimated_size), 0) AS n FROM duckdb_tables() WHERE lower(schema_name || '.' || table_name) = ${text(view.source)}`,
  );
  if (Number(size!['n']) <= chunkRows) return [];
  const time = timePart(parts);
  if (time === null) return byHash(Math.ceil(Number(size!['n']) / chunkRows));
  const starts = await rows(`SELECT CAST(min(p) AS VARCHAR) AS start, any_value(typeof(p)) AS type FROM (
      SELECT p, (sum(n) OVER (ORDER BY p) - n) // ${chunkRows} AS chunk
      FROM (SELECT ${parts[time.part]!.sql} AS p, count(*) AS n FROM ${quotedName(view.source)} GROUP BY 1) WHERE p IS NOT NULL
    ) GROUP BY chunk ORDER BY chunk`);
  const from = starts.map(({ start, type }) => `CAST(${text(String(start))} AS ${String(type)})`);
  return from.map((start, k) => byTime(time.part, k === 0 ? null : start, from[k + 1] ?? null));
}

function byHash(count: number): Chunk[] {
  return Array.from({ length: count }, (_, k) => {
    const own = (expressions: readonly string[]) => `hash(${expressions.join(', ')}) % ${count} = ${k}`;
    return { own, read: (parts: readonly Part[]) => own(parts.map((part) => part.sql)) };
  });
}

/**
 * From a partition's time to before another's. Together they hold every time there is, also one that comes only while they are drawn: null
 * is open, and the first takes the rows without a time along.
 */
function byTime(part: number, from: string | null, to: string | null): Chunk {
  const orNone = (condition: string, time: string) => (from === null ? `(${condition} OR ${time} IS NULL)` : `(${condition})`);
  const within = (time: string) => {
    const bounds = [...(from === null ? [] : [`${time} >= ${from}`]), ...(to === null ? [] : [`${time} < ${to}`])];
    return orNone(bounds.join(' AND ') || 'true', time);
  };
  return {
    own: (expressions) => within(expressions[part]!),
    read(parts) {
      const { sql, time } = parts[part]!;
      return time === null ? within(sql) : `${orNone(timesOf(time, from, to), time.column)} AND ${within(sql)}`;
    },
  };
}

/** Where it is built: nobody's table yet. */
function besides(view: View): View {
  const name = { schema: view.name.schema, name: NEXT + view.name.name };
  return { ...view, name, full: `${name.schema}.${name.name}` };
}

/**
 * Builds the view anew and swaps it in. `stale` says whether something changed meanwhile that can't be told by partition: then it fails
 * with VIEW_BUILD_STALE and nothing has changed. Errors: VIEW_BUILD_CANCELLED, those of the query.
 */
export async function buildBeside(
  store: Store,
  view: View,
  chunks: readonly Chunk[],
  how: { limits: Running; progress: Progress; stale: () => boolean; onSwapped: (upTo: number, watermark: string | null) => void },
): Promise<Refreshed> {
  const next = besides(view);
  const check = () => {
    if (how.progress.cancelled) fail('VIEW_BUILD_CANCELLED', { view: view.full });
    if (how.stale()) fail('VIEW_BUILD_STALE', { view: view.full });
  };
  try {
    let since = await store.write(async (tx) => {
      await begin(tx, next);
      return tx.batch - 1;
    });
    for (const chunk of chunks) {
      await store.write(async (tx) => {
        check();
        await how.limits.within(view, tx.interrupt, () => fill(tx, next, chunk));
      });
      how.progress.done++;
      // Whoever waits for the lane goes first.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    // What the chunks took a while for is made good before the swap, so that the swap itself is short.
    since = await store.write(async (tx) => {
      check();
      await how.limits.within(view, tx.interrupt, () => refreshView(tx, next, since, ASIDE));
      return tx.batch - 1;
    });
    return await store.write(async (tx) => {
      check();
      await how.limits.within(view, tx.interrupt, () => refreshView(tx, next, since, ASIDE));
      const watermark = await watermarkAfter((sql) => tx.rows(sql), view, null, null);
      const refreshed = await swap(tx, view, next, watermark);
      how.onSwapped(tx.batch - 1, watermark);
      return refreshed;
    });
  } catch (thrown) {
    await store.write((tx) => tx.run(`DROP TABLE IF EXISTS ${quoted(next.name)}`));
    throw thrown;
  }
}

const ASIDE = { whole: false, keepOld: false, watermark: null } as const;

async function begin(tx: Transaction, next: View): Promise<void> {
  await tx.run(`CREATE SCHEMA IF NOT EXISTS "${next.name.schema}"`);
  await tx.run(
    `CREATE OR REPLACE TABLE ${quoted(next.name)} AS SELECT ${COLUMNS}, ${tx.batch}::BIGINT AS _batch FROM (${restricted(next, () => 'false')}\n) AS fresh LIMIT 0`,
  );
}

async function fill(tx: Transaction, next: View, chunk: Chunk): Promise<void> {
  await tx.run(
    `INSERT INTO ${quoted(next.name)} SELECT ${COLUMNS}, ${tx.batch} AS _batch FROM (${restricted(next, chunk.read)}\n) AS fresh WHERE ${chunk.own(ownColumns(next))}${ordered(next)}`,
  );
}

function restricted(view: View, where: (parts: readonly Part[]) => string): string {
  const sources = new Map<Input, string>();
  for (const input of view.inputs) {
    if (input.by === 'partition') sources.set(input, `(SELECT * FROM ${quotedName(input.table)} WHERE ${where(input.parts)})`);
  }
  return withSources(view, sources);
}

async function swap(tx: Transaction, view: View, next: View, watermark: string | null): Promise<Refreshed> {
  await tx.run(`DROP TABLE IF EXISTS ${quoted(view.name)}`);
  await tx.run(`ALTER TABLE ${quoted(next.name)} RENAME TO "${view.name.name}"`);
  await tx.run(`DROP TABLE IF EXISTS ${changeTable(view.full)}`);
  await forget(tx, view.full);
  await record(tx, view, tx.batch - 1, watermark);
  const [count] = await tx.rows(`SELECT count(*) AS n FROM ${quoted(view.name)}`);
  const rows = Number(count!['n']);
  tx.changed({ kind: 'view', target: view.full, key: 'whole', rows });
  return { mode: 'whole', partitions: 0, rows };
}
