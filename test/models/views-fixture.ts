/** A warehouse with models, views and questions, wired as the warehouse child wires them; a table whose rows are replaced and deleted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { type Models, openAnalyst, openModels } from '#analyze';
import type { Role } from '#core';
import { type Keeper, openKeeper, openQueries } from '#process';
import { openStore, type Store } from '#store';
import { openWorkshop } from '../../src/platform/models/workshop.ts';
import { type Blast, openBlast } from '../../src/platform/warehouse/blast.ts';
import { ownStatements } from '../../src/platform/warehouse/statements.ts';
import type { Row } from './fixture.ts';

export interface ViewHouse {
  readonly store: Store;
  readonly models: Models;
  readonly keeper: Keeper;
  readonly blast: Blast;
  readonly problems: unknown[];
  ask(sql: string, role?: Role): Promise<Row[]>;
  /** A write to a table that carries its batch, as a transfer makes it. */
  transfer(target: string, statements: (batch: number) => readonly string[]): Promise<void>;
  /** All views that are not paused are right up to now. */
  settle(): Promise<void>;
  reopen(): Promise<void>;
  close(): Promise<void>;
}

const LIMIT = { seconds: 60, rows: 1_000_000, concurrency: 4 };

function filesOf(folder: string) {
  const saved = new Map<string, string>();
  return {
    list: () => [...saved].map(([name, text]) => ({ name, file: `${folder}/${name}.sql`, text })),
    save: (name: string, text: string) => void saved.set(name, text),
    remove: (name: string) => void saved.delete(name),
  };
}

export async function openViewHouse(chunkRows?: number): Promise<ViewHouse> {
  const dataPath = mkdtempSync(join(tmpdir(), 'millrace-model-views-'));
  const [files, queryFiles] = [filesOf('views'), filesOf('queries')];
  const problems: unknown[] = [];
  const onProblem = (problem: unknown) => void problems.push(problem);
  async function open() {
    const store = await openStore({ dataPath, memory: 400e6, threads: 2 });
    const models: Models = await openModels({
      store,
      workshop: openWorkshop({ dataPath, memory: 400e6, files: join(dataPath, 'shown'), timeZone: 'UTC' }),
      onChange: () => keeper.modelsChanged(),
    });
    const options = chunkRows === undefined ? {} : { chunkRows };
    const keeper: Keeper = await openKeeper({ store, files, calls: models.calls, onProblem, auditEvery: 0, ...options });
    const queries = await openQueries({ store, files: queryFiles, timeZone: 'UTC', calls: models.calls, onProblem });
    const blast = openBlast({ store, keeper, queries, readers: () => [] });
    const own = ownStatements({ keeper, queries, models, blast, rights: { mayRead: () => true } });
    const analyst = openAnalyst({ store, limits: { admin: LIMIT, editor: LIMIT, viewer: LIMIT, write: LIMIT }, models, own });
    await keeper.define();
    problems.push(...(await queries.define()));
    return { store, models, keeper, queries, blast, analyst };
  }
  let house = await open();
  async function close(): Promise<void> {
    await house.analyst.close();
    await house.keeper.stop();
    await house.queries.stop();
    await house.store.close();
  }
  return {
    get store() {
      return house.store;
    },
    get models() {
      return house.models;
    },
    get keeper() {
      return house.keeper;
    },
    get blast() {
      return house.blast;
    },
    problems,
    async ask(sql, role = 'editor') {
      const answer = await house.analyst.ask({ who: { name: role, role, topics: null }, sql, format: 'json' });
      const { columns, rows } = (await json(answer.body)) as { columns: { name: string }[]; rows: unknown[][] };
      return rows.map((row) => Object.fromEntries(row.map((value, k) => [columns[k]!.name, value])));
    },
    async transfer(target, statements) {
      await house.store.write(async (tx) => {
        let rows = 0;
        for (const statement of statements(tx.batch)) rows += await tx.run(statement);
        tx.changed({ kind: 'transfer', target, rows });
      });
    },
    settle: () => house.keeper.settle(60_000),
    async reopen() {
      await close();
      house = await open();
    },
    async close() {
      await close();
      rmSync(dataPath, { recursive: true, force: true });
    },
  };
}
