import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { type ModelEntry, type ModelFile, type Models, modelStatement, openAnalyst, openModels } from '#analyze';
import { MillraceError, type Role } from '#core';
import { openStore, type Store } from '#store';
import { modelPath, readModelFile } from '../../src/platform/models/file.ts';
import { openWorkshop } from '../../src/platform/models/workshop.ts';

export const DATA = process.env['MILLRACE_DATA'] ?? join(import.meta.dirname, '..', '..', '..', 'shared', 'data');
export const withoutData: string | false = existsSync(join(DATA, 'INDEX.md')) ? false : 'real data is absent (MILLRACE_DATA)';

export interface House {
  readonly dataPath: string;
  readonly store: Store;
  readonly models: Models;
  /** The list as it was last told. */
  readonly told: () => readonly ModelEntry[];
  /** The rows of the answer as objects. */
  ask(sql: string, more?: { role?: Role; values?: readonly unknown[] | Record<string, unknown>; job?: string }): Promise<Row[]>;
  cancel(job: string): void;
  close(): Promise<void>;
}

const LIMIT = { seconds: 60, rows: 1_000_000, concurrency: 4 };

/** A row of an answer, whose cells the test knows the types of. */
// biome-ignore lint/suspicious/noExplicitAny: the types are those of the test's own SQL
export type Row = Record<string, any>;

/** Whether it is the catalogue's error of that code, with those parameters. */
export const refused =
  (code: string, params: Record<string, unknown> = {}) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof MillraceError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    for (const [name, value] of Object.entries(params)) assert.equal(thrown.params[name], value, name);
    return true;
  };

/** A warehouse with models and questions, without a server around it. `seen` is the store as models see it. */
export async function openHouse(
  dataPath = mkdtempSync(join(tmpdir(), 'millrace-models-')),
  memory = 400e6,
  seen = (store: Store): Store => store,
  timeZone = 'UTC',
): Promise<House> {
  const store = await openStore({ dataPath, memory: 400e6, threads: 2 });
  let told: readonly ModelEntry[] = [];
  const models = await openModels({
    store: seen(store),
    workshop: openWorkshop({ dataPath, memory, files: join(dataPath, 'shown'), timeZone }),
    onChange: (list) => {
      told = list;
    },
  });
  told = models.list();
  const analyst = openAnalyst({
    store,
    limits: { admin: LIMIT, editor: LIMIT, viewer: LIMIT, write: { ...LIMIT, concurrency: 0 } },
    models,
    own: (statement, who, asked) => modelStatement(models, statement, who, asked),
  });
  return {
    dataPath,
    store,
    models,
    told: () => told,
    async ask(sql, { role = 'editor', values, job } = {}) {
      const asked = { who: { name: role, role, topics: null }, sql, format: 'json' as const };
      const answer = await analyst.ask({ ...asked, ...(values === undefined ? {} : { values }), ...(job === undefined ? {} : { job }) });
      const { columns, rows } = (await json(answer.body)) as { columns: { name: string }[]; rows: unknown[][] };
      return rows.map((row) => Object.fromEntries(row.map((value, k) => [columns[k]!.name, value])));
    },
    cancel: (job) => analyst.cancel(job),
    async close() {
      await analyst.close();
      await store.close();
      rmSync(dataPath, { recursive: true, force: true });
    },
  };
}

/** A version as it stands on disk. */
export function fileOf({ models, dataPath }: House, name: string, version: number): ModelFile {
  const { hash } = models
    .list()
    .find((each) => each.name === name)!
    .versions.find((each) => each.version === version)!;
  return readModelFile(modelPath(dataPath, name, version), { name, version, hash });
}

/** 4,000 visitors: who comes by mail or in the evening buys more often; some values are missing. `id` tells rows apart. */
export const VISITORS = `CREATE TABLE visitors AS
  SELECT i AS id, CASE WHEN i % 13 = 0 THEN NULL ELSE (i * 7919) % 100 END AS pages, ['mail', 'search', 'ad', 'direct'][1 + i % 4] AS source,
    TIMESTAMP '2026-01-01' + to_hours(((i * 31) % 700)::INTEGER) AS seen, i % 3 = 0 AS member,
    ((i * 7919) % 100 + (i % 4) * 15 + (i * 104729) % 40) / 100.0 AS spent,
    CASE WHEN (i * 7919) % 100 + (CASE WHEN i % 4 = 0 THEN 40 ELSE 0 END) + (i * 104729) % 30 > 90 THEN 'yes' ELSE 'no' END AS bought
  FROM range(4000) t(i)`;

export const TREES = `model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 20, ignore_cols = ['id', 'spent']`;
