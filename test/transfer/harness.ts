import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { MillraceError, type Transfer, type TransferTable } from '#core';
import {
  applyChanges,
  applySlice,
  checksum,
  closeStream,
  closeTarget,
  columnsOf,
  compareMerged,
  hashes,
  isFatal,
  openStore,
  openStream,
  openTarget,
  reshapeTarget,
  type Store,
  TRANSFER_TABLES,
} from '#store';
import { compare, openSource, planned, type Running, type RunReport, runTransfer, type Warehouse, type World } from '#transfer';

export interface Ground {
  readonly folder: string;
  readonly store: Store;
  readonly warehouse: Warehouse;
  /** One run from the definition to the report. */
  run(
    transfer: Transfer,
    world?: { warehouse?: Warehouse } & Partial<Pick<Running, 'signal' | 'onFollowing' | 'onProgress'>>,
  ): Promise<RunReport>;
  /** Rows as plain values, 64-bit integers as numbers. */
  rows(sql: string): Promise<unknown[][]>;
  close(): Promise<void>;
}

/** A warehouse in a folder of its own, and runs against it in this process. */
export async function openGround(env: Record<string, string> = {}, reach: Partial<World> = {}, root = tmpdir()): Promise<Ground> {
  const folder = mkdtempSync(join(root, 'millrace-transfer-'));
  const store = await openStore({ dataPath: join(folder, 'data'), memory: 400_000_000, threads: 2 });
  await store.write((tx) => tx.run(TRANSFER_TABLES));
  const warehouse = warehouseOf(store);
  return {
    folder,
    store,
    warehouse,
    async run(transfer, world = {}) {
      const run = randomUUID();
      const slices = join(folder, run);
      mkdirSync(slices);
      const source = await openSource(transfer, { folder, anywhere: true, env, ...reach });
      try {
        return await runTransfer(transfer, {
          run,
          source,
          warehouse: world.warehouse ?? warehouse,
          folder: slices,
          onProgress: world.onProgress ?? (() => {}),
          signal: world.signal ?? new AbortController().signal,
          ...(world.onFollowing === undefined ? {} : { onFollowing: world.onFollowing }),
        });
      } finally {
        await source.close();
      }
    },
    async rows(sql) {
      return (await store.rows(sql)).map((row) => Object.values(row).map((value) => (typeof value === 'bigint' ? Number(value) : value)));
    },
    async close() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function warehouseOf(store: Store): Warehouse {
  return {
    open: (target) => store.write((tx) => openTarget(tx, target)),
    async apply(target, slice) {
      const write = target.mode === 'merge' ? store.write : store.writeBulk;
      const file = join(store.folders.slices, `${target.run}-${basename(slice.file)}`);
      linkSync(slice.file, file);
      try {
        return await write((tx) => applySlice(tx, target, { ...slice, file }, false));
      } catch (thrown) {
        if (!(thrown instanceof MillraceError && thrown.code === 'STORE_WRITE') || isFatal(thrown)) throw thrown;
        return await write((tx) => applySlice(tx, target, { ...slice, file }, true));
      } finally {
        rmSync(file, { force: true });
      }
    },
    close: (target, complete) => store.write((tx) => closeTarget(tx, target, complete)),
    stream: (of) => store.write((tx) => openStream(tx, of)),
    reshape: (target) => store.write((tx) => reshapeTarget(tx, target)),
    async changes(slices) {
      const changes = slices.changes.map((each) => ({ ...each, file: join(store.folders.slices, `${slices.run}-${basename(each.file)}`) }));
      for (const [k, { file }] of changes.entries()) linkSync(slices.changes[k]!.file, file);
      try {
        return await store.write((tx) => applyChanges(tx, { ...slices, changes }, false));
      } catch (thrown) {
        if (!(thrown instanceof MillraceError && thrown.code === 'STORE_WRITE') || isFatal(thrown)) throw thrown;
        return await store.write((tx) => applyChanges(tx, { ...slices, changes }, true));
      } finally {
        for (const { file } of changes) rmSync(file, { force: true });
      }
    },
    pause: (of) => store.write((tx) => closeStream(tx, of)),
    columns: (target) => columnsOf((sql) => store.rows(sql), target),
    checksum: (check, buckets) => checksum(store.scan, check, buckets),
    hashes: (check, key, bucket) => hashes(store.scan, check, key, bucket),
    async merged(check, file) {
      const own = join(store.folders.slices, basename(file));
      linkSync(file, own);
      try {
        return await compareMerged(store.scan, check, own);
      } finally {
        rmSync(own, { force: true });
      }
    },
  };
}

/** The same that is cut off after so many slices. */
export function cutAfter(warehouse: Warehouse, slices: number): Warehouse {
  let count = 0;
  return {
    ...warehouse,
    async apply(target, slice) {
      if (++count > slices) throw new Error('cut off');
      return warehouse.apply(target, slice);
    },
  };
}

/** The same, and how many rows each of its slices has. */
export function counted(warehouse: Warehouse): { warehouse: Warehouse; slices: number[] } {
  const slices: number[] = [];
  const apply: Warehouse['apply'] = (target, slice) => {
    slices.push(slice.rows);
    return warehouse.apply(target, slice);
  };
  return { warehouse: { ...warehouse, apply }, slices };
}

/** What a server of a database is reached by. */
export interface Reached {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** A connection to it, in a world where PW is its password. */
export function connectionTo({ host, port, user, database }: Reached) {
  return { host, port, user, password: { env: 'PW' }, database };
}

/** A table of a transfer with what tests leave out. */
export function tableOf(given: Partial<TransferTable> & { source: string }): TransferTable {
  return {
    target: `shop.${given.source.toLowerCase()}`,
    mode: 'full',
    key: [],
    cursor: null,
    lookback: null,
    drift: 'evolve',
    types: {},
    ...given,
  };
}

/** A type of a source, values of it, and what they must become: the type here and its text. */
export type TypeCase = readonly [column: string, given: readonly string[], type: string, here: readonly unknown[]];

/** The values go through a table of one column, and both sides must have the same sum of them. */
export async function keepsValues(
  ground: Ground,
  db: { ask(sql: string): Promise<unknown> },
  of: (table: TransferTable) => Transfer,
  name: string,
  [column, given, type, here]: TypeCase,
): Promise<void> {
  await db.ask(`CREATE TABLE ${name} (id INT PRIMARY KEY, v ${column})`);
  for (const [id, value] of given.entries()) await db.ask(`INSERT INTO ${name} VALUES (${id}, ${value})`);
  const { tables, error } = await ground.run(of(tableOf({ source: name })));
  assert.equal(error, null);
  assert.deepEqual(
    await ground.rows(`SELECT CAST(v AS VARCHAR), typeof(v) FROM shop.${name} ORDER BY id`),
    here.map((value) => [value, type]),
  );
  assert.deepEqual(tables[0]!.parity!.differences, []);
  assert.equal(tables[0]!.parity!.equal, true);
}

/** Differences are found by key in a table whose columns have the names that our questions to a database give to what they ask. */
export async function comparesNamesOfOurs(
  ground: Ground,
  db: { ask(sql: string): Promise<unknown>; readonly password: string },
  of: (table: TransferTable) => Transfer,
): Promise<void> {
  const names = ['bucket', 'n', 'total', 'k0', 'hash', 'newest', 'without'];
  await db.ask(`CREATE TABLE ours (id INT PRIMARY KEY, ${names.map((name) => `${name} INT`).join(', ')})`);
  const rows = Array.from({ length: 40 }, (_, row) => `(${[row, ...names.map((_, k) => (row + k) % 3)].join(', ')})`);
  await db.ask(`INSERT INTO ours VALUES ${rows.join(', ')}`);
  for (const cursor of ['bucket', 'n', null]) {
    const transfer = of(tableOf({ source: 'ours', target: `shop.ours_${cursor}`, mode: 'merge', key: ['id'], cursor }));
    assert.equal((await ground.run(transfer)).tables[0]!.parity!.equal, true);
    await ground.store.write((tx) => tx.run(`UPDATE shop.ours_${cursor} SET total = 7 WHERE id = 12`));
    await ground.store.write((tx) => tx.run(`DELETE FROM shop.ours_${cursor} WHERE id = 30`));
    const source = await openSource(transfer, { folder: ground.folder, anywhere: true, env: { PW: db.password } });
    try {
      const [plan] = await planned(transfer, source);
      const { span } = await source.snapshot(plan!.table, plan!.cursor, null);
      const { differences } = await compare({ plan: plan!, span, run: null, source, warehouse: ground.warehouse });
      const found = differences.map(({ key, kind }) => `${kind} ${key}`).sort();
      assert.deepEqual(found, ['different 12', 'missing 30']);
    } finally {
      await source.close();
    }
  }
}
