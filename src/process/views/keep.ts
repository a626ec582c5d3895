/**
 * Keeps views fresh: each commit says which tables changed; a view that reads one of them is refreshed when it is due, after the
 * views that it stands on. A view that fails is paused with its reason; the others go on, and its last good state stays readable.
 */
import { asMillraceError, type ErrorBody, fail, type Millis, MillraceError, type ModelCalls, newLine, type UsedModel } from '#core';
import type {
  CreateMaterializedViewStatement,
  ExplainMaterializedViewStatement,
  MaterializedViewStatement,
  Serialize,
  Statement,
} from '#sql';
import { type Change, parseTable, type Store, type Transaction, text } from '#store';
import { type Audited, auditView, samplePartitions } from './audit.ts';
import { buildBeside, type Chunk, chunksOf, type Progress } from './build.ts';
import { noCalls } from './calls.ts';
import { type Engine, quotedName } from './engine.ts';
import { type Explained, explainView, planText } from './explain.ts';
import { watermarkAfter } from './late.ts';
import { forgetPause, pauseOf, recordPause } from './pause.ts';
import { plainReadersOf, plainTexts } from './plain.ts';
import { forget, openRecords, record, recordMended, recordOf, trim } from './record.ts';
import { isShaped, type News, type Refreshed, refreshView } from './refresh.ts';
import { openRunning } from './running.ts';
import { sharedTables, shareNews } from './share.ts';
import { isOfMachine, troubleOf } from './trouble.ts';
import { checkRuns, inOrder, readView, tablesOf, type View, viewOf } from './view.ts';

/** Where definitions live: files in the workspace. */
export interface ViewFiles {
  list(): readonly { readonly name: string; readonly file: string; readonly text: string }[];
  save(name: string, text: string): void;
  remove(name: string): void;
}

export interface ViewState {
  readonly name: string;
  readonly source: string;
  /** Every table that it reads. */
  readonly reads: readonly string[];
  readonly partition: string | null;
  readonly mode: 'partitions' | 'whole';
  readonly reasons: readonly string[];
  /** What a change of each table that it reads costs, in words. */
  readonly plan: readonly string[];
  /** The versions of models that score its rows. */
  readonly models: readonly Omit<UsedModel, 'hash'>[];
  readonly state: 'fresh' | 'behind' | 'paused';
  /** Chunks of a build beside it. */
  readonly building: { readonly done: number; readonly of: number } | null;
  /** The batch up to which it is right; null while it was never built. */
  readonly batch: number | null;
  /** When it was last right after a change, ISO 8601 in UTC. */
  readonly refreshed: string | null;
  readonly refreshes: number;
  readonly last_ms: Millis | null;
  readonly last: Refreshed | null;
  /** Null without the option; `rows` came too late since it was built. */
  readonly late: { readonly after_ms: Millis; readonly watermark: string | null; readonly rows: number } | null;
  /** The newest comparison with the query computed from scratch, and all differences that were found since it was built. */
  readonly audit: (Audited & { readonly found: number }) | null;
  readonly error: ErrorBody | null;
}

export interface Keeper {
  /** Reads the definitions anew: new and changed views are built, gone ones dropped. Broken files are returned as problems. */
  define(): Promise<readonly ErrorBody[]>;
  /** Resolves when it is built. An aborted `cancel` ends a build in chunks: VIEW_BUILD_CANCELLED, and what stood there stands. */
  create(statement: CreateMaterializedViewStatement, cancel?: AbortSignal): Promise<View>;
  /** Saves definitions that are new or the same, all or none, and builds them. Errors: VIEW_EXISTS, those of the definitions. */
  adopt(definitions: readonly { readonly name: string; readonly sql: string }[]): Promise<void>;
  command(statement: MaterializedViewStatement): Promise<void>;
  explain(statement: ExplainMaterializedViewStatement): Promise<readonly Explained[]>;
  /** Ends the build in chunks of a view. Errors: VIEW_UNKNOWN when none is under way. */
  cancel(name: string): void;
  /**
   * Before a statement that writes is run: refuses what would change a view's rows, and what drops a table that views read unless it
   * says CASCADE; then these are dropped. Errors: VIEW_KEPT, VIEW_READ.
   */
  before(statement: Statement): Promise<void>;
  /** Before a file or a transfer fills a table: the same. Errors: VIEW_KEPT, TABLE_NAME. */
  beforeLoad(table: string): void;
  /** Names of the views that read a table (schema.name), directly or through others, each after those that it reads. */
  readersOf(table: string): readonly string[];
  /** Names of the views whose rows a model scores, and of those that read them, in the same order. */
  readersOfModel(model: string): readonly string[];
  /** A model came, went, or has another version under one of its names: views that call models are read anew, and computed anew where another version answers. */
  modelsChanged(): void;
  /** Names of the plain views (CREATE VIEW) that read a table or a view that reads it. */
  plainReadersOf(table: string): Promise<readonly string[]>;
  /** What each plain view is defined by, by schema.name in lower case. */
  plainTexts(): Promise<ReadonlyMap<string, string>>;
  /** The query that a definition means, plain views and calls of models in it spelled out. Errors: those of the definition. */
  queryOf(statement: CreateMaterializedViewStatement): Promise<string>;
  /** The same of a view. */
  definitionOf(name: string): string | undefined;
  /** The query of a view as it was written: plain views and calls of models stand there under their names. */
  bodyOf(name: string): string | undefined;
  /** Memory is short: ends the refresh that has been running for long; its view is paused. Null when there is none. */
  relieve(): string | null;
  /** Compares a sample of a view with its query. Null when it is not right up to now, or is being built. Errors: VIEW_UNKNOWN. */
  audit(name: string): Promise<Audited | null>;
  /** Takes out replaced rows and records that no view needs any more; how many replaced rows. */
  trim(): Promise<number>;
  states(): readonly ViewState[];
  /** Refreshes what is behind without waiting for its time; resolves when every view that is not paused is right up to the newest batch, or after `patience`. */
  settle(patience: Millis): Promise<void>;
  stop(): Promise<void>;
}

interface Kept {
  view: View;
  /** Tables of which any change recomputes the whole: read without a key, or their rows don't carry the batch that brought them. */
  wholly: ReadonlySet<string>;
  /** The batch up to which it is right. */
  batch: number | null;
  watermark: string | null;
  refreshed: string | null;
  late: number;
  dirty: boolean;
  /** Something changed that can't be told by partition. */
  whole: boolean;
  /** Columns that it reads, a plain view behind it or a model were changed, or it was paused: its definition must be read anew. */
  reread: boolean;
  dueAt: Millis;
  refreshes: number;
  lastMs: Millis | null;
  last: Refreshed | null;
  audit: Audited | null;
  /** Its turn among those that are audited, also where there was nothing to compare. */
  audits: number;
  differences: number;
  error: ErrorBody | null;
  paused: boolean;
  running: boolean;
}

interface Build {
  readonly own: Kept;
  readonly progress: Progress;
  readonly done: Promise<ErrorBody | null>;
}

export interface KeeperOptions {
  readonly store: Store;
  readonly files: ViewFiles;
  readonly onProblem: (problem: unknown) => void;
  /** Without it no view can call a model. */
  readonly calls?: ModelCalls;
  /** A view over more rows than this is built beside in chunks of so many. */
  readonly chunkRows?: number;
  /** How often, while nothing is behind, a view is audited; 0: never by itself. */
  readonly auditEvery?: Millis;
  readonly random?: () => number;
}

const CHUNK_ROWS = 2_000_000;
const AUDIT_EVERY: Millis = 60_000;
const AUDITED_PARTITIONS = 4;
/** Each so many ticks the records that nobody needs are taken out, whether or not there is idle time. */
const TRIM_EVERY = 10;
/** A build that begins again because something changed as a whole; then it is done in one go. */
const BUILD_TRIES = 3;
const AGAIN: Millis = 5_000;
/** Deliveries wait while views are refreshed together: no longer than this, as far as their last refreshes tell. */
const TOGETHER: Millis = 250;
/** Views with the same refresh are due at the same moments, so that they can read new rows together. */
const TICK: Millis = 1_000;

/** When a view that is refreshed now is due again: after `refresh`, give or take half a tick. */
function nextTick(refresh: Millis): number {
  const tick = Math.min(refresh, TICK);
  return Math.ceil((performance.now() + refresh - tick / 2) / tick) * tick;
}

export async function openKeeper(input: KeeperOptions): Promise<Keeper> {
  const { store, files, chunkRows = CHUNK_ROWS, auditEvery = AUDIT_EVERY, random = Math.random } = input;
  await openRecords(store);
  const limits = openRunning(store, 'refreshing.json', {
    time: (view, limit, cause) => fail('VIEW_TIME', { view, limit }, cause),
    memory: (view, cause) => fail('VIEW_MEMORY', { view, detail: 'memory is short' }, cause),
    deaths: (view, deaths) => fail('VIEW_DEATHS', { view, deaths }),
  });
  const kept = new Map<string, Kept>();
  const builds = new Map<string, Build>();
  /** Views that a statement is making, not in files yet. */
  const making = new Map<string, View>();
  /** Definitions come and go one after the other. */
  const alone = newLine();
  let order: Kept[] = [];
  let stopping = false;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let ticks = 0;
  let audits = 0;

  const serialize: Serialize = async (sql) => {
    const reader = await store.reader();
    try {
      return await reader.serialize(sql);
    } finally {
      reader.close();
    }
  };

  const engine: Engine = { serialize, rows: (sql) => store.rows(sql), calls: input.calls ?? noCalls };

  async function check(definition: string): Promise<View> {
    const names = await store.names();
    return readView(definition, engine, {
      role: 'editor',
      mayRead: (schema, name) => {
        const full = `${schema ?? 'main'}.${name}`.toLowerCase();
        return names.has(full) && full !== 'millrace.quarantine' && !full.startsWith('change.');
      },
      mayWrite: () => true,
    });
  }

  /** As the warehouse remembers it: right up to a batch if it was built by this definition. */
  async function keptOf(view: View): Promise<Kept> {
    const recorded = await recordOf(engine.rows, view.full);
    const same = recorded?.definition === view.definition && isSame(recorded.models, view.models) ? recorded : null;
    const batch = same?.batch ?? null;
    const wholly = await readWholly(view);
    const missed = same?.missed === true;
    // One whose query can't be run any more says so when it is refreshed.
    const isOther = async () => !(await isShaped(engine.rows, view).catch(() => false));
    const whole = batch !== null && (missed || (await changedWhole(view, batch, wholly)) || (await isOther()));
    const pause = await pauseOf(engine.rows, view.full, view.definition);
    const [audits] = await store.rows(
      `SELECT coalesce(sum(differences), 0)::BIGINT AS n FROM millrace.audit WHERE view = ${text(view.full)} AND mended IS NULL`,
    );
    return {
      view,
      wholly,
      batch,
      watermark: same?.watermark ?? null,
      refreshed: same?.refreshed ?? null,
      late: same?.late ?? 0,
      dirty: batch === null || view.columns !== null || whole,
      whole,
      reread: false,
      dueAt: 0,
      refreshes: 0,
      lastMs: null,
      last: null,
      audit: null,
      audits: 0,
      differences: same === null ? 0 : Number(audits!['n']),
      error: pause?.error ?? null,
      paused: pause !== null,
      running: false,
    };
  }

  async function readWholly(view: View): Promise<ReadonlySet<string>> {
    const found = await store.rows(
      `SELECT lower(schema_name || '.' || table_name) AS name FROM duckdb_columns() WHERE column_name = '_batch'`,
    );
    const tracked = new Set(found.map((row) => String(row['name'])));
    return new Set(view.inputs.filter((input) => input.by === 'whole' || !tracked.has(input.table)).map((input) => input.table));
  }

  /** Since that batch: did anything that it reads change in a way that can't be told by partition? */
  async function changedWhole(view: View, since: number, wholly: ReadonlySet<string>): Promise<boolean> {
    const listed = (tables: ReadonlySet<string>) => [...tables].map(text).join(', ') || "''";
    const [row] = await store.rows(
      `SELECT count(*) AS n FROM millrace.batch WHERE batch > ${since} AND lower(target) IN (${listed(tablesOf(view))})
        AND (lower(target) IN (${listed(wholly)}) OR kind IN ('load', 'statement') OR key IN ('whole', 'types'))`,
    );
    return Number(row!['n']) > 0;
  }

  /** Takes a definition over: at once, or when it is built beside what stands there. Errors: VIEW_CYCLE, those of the definition. */
  async function place(view: View): Promise<void> {
    outOfCircles(view);
    let own: Kept;
    let chunks: readonly Chunk[];
    // A refresh may begin a build meanwhile.
    do {
      await cancelled(view.full);
      own = await keptOf(view);
      // One that was built before stands, paused, with what became of it.
      if (own.batch === null && !own.paused) await checkRuns(view, engine);
      chunks = own.batch === null ? await chunksOf(engine.rows, view, chunkRows) : [];
      if (!kept.has(view.full) && chunks.length > 1) await keepFormer(view.full);
    } while (builds.has(view.full));
    if (chunks.length < 2) kept.set(view.full, own);
    else build(own);
    sorted();
  }

  /** Errors: VIEW_CYCLE when views would read each other with this definition. */
  function outOfCircles(view: View): void {
    const others = new Map([...kept].map(([name, own]) => [name, own.view]));
    for (const [name, { own }] of builds) others.set(name, own.view);
    inOrder([...others.set(view.full, view).values()]);
  }

  /** After a stop in the middle of a build the former rows still stand: they are kept by the former definition. */
  async function keepFormer(full: string): Promise<void> {
    const recorded = await recordOf(engine.rows, full);
    if (recorded === null) return;
    try {
      const former = await keptOf(await check(recorded.definition));
      // Not where other versions of models scored the rows that stand there.
      if (former.batch !== null) kept.set(full, former);
    } catch (thrown) {
      // It can't be kept by a definition that no longer holds: its rows stay as they are until the new ones come.
      input.onProblem(thrown);
    }
  }

  function build(own: Kept): Build {
    const progress: Progress = { done: 0, of: 1, cancelled: false };
    const building: Build = { own, progress, done: Promise.resolve().then(() => built(own, building)) };
    builds.set(own.view.full, building);
    return building;
  }

  /** Null, or why it could not be built. */
  async function built(own: Kept, building: Build): Promise<ErrorBody | null> {
    const { view } = own;
    const began = performance.now();
    try {
      for (let tries = 1; ; tries++) {
        if (own.reread && !(await reread(own))) throw new MillraceError(own.error!.code, own.error!.params);
        own.whole = false;
        const chunks = await chunksOf(engine.rows, own.view, chunkRows);
        Object.assign(building.progress, { done: 0, of: chunks.length });
        try {
          own.last = await buildBeside(store, own.view, chunks, {
            limits,
            progress: building.progress,
            stale: () => own.whole || own.reread || stopping,
            onSwapped(upTo, watermark) {
              own.batch = upTo;
              own.watermark = watermark;
            },
          });
          break;
        } catch (thrown) {
          if (stopping || !(thrown instanceof MillraceError && thrown.code === 'VIEW_BUILD_STALE')) throw thrown;
          if (tries === BUILD_TRIES) {
            await refresh([own], true);
            break;
          }
        }
      }
      own.lastMs = Math.round(performance.now() - began);
      own.refreshes++;
      own.refreshed = new Date().toISOString();
      kept.set(view.full, own);
      return own.error;
    } catch (thrown) {
      const error = troubleOf(view.full, thrown, readersOf);
      const former = kept.get(view.full);
      if (former === undefined && !stopping) kept.set(view.full, own);
      const failed = former === undefined ? own : former.view.definition === view.definition ? former : null;
      if (failed !== null && !stopping) await setBack(failed, error);
      if (!stopping && !building.progress.cancelled) input.onProblem(thrown);
      return error.body;
    } finally {
      builds.delete(view.full);
      sorted();
      schedule();
    }
  }

  async function cancelled(name: string): Promise<void> {
    const building = builds.get(name);
    if (building === undefined) return;
    building.progress.cancelled = true;
    await building.done;
  }

  function sorted(): void {
    // A former definition may still stand that closes a circle with a new one: it goes when its own new one is built.
    const views = inOrder(
      [...kept.values()].map((own) => own.view),
      () => {},
    );
    order = views.map((view) => kept.get(view.full)!);
  }

  store.onCommit((changes: readonly Change[]) => {
    for (const own of [...kept.values(), ...[...builds.values()].map((building) => building.own)]) {
      const tables = tablesOf(own.view);
      for (const change of changes) {
        const target = change.target.toLowerCase();
        if (!tables.has(target)) continue;
        own.dirty = true;
        const anew = change.kind === 'load' || change.kind === 'statement' || change.key === 'whole' || change.key === 'types';
        own.reread ||= anew || change.key === 'columns';
        own.whole ||= own.wholly.has(target) || anew;
      }
    }
    schedule();
  });

  /** One that must be built as a whole waits for the build that is under way. */
  const isDue = (own: Kept) => own.dirty && !own.paused && !(own.whole && builds.has(own.view.full));

  function schedule(): void {
    if (stopping) return;
    // One that is due sooner than what was waited for may have come.
    clearTimeout(timer);
    timer = undefined;
    const due = order.filter(isDue).map((own) => own.dueAt);
    if (due.length === 0) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        running = running.then(round).catch((thrown: unknown) => input.onProblem(thrown));
      },
      Math.max(0, Math.min(...due) - performance.now()),
    );
  }

  async function round(): Promise<void> {
    const waiting = [...order];
    while (waiting.length > 0 && !stopping) {
      const [first] = waiting;
      const together = isReady(first!) ? togetherWith(first!, waiting) : [first!];
      for (const own of together) waiting.splice(waiting.indexOf(own), 1);
      if (isReady(first!)) await refresh(together);
    }
    schedule();
  }

  const isReady = (own: Kept) => kept.get(own.view.full) === own && isDue(own) && own.dueAt <= performance.now() + 1;

  /** By partition, as it stands: then nothing but new rows says what it recomputes. */
  const isPlain = (own: Kept) => own.batch !== null && own.view.columns !== null && !own.whole && !own.reread;

  /** The views that are due too, stand on nothing that waits, and read new rows of a table that it reads: they share the reading. */
  function togetherWith(first: Kept, waiting: readonly Kept[]): Kept[] {
    if (!isPlain(first)) return [first];
    const together = [first];
    let took = first.lastMs ?? 0;
    for (const own of waiting) {
      if (own === first || !isReady(own) || !isPlain(own)) continue;
      if ([...tablesOf(own.view)].some((table) => waiting.some((other) => other.view.full.toLowerCase() === table))) continue;
      took += own.lastMs ?? 0;
      if (took > TOGETHER || sharedTables([first, own]).length === 0) continue;
      together.push(own);
    }
    return together;
  }

  /** Several only where all are plain. `inOneGo` builds a large view too in a single transaction. */
  async function refresh(due: readonly Kept[], inOneGo = false): Promise<void> {
    const [own] = due;
    if (own!.reread && !(await reread(own!))) return;
    if (due.length === 1 && !inOneGo && own!.whole && own!.watermark === null && (await begunBeside(own!))) return;
    const failed = await attempt(due);
    if (failed === null || stopping) return;
    // The transaction went with the one that failed, or with what they read together.
    const rest = failed === 'all' ? due.map((one) => [one]) : [due.filter((one) => one !== failed)];
    for (const others of rest) if (others.length > 0) await refresh(others);
  }

  /** Is a large view being built beside itself, or set back because its source can't be asked? */
  async function begunBeside(own: Kept): Promise<boolean> {
    try {
      if ((await chunksOf(engine.rows, own.view, chunkRows)).length < 2) return false;
      const anew = await keptAnew(own.view);
      if (!builds.has(own.view.full) && kept.get(own.view.full) === own) build(anew);
    } catch (thrown) {
      const error = troubleOf(own.view.full, thrown, readersOf);
      await setBack(own, error);
      input.onProblem(error);
    }
    return true;
  }

  /** Refreshes views in one transaction. Null; or the one that failed, and so was set back; or 'all' when it was none of several. */
  async function attempt(due: readonly Kept[]): Promise<Kept | 'all' | null> {
    let current: Kept | null = due.length === 1 ? due[0]! : null;
    const wholes = new Map(due.map((own) => [own, own.whole]));
    // A model may have changed again while its view was read anew: that is not seen to yet.
    for (const own of due) Object.assign(own, { dirty: own.reread, running: true, whole: false });
    let failed: Kept | 'all' | null = null;
    try {
      const taken = await store.write(async (tx) => {
        const shared = due.length > 1 ? await shareNews(tx, due) : null;
        const taken: (Taken | null)[] = [];
        for (const own of due) {
          current = own;
          // Dropped or made anew while this waited for its turn: its table is gone, or another's. Or what it reads is not what it was planned by.
          if (!isCurrent(own) || own.reread) taken.push(null);
          else taken.push(await take(tx, own, { whole: wholes.get(own)!, ...(shared !== null && { news: shared.news }) }));
        }
        current = due.length === 1 ? due[0]! : null;
        await shared?.done();
        return taken;
      });
      for (const [k, own] of due.entries()) {
        if (taken[k] == null) {
          own.whole ||= wholes.get(own)!;
          own.dirty = true;
          continue;
        }
        const { late, last, ...rest } = taken[k];
        Object.assign(own, rest, { last, late: own.late + late, refreshed: new Date().toISOString(), error: null });
        own.refreshes++;
      }
    } catch (thrown) {
      for (const own of due) {
        own.whole ||= wholes.get(own)!;
        own.dirty = true;
      }
      failed = current ?? 'all';
      // Ended because the program stops: the next start takes it up.
      if (!stopping && current !== null) {
        const error = troubleOf((current as Kept).view.full, thrown, readersOf);
        await setBack(current, error);
        input.onProblem(error);
      }
    }
    for (const own of due) {
      own.running = false;
      own.dueAt = Math.max(own.dueAt, nextTick(own.view.refresh));
    }
    return due.length === 1 ? null : failed;
  }

  const isCurrent = (own: Kept) => kept.get(own.view.full) === own || builds.get(own.view.full)?.own === own;

  /** What a refresh leaves behind in memory once it is committed. */
  type Taken = Pick<Kept, 'batch' | 'watermark' | 'last' | 'lastMs'> & { readonly late: number };

  async function take(tx: Transaction, own: Kept, how: { whole: boolean; news?: News }): Promise<Taken> {
    const { view } = own;
    const began = performance.now();
    // Everything before this batch is committed, and nothing commits beside it.
    const upTo = tx.batch - 1;
    if (own.batch === null) await forget(tx, view.full);
    const others = [...kept.values(), ...[...builds.values()].map((building) => building.own)];
    const keepOld = others.some((other) => tablesOf(other.view).has(view.full.toLowerCase()));
    const last = await limits.within(view, tx.interrupt, () =>
      refreshView(tx, view, own.batch, { ...how, keepOld, watermark: own.watermark }),
    );
    const watermark = await watermarkAfter((sql) => tx.rows(sql), view, own.batch, own.watermark);
    if (last.mode !== 'nothing') await record(tx, view, upTo, watermark);
    return { batch: upTo, watermark, last, lastMs: Math.round(performance.now() - began), late: last.late ?? 0 };
  }

  /** What is not the view's fault is tried again; anything else would only fail once more. */
  async function setBack(own: Kept, error: MillraceError): Promise<void> {
    if (!isOfMachine(error)) return pause(own, error.body);
    own.error = error.body;
    own.dirty = true;
    own.dueAt = performance.now() + AGAIN;
    schedule();
  }

  /** False when it holds no longer: then it is paused. */
  async function reread(own: Kept): Promise<boolean> {
    own.reread = false;
    try {
      const view = await check(own.view.definition);
      outOfCircles(view);
      // As with another definition, nothing that stands there is right, nor late any more.
      if (!isSame(view.models, own.view.models)) Object.assign(own, { batch: null, watermark: null, late: 0, differences: 0, whole: true });
      own.view = view;
      own.wholly = await readWholly(view);
      own.whole ||= own.batch !== null && !(await isShaped(engine.rows, view));
      sorted();
      return true;
    } catch (thrown) {
      own.reread = true;
      const error = troubleOf(own.view.full, thrown, readersOf);
      await pause(own, error.body);
      input.onProblem(error);
      return false;
    }
  }

  function modelsChanged(): void {
    for (const own of [...kept.values(), ...[...builds.values()].map((building) => building.own)])
      if (own.view.models.length > 0) Object.assign(own, { dirty: true, reread: true });
    schedule();
  }

  async function keptAnew(view: View): Promise<Kept> {
    return { ...(await keptOf(view)), batch: null, watermark: null, late: 0, differences: 0, whole: false };
  }

  async function pause(own: Kept, error: ErrorBody | null): Promise<void> {
    own.paused = true;
    own.error = error;
    // One that can't be written down (a full disk) holds until the next start.
    await recordPause(store, own.view.full, own.view.definition, error).catch(input.onProblem);
  }

  async function resume(own: Kept): Promise<void> {
    own.paused = false;
    own.error = null;
    own.dirty = true;
    // What it reads may be another thing by now.
    own.reread = true;
    limits.pardon(own.view.full);
    await forgetPause(store, own.view.full);
  }

  const readersOf = (table: string) => readersWhere(table.toLowerCase(), () => false);

  const readersOfModel = (model: string) => readersWhere('', (view) => view.models.some((used) => used.model === model.toLowerCase()));

  function readersWhere(table: string, isFirst: (view: View) => boolean): readonly string[] {
    const below = new Set([table]);
    const found: string[] = [];
    for (const own of order) {
      if (!isFirst(own.view) && ![...tablesOf(own.view)].some((read) => below.has(read))) continue;
      below.add(own.view.full.toLowerCase());
      found.push(own.view.full);
    }
    return found;
  }

  async function define(): Promise<readonly ErrorBody[]> {
    // A view may read one that stands in a later file: go round while any could be read.
    for (let left = -1; ; ) {
      const problems = await alone(placeFiles);
      schedule();
      if (problems.length === 0 || problems.length === left) return problems;
      left = problems.length;
      // A view of a view that was never built can't be planned before that one has columns.
      await buildAll();
    }
  }

  /** The definitions as the files have them now: those that can't be placed are the problems, and keep their last good definition. */
  async function placeFiles(): Promise<readonly ErrorBody[]> {
    const problems: ErrorBody[] = [];
    const listed = files.list();
    for (const { name, file, text } of listed) {
      try {
        const old = builds.get(name)?.own ?? kept.get(name);
        if (making.has(name) || old?.view.definition === text) continue;
        const view = await check(text);
        if (view.full !== name) fail('VIEW_NAME', { file, view: view.full });
        if (old === undefined && (await isAnothers(name))) fail('VIEW_EXISTS', { view: name });
        await place(view);
      } catch (thrown) {
        const error = asMillraceError(thrown);
        problems.push({ ...error.body, params: { ...error.params, file } });
      }
    }
    const found = new Set([...listed.map(({ name }) => name), ...making.keys()]);
    for (const name of new Set([...kept.keys(), ...builds.keys()])) if (!found.has(name)) await drop(name);
    return problems;
  }

  /** Does a table of that name stand there that is no view's? */
  async function isAnothers(full: string): Promise<boolean> {
    return (await store.names()).has(full.toLowerCase()) && (await recordOf(engine.rows, full)) === null;
  }

  /** Takes the definition of a statement over. One that is built beside goes into its file once it stands. */
  async function make(statement: CreateMaterializedViewStatement): Promise<{ view: View; own: Kept } | { stands: View }> {
    const view = await viewOf(statement, engine);
    const { full } = view;
    const taken = kept.has(full) || builds.has(full) || (await store.names()).has(full.toLowerCase());
    if (taken && statement.ifNotExists && kept.has(full)) return { stands: kept.get(full)!.view };
    if (taken && !(statement.replace && (kept.has(full) || builds.has(full)))) fail('VIEW_EXISTS', { view: full });
    making.set(full, view);
    try {
      await place(view);
    } catch (thrown) {
      making.delete(full);
      throw thrown;
    }
    const building = builds.get(full);
    if (building !== undefined) return { view, own: building.own };
    making.delete(full);
    files.save(full, view.definition);
    return { view, own: kept.get(full)! };
  }

  async function buildAll(): Promise<void> {
    sorted();
    for (const own of order) if (own.batch === null && !own.paused) running = running.then(() => refresh([own]));
    await running;
    await Promise.all([...builds.values()].map((building) => building.done));
  }

  async function drop(name: string): Promise<void> {
    const view = (kept.get(name) ?? builds.get(name)?.own)?.view;
    await cancelled(name);
    kept.delete(name);
    if (view === undefined) return;
    sorted();
    await store.write(async (tx) => {
      await tx.run(`DROP TABLE IF EXISTS "${view.name.schema}"."${view.name.name}"`);
      await tx.run(`DROP TABLE IF EXISTS change."${view.full}"`);
      await tx.run(`DELETE FROM millrace.view WHERE name = ${text(view.full)}`);
      await forget(tx, view.full);
      tx.changed({ kind: 'view', target: view.full, key: 'whole', rows: 0 });
    });
  }

  function refuseWrite(table: string): void {
    const view = [...kept.keys(), ...builds.keys()].find((name) => name.toLowerCase() === table);
    if (view !== undefined) fail('VIEW_KEPT', { view });
  }

  const plainReaders = (table: string) => plainReadersOf([table, ...readersOf(table)], engine);

  /** Drops the views that read a table, the uppermost first. Errors: VIEW_READ without `cascade`. */
  async function release(table: string, cascade: boolean): Promise<void> {
    const readers = readersOf(table);
    const plain = await plainReaders(table);
    if (readers.length + plain.length > 0 && !cascade) fail('VIEW_READ', { table, readers: [...readers, ...plain].join(', ') });
    for (const reader of [...readers].reverse()) {
      files.remove(reader);
      await drop(reader);
    }
    for (const view of plain)
      await store.write(async (tx) => {
        await tx.run(`DROP VIEW IF EXISTS ${quotedName(view)}`);
        tx.changed({ kind: 'statement', target: view, rows: 0 });
      });
  }

  async function audit(own: Kept): Promise<Audited | null> {
    own.audits = ++audits;
    const seed = Math.floor(random() * 2 ** 31);
    const sampled = await samplePartitions(store, own.view, own.watermark, { count: AUDITED_PARTITIONS, seed });
    if (own.view.columns !== null && sampled.length === 0) return null;
    const audited = await store.write(async (tx) => {
      const right = !own.dirty && !own.paused && own.batch !== null && kept.get(own.view.full) === own;
      return right ? limits.within(own.view, tx.interrupt, () => auditView(tx, own.view, sampled)) : null;
    });
    if (audited === null) return null;
    own.audit = audited;
    own.differences += audited.differences;
    if (audited.differences > 0)
      input.onProblem(new MillraceError('VIEW_DIFFERS', { view: own.view.full, differences: audited.differences }));
    return audited;
  }

  /** Takes out what nobody needs, and in idle time audits the view whose turn was longest ago. */
  async function tick(): Promise<void> {
    if (stopping) return;
    ticks++;
    if (ticks % TRIM_EVERY === 0) await trimmed();
    if (builds.size > 0 || order.some((own) => (isDue(own) && own.dueAt <= performance.now()) || own.running)) return;
    const [next] = order.filter((own) => !own.dirty && !own.paused && own.batch !== null).sort((a, b) => a.audits - b.audits);
    if (next !== undefined) await audit(next);
  }

  async function trimmed(): Promise<number> {
    return store.write(async (tx) => {
      const seen = new Map<string, number>();
      const right = order.filter((own) => !own.dirty && !own.paused && own.batch !== null);
      for (const own of [...order, ...[...builds.values()].map((building) => building.own)]) {
        const upTo = right.includes(own) ? tx.batch - 1 : (own.batch ?? 0);
        for (const table of tablesOf(own.view)) seen.set(table, Math.min(seen.get(table) ?? upTo, upTo));
      }
      return trim(tx, right, seen, [...order.map((own) => own.view.full), ...builds.keys()]);
    });
  }

  const auditing =
    auditEvery === 0
      ? undefined
      : setInterval(() => {
          running = running.then(tick).catch((thrown: unknown) => input.onProblem(thrown));
        }, auditEvery).unref();

  const known = (name: string): Kept => kept.get(name) ?? fail('VIEW_UNKNOWN', { view: name });

  return {
    define,
    async create(statement, cancel) {
      const made = await alone(() => make(statement));
      if ('stands' in made) return made.stands;
      const { view } = made;
      const building = builds.get(view.full);
      if (building === undefined) {
        running = running.then(() => refresh([made.own]));
        await running;
        schedule();
        const { error } = made.own;
        return error === null ? view : fail(error.code, error.params);
      }
      cancel?.addEventListener('abort', () => {
        building.progress.cancelled = true;
      });
      const error = await building.done;
      await alone(async () => {
        // Another definition may have taken its place.
        if (making.get(view.full) !== view) return;
        making.delete(view.full);
        if (error === null) files.save(view.full, view.definition);
        else if (kept.get(view.full)?.batch === null) await drop(view.full);
      });
      return error === null ? view : fail(error.code, error.params);
    },
    async adopt(definitions) {
      const names = await store.names();
      const own = new Map(files.list().map(({ name, text }) => [name, text]));
      const fresh = definitions.filter(({ name, sql }) => own.get(name) !== sql);
      for (const { name } of fresh) if (own.has(name) || names.has(name)) fail('VIEW_EXISTS', { view: name });
      for (const { name, sql } of fresh) files.save(name, sql);
      const problems = await define();
      const mine = problems.find((problem) => fresh.some(({ name }) => String(problem.params['file']).endsWith(`${name}.sql`)));
      if (mine === undefined) return;
      for (const { name } of fresh) files.remove(name);
      await define();
      fail(mine.code, mine.params);
    },
    async command(statement) {
      const name = `${statement.target.schema}.${statement.target.name}`;
      const own = kept.get(name) ?? builds.get(name)?.own;
      if (own === undefined) {
        if (statement.ifExists) return;
        return fail('VIEW_UNKNOWN', { view: name });
      }
      switch (statement.kind) {
        case 'drop_materialized_view':
          return alone(async () => {
            await release(name, statement.cascade === true);
            files.remove(name);
            await drop(name);
          });
        case 'pause_materialized_view':
          await cancelled(name);
          return pause(kept.get(name) ?? own, null);
        case 'resume_materialized_view':
          await resume(own);
          schedule();
          return;
        case 'refresh_materialized_view': {
          await resume(own);
          own.whole = true;
          running = running.then(() => refresh([own]));
          await running;
          const error = (await builds.get(name)?.done) ?? null;
          if (error !== null) fail(error.code, error.params);
          const anew = kept.get(name);
          if (anew === undefined || anew.error !== null || anew.differences === 0) return;
          await recordMended(store, name);
          anew.differences = 0;
        }
      }
    },
    async explain(statement) {
      if (statement.create !== null) {
        const view = await viewOf(statement.create, engine);
        await checkRuns(view, engine);
        return explainView(view, null, engine);
      }
      const own = known(`${statement.target.schema}.${statement.target.name}`);
      return explainView(own.view, { ...own, readers: readersOf(own.view.full) }, engine);
    },
    cancel(name) {
      const building = builds.get(name) ?? fail('VIEW_UNKNOWN', { view: name });
      building.progress.cancelled = true;
    },
    async before(statement) {
      if (!('sql' in statement) || !('target' in statement)) return;
      const table = `${statement.target.schema}.${statement.target.name}`.toLowerCase();
      refuseWrite(table);
      if (statement.kind === 'drop') await alone(() => release(table, statement.cascade === true));
    },
    beforeLoad(table) {
      const { schema, name } = parseTable(table);
      refuseWrite(`${schema}.${name}`.toLowerCase());
    },
    readersOf,
    readersOfModel,
    modelsChanged,
    plainReadersOf: plainReaders,
    plainTexts: () => plainTexts(engine.rows),
    queryOf: async (statement) => (await viewOf(statement, engine)).query,
    definitionOf: (name) => kept.get(name)?.view.query,
    bodyOf: (name) => kept.get(name)?.view.body,
    relieve: limits.relieve,
    audit: async (name) => audit(known(name)),
    trim: trimmed,
    states: () => {
      const fresh = [...builds.values()].map(({ own }) => own).filter((own) => !kept.has(own.view.full));
      return [...order, ...fresh].map((own) => stateOf(own, builds.get(own.view.full)?.progress ?? null));
    },
    async settle(patience) {
      const deadline = performance.now() + patience;
      const behind = () => order.filter((own) => (own.dirty || own.running) && !own.paused);
      // The end of one refresh may be news for the next view.
      for (let late = behind(); (late.length > 0 || builds.size > 0) && performance.now() < deadline; late = behind()) {
        for (const own of late) own.dueAt = 0;
        schedule();
        await new Promise((resolve) => setTimeout(resolve, 1));
        let patient: NodeJS.Timeout | undefined;
        const impatience = new Promise((resolve) => {
          patient = setTimeout(resolve, deadline - performance.now());
        });
        await Promise.race([Promise.all([running, ...[...builds.values()].map(({ done }) => done)]), impatience]);
        clearTimeout(patient);
      }
    },
    async stop() {
      stopping = true;
      clearTimeout(timer);
      clearInterval(auditing);
      limits.stop();
      await running;
      await Promise.all([...builds.values()].map(({ done }) => done));
    },
  };
}

function stateOf(own: Kept, progress: Progress | null): ViewState {
  const { view } = own;
  return {
    name: view.full,
    source: view.source,
    reads: [...tablesOf(view)],
    partition: view.partition,
    mode: view.columns === null ? 'whole' : 'partitions',
    reasons: view.plan.reasons,
    plan: planText(view),
    models: view.models.map(({ model, spelled, version }) => ({ model, spelled, version })),
    state: own.paused ? 'paused' : own.dirty ? 'behind' : 'fresh',
    building: progress === null ? null : { done: progress.done, of: progress.of },
    batch: own.batch,
    refreshed: own.refreshed,
    refreshes: own.refreshes,
    last_ms: own.lastMs,
    last: own.last,
    late: view.lateness === null ? null : { after_ms: view.lateness.span, watermark: own.watermark, rows: own.late },
    audit:
      own.audit === null
        ? own.differences === 0
          ? null
          : { ...UNSEEN, found: own.differences }
        : { ...own.audit, found: own.differences },
    error: own.error,
  };
}

const isSame = (some: readonly UsedModel[], others: readonly UsedModel[]): boolean => JSON.stringify(some) === JSON.stringify(others);

/** Differences that an earlier run found. */
const UNSEEN: Audited = { at: '', partitions: null, differences: 0 };
