/** What models there are: `millrace.model` has a row for each version, `millrace.model_alias` one for each naming (the newest holds), `millrace.model_run` one for each training, `millrace.model_setting` one for each setting (the newest holds). */
import type { Store, Transaction } from '#store';
import type { ModelEntry, Run, Settings, Version, Workshop } from './model.ts';

const TABLES = `
CREATE TABLE IF NOT EXISTS millrace.model (
  name VARCHAR NOT NULL, version BIGINT NOT NULL, created TIMESTAMPTZ NOT NULL, created_by VARCHAR NOT NULL, model_type VARCHAR NOT NULL, task VARCHAR NOT NULL,
  target VARCHAR NOT NULL, query VARCHAR NOT NULL, transform VARCHAR, options VARCHAR NOT NULL, data_batch BIGINT NOT NULL, rows BIGINT NOT NULL,
  metrics VARCHAR NOT NULL, hash VARCHAR NOT NULL, bytes BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS millrace.model_alias (name VARCHAR NOT NULL, alias VARCHAR NOT NULL, version BIGINT NOT NULL, named TIMESTAMPTZ NOT NULL, named_by VARCHAR NOT NULL, step BIGINT NOT NULL, rolled_back BOOLEAN NOT NULL);
CREATE TABLE IF NOT EXISTS millrace.model_run (
  job VARCHAR NOT NULL, name VARCHAR NOT NULL, asked_by VARCHAR NOT NULL, started TIMESTAMPTZ NOT NULL, ended TIMESTAMPTZ NOT NULL, state VARCHAR NOT NULL,
  version BIGINT, trials BIGINT, metric VARCHAR, best DOUBLE, code VARCHAR, message VARCHAR
);
CREATE TABLE IF NOT EXISTS millrace.model_setting (name VARCHAR NOT NULL, setting VARCHAR NOT NULL, value VARCHAR NOT NULL, set_at TIMESTAMPTZ NOT NULL, set_by VARCHAR NOT NULL, step BIGINT NOT NULL);
`;

/** Tables that belong to the model; the runs stay as they were. */
const OWN = ['millrace.model', 'millrace.model_alias', 'millrace.model_setting'];

export interface Naming {
  readonly alias: string;
  readonly version: number;
  /** It undid the naming before it. */
  readonly rolledBack: boolean;
}

export interface Registry {
  list(): readonly ModelEntry[];
  find(name: string): ModelEntry | null;
  /** The version that `name`, `schema.name`, `name@2` or `name@alias` means. MODEL_UNKNOWN. */
  version(spelled: string): { entry: ModelEntry; version: Version };
  /** All namings of a model, the oldest first. */
  namings(name: string): Promise<readonly Naming[]>;
  addVersion(tx: Transaction, name: string, version: Version): Promise<void>;
  addNaming(tx: Transaction, name: string, naming: Naming, who: string): Promise<void>;
  addRun(run: Run & { trials: number | null; metric: string | null; best: number | null }): Promise<void>;
  /** `value` is JSON. */
  set(tx: Transaction, name: string, setting: string, value: string, who: string): Promise<void>;
  rename(tx: Transaction, from: string, to: string): Promise<void>;
  drop(tx: Transaction, name: string): Promise<void>;
  /** Reads the tables again, after a commit; nothing may write to them meanwhile. */
  refresh(): Promise<void>;
}

/** `find` says which version a spelling means. */
export async function openRegistry(store: Store, find: Workshop['find']): Promise<Registry> {
  await store.write(async (tx) => {
    await tx.run(TABLES);
  });
  let entries: readonly ModelEntry[] = await readEntries(store);

  return {
    list: () => entries,
    find: (name) => entries.find((entry) => entry.name === name) ?? null,
    version: (spelled) => find(entries, spelled),
    async namings(name) {
      const rows = await store.rows('SELECT alias, version, rolled_back FROM millrace.model_alias WHERE name = $1 ORDER BY step', [name]);
      return rows.map((row) => ({ alias: String(row['alias']), version: Number(row['version']), rolledBack: row['rolled_back'] === true }));
    },
    async addVersion(tx, name, v) {
      const values = [name, v.version, v.created, v.by, v.type, v.task, v.target, v.query, v.transform, v.options, v.batch, v.rows];
      await tx.run(
        'INSERT INTO millrace.model VALUES ($1, $2::BIGINT, $3::TIMESTAMPTZ, $4, $5, $6, $7, $8, $9, $10, $11::BIGINT, $12::BIGINT, $13, $14, $15::BIGINT)',
        [...values, JSON.stringify(v.metrics), v.hash, v.bytes],
      );
    },
    async addNaming(tx, name, { alias, version: number, rolledBack }, who) {
      await tx.run(
        'INSERT INTO millrace.model_alias SELECT $1, $2, $3::BIGINT, now(), $4, coalesce(max(step), 0) + 1, $5 FROM millrace.model_alias',
        [name, alias, number, who, rolledBack],
      );
    },
    async addRun(run) {
      await store.write(async (tx) => {
        await tx.run(
          'INSERT INTO millrace.model_run VALUES ($1, $2, $3, $4::TIMESTAMPTZ, $5::TIMESTAMPTZ, $6, $7::BIGINT, $8::BIGINT, $9, $10::DOUBLE, $11, $12)',
          [
            run.job,
            run.model,
            run.who,
            run.started,
            run.ended,
            run.state,
            run.version,
            run.trials,
            run.metric,
            run.best,
            run.error?.code ?? null,
            run.error?.message ?? null,
          ],
        );
      });
    },
    async set(tx, name, setting, value, who) {
      await tx.run(
        'INSERT INTO millrace.model_setting SELECT $1, $2, $3, now(), $4, coalesce(max(step), 0) + 1 FROM millrace.model_setting',
        [name, setting, value, who],
      );
    },
    async rename(tx, from, to) {
      for (const table of OWN) await tx.run(`UPDATE ${table} SET name = $2 WHERE name = $1`, [from, to]);
    },
    async drop(tx, name) {
      for (const table of OWN) await tx.run(`DELETE FROM ${table} WHERE name = $1`, [name]);
    },
    async refresh() {
      entries = await readEntries(store);
    },
  };
}

async function readEntries(store: Store): Promise<ModelEntry[]> {
  const versions = await store.rows(
    `SELECT * REPLACE (strftime(created, '%Y-%m-%dT%H:%M:%S.%gZ') AS created) FROM millrace.model ORDER BY name, version DESC`,
  );
  const aliases = await store.rows(
    'SELECT name, alias, max_by(version, step) AS version FROM millrace.model_alias GROUP BY ALL ORDER BY alias',
  );
  const settings = await store.rows('SELECT name, setting, max_by(value, step) AS value FROM millrace.model_setting GROUP BY ALL');
  const names = [...new Set(versions.map((row) => String(row['name'])))];
  return names.map((name) => ({
    name,
    versions: versions.filter((row) => row['name'] === name).map(versionOf),
    aliases: Object.fromEntries(aliases.filter((row) => row['name'] === name).map((row) => [String(row['alias']), Number(row['version'])])),
    settings: Object.fromEntries(
      settings.filter((row) => row['name'] === name).map((row) => [String(row['setting']), JSON.parse(String(row['value']))]),
    ) as Settings,
  }));
}

function versionOf(row: Readonly<Record<string, unknown>>): Version {
  return {
    version: Number(row['version']),
    created: String(row['created']),
    by: String(row['created_by']),
    type: String(row['model_type']),
    task: row['task'] as Version['task'],
    target: String(row['target']),
    query: String(row['query']),
    transform: row['transform'] === null ? null : String(row['transform']),
    options: String(row['options']),
    batch: Number(row['data_batch']),
    rows: Number(row['rows']),
    metrics: JSON.parse(String(row['metrics'])),
    hash: String(row['hash']),
    bytes: Number(row['bytes']),
  };
}

/** A statement's model as `find` reads it: schema.name, with @version or @alias. */
export function spelledAs({ target, version }: { target: { schema: string; name: string }; version: string | null }): string {
  return `${target.schema}.${target.name}`.toLowerCase() + (version === null ? '' : `@${version}`);
}
