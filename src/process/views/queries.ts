/**
 * Scheduled queries: at the times of a cron expression a query is run and its rows are written to the table of its name. The query runs
 * on a reader of its own; only writing the rows takes the write lane. Each run stands in `millrace.query_run`; what is done is written in
 * one transaction with the rows, so that a time that was done is never done again.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Cron } from 'croner';
import { asMillraceError, type ErrorBody, fail, isTimeZone, type Millis, type ModelCalls, newLine } from '#core';
import {
  type CreateScheduledQueryStatement,
  checkStatement,
  placeIn,
  placeOfOption,
  readStatement,
  type ScheduledQueryStatement,
  type Serialize,
  type Statement,
  type Token,
  tokens,
} from '#sql';
import { name, quoted, type Store, type TableName, type Transaction, text } from '#store';
import { bodyOf, noCalls, spelledBody } from './calls.ts';
import type { ViewFiles } from './keep.ts';
import { type Objection, objectionTo } from './objection.ts';
import { forgetPause, pauseOf, recordPause } from './pause.ts';
import { openRecords } from './record.ts';
import { openRunning, type Running } from './running.ts';
import { troubleOfRun } from './trouble.ts';
import { spanIn } from './view.ts';

type Write = 'replace' | 'append' | 'merge';
/** What happens with the times that passed while Millrace was down or the query was paused: all of them, the last one, or none. */
type CatchUp = 'all' | 'last' | 'none';
/** What happens with a time that comes while the run before it goes on. */
type Overlap = 'skip' | 'wait';

interface ScheduledQuery {
  readonly name: TableName;
  readonly full: string;
  readonly definition: string;
  /** Its calls of models as they were written. */
  readonly body: string;
  /** Where in the definition it begins; null where feature functions moved what stands in it. */
  readonly bodyAt: number | null;
  /** schema.name in lower case. */
  readonly reads: ReadonlySet<string>;
  readonly cron: Cron;
  readonly timeZone: string;
  readonly write: Write;
  readonly key: readonly string[];
  readonly catchUp: CatchUp;
  readonly overlap: Overlap;
  readonly timeLimit: Millis;
}

export interface ScheduledQueryState {
  readonly name: string;
  readonly cron: string;
  readonly time_zone: string;
  readonly write: Write;
  readonly state: 'waiting' | 'running' | 'paused';
  /** ISO 8601 in UTC. */
  readonly next: string | null;
  /** schema.name in lower case. */
  readonly reads: readonly string[];
  readonly last: { readonly due: string; readonly outcome: Outcome; readonly rows: number; readonly error: string | null } | null;
}

/** `defined` says from when on times count; `missed` stands for times that catch_up leaves out. */
type Outcome = 'defined' | 'done' | 'failed' | 'skipped' | 'missed';

export interface Queries {
  define(): Promise<readonly ErrorBody[]>;
  create(statement: CreateScheduledQueryStatement): Promise<void>;
  /** RUN resolves when the run is over. Errors: SCHEDULE_UNKNOWN, and those of the query for RUN. */
  command(statement: ScheduledQueryStatement): Promise<void>;
  states(): readonly ScheduledQueryState[];
  /** Names of the scheduled queries that read one of the tables (schema.name in lower case). */
  readersOf(tables: readonly string[]): readonly string[];
  /** Names of the scheduled queries that call a model (schema.name). */
  readersOfModel(model: string): Promise<readonly string[]>;
  definitionOf(name: string): string | undefined;
  /** The query as it was written, with its calls of models. */
  bodyOf(name: string): string | undefined;
  /**
   * As `Keeper.before`: a table that a scheduled query reads is dropped with CASCADE only, and the query with it. `gone` are views that
   * go with the table. Errors: VIEW_READ.
   */
  before(statement: Statement, gone?: readonly string[]): Promise<void>;
  /** Runs what is due now. Called by itself; for tests that have a clock of their own. */
  tick(): Promise<void>;
  /** Memory is short: ends the run that has been going on for long. Null when there is none. */
  relieve(): string | null;
  /** Ends what runs; its time is done at the next start, as the query's catch_up says. */
  stop(): Promise<void>;
}

export interface QueriesOptions {
  readonly store: Store;
  readonly files: ViewFiles;
  /** Where a query names no zone. */
  readonly timeZone: string;
  readonly onProblem: (problem: unknown) => void;
  readonly clock?: () => Millis;
  /** Without them no query can call a model. */
  readonly calls?: ModelCalls;
}

interface Kept {
  readonly query: ScheduledQuery;
  /** The newest time that is settled. */
  settled: Millis;
  last: ScheduledQueryState['last'];
  running: boolean;
  paused: boolean;
}

const RUNS = `CREATE TABLE IF NOT EXISTS millrace.query_run (
  query VARCHAR NOT NULL, due TIMESTAMPTZ NOT NULL, began TIMESTAMPTZ NOT NULL, ended TIMESTAMPTZ NOT NULL, outcome VARCHAR NOT NULL,
  rows BIGINT NOT NULL, batch BIGINT, code VARCHAR, error VARCHAR)`;

/** A run holds up other scheduled queries, not deliveries. */
const TIME_LIMIT: Millis = 3_600_000;
const DAY: Millis = 86_400_000;
/** The longest time between two looks at the clock: it may be set, and a machine may sleep. */
const LOOK: Millis = 30_000;
/** More missed times than these are not made good, the oldest first. */
const MOST_MISSED = 1000;

export async function openQueries(input: QueriesOptions): Promise<Queries> {
  const { store, files, clock = Date.now, calls = noCalls } = input;
  await openRecords(store);
  await store.write((tx) => tx.run(RUNS));
  const kept = new Map<string, Kept>();
  const limits = openRunning(store, 'scheduled.json', {
    time: (query, limit, cause) => fail('SCHEDULE_TIME', { query, limit }, cause),
    memory: (_, cause) => fail('QUERY_MEMORY', {}, cause),
    deaths: (query, deaths) => fail('SCHEDULE_DEATHS', { query, deaths }),
  });
  /** Runs of all of them, one after another: those that are asked for too. */
  const inLine = newLine();
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let stopping = false;

  const serialize: Serialize = async (sql) => {
    const reader = await store.reader();
    try {
      return await reader.serialize(sql);
    } finally {
      reader.close();
    }
  };

  async function check(definition: string): Promise<ScheduledQuery> {
    const statement = await readStatement(calls.readable(calls.plain(definition)), serialize);
    if (statement.kind !== 'create_scheduled_query') return fail('SQL_KIND', { kind: statement.kind.toUpperCase().replaceAll('_', ' ') });
    const names = await store.names();
    checkStatement(statement, {
      role: 'editor',
      mayRead: (schema, table) => {
        const full = `${schema ?? 'main'}.${table}`.toLowerCase();
        return names.has(full) && full !== 'millrace.quarantine' && !full.startsWith('change.');
      },
      mayWrite: () => true,
    });
    return queryOf({ ...statement, text: definition }, input.timeZone, calls);
  }

  interface Prepared {
    readonly own: Kept;
    /** Without history, or another definition. */
    readonly isNew: boolean;
  }

  /** Its times count from the newest one in its history on; those of a definition that is new or another, from now on. Errors: VIEW_EXISTS, SCHEDULE_QUERY. */
  async function prepared(query: ScheduledQuery): Promise<Prepared> {
    const [row] = await store.rows(
      `SELECT epoch_ms(max(due))::BIGINT AS due, (SELECT count(*) FROM millrace.view WHERE name = ${text(query.full)}) AS views
       FROM millrace.query_run WHERE query = ${text(query.full)}`,
    );
    if (Number(row!['views']) > 0) fail('VIEW_EXISTS', { view: query.full });
    const recorded = kept.has(query.full) || row!['due'] == null ? null : Number(row!['due']);
    const paused = (await pauseOf((sql) => store.rows(sql), query.full, query.definition)) !== null;
    // What has run before is kept, and says at its next time what became of it.
    if (recorded === null) await checkRuns(query, clock());
    return { own: { query, settled: recorded ?? clock(), last: null, running: false, paused }, isNew: recorded === null };
  }

  async function keep({ own, isNew }: Prepared): Promise<void> {
    const { query, settled } = own;
    if (isNew) await store.write((tx) => recordRun(tx, query, { due: settled, outcome: 'defined', rows: 0 }));
    kept.set(query.full, own);
  }

  /** Would the engine run it? Errors: SCHEDULE_QUERY with the place where it would not, those of models. */
  async function checkRuns({ full, body, bodyAt, definition }: ScheduledQuery, due: Millis): Promise<void> {
    const objection = await objectionAt(atDue(body, due));
    if (objection === null) return;
    const { problem, at, thrown } = objection;
    const place = at === null || bodyAt === null ? null : placeIn(definition, bodyAt + writtenAt(body, due, at));
    fail('SCHEDULE_QUERY', { query: full, problem, ...place }, thrown);
  }

  async function objectionAt(asked: string): Promise<Objection | null> {
    const rows = (sql: string) => store.rows(sql);
    const spelled = await spelledBody(asked, calls, rows);
    if ('objection' in spelled) return spelled.objection;
    const objection = await objectionTo(spelled.query, rows);
    return objection?.at == null ? objection : { ...objection, at: spelled.origin(objection.at) };
  }

  async function define(): Promise<readonly ErrorBody[]> {
    const problems: ErrorBody[] = [];
    const found = new Set<string>();
    for (const { name: own, file, text: definition } of files.list()) {
      // A question that somebody saved stands in the same folder, under a name without a schema.
      if (!own.includes('.')) continue;
      found.add(own);
      if (kept.get(own)?.query.definition === definition) continue;
      try {
        const query = await check(definition);
        if (query.full !== own) fail('SCHEDULE_NAME', { file, query: query.full });
        await keep(await prepared(query));
      } catch (thrown) {
        const error = asMillraceError(thrown);
        problems.push({ ...error.body, params: { ...error.params, file } });
      }
    }
    for (const own of [...kept.keys()]) if (!found.has(own)) kept.delete(own);
    schedule();
    return problems;
  }

  function schedule(): void {
    clearTimeout(timer);
    if (stopping || kept.size === 0) return;
    // One that waits for its run before is looked at when that is over.
    const ready = [...kept.values()].filter((own) => !(own.running && own.query.overlap === 'wait'));
    const next = Math.min(...ready.map((own) => nextOf(own) ?? Number.POSITIVE_INFINITY));
    timer = setTimeout(() => void tick(), Math.max(0, Math.min(LOOK, next - clock())));
    timer.unref();
  }

  const nextOf = (own: Kept): Millis | null => (own.paused ? null : (own.query.cron.nextRun(new Date(own.settled))?.getTime() ?? null));

  function tick(): Promise<void> {
    const now = clock();
    for (const own of kept.values()) {
      if (own.paused || (own.running && own.query.overlap === 'wait')) continue;
      const due = dueOf(own.query.cron, own.settled, now);
      if (due.length === 0) continue;
      const { left, run } = own.running ? { left: due, run: [] } : chosen(own.query.catchUp, due, now);
      const outcome = own.running ? 'skipped' : 'missed';
      own.settled = due.at(-1)!;
      own.running ||= run.length > 0;
      running = running
        .then(() => carryOut(own, left.length === 0 ? null : { due: left.at(-1)!, outcome }, run))
        .catch((thrown: unknown) => input.onProblem(thrown));
    }
    schedule();
    return running;
  }

  async function carryOut(own: Kept, left: { due: Millis; outcome: 'skipped' | 'missed' } | null, run: readonly Millis[]): Promise<void> {
    try {
      if (left !== null) await leftOut(own, left.due, left.outcome);
      for (const due of run) if (kept.get(own.query.full) === own && !stopping) await ran(own, due).catch(input.onProblem);
    } finally {
      if (run.length > 0) own.running = false;
      schedule();
    }
  }

  async function leftOut(own: Kept, due: Millis, outcome: 'skipped' | 'missed'): Promise<void> {
    await store.write((tx) => recordRun(tx, own.query, { due, outcome, rows: 0 }));
    own.last = { due: new Date(due).toISOString(), outcome, rows: 0, error: null };
  }

  async function ran(own: Kept, due: Millis): Promise<void> {
    const began = clock();
    const at = new Date(due).toISOString();
    try {
      const rows = await inLine(() => (stopping ? fail('STOPPING') : runQuery({ store, calls, limits }, own.query, due, began)));
      own.last = { due: at, outcome: 'done', rows, error: null };
    } catch (thrown) {
      const error = troubleOfRun(own.query.full, thrown);
      const { code, message } = error;
      own.last = { due: at, outcome: 'failed', rows: 0, error: message };
      // What the program's own end cut off is no run: its time comes again.
      if (stopping) throw error;
      await store.write((tx) => recordRun(tx, own.query, { due, began, outcome: 'failed', rows: 0, code, error: message }));
      if (code === 'SCHEDULE_DEATHS') {
        own.paused = true;
        await recordPause(store, own.query.full, own.query.definition, error.body);
      }
      throw error;
    }
  }

  const readersOf = (tables: readonly string[]) => [...kept.values()].filter(({ query }) => tables.some((table) => query.reads.has(table)));

  const known = (full: string): Kept => kept.get(full) ?? fail('SCHEDULE_UNKNOWN', { query: full });

  return {
    define,
    async create(statement) {
      const query = queryOf(statement, input.timeZone, calls);
      if (kept.has(query.full) && statement.ifNotExists) return;
      if (kept.has(query.full) && !statement.replace) fail('SCHEDULE_EXISTS', { query: query.full });
      const ready = await prepared(query);
      files.save(query.full, query.definition);
      await keep(ready);
      schedule();
    },
    async command(statement) {
      const full = `${statement.target.schema}.${statement.target.name}`;
      if (statement.ifExists && !kept.has(full)) return;
      const own = known(full);
      switch (statement.kind) {
        case 'run_scheduled_query':
          return ran(own, clock());
        case 'pause_scheduled_query':
          own.paused = true;
          await recordPause(store, full, own.query.definition, null);
          break;
        case 'resume_scheduled_query':
          own.paused = false;
          limits.pardon(full);
          await forgetPause(store, full);
          break;
        case 'drop_scheduled_query':
          files.remove(full);
          kept.delete(full);
          await store.write((tx) => tx.run(`DELETE FROM millrace.query_run WHERE query = ${text(full)}`));
          await forgetPause(store, full);
      }
      schedule();
    },
    states: () =>
      [...kept.values()].map((own) => ({
        name: own.query.full,
        cron: own.query.cron.getPattern() ?? '',
        time_zone: own.query.timeZone,
        write: own.query.write,
        state: own.paused ? 'paused' : own.running ? 'running' : 'waiting',
        next: ((next) => (next === null ? null : new Date(next).toISOString()))(nextOf(own)),
        last: own.last,
        reads: [...own.query.reads],
      })),
    readersOf: (tables) => readersOf(tables).map(({ query }) => query.full),
    async readersOfModel(model) {
      const found: string[] = [];
      for (const { query } of kept.values()) {
        // One that can't be run calls nothing: it holds up no drop.
        const used = await calls.spelled(atDue(query.body, clock())).catch(() => ({ models: [] }));
        if (used.models.some((each) => each.model === model.toLowerCase())) found.push(query.full);
      }
      return found;
    },
    definitionOf(full) {
      const own = kept.get(full);
      return own && calls.readable(own.query.body);
    },
    bodyOf: (full) => kept.get(full)?.query.body,
    async before(statement, gone = []) {
      if (statement.kind !== 'drop' && statement.kind !== 'drop_materialized_view') return;
      const table = `${statement.target.schema}.${statement.target.name}`.toLowerCase();
      const readers = readersOf([table, ...gone]).map(({ query }) => query.full);
      if (readers.length > 0 && statement.cascade !== true)
        fail('VIEW_READ', { table, readers: `the scheduled ${readers.length === 1 ? 'query' : 'queries'} ${readers.join(', ')}` });
      for (const reader of readers) {
        files.remove(reader);
        kept.delete(reader);
      }
    },
    tick,
    relieve: limits.relieve,
    async stop() {
      stopping = true;
      clearTimeout(timer);
      limits.stop();
      await running;
      // Those that were asked for stand in the same line.
      await inLine(async () => {});
    },
  };
}

/** The times of a schedule after `from`, up to `to`. */
function dueOf(cron: Cron, from: Millis, to: Millis): Millis[] {
  const due: Millis[] = [];
  for (let next = cron.nextRun(new Date(from)); next !== null && next.getTime() <= to; next = cron.nextRun(next)) {
    due.push(next.getTime());
    if (due.length > MOST_MISSED) due.shift();
  }
  return due;
}

/** A single time that has just come is no catching up. */
function chosen(catchUp: CatchUp, due: readonly Millis[], now: Millis): { left: readonly Millis[]; run: readonly Millis[] } {
  if (catchUp === 'all') return { left: [], run: due };
  const isNow = now - due.at(-1)! <= 2 * LOOK;
  return catchUp === 'last' || isNow ? { left: due.slice(0, -1), run: due.slice(-1) } : { left: due, run: [] };
}

const OPTIONS = ['cron', 'time_zone', 'write', 'key', 'catch_up', 'overlap', 'time_limit'];

/** Errors: SCHEDULE_OPTION. */
function queryOf(statement: CreateScheduledQueryStatement, zone: string, calls: ModelCalls): ScheduledQuery {
  const { options, target } = statement;
  const refuse = (option: string, problem: string): never =>
    fail('SCHEDULE_OPTION', { option, problem, ...placeOfOption(statement.text, option) });
  for (const option of Object.keys(options)) if (!OPTIONS.includes(option)) refuse(option, 'is unknown');
  const one = <T extends string>(option: string, choices: readonly T[]): T => {
    const said = options[option] ?? choices[0]!;
    return choices.includes(said as T) ? (said as T) : refuse(option, `is one of ${choices.join(', ')}`);
  };
  const timeZone = String(options['time_zone'] ?? zone);
  if (!isTimeZone(timeZone)) refuse('time_zone', `can't be ${timeZone.slice(0, 50)}: give an IANA name such as Asia/Seoul`);
  const write = one('write', ['replace', 'append', 'merge']);
  const key = [options['key'] ?? []].flat().map(String);
  if ((write === 'merge') !== key.length > 0)
    refuse('key', "names the columns by which write = 'merge' finds a row, and is for merge only");
  for (const parameter of statement.parameters)
    if (parameter.toLowerCase() !== 'run_time') refuse(`$${parameter}`, 'is no parameter: there is only $run_time, the time that is due');
  const full = `${target.schema}.${target.name}`;
  const reads = new Set(statement.reads.tables.map((table) => `${table.schema ?? 'main'}.${table.name}`.toLowerCase()));
  return {
    name: { schema: target.schema, name: target.name },
    full,
    definition: statement.text,
    body: bodyOf(statement, calls),
    bodyAt: calls.plain(statement.text) === statement.text ? statement.bodyAt : null,
    reads,
    cron: cronOf(options['cron'], timeZone, refuse),
    timeZone,
    write,
    key,
    catchUp: one('catch_up', ['last', 'all', 'none']),
    overlap: one('overlap', ['skip', 'wait']),
    timeLimit: spanIn(options, 'time_limit', [100, DAY], refuse) ?? TIME_LIMIT,
  };
}

function cronOf(said: unknown, timezone: string, refuse: (option: string, problem: string) => never): Cron {
  if (typeof said !== 'string') return refuse('cron', "is needed, as in '0 6 * * *' (minute, hour, day, month, weekday)");
  try {
    return new Cron(said, { timezone, mode: '5-part', paused: true });
  } catch (error) {
    return refuse('cron', `can't be ${said.slice(0, 50)} (${(error as Error).message})`);
  }
}

const literalOf = (due: Millis) => `TIMESTAMPTZ '${new Date(due).toISOString()}'`;

/** The query with the time that is due in place of $run_time. */
function atDue(body: string, due: Millis): string {
  return tokens(body)
    .map((token) => (token.kind === 'parameter' ? literalOf(due) : token.text))
    .join('');
}

/** Where in the query a place of `atDue` is. */
function writtenAt(body: string, due: Millis, index: number): number {
  const longer = (token: Token) => literalOf(due).length - token.text.length;
  let shift = 0;
  for (const token of tokens(body)) if (token.kind === 'parameter' && token.start + shift < index) shift += longer(token);
  return index - shift;
}

/** Types that Parquet has no place for: they travel as text. */
const AS_TEXT = /HUGEINT|INTERVAL|BIT|UNION|VARIANT|TIME WITH TIME ZONE|BIGNUM/;

interface RunsWith {
  readonly store: Store;
  readonly calls: ModelCalls;
  readonly limits: Running;
}

async function runQuery({ store, calls, limits }: RunsWith, query: ScheduledQuery, due: Millis, began: Millis): Promise<number> {
  const file = join(store.folders.slices, `scheduled-${process.hrtime.bigint()}.parquet`);
  const { query: spelled } = await calls.spelled(atDue(query.body, due));
  const body = `SELECT COLUMNS(name -> name <> '_batch') FROM (${spelled}\n)`;
  const reader = await store.reader();
  let interrupt = reader.interrupt;
  const work = async (isEnded: () => boolean) => {
    const columns = (await store.rows(`DESCRIBE ${body}`)).map((row) => ({
      own: name(String(row['column_name'])),
      type: String(row['column_type']),
    }));
    const asText = columns.map(({ own, type }) => (AS_TEXT.test(type) ? `CAST(${own} AS VARCHAR) AS ${own}` : own));
    await reader.toParquet(`SELECT ${asText.join(', ')} FROM (${body})`, undefined, file);
    const rows = `SELECT ${columns.map(({ own, type }) => `CAST(${own} AS ${type}) AS ${own}`).join(', ')} FROM read_parquet(${text(file)})`;
    return await store.write(async (tx) => {
      interrupt = tx.interrupt;
      // While it waited for the lane there was nothing to interrupt.
      if (isEnded()) fail('STOPPING');
      await tx.run(`CREATE SCHEMA IF NOT EXISTS ${name(query.name.schema)}`);
      const written = await writes[query.write](tx, query, rows);
      await recordRun(tx, query, { due, began, outcome: 'done', rows: written });
      return written;
    });
  };
  try {
    return await limits.within(query, () => interrupt(), work);
  } finally {
    reader.close();
    rmSync(file, { force: true });
  }
}

/** Each row carries the batch that brought it, so that views on the table are kept by partition. */
const writes: Readonly<Record<Write, (tx: Transaction, query: ScheduledQuery, rows: string) => Promise<number>>> = {
  async replace(tx, { name: table, full }, rows) {
    await tx.run(`CREATE OR REPLACE TABLE ${quoted(table)} AS SELECT *, ${tx.batch}::BIGINT AS _batch FROM (${rows})`);
    await tx.run(`DROP TABLE IF EXISTS change.${name(full)}`);
    const [count] = await tx.rows(`SELECT count(*) AS n FROM ${quoted(table)}`);
    tx.changed({ kind: 'view', target: full, key: 'whole', rows: Number(count!['n']) });
    return Number(count!['n']);
  },
  async append(tx, { name: table, full }, rows) {
    await prepare(tx, table, rows);
    const count = await tx.run(`INSERT INTO ${quoted(table)} BY NAME SELECT *, ${tx.batch}::BIGINT AS _batch FROM (${rows})`);
    tx.changed({ kind: 'view', target: full, rows: count });
    return count;
  },
  async merge(tx, { name: table, full, key }, rows) {
    await prepare(tx, table, rows);
    await tx.run(`CREATE OR REPLACE TEMP TABLE merging AS ${rows}`);
    const keys = key.map(name);
    const [twice] = await tx.rows(`SELECT ${keys.join(', ')}, count(*) AS n FROM merging GROUP BY ALL HAVING count(*) > 1 LIMIT 1`);
    if (twice !== undefined) fail('SCHEDULE_KEY', { query: full, key: key.map((each) => `${each} = ${String(twice[each])}`).join(', ') });
    const same = keys.map((own) => `new.${own} IS NOT DISTINCT FROM old.${own}`).join(' AND ');
    const change = `change.${name(full)}`;
    await tx.run(`CREATE TABLE IF NOT EXISTS ${change} AS FROM ${quoted(table)} LIMIT 0`);
    const gone = `EXISTS (SELECT 1 FROM merging AS new WHERE ${same})`;
    await tx.run(
      `INSERT INTO ${change} BY NAME SELECT old.* EXCLUDE (_batch), ${tx.batch}::BIGINT AS _batch FROM ${quoted(table)} AS old WHERE ${gone}`,
    );
    await tx.run(`DELETE FROM ${quoted(table)} AS old WHERE ${gone}`);
    const count = await tx.run(`INSERT INTO ${quoted(table)} BY NAME SELECT *, ${tx.batch}::BIGINT AS _batch FROM merging`);
    await tx.run('DROP TABLE merging');
    tx.changed({ kind: 'view', target: full, rows: count });
    return count;
  },
};

/** A table that was made by somebody else gets the column of batches. */
async function prepare(tx: Transaction, table: TableName, rows: string): Promise<void> {
  await tx.run(`CREATE TABLE IF NOT EXISTS ${quoted(table)} AS SELECT *, ${tx.batch}::BIGINT AS _batch FROM (${rows}) LIMIT 0`);
  await tx.run(`ALTER TABLE ${quoted(table)} ADD COLUMN IF NOT EXISTS _batch BIGINT`);
}

async function recordRun(
  tx: Transaction,
  query: ScheduledQuery,
  run: { due: Millis; began?: Millis; outcome: Outcome; rows: number; code?: string; error?: string },
): Promise<void> {
  const instant = (millis: Millis) => `${text(new Date(millis).toISOString())}::TIMESTAMPTZ`;
  await tx.run(
    `INSERT INTO millrace.query_run SELECT ${text(query.full)}, ${instant(run.due)}, ${instant(run.began ?? run.due)}, now(), ${text(run.outcome)}, ${run.rows},
      ${run.outcome === 'done' ? tx.batch : 'NULL'}, ${run.code === undefined ? 'NULL' : text(run.code)}, ${run.error === undefined ? 'NULL' : text(run.error.slice(0, 1000))}`,
  );
}
