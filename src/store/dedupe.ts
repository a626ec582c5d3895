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
import type { Row, Transaction } from './lane.ts';
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

/** What must be known of the staged rows that have an id. */
export interface StagedIds {
  readonly ids: number;
  /** Of those without an event time. */
  readonly timeless: number;
  /** When the first row of the slice was received, in microseconds. */
  readonly received: bigint | null;
  /** Some came late. */
  readonly late: boolean;
  /** The first and last event time in each minute that has some, in order, and the day it lies in. */
  readonly minutes: readonly { readonly lo: bigint; readonly hi: bigint; readonly day: number }[];
}

const WITH_ID = '_bad < 0 AND i IS NOT NULL';

/** Columns of a query over `staged, ${STAGED_MINUTES}`, which `stagedIdsOf` reads. */
export const STAGED_IDS = `count(i) AS ids, count(*) FILTER (WHERE ${WITH_ID} AND t IS NULL) AS timeless, min(r) AS received,
  coalesce(bool_or(${WITH_ID} AND t IS NOT NULL AND abs(r - t) > ${PROMPT}), false) AS late, any_value(los) AS los, any_value(his) AS his, any_value(days) AS days`;
export const STAGED_MINUTES = `(SELECT list(lo ORDER BY lo) AS los, list(hi ORDER BY lo) AS his, list(day ORDER BY lo) AS days FROM (
  SELECT min(t) AS lo, max(t) AS hi, min(t // ${DAY}) AS day FROM staged WHERE ${WITH_ID} AND t IS NOT NULL GROUP BY t // 60000000)) minutes`;

/** Of a row of STAGED_IDS. */
export function stagedIdsOf(facts: Row): StagedIds {
  const list = (key: string) => (facts[key] ?? []) as bigint[];
  const [los, his, days] = [list('los'), list('his'), list('days')];
  return {
    ids: Number(facts['ids']),
    timeless: Number(facts['timeless']),
    received: facts['received'] as bigint | null,
    late: facts['late'] === true,
    minutes: los.map((lo, k) => ({ lo, hi: his[k]!, day: Number(days[k]) })),
  };
}

/** The statement that puts into the temporary table `fresh` the positions of those rows of `staged` that were not taken before, neither earlier in the slice nor in the table. */
export function findFresh(topic: Topic, seen: Seen, staged: StagedIds): string {
  const prompt = promptSql(topic, seen, staged);
  if (staged.timeless > 0) {
    const since = Number(staged.received) - topic.dedupeWindow * 1000;
    prompt.push(
      `SELECT _id, NULL::BIGINT AS t FROM raw.${name(topic.name)} WHERE _received >= make_timestamptz(${since}::BIGINT) AND _time IS NULL AND _id IS NOT NULL`,
    );
  }
  const late = lateSql(topic, seen, staged);
  const known = [
    ...(prompt.length === 0
      ? []
      : [`NOT EXISTS (SELECT 1 FROM (${prompt.join(' UNION ALL ')}) h WHERE h._id = s.i AND h.t IS NOT DISTINCT FROM s.t)`]),
    ...(late.length === 0 ? [] : [`NOT EXISTS (SELECT 1 FROM (${late.join(' UNION ALL ')}) h WHERE h.h = ${HASH} AND h.t = s.t)`]),
  ];
  return `CREATE OR REPLACE TEMP TABLE fresh AS SELECT p FROM staged s WHERE _bad < 0 AND ${known.length === 0 ? 'true' : `(i IS NULL OR (${known.join(' AND ')}))`}
    QUALIFY i IS NULL OR row_number() OVER (PARTITION BY i, t ORDER BY p) = 1`;
}

/** Remembers the rows of `fresh` that came late. */
export async function rememberLate(tx: Transaction, topic: Topic, seen: Seen, staged: StagedIds): Promise<void> {
  seen.firstReceived ??= staged.received;
  if (!staged.late) return;
  const late = `p IN (SELECT p FROM fresh) AND i IS NOT NULL AND t IS NOT NULL AND abs(r - t) > ${PROMPT}`;
  const days = await tx.rows(`SELECT DISTINCT t // ${DAY} AS day FROM staged WHERE ${late}`);
  for (const row of days) {
    const day = Number(row['day']);
    const table = tableOf(topic.name, day);
    if (!seen.lateDays.has(day)) await tx.run(`CREATE TABLE ${table} (t BIGINT NOT NULL, h UBIGINT NOT NULL)`);
    seen.lateDays.add(day);
    await tx.run(`INSERT INTO ${table} SELECT t, ${HASH} FROM staged WHERE ${late} AND t // ${DAY} = ${day} ORDER BY t`);
  }
}

function tableOf(topic: string, day: number): string {
  return `late.${name(`${topic} ${day}`)}`;
}

/** The stretches of the table in which a prompt row with one of the slice's times would stand. */
function promptSql(topic: Topic, seen: Seen, { minutes }: StagedIds): string[] {
  const first = seen.firstReceived;
  if (first === null) return [];
  const ranges = merged(minutes.filter(({ hi }) => hi >= first - PROMPT));
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

function lateSql(topic: Topic, seen: Seen, { minutes }: StagedIds): string[] {
  const days = new Map<number, { lo: bigint; hi: bigint }>();
  for (const { lo, hi, day } of minutes) {
    if (seen.lateDays.has(day)) days.set(day, { lo: days.get(day)?.lo ?? lo, hi });
  }
  return [...days].map(([day, { lo, hi }]) => `SELECT t, h FROM ${tableOf(topic.name, day)} WHERE t BETWEEN ${lo} AND ${hi}`);
}
