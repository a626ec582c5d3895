/**
 * Groups that are kept from one time to the next (docs/decisions/kept-groups.md). What questions share a scan of (together.ts) is grouped once
 * more, by the columns of their condition too and over all rows: whatever is chosen above a dashboard then, the answer is in those groups. They
 * are made when the same was asked twice and took long. They are right as long as every write since is a delivery, whose rows are added; any
 * other write to the table ends them, and every write says which tables it changes. No answer is kept.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Millis } from '#core';
import { fullName, quoteIdentifier } from '#sql';
import { OWN_SCHEMAS, type Reader, type Store } from '#store';
import { type Bound, bound, estimateOf, firstRow } from './reading.ts';
import type { Turns } from './turns.ts';

/** What would be kept of a table. */
export interface Wide {
  /** The table with its columns and types: what is kept of another is another thing. */
  readonly of: string;
  /** What is grouped by and added up; a name says what is behind it (src/sql/shared.ts), so that groups with more of them do as well. */
  readonly has: readonly string[];
  readonly table: { readonly schema: string; readonly name: string };
  /** Of a table that is delivered to, those rows alone that came with a batch after $after, up to $upTo. */
  readonly base: string;
  /** Whether it groups by any column. */
  readonly byColumns: boolean;
  /** A query of how many values each expression has that it groups by, which the engine does not estimate; null where there is none. */
  readonly made: string | null;
}

export const baseOf = ({ base }: Wide, after: number, upTo: number): Bound => bound(base, { after, upTo });

export interface Kept {
  has(wide: Wide): boolean;
  /** Has `work` done by the reader that holds the groups in `KEPT`, as of all that is committed; false, and nothing is done, where there are none. */
  use(wide: Wide, work: (reader: Reader) => Promise<unknown>): Promise<boolean>;
  /** Whether something that took so long is worth keeping groups for. */
  isLong(took: Millis): boolean;
  /** Grows with every write that does more than add rows. */
  version(): number;
  /** That a scan had to be made, and how long it took. `since`: the version when one had to be made before, where that was not told. */
  missed(wide: Wide, took: Millis, since?: number): void;
  /** Ends the making of groups, which nobody waits for; they are not tried again. False where none are being made. */
  giveUp(): boolean;
  close(): Promise<void>;
}

/** The table of the groups, which only the reader that holds them sees. */
export const KEPT = 'millrace kept';
/** Things kept, each of at most so many groups. */
const MOST_KEPT = 8;
const MOST_GROUPS = 200_000;
/** Values of an expression, of about so many rows that are looked at; times have many, and those that stand together are of one. */
const MOST_MADE = 200;
const SAMPLE_ROWS = 1_000_000;
/** What is not made by then is given up. */
const WITHIN: Millis = 30_000;
/** Nobody has asked for so long: groups may be made; at the latest after so long. */
const REST: Millis = 500;
const PATIENCE: Millis = 10_000;
const POLITE = 3;
/** How often it looks for questions. */
const LOOK: Millis = 20;

interface Held {
  readonly wide: Wide;
  readonly reader: Reader;
  /** Holds all rows of batches up to this. */
  upTo: number;
  /** Deliveries add groups that are there already. */
  groups: number;
  /** When it was used last, in questions. */
  used: number;
  /** What it does now: one thing after the other. */
  tail: Promise<unknown>;
}

export interface KeptRules {
  /** A scan that is done sooner is as good as none. */
  readonly short?: Millis;
  readonly within?: Millis;
  /** Things kept. */
  readonly most?: number;
  /** They are made when nobody has asked for so long. */
  readonly rest?: Millis;
  /** So often what is being made gives way to questions; then it is made beside them. */
  readonly polite?: number;
}

export function newKept({
  store,
  turns,
  isBusy,
  onProblem,
  short = 100,
  within = WITHIN,
  most = MOST_KEPT,
  rest = REST,
  polite = POLITE,
}: KeptRules & {
  readonly store: Pick<Store, 'reader' | 'rows' | 'batch' | 'onCommit'>;
  readonly turns: Turns;
  /** Whether anybody waits for an answer. */
  readonly isBusy: () => boolean;
  /** Hears why groups could not be made: nothing is lost but time. */
  readonly onProblem: (problem: unknown) => void;
}): Kept {
  /** By the statement that made them. The one used last is the last. */
  const held = new Map<string, Held>();
  /** By the table's name, the newest batch that did more than add rows to it, and the newest that added some. */
  const changed = new Map<string, number>();
  const added = new Map<string, number>();
  /** By the key, of which state of its table it was missed, and when, in questions; null where it can't be kept. */
  const seen = new Map<string, { readonly state: number; readonly at: number } | null>();
  let questions = 0;
  let askedAt: Millis = 0;
  const ends = new AbortController();
  let newest = 0;
  let building: Promise<void> | null = null;
  let making = '';
  /** What is made next, by its key, and how often it gave way. */
  const next = new Map<string, Wide>();
  const tries = new Map<string, number>();
  /** Ends what is being made. */
  let abandon: (() => void) | null = null;

  store.onCommit((changes, batch) => {
    for (const { kind, target } of changes) (kind === 'deliver' ? added : changed).set(target.toLowerCase(), batch);
    if (changes.some(({ kind }) => kind !== 'deliver')) newest = Math.max(newest, batch);
  });

  const keyOf = ({ of, base }: Wide) => `${of} ${base}`;
  const nameOf = ({ table }: Wide) => fullName(table).toLowerCase();

  const find = ({ of, has }: Wide): Held | undefined =>
    [...held.values()].find(({ wide }) => wide.of === of && has.every((name) => wide.has.includes(name)));

  function drop(key: string): void {
    const gone = held.get(key);
    held.delete(key);
    gone?.tail.finally(gone.reader.close).catch(() => {});
  }

  /** Asked after the table was read, and so of all that was read: a commit is seen by other statements before its listeners hear of it. */
  async function wasDisturbed(wide: Wide, since: number, reader: Reader): Promise<boolean> {
    const sql = `SELECT count(*) FROM millrace.batch WHERE batch > $since AND kind <> 'deliver' AND lower(target) = $name`;
    const [count] = await firstRow(reader, sql, { since, name: nameOf(wide) });
    return count !== '0';
  }

  /** Adds what was delivered since; false where that is not all that was written. A batch that is told is seen by every statement that begins now. */
  async function catchUp(its: Held): Promise<boolean> {
    const { wide } = its;
    const now = store.batch();
    if ((added.get(nameOf(wide)) ?? 0) > its.upTo) {
      const { sql, values } = baseOf(wide, its.upTo, now);
      await its.reader.own(`INSERT INTO ${quoteIdentifier(KEPT)} ${sql}`, values);
      if (await wasDisturbed(wide, its.upTo, its.reader)) return false;
      its.groups = await countOf(its.reader);
    }
    its.upTo = now;
    return true;
  }

  /** True where it gave way to somebody who asks, and is to be tried again. */
  async function build(wide: Wide, givesWay: boolean): Promise<boolean> {
    const reader = await store.reader(true);
    const upTo = store.batch();
    const whole = baseOf(wide, 0, upTo);
    let keeps = false;
    const over = new AbortController();
    const way = new AbortController();
    const signal = AbortSignal.any([ends.signal, over.signal, way.signal]);
    const watch = givesWay ? setInterval(() => isBusy() && way.abort(), LOOK) : undefined;
    signal.addEventListener('abort', reader.interrupt);
    abandon = () => {
      seen.set(keyOf(wide), null);
      over.abort();
    };
    const late = setTimeout(giveUp, within);
    try {
      if (!(await isTable(wide)) || !(await fits(wide, whole, reader))) {
        seen.set(keyOf(wide), null);
        return false;
      }
      const turn = turns.begin({ sql: wide.base, signal, onWait: () => {} });
      const fill = () => reader.own(`CREATE OR REPLACE TEMP TABLE ${quoteIdentifier(KEPT)} AS ${whole.sql}`, whole.values);
      await turn.take(fill, reader.interrupt).finally(turn.end);
      // What is made by now is kept, whoever asks.
      clearInterval(watch);
      const groups = await countOf(reader);
      // A write since is told as a batch after these, which ends them.
      keeps = groups <= MOST_GROUPS && !ends.signal.aborted && !over.signal.aborted;
      if (groups > MOST_GROUPS) seen.set(keyOf(wide), null);
      if (!keeps) return false;
      held.set(keyOf(wide), { wide, reader, upTo, groups, used: questions, tail: Promise.resolve() });
      if (held.size > most) drop(held.keys().next().value!);
      return false;
    } catch (thrown) {
      if (signal.aborted) return way.signal.aborted;
      // A row may be none that its condition lets through, and have what can't be computed.
      seen.set(keyOf(wide), null);
      throw thrown;
    } finally {
      clearTimeout(late);
      clearInterval(watch);
      abandon = null;
      signal.removeEventListener('abort', reader.interrupt);
      if (!keeps) reader.close();
    }
  }

  const isQuiet = () => {
    if (isBusy()) askedAt = performance.now();
    return performance.now() >= askedAt + rest;
  };

  /** One after the other, since each takes a whole scan, and when nobody asks. */
  async function buildAll(): Promise<void> {
    while (next.size > 0) {
      const latest = performance.now() + PATIENCE;
      while (!ends.signal.aborted && performance.now() < latest && !isQuiet()) await sleep(rest / 10);
      const [wide] = next.values();
      if (ends.signal.aborted || wide === undefined) return;
      next.delete(keyOf(wide));
      // What was made before it may have all of it.
      if (find(wide) !== undefined) continue;
      making = keyOf(wide);
      const tried = tries.get(keyOf(wide)) ?? 0;
      tries.delete(keyOf(wide));
      const again = await build(wide, tried < polite).catch(onProblem);
      if (again === true && !ends.signal.aborted) {
        tries.set(keyOf(wide), tried + 1);
        next.set(keyOf(wide), wide);
      }
      making = '';
    }
  }

  function giveUp(): boolean {
    const ended = abandon !== null;
    next.clear();
    tries.clear();
    abandon?.();
    abandon = null;
    return ended;
  }

  /** Of a view it is not known which writes change it, and of Millrace's own tables not all are told. */
  async function isTable({ table }: Wide): Promise<boolean> {
    const schema = table.schema.toLowerCase();
    if (schema !== 'raw' && OWN_SCHEMAS.has(schema)) return false;
    const sql = `SELECT 1 FROM duckdb_tables() WHERE NOT internal AND NOT temporary AND lower(schema_name) = $1 AND lower(table_name) = $2`;
    return (await store.rows(sql, [schema, table.name.toLowerCase()])).length === 1;
  }

  return {
    has: (wide) => find(wide) !== undefined,
    isLong: (took) => took >= short,
    async use(wide, work) {
      const its = find(wide);
      if (its === undefined) return false;
      const key = keyOf(its.wide);
      held.delete(key);
      held.set(key, its);
      its.used = ++questions;
      askedAt = performance.now();
      let right = false;
      const done = its.tail.then(async () => {
        const changes = changed.get(nameOf(wide)) ?? 0;
        if (changes > its.upTo || its.groups > 2 * MOST_GROUPS || held.get(key) !== its) return;
        right = await catchUp(its);
        if (right) await work(its.reader);
      });
      its.tail = done.catch(() => {});
      // What was added in part, or may be, is kept no longer.
      await done.finally(() => {
        if (!right && held.get(key) === its) drop(key);
      });
      return right;
    },
    version: () => newest,
    missed(wide, took, since = -1) {
      askedAt = performance.now();
      if (took < short || find(wide) !== undefined || ends.signal.aborted) return;
      const state = changed.get(nameOf(wide)) ?? 0;
      const known = seen.get(keyOf(wide));
      if (known === null) return;
      const before = known ?? (state <= since ? { state, at: questions } : null);
      seen.delete(keyOf(wide));
      seen.set(keyOf(wide), { state, at: ++questions });
      if (seen.size > 256) seen.delete(seen.keys().next().value!);
      if (before?.state !== state || making === keyOf(wide)) return;
      // Of more than there is room for, those that are there stay: each would be made for the next one to take its place.
      const [oldest] = held.values();
      if (held.size + next.size + Number(making !== '') >= most && (oldest?.used ?? Number.POSITIVE_INFINITY) > before.at) return;
      next.set(keyOf(wide), wide);
      building ??= buildAll().finally(() => {
        building = null;
      });
    },
    giveUp,
    async close() {
      ends.abort();
      await building;
      const all = [...held.values()];
      held.clear();
      for (const { tail, reader } of all) {
        await tail;
        reader.close();
      }
    },
  };
}

/** By the engine's estimate, which leaves expressions out, and by a look at some rows for those; before the work is done. */
async function fits({ made, byColumns }: Wide, whole: Bound, reader: Reader): Promise<boolean> {
  const { rows, groups } = await estimateOf(whole, reader);
  let all = byColumns ? groups : 1;
  if (made !== null) {
    const share = Math.min(100, Math.ceil((100 * SAMPLE_ROWS) / Math.max(1, rows)));
    const values = (await firstRow(reader, `${made} USING SAMPLE ${share} PERCENT (system)`)).map(Number);
    if (values.some((count) => count > MOST_MADE)) return false;
    all = values.reduce((product, count) => product * (count + 1), all);
  }
  return all <= MOST_GROUPS && all * 5 <= rows;
}

async function countOf(reader: Reader): Promise<number> {
  const [count] = await firstRow(reader, `SELECT count(*) FROM ${quoteIdentifier(KEPT)}`);
  return Number(count);
}
