/**
 * A question from text to answer: read the statement, check it against the allow-list and the role, wait for a place, run it,
 * and hand over the whole result as a stream. Writes go through the store's one lane.
 */
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Bytes, type Column, type ErrorBody, fail, type Millis, MillraceError, type Principal, type Role } from '#core';
import { explainRefusal, type Reads, type Serialize, type Statement, type Who } from '#sql';
import { type Chunk, type Reader, type Store, text, type Values } from '#store';
import { type TextFormat, textFormats } from './formats.ts';
import type { GrantFiles } from './granted.ts';
import { newGrants } from './grants.ts';
import { type KeptRules, newKept } from './kept.ts';
import { checkCalls, planCalls, valuesOf, type WritingAnswers } from './models/answer.ts';
import { spellFeatures } from './models/feature-sql.ts';
import type { Creating, Models } from './models/models.ts';
import { openQueryLog } from './query-log.ts';
import type { Bound } from './reading.ts';
import { newSpools } from './spool.ts';
import { newStatements } from './statements.ts';
import { type Candidate, type Gathering, newSharing } from './together.ts';
import { newTurns, type Turn, type TurnRules } from './turns.ts';
import { queryError } from './words.ts';

export type Format = 'json' | 'ndjson' | 'csv' | 'parquet';

export interface Asking {
  readonly who: Principal;
  readonly sql: string;
  readonly values?: Values;
  readonly format: Format;
  readonly rows?: number;
  readonly seconds?: number;
  /** Chosen by the client; made by us when absent. */
  readonly job?: string;
  /** Cancels it. */
  readonly signal?: AbortSignal;
  /** Runs nothing: the answer says whether the allow-list refuses it, by which rule, and what is allowed instead. */
  readonly explain_refusal?: boolean;
}

export interface Answer {
  readonly job: string;
  readonly contentType: string;
  readonly bytes: number;
  readonly rows: number;
  readonly truncated: boolean;
  readonly body: Readable;
}

export interface JobState {
  readonly id: string;
  readonly who: string;
  readonly sql: string;
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  progress: number | null;
  rows: number;
  readonly started: string;
  elapsed_ms: Millis;
  error: ErrorBody | null;
}

export interface RoleLimits {
  readonly seconds: number;
  readonly rows: number;
  readonly concurrency: number;
}

export interface Analyst {
  /** `schema.name` of all that somebody may read. Errors: GRANTS_BROKEN. */
  readable(who: Principal): Promise<readonly string[]>;
  /** Errors: SQL_*, QUERY_*. */
  ask(asking: Asking): Promise<Answer>;
  /**
   * Several that one person asks at once; `hear` is told each answer, or its error, as it comes. Those that group the same rows share a
   * scan: a mean may then differ from the one that `ask` gives in its last bit, as sums of doubles do from time to time anyway.
   */
  together(askings: readonly Asking[], hear: (at: number, outcome: Answer | MillraceError) => void): Promise<void>;
  jobs(): readonly JobState[];
  job(id: string): JobState;
  /** Errors: JOB_UNKNOWN. */
  cancel(id: string): void;
  /**
   * Stops what computes, to free memory or for another reason: first what nobody waits for, then the query that has run longest; null when
   * none has run for a while.
   */
  relieve(why?: MillraceError): Pick<JobState, 'id' | 'who'> | null;
  /** Cancels everything and waits for it. */
  close(): Promise<void>;
}

interface Running {
  readonly state: JobState;
  readonly began: number;
  reader: Reader | null;
  /** Ends its statement on the write lane, while it has one there. */
  interrupt: (() => void) | null;
  stop: MillraceError | null;
  /** Waits for earlier writes: it holds nothing that could be freed. */
  inLane: boolean;
  /** Set while it waits for a place. */
  wake: (() => void) | null;
  /** Aborted by `stop`, for work that is not the reader's. */
  readonly stopped: AbortController;
}

/** What a question that reads has. */
interface Reading {
  readonly reader: Reader;
  readonly turn: Turn;
  /** At most so many. */
  readonly rows: number;
}

const REMEMBERED = 200;
/** A question that has just begun is not what filled the memory. */
const YOUNG: Millis = 250;
const WAITING_PER_TOKEN = 32;
/** So long a question waits for records that were acknowledged before it; then it is answered with what there is. */
const PATIENCE: Millis = 1000;
const TURNS: TurnRules = { places: 1, moment: 500, term: 5000 };

/** Carries out a statement of Millrace's own (views, models): rows to show, or null when it knows nothing of that kind. */
export type OwnStatements = ((
  statement: Statement,
  who: Principal,
  asked: Omit<Creating, 'who'>,
) => Promise<{ columns: Column[]; rows: (string | number | null)[][] } | null>) & {
  /** Asked before any other statement that writes: throws where it would harm what stands on its target. */
  readonly before?: (statement: Statement) => Promise<void>;
};

export function openAnalyst(input: {
  store: Store;
  limits: Readonly<Record<Role, RoleLimits>>;
  own: OwnStatements;
  /** The files of grants/; without them everybody reads as far as his role goes. */
  grants?: GrantFiles;
  /** Without it there are no models: a call of one fails with MODEL_UNKNOWN. */
  models?: Pick<Models, 'answer'>;
  /** Of long questions that compute at once. */
  turns?: TurnRules;
  /** Resolves when what was acknowledged in these topics is in their tables, or after `patience`. */
  reach?: (topics: readonly string[], patience: Millis) => Promise<unknown>;
  /** When groups are kept (kept.ts). */
  kept?: KeptRules;
  /** What results may take on disk together until they are read. */
  spooled?: Bytes;
  /** Why questions of the process before this one were lost, for the query log. */
  lost?: string;
  /** Hears that the query log can't be written, or groups not kept. */
  onProblem?: (problem: unknown) => void;
}): Analyst {
  const { store, models = noModels } = input;
  const jobs = new Map<string, Running>();
  const statements = newStatements();
  const sharing = newSharing();
  const grants = newGrants(store, input.grants);
  const turns = newTurns(input.turns ?? TURNS);
  const isBusy = () => [...jobs.values()].some(isOpen);
  const kept = newKept({ store, turns, isBusy, onProblem: input.onProblem ?? (() => {}), ...input.kept });
  const spools = newSpools(store.folders.spool, input.spooled);
  const log = openQueryLog(store, input.onProblem ?? (() => {}), input.lost);
  /** Those that have one of their role's places. */
  const placed: Record<Role, Running[]> = { admin: [], editor: [], viewer: [], write: [] };
  const waiting: Record<Role, Running[]> = { admin: [], editor: [], viewer: [], write: [] };
  let count = 0;

  async function upToDate(reads: Reads, serialize: Serialize): Promise<void> {
    const topics = await grants.topics(reads, serialize);
    if (topics.length > 0) await input.reach?.(topics, PATIENCE);
  }

  /** Who asks, where they may ask that. Tables that are being made for new topics are waited for where one of that name is not there. */
  async function allowed(planned: ReturnType<typeof planCalls>, statement: Statement, who: Principal, serialize: Serialize): Promise<Who> {
    const making = store.preparing();
    const reading = await grants.of(who, serialize);
    try {
      planned.check(statement, reading);
      return reading;
    } catch (thrown) {
      if (making === null || !(thrown instanceof MillraceError && thrown.code === 'SQL_TABLE')) throw thrown;
    }
    await making;
    const again = await grants.of(who, serialize);
    planned.check(statement, again);
    return again;
  }

  async function ask(asking: Asking): Promise<Answer> {
    const job = register(asking);
    asking.signal?.addEventListener('abort', () => stop(job, new MillraceError('QUERY_CANCELLED', { job: job.state.id })));
    const { role } = asking.who;
    log.began(job.state, role);
    try {
      await place(role, job);
      try {
        job.state.state = 'running';
        const answer = await run(asking, job);
        job.state.state = 'done';
        job.state.rows = answer.rows;
        return answer;
      } finally {
        leave(role, job);
      }
    } catch (thrown) {
      const error = job.stop ?? (thrown instanceof MillraceError ? thrown : queryError(thrown, asking.sql));
      job.state.state = error.code === 'QUERY_CANCELLED' ? 'cancelled' : 'failed';
      job.state.error = error.body;
      throw error;
    } finally {
      job.state.elapsed_ms = Math.round(performance.now() - job.began);
      log.ended(job.state, role);
      job.reader?.close();
      job.reader = null;
    }
  }

  async function together(askings: readonly Asking[], hear: (at: number, outcome: Answer | MillraceError) => void): Promise<void> {
    const open = new Set(askings.keys());
    const told = (at: number, outcome: Answer | MillraceError) => {
      open.delete(at);
      hear(at, outcome);
    };
    const alone = (at: number) =>
      ask(askings[at]!).then(
        (answer) => told(at, answer),
        (thrown: unknown) => {
          if (!(thrown instanceof MillraceError)) throw thrown;
          told(at, thrown);
        },
      );
    const { gatherings, texts } = await gather(askings);
    const gathered = new Set(gatherings.flatMap(({ members }) => members.map(({ at }) => at)));
    await Promise.all([
      ...[...askings.keys()]
        .filter((at) => !gathered.has(at))
        .map(async (at) => {
          const began = performance.now();
          await alone(at);
          const text = texts.get(at);
          if (text !== undefined && kept.isLong(performance.now() - began)) sharing.tookLong(text, kept.version());
        }),
      ...gatherings.map(async (gathering) => {
        const { members } = gathering;
        // What goes wrong there is told by each question itself.
        if (gathering.scan !== null || kept.has(gathering.wide)) await sharedScan(gathering, askings, told).catch(() => {});
        const rest = members.filter(({ at }) => open.has(at));
        const began = performance.now();
        await Promise.all(rest.map(({ at }) => alone(at)));
        if (gathering.scan === null && rest.length > 0) kept.missed(gathering.wide, performance.now() - began, gathering.since);
      }),
    ]);
  }

  /** Which of them share; each that does was read and checked as if it were alone. And the texts of all that could. */
  async function gather(askings: readonly Asking[]): Promise<{ gatherings: Gathering[]; texts: ReadonlyMap<number, string> }> {
    const able = [...askings.keys()].filter((at) => askings[at]!.format === 'json' && !Array.isArray(askings[at]!.values));
    const texts = new Map<number, string>();
    if (able.length < 2) return { gatherings: [], texts };
    const reader = await store.reader(true);
    const serialize = (sql: string) => reader.serialize(sql);
    const candidate = async (at: number): Promise<Candidate[]> => {
      const asking = askings[at]!;
      const planned = planCalls(spellFeatures(asking.sql).text);
      if (planned.names.size > 0) return [];
      const statement = await statements.read(planned.text, serialize);
      planned.check(statement, await grants.of(asking.who, serialize));
      await upToDate(statement.reads, serialize);
      return statement.kind === 'select' ? [{ at, sql: statement.sql, values: (asking.values ?? {}) as Candidate['values'] }] : [];
    };
    try {
      const candidates = (await Promise.all(able.map((at) => candidate(at).catch(() => [])))).flat();
      for (const { at, sql } of candidates) texts.set(at, sql);
      return { gatherings: await sharing.gather(candidates, reader), texts };
    } catch {
      // Asked alone, each says what is wrong with it.
      return { gatherings: [], texts };
    } finally {
      reader.close();
    }
  }

  /**
   * One scan, then each statement on it, in one place and one turn. Throws what `ask` would; what was told stays told. A question that was
   * stopped is told so, and all are if they took too much time or memory: what is left is asked alone by the caller.
   */
  async function sharedScan(
    gathering: Gathering,
    askings: readonly Asking[],
    told: (at: number, outcome: Answer | MillraceError) => void,
  ): Promise<void> {
    const running = registerAll(gathering.members.map(({ at }) => ({ at, asking: askings[at]! })));
    const { asking: first, job: leader } = running[0]!;
    const { role } = first.who;
    const done = new Set<Running>();
    const finish = (at: number, job: Running, outcome: Answer | MillraceError) => {
      const failed = outcome instanceof MillraceError;
      job.state.state = failed ? (outcome.code === 'QUERY_CANCELLED' ? 'cancelled' : 'failed') : 'done';
      job.state.error = failed ? outcome.body : null;
      done.add(job);
      told(at, outcome);
    };
    const stopAll = (why: MillraceError) => {
      for (const { job } of running) stop(job, why);
    };
    first.signal?.addEventListener('abort', () => stopAll(new MillraceError('QUERY_CANCELLED', { job: leader.state.id })));
    for (const { job } of running) log.began(job.state, role);
    try {
      await place(role, leader);
      await answerAll(gathering, running, { stopAll, finish }).finally(() => leave(role, leader));
    } catch (thrown) {
      const memory = running.find(({ job }) => job.stop?.code === 'QUERY_MEMORY')?.job.stop ?? null;
      for (const { at, job } of running) if (!done.has(job) && (job.stop ?? memory) !== null) finish(at, job, (job.stop ?? memory)!);
      throw thrown;
    } finally {
      for (const { job } of running) {
        job.state.elapsed_ms = Math.round(performance.now() - job.began);
        job.reader = null;
        if (done.has(job)) log.ended(job.state, role);
        // Asked again alone, it begins under its own name.
        else {
          log.again(job.state, role);
          jobs.delete(job.state.id);
        }
      }
    }
  }

  async function answerAll(
    { table, scan, wide, members }: Gathering,
    running: readonly { at: number; asking: Asking; job: Running }[],
    { stopAll, finish }: { stopAll: (why: MillraceError) => void; finish: (at: number, job: Running, answer: Answer) => void },
  ): Promise<void> {
    const { asking: first, job: leader } = running[0]!;
    const limits = input.limits[first.who.role];
    const seconds = Math.min(limits.seconds, ...running.map(({ asking }) => asking.seconds ?? limits.seconds));
    const timer = setTimeout(() => stopAll(new MillraceError('QUERY_TIMEOUT', { seconds })), seconds * 1000);
    const answerFrom = async (reader: Reader, rowsOf: Bound, turn: Turn) => {
      for (const { job } of running) Object.assign(job, { reader }).state.state = 'running';
      const fill = () => reader.own(`CREATE OR REPLACE TEMP TABLE "${table}" AS ${rowsOf.sql}`, rowsOf.values);
      await turn.take(fill, reader.interrupt).finally(turn.end);
      const filled = performance.now();
      for (const [k, { at, asking, job }] of running.entries()) {
        const { sql, values } = members[k]!;
        const rows = Math.min(asking.rows ?? limits.rows, limits.rows);
        const answer = await asText(sql, { ...asking, values }, job, { reader, turn: noTurn, rows });
        job.state.rows = answer.rows;
        finish(at, job, answer);
      }
      // The reader may be another's next, and an answer that was cut short would keep its snapshot until then.
      for (const { job } of running) job.reader = null;
      await reader.own(`DROP TABLE "${table}"`);
      return filled;
    };
    try {
      if (wide !== null && (await kept.use(wide, (reader) => answerFrom(reader, wide.over, noTurn)))) return;
      if (scan === null) return;
      const reader = await store.reader(true);
      try {
        const turn = turns.begin({ sql: JSON.stringify(scan), signal: leader.stopped.signal, onWait: () => {} });
        const began = performance.now();
        const filled = await answerFrom(reader, scan, turn);
        if (wide !== null) kept.missed(wide, filled - began);
      } finally {
        reader.close();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  function register(asking: Asking): Running {
    const id = asking.job ?? `job_${Date.now().toString(36)}_${(++count).toString(36)}`;
    if (!/^[A-Za-z0-9_.-]{1,64}$/.test(id)) fail('QUERY_BODY', { problem: 'job must have 1 to 64 of A–Z, a–z, 0–9, _, . and -' });
    const held = jobs.get(id);
    if (held !== undefined && (held.state.state === 'waiting' || held.state.state === 'running')) {
      fail('QUERY_BODY', { problem: `a job "${id}" is running` });
    }
    const state: JobState = {
      id,
      who: asking.who.name,
      sql: asking.sql.slice(0, 10_000),
      state: 'waiting',
      progress: null,
      rows: 0,
      started: new Date().toISOString(),
      elapsed_ms: 0,
      error: null,
    };
    const job: Running = {
      state,
      began: performance.now(),
      reader: null,
      interrupt: null,
      stop: null,
      inLane: false,
      wake: null,
      stopped: new AbortController(),
    };
    jobs.set(id, job);
    for (const [old, { state: its }] of jobs) {
      if (jobs.size <= REMEMBERED) break;
      if (its.state !== 'waiting' && its.state !== 'running') jobs.delete(old);
    }
    return job;
  }

  /** All or none: one that was left would wait for ever. */
  function registerAll(list: readonly { at: number; asking: Asking }[]): { at: number; asking: Asking; job: Running }[] {
    const running: ReturnType<typeof registerAll> = [];
    try {
      for (const each of list) running.push({ ...each, job: register(each.asking) });
    } catch (thrown) {
      for (const { job } of running) jobs.delete(job.state.id);
      throw thrown;
    }
    return running;
  }

  async function place(role: Role, job: Running): Promise<void> {
    const { concurrency } = input.limits[role];
    const line = waiting[role];
    if (placed[role].length >= concurrency) {
      const own = ofOne(line, job);
      if (own >= WAITING_PER_TOKEN || concurrency === 0) fail('QUERY_BUSY', { running: placed[role].length, waiting: own });
      line.push(job);
      await new Promise<void>((resolve) => {
        job.wake = resolve;
      });
      job.wake = null;
      // Woken by `stop`, it stands in the line still.
      if (line.includes(job)) line.splice(line.indexOf(job), 1);
    } else placed[role].push(job);
    if (job.stop === null) return;
    leave(role, job);
    throw job.stop;
  }

  /** Its place is the next one's: of those that wait whose token has the fewest places, the one that has waited longest. */
  function leave(role: Role, job: Running): void {
    const [places, line] = [placed[role], waiting[role]];
    if (!places.includes(job)) return;
    places.splice(places.indexOf(job), 1);
    const fewest = Math.min(...line.map((each) => ofOne(places, each)));
    const next = line.find((each) => ofOne(places, each) === fewest);
    if (next === undefined) return;
    line.splice(line.indexOf(next), 1);
    places.push(next);
    next.wake?.();
  }

  async function run(sent: Asking, job: Running): Promise<Answer> {
    const features = spellFeatures(sent.sql);
    const asking = { ...sent, sql: features.text };
    try {
      if (asking.format === 'parquet' && asking.explain_refusal) fail('QUERY_PARQUET', { statement: 'explain_refusal' });
      return await (asking.explain_refusal ? explain(asking, job) : answered(asking, sent.sql, job));
    } catch (thrown) {
      throw features.placed(thrown instanceof MillraceError ? thrown : queryError(thrown, asking.sql));
    }
  }

  /** `sent` is what was sent, its feature functions not yet spelled out: what is kept of it is that. */
  async function answered(asking: Asking, sent: string, job: Running): Promise<Answer> {
    const planned = planCalls(asking.sql);
    const reader = await store.reader(planned.names.size > 0);
    job.reader = reader;
    const limits = input.limits[asking.who.role];
    const seconds = Math.min(asking.seconds ?? limits.seconds, limits.seconds);
    const timer = setTimeout(() => stop(job, new MillraceError('QUERY_TIMEOUT', { seconds })), seconds * 1000);
    try {
      // A statement of many parts is read part by part: not on and on behind its time.
      const serialize = (sql: string) => (job.stop === null ? reader.serialize(sql) : Promise.reject(job.stop));
      const statement = await statements.read(planned.text, serialize);
      const who = await allowed(planned, statement, asking.who, serialize);
      // Before anything is written.
      if (asking.format === 'parquet' && statement.kind !== 'select') fail('QUERY_PARQUET', { statement: spelled(statement) });
      await upToDate(statement.reads, serialize);
      if (job.stop !== null) throw job.stop;
      const pause = async () => {
        await new Promise((resolve) => setImmediate(resolve));
        if (job.stop !== null) throw job.stop;
      };
      await models.answer(planned, { reader, who, values: asking.values, pause, upToDate: (reads) => upToDate(reads, serialize) });
      const given = planned.names.size === 0 ? asking : { ...asking, values: valuesOf(asking.values, statement.parameters) ?? {} };
      const rows = Math.min(asking.rows ?? limits.rows, limits.rows);
      const sql = readable(statement);
      if (sql !== null) {
        const turn = turns.begin({
          sql: asking.sql,
          signal: job.stopped.signal,
          onWait: (waits) => {
            job.state.state = waits ? 'waiting' : 'running';
          },
        });
        const reading = { reader, turn, rows };
        return await (asking.format === 'parquet' ? asParquet : asText)(sql, given, job, reading).finally(turn.end);
      }
      const read = () => {
        clearTimeout(timer);
        job.reader?.close();
        job.reader = null;
        // What goes on apart from the warehouse (a training) holds up nobody's questions.
        leave(asking.who.role, job);
      };
      return 'sql' in statement
        ? await change(statement, given, job, await planned.forWriting(reader, store.folders.slices))
        : await carryOut(statement, given, job, { reader, read, text: sent });
    } finally {
      clearTimeout(timer);
    }
  }

  async function explain(asking: Asking, job: Running): Promise<Answer> {
    const reader = await store.reader();
    job.reader = reader;
    const serialize = (sql: string) => reader.serialize(sql);
    let refused: MillraceError | null = null;
    try {
      const who = await grants.of(asking.who, serialize);
      const planned = planCalls(asking.sql);
      const statement = await statements.read(planned.text, serialize);
      planned.check(statement, who);
      await checkCalls(planned, { serialize, who });
    } catch (thrown) {
      refused = thrown instanceof MillraceError ? thrown : queryError(thrown, asking.sql);
    }
    const columns = ['aspect', 'detail'].map((name) => ({ name, type: 'VARCHAR' }));
    const names = refused?.code === 'GRANTS_BROKEN' ? [] : await grants.readable(asking.who, serialize);
    return told({ columns, rows: explainRefusal(refused, asking.sql, names) }, asking, job);
  }

  function stop(job: Running, why: MillraceError): void {
    job.stop ??= why;
    job.stopped.abort();
    job.reader?.interrupt();
    job.interrupt?.();
    job.wake?.();
  }

  async function asText(sql: string, asking: Asking, job: Running, { reader, turn, rows: limit }: Reading): Promise<Answer> {
    const format: TextFormat = textFormats[asking.format as keyof typeof textFormats];
    const spool = spools.begin();
    try {
      const begin = async () => {
        const result = await reader.stream(sql, asking.values);
        return { result, first: await result.next() };
      };
      const { result, first } = await turn.take(begin, reader.interrupt);
      format.begin(job.state.id, result.columns, spool.text);
      let rows = 0;
      let truncated = false;
      for (let chunk = first; chunk !== null; chunk = await result.next()) {
        if (job.stop !== null) throw job.stop;
        const take = Math.min(chunk.rows, limit - rows);
        truncated = take < chunk.rows;
        format.piece(chunk, result.columns, { count: take, first: rows === 0 }, spool.text);
        spool.settle();
        rows += take;
        job.state.rows = rows;
        job.state.progress = reader.progress();
        if (truncated) break;
        await turn.pause();
        if (rows > LARGE) await letDeliveryBy(store.delivering());
      }
      if (job.stop !== null) throw job.stop;
      format.end({ rows, truncated, elapsedMs: Math.round(performance.now() - job.began) }, spool.text);
      return { job: job.state.id, contentType: format.contentType, rows, truncated, ...spool.stream() };
    } catch (thrown) {
      spool.drop();
      throw thrown;
    }
  }

  async function asParquet(sql: string, asking: Asking, job: Running, { reader, turn, rows: limit }: Reading): Promise<Answer> {
    const spool = spools.files((why) => stop(job, why));
    const newFile = () => {
      const path = join(store.folders.slices, `result-${process.hrtime.bigint()}.parquet`);
      spool.follow(path);
      return path;
    };
    /** One row more than may go out says that there are more. It is dropped by reading the file again, not by asking the question again. */
    const write = async () => {
      const path = newFile();
      const rows = await reader.toParquet(`SELECT * FROM (${sql}\n) LIMIT ${limit + 1}`, asking.values, path);
      if (rows <= limit) return { path, rows, truncated: false };
      const cut = newFile();
      return {
        path: cut,
        rows: await reader.toParquet(`FROM read_parquet(${text(path)}) LIMIT ${limit}`, undefined, cut),
        truncated: true,
      };
    };
    try {
      const { path, rows, truncated } = await turn.take(write, reader.interrupt);
      if (job.stop !== null) throw job.stop;
      return { job: job.state.id, contentType: 'application/vnd.apache.parquet', rows, truncated, ...spool.stream(path) };
    } catch (thrown) {
      spool.drop();
      throw thrown;
    }
  }

  /** A statement of Millrace's own. */
  async function carryOut(
    statement: Statement,
    asking: Asking,
    job: Running,
    own: Pick<Creating, 'reader' | 'read' | 'text'>,
  ): Promise<Answer> {
    const asked = { ...own, values: asking.values, job: job.state.id, cancel: job.stopped.signal };
    const done = await input.own(statement, asking.who, asked);
    return done === null ? fail('SQL_KIND', { kind: spelled(statement) }) : told(done, asking, job);
  }

  /** A statement that writes: one transaction of the lane, whole or not at all. */
  async function change(statement: Statement & { sql: string }, asking: Asking, job: Running, answers: WritingAnswers): Promise<Answer> {
    const target =
      'target' in statement ? `${statement.target.schema}.${statement.target.name}` : 'schema' in statement ? statement.schema : '';
    await input.own.before?.(statement);
    job.inLane = true;
    const changed = await store
      .write(async (tx) => {
        job.inLane = false;
        if (job.stop !== null) throw job.stop;
        job.interrupt = tx.interrupt;
        let rows: number;
        try {
          await answers.open(tx);
          rows = await tx.run(statement.sql, asking.values).catch((cause: unknown) => {
            throw queryError(cause, asking.sql);
          });
          await answers.close(tx);
        } finally {
          job.interrupt = null;
        }
        // Told to stop when it had just ended: nothing of it may stay.
        if (job.stop !== null) throw job.stop;
        tx.changed({ kind: 'statement', target, rows });
        return { rows, batch: tx.batch };
      })
      .finally(answers.drop);
    const columns = [
      { name: 'statement', type: 'VARCHAR' },
      { name: 'target', type: 'VARCHAR' },
      { name: 'rows', type: 'BIGINT' },
      { name: 'batch', type: 'BIGINT' },
    ];
    return told({ columns, rows: [[statement.kind, target, changed.rows, changed.batch]] }, asking, job);
  }

  /** A few rows of our own as an answer. */
  function told({ columns, rows }: { columns: Column[]; rows: (string | number | null)[][] }, asking: Asking, job: Running): Answer {
    const format = textFormats[asking.format as keyof typeof textFormats];
    const spool = spools.begin();
    format.begin(job.state.id, columns, spool.text);
    const chunk: Chunk = {
      rows: rows.length,
      json: (column, row, to) => to.write(JSON.stringify(rows[row]![column])),
      text(column, row, to) {
        const cell = rows[row]![column]!;
        if (cell !== null) to.write(String(cell));
        return cell !== null;
      },
    };
    format.piece(chunk, columns, { count: rows.length, first: true }, spool.text);
    format.end({ rows: rows.length, truncated: false, elapsedMs: Math.round(performance.now() - job.began) }, spool.text);
    return { job: job.state.id, contentType: format.contentType, rows: rows.length, truncated: false, ...spool.stream() };
  }

  function find(id: string): Running {
    return jobs.get(id) ?? fail('JOB_UNKNOWN', { job: id });
  }

  function seen(job: Running): JobState {
    const open = job.state.state === 'running' || job.state.state === 'waiting';
    if (open) job.state.elapsed_ms = Math.round(performance.now() - job.began);
    if (open && job.reader !== null) job.state.progress = job.reader.progress();
    return job.state;
  }

  async function readableBy(who: Principal): Promise<readonly string[]> {
    const reader = await store.reader();
    try {
      return await grants.readable(who, (sql) => reader.serialize(sql));
    } finally {
      reader.close();
    }
  }

  return {
    ask,
    together,
    readable: readableBy,
    jobs: () => [...jobs.values()].map(seen).reverse(),
    job: (id) => seen(find(id)),
    cancel(id) {
      stop(find(id), new MillraceError('QUERY_CANCELLED', { job: id }));
    },
    relieve(why = new MillraceError('QUERY_MEMORY')) {
      if (kept.giveUp()) return { id: 'kept_groups', who: 'millrace' };
      const running = [...jobs.values()].filter(
        (job) =>
          job.state.state === 'running' && job.reader !== null && !job.inLane && job.stop === null && performance.now() - job.began > YOUNG,
      );
      const longest = running.sort((a, b) => a.began - b.began)[0];
      if (longest === undefined) return null;
      stop(longest, why);
      return longest.state;
    },
    async close() {
      for (const job of jobs.values()) {
        if (job.state.state === 'running' || job.state.state === 'waiting') stop(job, new MillraceError('STOPPING'));
      }
      while (isBusy()) await new Promise((resolve) => setTimeout(resolve, 10));
      await kept.close();
      await log.close();
    },
  };
}

const isOpen = ({ state }: Running): boolean => state.state === 'running' || state.state === 'waiting';

/** Of what is asked of a few grouped rows: it never takes long, and its scan has had its turn. */
const noTurn: Turn = { take: (attempt) => attempt(), pause: async () => {}, end: () => {} };

const noModels: Pick<Models, 'answer'> = {
  async answer({ steps }) {
    if (steps[0] !== undefined) fail('MODEL_UNKNOWN', { model: steps[0].call.model });
  },
};

/** Rows of an answer that is made piece by piece between deliveries. */
const LARGE = 20_000;
/** At most so long for each piece, so that it goes on where deliveries follow each other without a pause. */
const LET_BY: Millis = 25;

/** A large answer is made on the thread that a delivery needs between its statements. */
async function letDeliveryBy(delivery: Promise<unknown> | null): Promise<void> {
  if (delivery === null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, LET_BY);
  delivery.then(
    () => resolve(),
    () => resolve(),
  );
  await promise.finally(() => clearTimeout(timer));
}

const spelled = ({ kind }: Statement): string => kind.toUpperCase().replaceAll('_', ' ');

/** How many of them are asked by the one who asks `job`. */
const ofOne = (jobs: readonly Running[], job: Running): number => jobs.filter(({ state }) => state.who === job.state.who).length;

/** The text to run for a statement that only reads, or null for one that changes something. */
function readable(statement: Statement): string | null {
  return statement.kind === 'select' || statement.kind === 'explain' ? statement.sql : null;
}
