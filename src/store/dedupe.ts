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
import type { Stamps } from './lines.ts';
import { name, text } from './names.ts';
import { newRecent, type Recent, type RecentRoom } from './recent.ts';

/** What is known of a topic's rows before a slice comes. */
export interface Seen {
  readonly recent: Recent;
  /** Before this none of its rows was received, in microseconds; null while it has none. */
  firstReceived: bigint | null;
  /** The tables of late rows, by day of event time since 1970. */
  readonly lateDays: Set<number>;
}

const PROMPT = 60_000_000n;
const DAY = 86_400_000_000n;
const MOST_RANGES = 64;

/** A part of the id's MD5: DuckDB's own hash may change from version to version, and these tables outlive it. */
const HASH = 'md5_number_lower(i)';

export async function openSeen(tx: Transaction, topic: string, room: RecentRoom): Promise<Seen> {
  const [stored] = await tx.rows(`SELECT epoch_us(min(_received)) AS first, epoch_us(max(_received)) AS last FROM raw.${name(topic)}`);
  const [first, last] = [stored!['first'] as bigint | null, stored!['last'] as bigint | null];
  const days = await tx.rows(
    `SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'late' AND starts_with(table_name, ${text(`${topic} `)})`,
  );
  return {
    recent: newRecent(room, last === null ? null : Number(last)),
    firstReceived: first,
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
  /** Some ids stand in the slice more than once. */
  readonly repeated: boolean;
  /** Stretches of event time that hold all event times, in order, each with a day in which some of its times may be. */
  readonly stretches: readonly Stretch[];
  /** None of those that came promptly stands in the table. */
  readonly news?: boolean;
}

interface Stretch {
  readonly lo: bigint;
  readonly hi: bigint;
  /** Since 1970. */
  readonly day: number;
}

const WITH_ID = '_bad < 0 AND i IS NOT NULL';

/** Columns of a query over `staged`, which `stagedIdsOf` reads. */
export const STAGED_IDS = `count(i) AS ids, count(*) FILTER (WHERE ${WITH_ID} AND t IS NULL) AS timeless, min(r) AS received,
  coalesce(bool_or(${WITH_ID} AND t IS NOT NULL AND abs(r - t) > ${PROMPT}), false) AS late,
  count(*) FILTER (WHERE ${WITH_ID}) > count(DISTINCT i) FILTER (WHERE ${WITH_ID}) AS repeated,
  min(t) FILTER (WHERE ${WITH_ID}) AS first, max(t) FILTER (WHERE ${WITH_ID}) AS last`;

/** Of a row of STAGED_IDS. Where the event times lie wide apart, the engine is asked in which minutes they are. */
export async function stagedIdsOf(tx: Transaction, facts: Row): Promise<StagedIds> {
  const [lo, hi] = [facts['first'] as bigint | null, facts['last'] as bigint | null];
  return {
    ids: Number(facts['ids']),
    timeless: Number(facts['timeless']),
    received: facts['received'] as bigint | null,
    late: facts['late'] === true,
    repeated: facts['repeated'] === true,
    stretches: lo === null || hi === null ? [] : hi - lo <= 2n * PROMPT ? byDay(lo, hi) : await minutesOf(tx),
  };
}

/** The same from the lines' stamps. Null where some came late or the event times lie wide apart: then the engine is asked. */
export function stampedIdsOf(stamps: Stamps, { recent }: Seen): StagedIds | null {
  const { first, last, ids, timeless, repeated, received } = stamps;
  const [lo, hi] = [first === null ? null : BigInt(first), last === null ? null : BigInt(last)];
  if (stamps.apart > PROMPT || (lo !== null && hi! - lo > 2n * PROMPT)) return null;
  return {
    ids,
    timeless,
    repeated,
    late: false,
    received: received === null ? null : BigInt(received),
    stretches: lo === null ? [] : byDay(lo, hi!),
    news: first === null || (recent.since() <= first - Number(PROMPT) && recent.isNews(stamps)),
  };
}

function byDay(lo: bigint, hi: bigint): Stretch[] {
  // Both round towards zero, as `t // DAY` does in SQL.
  const days = new Set([Number(lo / DAY), Number(hi / DAY)]);
  return [...days].map((day) => ({ lo, hi, day }));
}

async function minutesOf(tx: Transaction): Promise<Stretch[]> {
  const rows = await tx.rows(
    `SELECT min(t) AS lo, max(t) AS hi, min(t // ${DAY}) AS day FROM staged WHERE ${WITH_ID} AND t IS NOT NULL GROUP BY t // 60000000 ORDER BY lo`,
  );
  return rows.map((row) => ({ lo: row['lo'] as bigint, hi: row['hi'] as bigint, day: Number(row['day']) }));
}

/** The end of a query over `staged s`, from its WHERE on, which leaves the rows that were not taken before, neither earlier in the slice nor in the table. */
export function onlyFresh(topic: Topic, seen: Seen, staged: StagedIds): string {
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
  const first = staged.repeated ? 'QUALIFY i IS NULL OR row_number() OVER (PARTITION BY i, t ORDER BY p) = 1' : '';
  return `WHERE _bad < 0${known.length === 0 ? '' : ` AND (i IS NULL OR (${known.join(' AND ')}))`} ${first}`;
}

/** Remembers the rows that came late, of those whose positions are in the temporary table `fresh`. */
export async function rememberLate(tx: Transaction, topic: Topic, seen: Seen, staged: StagedIds): Promise<void> {
  // A clock that jumped back makes later rows the first that were received.
  if (staged.received !== null && staged.received < (seen.firstReceived ?? staged.received + 1n)) seen.firstReceived = staged.received;
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
function promptSql(topic: Topic, seen: Seen, { stretches, news }: StagedIds): string[] {
  const first = seen.firstReceived;
  if (first === null || news === true) return [];
  const ranges = merged(stretches.filter(({ hi }) => hi >= first - PROMPT));
  return ranges.map(
    ({ lo, hi }) =>
      `SELECT _id, epoch_us(_time) AS t FROM raw.${name(topic.name)} WHERE _received BETWEEN make_timestamptz(${lo - PROMPT}) AND make_timestamptz(${hi + PROMPT}) AND _time BETWEEN make_timestamptz(${lo}) AND make_timestamptz(${hi})`,
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

function lateSql(topic: Topic, seen: Seen, { stretches }: StagedIds): string[] {
  const days = new Map<number, { lo: bigint; hi: bigint }>();
  for (const { lo, hi, day } of stretches) {
    if (seen.lateDays.has(day)) days.set(day, { lo: days.get(day)?.lo ?? lo, hi });
  }
  return [...days].map(([day, { lo, hi }]) => `SELECT t, h FROM ${tableOf(topic.name, day)} WHERE t BETWEEN ${lo} AND ${hi}`);
}
