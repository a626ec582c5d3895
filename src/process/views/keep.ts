/**
 * Keeps views fresh: each commit says which tables changed; a view that reads one of them is refreshed when it is due, after the
 * views that it stands on. A view that fails is paused with its reason; the others go on, and its last good state stays readable.
 */
import { asMillraceError, type ErrorBody, fail, type Millis } from '#core';
import type { CreateMaterializedViewStatement, MaterializedViewStatement, Serialize } from '#sql';
import { type Change, type Store, text } from '#store';
import { type Refreshed, refreshView } from './refresh.ts';
import { type Engine, inOrder, readView, tablesOf, type View, viewOf } from './view.ts';

/** Where definitions live: files in the workspace. */
export interface ViewFiles {
  list(): readonly { readonly name: string; readonly file: string; readonly text: string }[];
  save(name: string, text: string): void;
  remove(name: string): void;
}

export interface ViewState {
  readonly name: string;
  readonly source: string;
  readonly partition: string | null;
  readonly mode: 'partitions' | 'whole';
  readonly reasons: readonly string[];
  /** What a change of each table that it reads costs, in words. */
  readonly plan: readonly string[];
  readonly state: 'fresh' | 'behind' | 'paused';
  /** The batch up to which it is right; null while it was never built. */
  readonly batch: number | null;
  readonly refreshes: number;
  readonly last_ms: Millis | null;
  readonly last: Refreshed | null;
  readonly error: ErrorBody | null;
}

export interface Keeper {
  /** Reads the definitions anew: new and changed views are built, gone ones dropped. Broken files are returned as problems. */
  define(): Promise<readonly ErrorBody[]>;
  create(statement: CreateMaterializedViewStatement): Promise<View>;
  command(statement: MaterializedViewStatement): Promise<void>;
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
  dirty: boolean;
  /** Something changed that can't be told by partition. */
  whole: boolean;
  dueAt: Millis;
  refreshes: number;
  lastMs: Millis | null;
  last: Refreshed | null;
  error: ErrorBody | null;
  paused: boolean;
  running: boolean;
}

export async function openKeeper(input: { store: Store; files: ViewFiles; onProblem: (problem: unknown) => void }): Promise<Keeper> {
  const { store, files } = input;
  await store.write((tx) =>
    tx.run(
      'CREATE TABLE IF NOT EXISTS millrace.view (name VARCHAR NOT NULL, definition VARCHAR NOT NULL, batch BIGINT NOT NULL, refreshed TIMESTAMPTZ NOT NULL)',
    ),
  );
  const kept = new Map<string, Kept>();
  let order: Kept[] = [];
  let stopping = false;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  const serialize: Serialize = async (sql) => {
    const reader = await store.reader();
    try {
      return await reader.serialize(sql);
    } finally {
      reader.close();
    }
  };

  const engine: Engine = { serialize, rows: (sql) => store.rows(sql) };

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

  async function stateOf(view: View): Promise<number | null> {
    const [row] = await store.rows(
      `SELECT max_by(definition, batch) AS definition, max(batch) AS batch FROM millrace.view WHERE name = ${text(view.full)}`,
    );
    return row?.['definition'] === view.definition ? Number(row['batch']) : null;
  }

  async function keep(view: View): Promise<void> {
    const batch = await stateOf(view);
    const wholly = await readWholly(view);
    const own: Kept = {
      view,
      wholly,
      batch,
      dirty: true,
      whole: batch !== null && (await changedWhole(view, batch, wholly)),
      dueAt: 0,
      refreshes: 0,
      lastMs: null,
      last: null,
      error: null,
      paused: false,
      running: false,
    };
    if (batch !== null && view.columns === null) own.dirty = own.whole;
    kept.set(view.full, own);
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
        AND (lower(target) IN (${listed(wholly)}) OR kind IN ('load', 'statement') OR key = 'whole')`,
    );
    return Number(row!['n']) > 0;
  }

  function sorted(): void {
    const views = inOrder([...kept.values()].map((own) => own.view));
    order = views.map((view) => kept.get(view.full)!);
  }

  store.onCommit((changes: readonly Change[]) => {
    for (const own of kept.values()) {
      const tables = tablesOf(own.view);
      for (const change of changes) {
        const target = change.target.toLowerCase();
        if (!tables.has(target)) continue;
        own.dirty = true;
        own.whole ||= own.wholly.has(target) || change.kind === 'load' || change.kind === 'statement' || change.key === 'whole';
      }
    }
    schedule();
  });

  function schedule(): void {
    if (stopping || timer !== undefined) return;
    const due = order.filter((own) => own.dirty && !own.paused).map((own) => own.dueAt);
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
    for (const own of order) {
      if (stopping) return;
      const dropped = kept.get(own.view.full) !== own;
      if (!dropped && own.dirty && !own.paused && own.dueAt <= performance.now() + 1) await refresh(own);
    }
    schedule();
  }

  async function refresh(own: Kept): Promise<void> {
    const began = performance.now();
    own.dirty = false;
    own.running = true;
    const whole = own.whole;
    own.whole = false;
    const { view } = own;
    const downstream = [...kept.values()].some((other) => tablesOf(other.view).has(view.full.toLowerCase()));
    try {
      const { batch, refreshed } = await store.write(async (tx) => {
        // Everything before this batch is committed, and nothing commits beside it.
        const upTo = tx.batch - 1;
        const refreshed = await refreshView(tx, view, own.batch, { whole, keepOld: downstream });
        if (refreshed.mode !== 'nothing')
          await tx.run(`INSERT INTO millrace.view VALUES (${text(view.full)}, ${text(view.definition)}, ${upTo}, now())`);
        return { batch: upTo, refreshed };
      });
      own.batch = batch;
      own.last = refreshed;
      own.lastMs = Math.round(performance.now() - began);
      own.refreshes++;
      own.error = null;
    } catch (thrown) {
      own.paused = true;
      own.error = asMillraceError(thrown).body;
      own.whole ||= whole;
      input.onProblem(thrown);
    }
    own.running = false;
    own.dueAt = performance.now() + view.refresh;
  }

  async function define(): Promise<readonly ErrorBody[]> {
    const problems: ErrorBody[] = [];
    const found = new Set<string>();
    let waiting = [...files.list()];
    // A view may read one that stands in a later file: go round while any could be read.
    for (let left = -1; waiting.length > 0 && waiting.length !== left; ) {
      left = waiting.length;
      const still: typeof waiting = [];
      problems.length = 0;
      for (const definition of waiting) {
        try {
          const old = kept.get(definition.name);
          if (old !== undefined && old.view.definition === definition.text) {
            found.add(definition.name);
            continue;
          }
          const view = await check(definition.text);
          if (view.full !== definition.name) fail('VIEW_NAME', { file: definition.file, view: view.full });
          await keep(view);
          found.add(view.full);
        } catch (thrown) {
          const error = asMillraceError(thrown);
          problems.push({ ...error.body, params: { ...error.params, file: definition.file } });
          still.push(definition);
          // What is broken keeps its last good definition.
          found.add(definition.name);
        }
      }
      waiting = still;
      // A view of a view that was never built can't be planned before that one has columns.
      if (waiting.length > 0) await buildAll();
    }
    for (const name of [...kept.keys()]) if (!found.has(name)) await drop(name);
    sorted();
    schedule();
    return problems;
  }

  async function buildAll(): Promise<void> {
    sorted();
    for (const own of order) if (own.batch === null && !own.paused) running = running.then(() => refresh(own));
    await running;
  }

  async function drop(name: string): Promise<void> {
    const own = kept.get(name);
    if (own === undefined) return;
    kept.delete(name);
    sorted();
    await store.write(async (tx) => {
      await tx.run(`DROP TABLE IF EXISTS "${own.view.name.schema}"."${own.view.name.name}"`);
      await tx.run(`DROP TABLE IF EXISTS change."${own.view.full}"`);
      await tx.run(`DELETE FROM millrace.view WHERE name = ${text(own.view.full)}`);
      tx.changed({ kind: 'view', target: own.view.full, key: 'whole', rows: 0 });
    });
  }

  return {
    define,
    async create(statement) {
      const view = await viewOf(statement, engine);
      const taken = kept.has(view.full) || (await store.names()).has(view.full.toLowerCase());
      if (taken && statement.ifNotExists && kept.has(view.full)) return kept.get(view.full)!.view;
      if (taken && !(statement.replace && kept.has(view.full))) fail('VIEW_EXISTS', { view: view.full });
      const before = kept.get(view.full);
      await keep(view);
      try {
        sorted();
      } catch (thrown) {
        if (before === undefined) kept.delete(view.full);
        else kept.set(view.full, before);
        sorted();
        throw thrown;
      }
      files.save(view.full, view.definition);
      running = running.then(() => refresh(kept.get(view.full)!));
      await running;
      schedule();
      const { error } = kept.get(view.full)!;
      return error === null ? view : fail(error.code, error.params);
    },
    async command(statement) {
      const name = `${statement.target.schema}.${statement.target.name}`;
      const own = kept.get(name);
      if (own === undefined) {
        if (statement.ifExists) return;
        return fail('VIEW_UNKNOWN', { view: name });
      }
      switch (statement.kind) {
        case 'drop_materialized_view':
          files.remove(name);
          await drop(name);
          return;
        case 'pause_materialized_view':
          own.paused = true;
          return;
        case 'resume_materialized_view':
          own.paused = false;
          own.error = null;
          own.dirty = true;
          schedule();
          return;
        case 'refresh_materialized_view':
          own.paused = false;
          own.whole = true;
          running = running.then(() => refresh(own));
          await running;
      }
    },
    states: () =>
      order.map((own) => ({
        name: own.view.full,
        source: own.view.source,
        partition: own.view.partition,
        mode: own.view.columns === null ? 'whole' : 'partitions',
        reasons: own.view.plan.reasons,
        plan: planText(own.view),
        state: own.paused ? 'paused' : own.dirty ? 'behind' : 'fresh',
        batch: own.batch,
        refreshes: own.refreshes,
        last_ms: own.lastMs,
        last: own.last,
        error: own.error,
      })),
    async settle(patience) {
      const deadline = performance.now() + patience;
      const behind = () => order.filter((own) => (own.dirty || own.running) && !own.paused);
      // The end of one refresh may be news for the next view.
      for (let late = behind(); late.length > 0 && performance.now() < deadline; late = behind()) {
        for (const own of late) own.dueAt = 0;
        clearTimeout(timer);
        timer = undefined;
        schedule();
        await new Promise((resolve) => setTimeout(resolve, 1));
        let patient: NodeJS.Timeout | undefined;
        const impatience = new Promise((resolve) => {
          patient = setTimeout(resolve, deadline - performance.now());
        });
        await Promise.race([running, impatience]);
        clearTimeout(patient);
      }
    },
    async stop() {
      stopping = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** How each table that a view reads is kept up with, in words. */
function planText(view: View): string[] {
  if (view.columns === null) return [...tablesOf(view)].map((table) => `${table}: any change recomputes the whole view`);
  const lines = view.inputs.map((input) => {
    if (input.by === 'partition')
      return `${input.table}: a changed row touches the partition ${input.parts.map((part) => part.sql).join(', ')}`;
    if (input.by === 'key')
      return `${input.table}: a changed row touches the partitions of the rows of ${input.of.table} whose ${input.of.key} equals its ${input.key}`;
    return `${input.table}: any change recomputes the whole view, because ${input.reason}`;
  });
  return [...new Set(lines)];
}
