/**
 * Was a record taken before? A retry carries the same id and the same event time, so only where a record of that time can stand
 * is looked at:
 * - it came promptly, within a minute of its time: then it stands where `_received` is within a minute of that time. Rows are
 *   appended as they are received, so zone maps skip all the rest (on `_time` they could not: a single late row in a row group
 *   stretches its range);
 * - it came late: then its time and a hash of its id stand in a small table of its own for that day of event time.
 * So the cost grows with what comes late, not with the history.
 */
import type { Topic } from '#core';
import type { Transaction } from './lane.ts';
import { name, text } from './names.ts';

/** What is known of a topic's rows before a slice comes. */
export interface Seen {
  /** When its first row was received, in microseconds; null while it has none. */
  firstReceived: bigint | null;
  /** The tables of late rows, by day of event time since 1970. */
  readonly lateDays: Set<number>;
}

const PROMPT = 60_000_000n;
const DAY = 86_400_000_000;
const MOST_RANGES = 64;

/** A part of the id's MD5: DuckDB's own hash may change from version to version, and these tables outlive it. */
const HASH = 'md5_number_lower(i)';

export async function openSeen(tx: Transaction, topic: string): Promise<Seen> {
  const [first] = await tx.rows(`SELECT epoch_us(min(_received)) AS first FROM raw.${name(topic)}`);
  const days = await tx.rows(
    `SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'late' AND starts_with(table_name, ${text(`${topic} `)})`,
  );
  return {
    firstReceived: (first!['first'] as bigint | null) ?? null,
    lateDays: new Set(days.map((row) => Number(String(row['name']).slice(topic.length + 1)))),
  };
}

/** Puts into the temporary table `fresh` the positions of those rows of `staged` that were not taken before, neither earlier in the slice nor in the table. */
export async function findFresh(tx: Transaction, topic: Topic, seen: Seen): Promise<void> {
  const [facts] = await tx.rows(
    `SELECT count(*) FILTER (WHERE t IS NULL) AS timeless, min(r) AS received FROM staged WHERE _bad < 0 AND i IS NOT NULL`,
  );
  const prompt = await promptSql(tx, topic, seen);
  if (Number(facts!['timeless']) > 0) {
    const since = Number(facts!['received']) - topic.dedupeWindow * 1000;
    prompt.push(
      `SELECT _id, NULL::BIGINT AS t FROM raw.${name(topic.name)} WHERE _received >= make_timestamptz(${since}::BIGINT) AND _time IS NULL AND _id IS NOT NULL`,
    );
  }
  const late = await lateSql(tx, topic, seen);
  const known = [
    ...(prompt.length === 0
      ? []
      : [`NOT EXISTS (SELECT 1 FROM (${prompt.join(' UNION ALL ')}) h WHERE h._id = s.i AND h.t IS NOT DISTINCT FROM s.t)`]),
    ...(late.length === 0 ? [] : [`NOT EXISTS (SELECT 1 FROM (${late.join(' UNION ALL ')}) h WHERE h.h = ${HASH} AND h.t = s.t)`]),
  ];
  await tx.run(`CREATE OR REPLACE TEMP TABLE fresh AS SELECT p FROM staged s WHERE _bad < 0 AND ${known.length === 0 ? 'true' : `(i IS NULL OR (${known.join(' AND ')}))`}
    QUALIFY i IS NULL OR row_number() OVER (PARTITION BY i, t ORDER BY p) = 1`);
}

/** Remembers the rows of `fresh` that came late. */
export async function rememberLate(tx: Transaction, topic: Topic, seen: Seen): Promise<void> {
  const late = `p IN (SELECT p FROM fresh) AND i IS NOT NULL AND t IS NOT NULL AND abs(r - t) > ${PROMPT}`;
  const days = await tx.rows(`SELECT DISTINCT t // ${DAY} AS day FROM staged WHERE ${late}`);
  for (const row of days) {
    const day = Number(row['day']);
    const table = tableOf(topic.name, day);
    if (!seen.lateDays.has(day)) await tx.run(`CREATE TABLE ${table} (t BIGINT NOT NULL, h UBIGINT NOT NULL)`);
    seen.lateDays.add(day);
    await tx.run(`INSERT INTO ${table} SELECT t, ${HASH} FROM staged WHERE ${late} AND t // ${DAY} = ${day} ORDER BY t`);
  }
  const [first] = await tx.rows('SELECT min(r) AS first FROM staged');
  seen.firstReceived ??= first!['first'] as bigint | null;
}

function tableOf(topic: string, day: number): string {
  return `late.${name(`${topic} ${day}`)}`;
}

/** The stretches of the table in which a prompt row with one of the slice's times would stand. */
async function promptSql(tx: Transaction, topic: Topic, seen: Seen): Promise<string[]> {
  if (seen.firstReceived === null) return [];
  const minutes = await tx.rows(
    `SELECT min(t) AS lo, max(t) AS hi FROM staged WHERE _bad < 0 AND i IS NOT NULL AND t >= ${seen.firstReceived - PROMPT} GROUP BY t // 60000000 ORDER BY 1`,
  );
  const ranges = merged(minutes.map((row) => ({ lo: row['lo'] as bigint, hi: row['hi'] as bigint })));
  return ranges.map(
    ({ lo, hi }) =>
      `SELECT _id, epoch_us(_time) AS t FROM raw.${name(topic.name)} WHERE _received BETWEEN make_timestamptz(${lo - PROMPT}) AND make_timestamptz(${hi + PROMPT}) AND _time IS NOT NULL`,
  );
}

/** Neighbours become one range; if there are too many, neighbours are taken from further away. */
function merged(ranges: readonly { lo: bigint; hi: bigint }[]): { lo: bigint; hi: bigint }[] {
  for (let gap = 2n * PROMPT; ; gap *= 4n) {
    const joined: { lo: bigint; hi: bigint }[] = [];
    for (const range of ranges) {
      const last = joined.at(-1);
      if (last !== undefined && range.lo - last.hi <= gap) last.hi = range.hi;
      else joined.push({ ...range });
    }
    if (joined.length <= MOST_RANGES) return joined;
  }
}

async function lateSql(tx: Transaction, topic: Topic, seen: Seen): Promise<string[]> {
  if (seen.lateDays.size === 0) return [];
  const days = await tx.rows(
    `SELECT t // ${DAY} AS day, min(t) AS lo, max(t) AS hi FROM staged WHERE _bad < 0 AND i IS NOT NULL AND t IS NOT NULL GROUP BY 1`,
  );
  return days
    .filter((row) => seen.lateDays.has(Number(row['day'])))
    .map((row) => `SELECT t, h FROM ${tableOf(topic.name, Number(row['day']))} WHERE t BETWEEN ${row['lo']} AND ${row['hi']}`);
}
