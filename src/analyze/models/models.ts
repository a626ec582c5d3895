/** Models from statement to deployment: read rows → train in another process → replay the golden rows on every target → register → serve. */
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { asMillraceError, type Column, fail, type MillraceError, type ModelCalls, newLine } from '#core';
import type { Progress } from '#learn';
import {
  type AlterModelStatement,
  type CreateModelStatement,
  type DropModelStatement,
  type FeatureCall,
  find,
  queryOf,
  tokens,
} from '#sql';
import { type ArrayColumn, name as quote, type Reader, type Store, type Transaction, type Values } from '#store';
import { type Answering, answerCalls, type Planned, valuesOf } from './answer.ts';
import { expressionOf, inputsOf } from './columns.ts';
import { openModelCalls } from './inline.ts';
import { type Insights, isContribution, openInsights } from './insights.ts';
import type { Input, ModelEntry, ModelFile, Trained, TrainingOrder, TrainingState, Version, Workshop } from './model.ts';
import { isAlias, readBroughtOptions, readOptions, readSettings } from './options.ts';
import { type Naming, openRegistry, spelledAs } from './registry.ts';
import { score, sourceOf } from './score.ts';

/** What a training begins with. */
interface Prepared {
  readonly order: TrainingOrder;
  readonly alias: string;
  readonly batch: number;
  readonly rows: number;
}

/** A CREATE MODEL that is under way, as the asker's question. */
export interface Creating {
  readonly reader: Reader;
  readonly values: Values | undefined;
  /** What the user sent. */
  readonly text: string;
  readonly job: string;
  readonly who: string;
  readonly cancel: AbortSignal;
  /** Said once the rows are read: the question's time limit and its share of memory no longer count. */
  readonly read: () => void;
}

export interface Models {
  list(): readonly ModelEntry[];
  /** What a spelling means (`name`, `schema.name`, with `@2` or `@alias`). MODEL_UNKNOWN. */
  version(spelled: string): { entry: ModelEntry; version: Version };
  /** Contribution analyses: they have names like models, and no versions. */
  readonly insights: Insights;
  /** What views need of models. */
  readonly calls: ModelCalls;
  /** See `answerCalls`. */
  answer(planned: Planned, answering: Omit<Answering, 'open' | 'workshop' | 'insights'>): Promise<void>;
  /** Trains and deploys a version, or null where IF NOT EXISTS finds one. Errors: MODEL_*, LEARN_*. */
  create(
    statement: CreateModelStatement,
    creating: Creating,
  ): Promise<{ model: string; alias: string; version: Version; file: ModelFile } | null>;
  /** A contribution analysis: what was made as rows, or null where IF NOT EXISTS finds one. Errors: MODEL_EXISTS, those of `Insights.create`. */
  analyse(statement: CreateModelStatement, creating: Creating): Promise<Awaited<ReturnType<Insights['create']>> | null>;
  drop(statement: DropModelStatement): Promise<void>;
  /** Renames it or sets its options; null where IF EXISTS finds none. Errors: MODEL_UNKNOWN, MODEL_EXISTS, MODEL_OPTION, and those of `promote`. */
  alter(statement: AlterModelStatement, who: string): Promise<ModelEntry | null>;
  /** Writes a file below the workspace's folder of models. Errors: MODEL_UNKNOWN, MODEL_FILE, MODEL_OPTION, and those of `Workshop.export`. */
  export(model: string, format: string, path: string, overwrite: boolean): Promise<{ path: string; bytes: number }>;
  /** Gives a version an alias, once the golden rows came out right on every target. Errors: MODEL_UNKNOWN, MODEL_FILE, MODEL_GOLDEN, MODEL_OPTION. */
  promote(model: string, alias: string, who: string): Promise<ModelEntry>;
  /** Gives `champion` back to the version that had it before. MODEL_UNKNOWN where there was none. */
  rollBack(model: string, who: string): Promise<ModelEntry>;
  trainings(): readonly TrainingState[];
  /** Ends a training's search; the best so far becomes the model. False when it is not in training. */
  stop(job: string): boolean;
}

export async function openModels(input: {
  store: Store;
  workshop: Workshop;
  onChange: (models: readonly ModelEntry[]) => void;
}): Promise<Models> {
  const { store, workshop } = input;
  const registry = await openRegistry(store, workshop.find);
  const insights = await openInsights(store);
  const running = new Map<string, { state: TrainingState; stop: AbortController }>();
  /** Changes of what models there are, each with its files and the registry read again: what one has found there is so until it is done. */
  const inLine = newLine();
  let training: Promise<unknown> = Promise.resolve();
  let count = 0;

  const open = (spelled: string): ModelFile => {
    const { entry, version } = registry.version(spelled);
    return workshop.open(entry.name, version.version, version.hash);
  };

  const entryOf = (model: string): ModelEntry => registry.find(model) ?? fail('MODEL_UNKNOWN', { model });

  /** Only in line. */
  async function commit(table: string, rows: number, write: (tx: Transaction) => Promise<void>): Promise<void> {
    await store.write(async (tx) => {
      await write(tx);
      tx.changed({ kind: 'statement', target: `millrace.${table}`, rows });
    });
    await registry.refresh();
    input.onChange(registry.list());
  }

  /** One training at a time: each may use the whole share of memory. One that is told to end doesn't wait for its turn to do so. */
  function inTurn<T>(ended: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = training;
    const result = Promise.race([before, abortOf(ended)]).then(work);
    training = Promise.allSettled([before, result]);
    return result;
  }

  /** Whether IF NOT EXISTS finds it. MODEL_EXISTS where the name is taken. */
  function isThere(statement: CreateModelStatement): boolean {
    const model = nameOf(statement);
    const trained = registry.find(model) !== null;
    const [own, other] = isContribution(statement) ? [insights.has(model), trained] : [trained, insights.has(model)];
    if (own && !other && statement.ifNotExists) return true;
    const adds = statement.replace || (!isContribution(statement) && statement.options['alias'] !== undefined);
    if (other || (own && !adds)) fail('MODEL_EXISTS', { model });
    return false;
  }

  async function create(statement: CreateModelStatement, creating: Creating) {
    const model = nameOf(statement);
    if (isThere(statement)) return null;
    const { job, who } = creating;
    const stop = new AbortController();
    const state: TrainingState = { job, model, who, state: 'reading', progress: null };
    running.set(job, { state, stop });
    const started = new Date().toISOString();
    const told = async (version: number | null, error: MillraceError | null) => {
      const best: Progress['best'] = state.progress?.best ?? null;
      const facts = { trials: state.progress?.trials ?? null, metric: state.progress?.metric ?? null, best: best?.score ?? null };
      await registry.addRun({
        job,
        model,
        who,
        started,
        ended: new Date().toISOString(),
        state: error === null ? 'done' : 'failed',
        version,
        error: error?.body ?? null,
        ...facts,
      });
    };
    try {
      const prepared = await readRows(statement, model, creating);
      try {
        creating.read();
        state.state = 'waiting';
        return await inTurn(AbortSignal.any([stop.signal, creating.cancel]), async () => {
          if (creating.cancel.aborted) fail('MODEL_STOPPED', { model });
          if (stop.signal.aborted) fail('LEARN_STOPPED');
          if (isThere(statement)) return null;
          state.state = 'training';
          const trained = await workshop.train(
            prepared.order,
            (progress) => {
              state.progress = progress;
            },
            stop.signal,
            creating.cancel,
          );
          state.state = 'checking';
          const version = await deploy(trained, prepared, statement, creating);
          await told(version.version, null);
          return { model, alias: prepared.alias, version, file: trained.file };
        });
      } finally {
        if (prepared.order.parquet !== null) unlinkSync(prepared.order.parquet);
      }
    } catch (thrown) {
      await told(null, asMillraceError(thrown));
      throw thrown;
    } finally {
      running.delete(job);
    }
  }

  /** The query's rows as a Parquet file of numbers and texts for the training process. */
  async function readRows(statement: CreateModelStatement, model: string, { reader, values }: Creating): Promise<Prepared> {
    if (String(statement.options['model_type']).toUpperCase() === 'ONNX') return broughtOf(statement, model);
    if (statement.body === null) return fail('MODEL_OPTION', { option: 'model_path', problem: "is for model_type = 'ONNX'" });
    if (statement.transform !== null && statement.transform.trim() !== '') await refuseQueries(statement.transform, reader);
    const written = statement.transform === null ? null : splitTransform(statement.transform);
    const raw = written === null ? [] : rawColumns(statement.features, written);
    const items = written === null ? null : [...written, ...raw.map((column) => quote(column))];
    const from = items === null ? `(${statement.body}\n)` : `(SELECT ${items.join(', ')} FROM (${statement.body}\n))`;
    const given = valuesOf(values, statement.parameters);
    const described = await reader.stream(`SELECT * FROM ${from} LIMIT 0`, given);
    await described.next();
    const columns = inputsOf(described.columns);
    const { type, plan, alias, clustering } = readOptions(
      statement.options,
      columns.map((column) => column.name),
    );
    const parquet = join(store.folders.slices, `training-${process.hrtime.bigint()}-${++count}.parquet`);
    const list = described.columns.map((column, k) => `${expressionOf(column, columns[k]!.kind)} AS ${quote(column.name)}`).join(', ');
    const batch = store.batch();
    const rows = await reader.toParquet(`SELECT ${list} FROM ${from}`, given, parquet);
    if (rows === 0) {
      unlinkSync(parquet);
      fail('MODEL_EMPTY', { what: `the model "${model}"` });
    }
    const expressions = items === null ? null : withoutTarget(items, columns, plan.target);
    const transform = expressions?.every((item) => PLAIN.test(item)) ? null : expressions;
    const { features } = statement;
    const order: TrainingOrder = { name: model, type, plan, parquet, columns, transform, features, raw, brought: null, clustering };
    return { order, alias, batch, rows };
  }

  function broughtOf(statement: CreateModelStatement, model: string): Prepared {
    const refuse = (option: string, problem: string): never => fail('MODEL_OPTION', { option, problem });
    if (statement.body !== null) refuse('model_path', 'brings a whole model: leave out AS SELECT');
    if (statement.transform !== null) refuse('TRANSFORM', 'is not for a model that is brought');
    const { type, plan, alias, brought, clustering } = readBroughtOptions(statement.options);
    const none = { parquet: null, columns: [], transform: null, features: [], raw: [] };
    const order: TrainingOrder = { name: model, type, plan, ...none, brought, clustering };
    return { order, alias, batch: store.batch(), rows: 0 };
  }

  async function deploy(trained: Trained, prepared: Prepared, statement: CreateModelStatement, creating: Creating): Promise<Version> {
    const { name: model, type, plan } = prepared.order;
    try {
      await prove(trained.file);
      return await inLine(async () => {
        if (isThere(statement)) fail('MODEL_EXISTS', { model });
        const present = registry.find(model);
        const made = { version: (present?.versions[0]?.version ?? 0) + 1, created: trained.file.created, by: creating.who, type };
        const about = { task: trained.file.model.task, target: plan.target, query: creating.text, transform: transformOf(statement) };
        const facts = {
          options: JSON.stringify(statement.options),
          batch: prepared.batch,
          rows: prepared.rows,
          hash: trained.hash,
          bytes: trained.bytes,
        };
        const row: Version = { ...made, ...about, ...facts, metrics: scoresOf(trained.file) };
        await commit('model', 1, async (tx) => {
          await registry.addVersion(tx, model, row);
          await registry.addNaming(tx, model, { alias: prepared.alias, version: row.version, rolledBack: false }, creating.who);
          // A model that has never served has no champion to be challenged.
          if (prepared.alias !== 'champion' && present === null)
            await registry.addNaming(tx, model, { alias: 'champion', version: row.version, rolledBack: false }, creating.who);
          // Before the commit: a row without its file can't be, a file without its row is overwritten by the next.
          workshop.place(trained, model, row.version);
        });
        return row;
      });
    } catch (thrown) {
      workshop.discard(trained);
      throw thrown;
    }
  }

  /** Replays the golden rows in SQL, row by row, and in the exported script. MODEL_GOLDEN. */
  async function prove(file: ModelFile): Promise<void> {
    const reader = await store.reader(true);
    try {
      await workshop.prove(file, await answersInSql(reader, file, workshop.answerer));
    } finally {
      reader.close();
    }
  }

  /** Of a version that was proven; MODEL_UNKNOWN if the model is not the same any more. */
  function nameVersion(model: string, proven: Version, naming: Omit<Naming, 'version'>, who: string): Promise<ModelEntry> {
    return inLine(async () => {
      if (!entryOf(model).versions.some(({ version, hash }) => version === proven.version && hash === proven.hash))
        fail('MODEL_UNKNOWN', { model: `${model}@${proven.version}` });
      await commit('model_alias', 1, (tx) => registry.addNaming(tx, model, { ...naming, version: proven.version }, who));
      return entryOf(model);
    });
  }

  async function promote(reference: string, alias: string, who: string): Promise<ModelEntry> {
    if (!isAlias(alias)) fail('MODEL_OPTION', { option: 'alias', problem: 'is a name of a–z, 0–9 and _, such as champion' });
    const { entry, version } = registry.version(reference);
    await prove(workshop.reopen(entry.name, version.version, version.hash));
    return nameVersion(entry.name, version, { alias, rolledBack: false }, who);
  }

  /** The files have both names until the registry knows the new one: whenever this is cut off, each name that it knows has its files. */
  function rename(from: string, to: string): Promise<ModelEntry> {
    return inLine(async () => {
      entryOf(from);
      if (registry.find(to) !== null || insights.has(to)) fail('MODEL_EXISTS', { model: to });
      workshop.copy(from, to);
      await commit('model', 1, (tx) => registry.rename(tx, from, to));
      workshop.remove(from);
      return entryOf(to);
    });
  }

  return {
    list: registry.list,
    version: registry.version,
    insights,
    calls: openModelCalls({ store, workshop, find: registry.version }),
    answer: (planned, answering) => answerCalls(planned, { ...answering, open, workshop, insights }),
    create,
    async analyse(statement, creating) {
      if (isThere(statement)) return null;
      return insights.create(statement, creating, (write) =>
        inLine(() => (isThere(statement) ? fail('MODEL_EXISTS', { model: nameOf(statement) }) : write())),
      );
    },
    drop: (statement) =>
      inLine(async () => {
        const model = nameOf(statement);
        if (insights.has(model)) return insights.drop(model);
        if (statement.ifExists && registry.find(model) === null) return;
        entryOf(model);
        await commit('model', 1, (tx) => registry.drop(tx, model));
        workshop.remove(model);
      }),
    async alter(statement, who) {
      const reference = spelledAs(statement);
      const name = reference.split('@')[0]!;
      if (registry.find(name) === null && statement.ifExists) return null;
      registry.version(reference);
      if (statement.rename !== null) return rename(name, `${statement.target.schema.toLowerCase()}.${statement.rename}`);
      const settings = Object.entries(readSettings(statement.options));
      const alias = statement.options['alias'];
      if (alias !== undefined) await promote(reference, String(alias), who);
      if (settings.length === 0) return entryOf(name);
      return inLine(async () => {
        entryOf(name);
        await commit('model_setting', settings.length, async (tx) => {
          for (const [setting, value] of settings) await registry.set(tx, name, setting, value, who);
        });
        return entryOf(name);
      });
    },
    async export(model, format, path, overwrite) {
      if (format !== 'onnx' && format !== 'json' && format !== 'js')
        return fail('MODEL_OPTION', { option: 'format', problem: "is 'ONNX', 'JSON' or 'JS'" });
      return workshop.export(open(model), format, path, overwrite);
    },
    promote,
    async rollBack(spelled, who) {
      const { entry, version } = registry.version(spelled);
      const held: number[] = [];
      for (const naming of await registry.namings(entry.name)) {
        if (naming.alias !== 'champion') continue;
        // The same version named again is no other to go back to.
        if (!naming.rolledBack && held.at(-1) !== naming.version) held.push(naming.version);
        while (naming.rolledBack && held.length > 0 && held.at(-1) !== naming.version) held.pop();
      }
      const before = held.at(-2);
      const earlier = entry.versions.find((each) => each.version === before);
      if (earlier === undefined) return fail('MODEL_UNKNOWN', { model: `${entry.name} before version ${version.version}` });
      await prove(workshop.reopen(entry.name, earlier.version, earlier.hash));
      return nameVersion(entry.name, earlier, { alias: 'champion', rolledBack: true }, who);
    },
    trainings: () => [...running.values()].map(({ state }) => state),
    stop(job) {
      const training = running.get(job);
      training?.stop.abort();
      return training !== undefined;
    },
  };
}

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

const nameOf = ({ target }: { readonly target: { readonly schema: string; readonly name: string } }): string =>
  `${target.schema}.${target.name}`.toLowerCase();

/** The golden rows through the same path as ML.PREDICT, from a table in the warehouse. */
async function answersInSql(reader: Reader, file: ModelFile, answerer: Workshop['answerer']): Promise<number[][]> {
  const { rows } = file.golden;
  const table = 'golden';
  await reader.append(
    table,
    file.inputs.map(({ name, kind }): ArrayColumn => {
      if (kind === 'text') return { name, kind, values: rows.map((row) => row[name] as string | null) };
      return { name, kind: 'number', values: Float64Array.from(rows, (row) => (row[name] as number | null) ?? Number.NaN) };
    }),
  );
  const list = file.inputs.map(({ name, kind }) => (kind === 'time' ? `epoch_ms(${quote(name)}::BIGINT) AS ${quote(name)}` : quote(name)));
  const source = await sourceOf(reader, `(SELECT ${list.join(', ')} FROM ${quote(table)})`);
  const answers: number[][] = [];
  for await (const block of score(reader, file, source, false, answerer, async () => {})) {
    for (let at = 0; at < block.answers.length; at += block.width) answers.push([...block.answers.subarray(at, at + block.width)]);
  }
  return answers;
}

/** A query in TRANSFORM would run again for each user of the model, whatever he may read. It needs no SELECT: `(TABLE t)` is one. */
async function refuseQueries(transform: string, reader: Reader): Promise<void> {
  const list = queryOf(await reader.serialize(`SELECT ${transform}`))['select_list'];
  const queries = find(list, (node) => /_NODE$/.test(String(node['type'])), true);
  if (queries.length > 0) fail('MODEL_OPTION', { option: 'TRANSFORM', problem: 'can have no query in it' });
}

/** The expressions of TRANSFORM, one by one. */
function splitTransform(transform: string): string[] {
  const own = tokens(transform);
  const items = [''];
  let depth = 0;
  for (const token of own) {
    if (token.kind === 'punctuation' && '([{'.includes(token.text)) depth++;
    if (token.kind === 'punctuation' && ')]}'.includes(token.text)) depth--;
    if (depth === 0 && token.kind === 'punctuation' && token.text === ',') items.push('');
    // A comment to the end of its line would swallow what is put behind it.
    else items[items.length - 1] += token.kind === 'comment' ? ' ' : token.text;
  }
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

/** A column as it is. */
const PLAIN = /^(?:\w+|"(?:[^"]|"")*")$/;

/** Columns that features read and that no expression names: those must be the table's own. */
function rawColumns(features: readonly FeatureCall[], items: readonly string[]): string[] {
  const named = new Set(items.filter((item) => PLAIN.test(item)).map((item) => item.replaceAll('"', '').toLowerCase()));
  return [...new Set(features.flatMap(({ columns }) => columns))].filter((column) => !named.has(column.toLowerCase()));
}

/** TRANSFORM as it was sent, for the registry. */
function transformOf({ transform, features }: CreateModelStatement): string | null {
  if (transform === null) return null;
  const calls = features.map(
    ({ name, columns, values, as }) => `ML.${name}(${[...columns, ...values.map((v) => JSON.stringify(v))].join(', ')}) AS ${as}`,
  );
  return [transform.trim(), ...calls].filter((part) => part !== '').join(', ');
}

/** Rows to predict have no label: what makes it is left out. Each expression makes one column unless one is a star, which keeps what there is. */
function withoutTarget(items: readonly string[], columns: readonly Input[], target: string): string[] {
  if (items.length !== columns.length)
    fail('MODEL_OPTION', { option: 'TRANSFORM', problem: 'must list its columns one by one, without *' });
  return items.filter((_, k) => columns[k]!.name !== target);
}

/** The figures that the registry shows. */
function scoresOf({ model }: ModelFile): Version['metrics'] {
  if (model.format !== 'clusters') return model.report?.scores ?? [];
  return Object.entries(model.figures).map(([metric, value]) => ({ metric, value, error: 0 }));
}

/** The report of a new version as rows: what the asker of CREATE MODEL is told. */
export function toldOf(created: { model: string; alias: string; version: Version; file: ModelFile }): {
  columns: Column[];
  rows: (string | number | null)[][];
} {
  const { report } = created.file.model;
  const types = {
    model: 'VARCHAR',
    version: 'BIGINT',
    alias: 'VARCHAR',
    metric: 'VARCHAR',
    value: 'DOUBLE',
    error: 'DOUBLE',
    note: 'VARCHAR',
  };
  const columns = Object.entries(types).map(([name, type]) => ({ name, type }));
  const line = (metric: string, value: number | null, error: number | null, note: string | null) => [
    created.model,
    created.version.version,
    created.alias,
    metric,
    value,
    error,
    note,
  ];
  return {
    columns,
    rows:
      report === null
        ? [
            ...created.version.metrics.map(({ metric, value }) => line(metric, value, null, null)),
            line('inputs', created.file.inputs.length, null, created.file.inputs.map(({ name }) => name).join(', ')),
          ]
        : [
            ...report.scores.map(({ metric, value, error }) => line(metric, value, error, null)),
            ...(report.rule === null ? [] : [line(`${report.metric} of the simple rule`, report.rule.score, null, report.rule.text)]),
            ...report.warnings.map(({ kind, text }) => line('warning', null, null, `${kind}: ${text}`)),
          ],
  };
}
