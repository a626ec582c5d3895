/** A warehouse with views in a folder of its own, fed like delivery feeds it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Topic } from '#core';
import { type Keeper, type KeeperOptions, openKeeper, type ViewFiles } from '#process';
import { readStatement } from '#sql';
import { openStore, type Store } from '#store';

export interface Sent {
  /** Null: the record carries none. */
  readonly id: string | null;
  readonly micros: number;
  readonly json: Readonly<Record<string, unknown>>;
  /** Does it have fields that the topic's table may lack? Intake says so. */
  readonly unknown?: boolean;
}

export interface Views {
  readonly store: Store;
  readonly keeper: Keeper;
  readonly problems: unknown[];
  /** Definitions as they are saved. */
  readonly saved: Map<string, string>;
  /** One delivery of these records, in their order. */
  send(topic: Topic, records: readonly Sent[]): Promise<void>;
  /** A statement about views. */
  sql(text: string): Promise<void>;
  /** A write to a table that carries its batch, as a transfer makes it; `_old` rows go to the change record. */
  transfer(target: string, statements: (batch: number) => readonly string[]): Promise<void>;
  /** Rows as JSON text, sorted; the view's own batch is left out. */
  rows(query: string): Promise<string[]>;
  /** Waits until all views are fresh. */
  settle(): Promise<void>;
  /** Closes the warehouse and opens it again. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** `options` are the keeper's own; it audits by itself only where they say so. */
export async function openViews(
  options: Pick<KeeperOptions, 'chunkRows' | 'random' | 'auditEvery'> = {},
  { memory = 600e6 } = {},
): Promise<Views> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-views-'));
  const saved = new Map<string, string>();
  const files: ViewFiles = {
    list: () => [...saved].map(([name, text]) => ({ name, file: `views/${name}.sql`, text })),
    save: (name, text) => void saved.set(name, text),
    remove: (name) => void saved.delete(name),
  };
  const problems: unknown[] = [];
  const positions = new Map<string, number>();
  const open = async () => {
    const store = await openStore({ dataPath: folder, memory, threads: 2 });
    const keeper = await openKeeper({ store, files, onProblem: (problem) => problems.push(problem), auditEvery: 0, ...options });
    return { store, keeper };
  };
  let { store, keeper } = await open();

  return {
    get store() {
      return store;
    },
    get keeper() {
      return keeper;
    },
    problems,
    saved,
    async send(topic, records) {
      const from = positions.get(topic.name) ?? 0;
      const lines = records.map(
        ({ id, micros, json, unknown }, k) =>
          `${from + k}\t${micros}\t${micros}\t${id ?? ''}\t${unknown === true ? 1 : 0}\t\t${JSON.stringify(json)}\n`,
      );
      const to = from + records.length;
      positions.set(topic.name, to);
      await store.deliver([{ topic, from, to, lines: [Buffer.from(lines.join(''))] }]);
    },
    async sql(text) {
      const reader = await store.reader();
      const statement = await readStatement(text, (part) => reader.serialize(part));
      reader.close();
      if (statement.kind === 'create_materialized_view') await keeper.create(statement);
      else await keeper.command(statement as never);
    },
    async transfer(target, statements) {
      await store.write(async (tx) => {
        let rows = 0;
        for (const statement of statements(tx.batch)) rows += await tx.run(statement);
        tx.changed({ kind: 'transfer', target, rows });
      });
    },
    async rows(query) {
      const found = await store.rows(`SELECT COLUMNS(name -> name <> '_batch')::VARCHAR FROM (${query}\n)`);
      return found.map((row) => JSON.stringify(Object.values(row))).sort();
    },
    settle: () => keeper.settle(60_000),
    async reopen() {
      await keeper.stop();
      await store.close();
      ({ store, keeper } = await open());
    },
    async close() {
      await keeper.stop();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A permutation that the seed decides. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const result = [...items];
  let state = seed >>> 0 || 1;
  for (let k = result.length - 1; k > 0; k--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = state % (k + 1);
    [result[k], result[other]] = [result[other]!, result[k]!];
  }
  return result;
}
