/** Blocks of which half was written when the process was killed: the file opens with all that was committed, and what is broken otherwise stays as it was. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { MillraceError } from '#core';
import { openStore, type Store } from '#store';
import { checksumOf } from '../../src/store/torn.ts';
import { folder, opening } from './fixture.ts';

const [HEADERS, BLOCK, PAGE] = [12_288, 65_536, 4096] as const;
/** So many that their metadata takes several blocks, most of which are read when somebody asks for a table. */
const TABLES = 120;
const BROAD = Array.from({ length: 200 }, (_, k) => k);

/** A file with its write-ahead log, what a checkpoint makes of both, and what is in it. */
interface Stand {
  readonly file: Buffer;
  readonly log: Buffer;
  readonly next: Buffer;
  readonly metadata: readonly number[];
  readonly held: string;
}

let stand: Stand;
before(async () => {
  const undo: (() => unknown)[] = [];
  try {
    stand = await makeStand(folder({ after: (fn) => undo.push(fn) }));
  } finally {
    for (const fn of undo) fn();
  }
});

async function makeStand(dataPath: string): Promise<Stand> {
  await (await openStore(opening(dataPath))).close();
  const path = join(dataPath, 'warehouse.duckdb');
  const instance = await DuckDBInstance.create(path, { checkpoint_threshold: '1GB' });
  const connection = await instance.connect();
  try {
    for (let k = 0; k < TABLES; k++)
      await connection.run(`CREATE TABLE main.t${k} AS SELECT range AS n, 'x' || range AS s, range % 7 AS m FROM range(${300 + k})`);
    // What its groups of rows have is read when somebody asks for them.
    await connection.run(
      `CREATE TABLE main.broad AS SELECT range AS n, ${BROAD.map((k) => `${k} AS c${k}`).join(', ')} FROM range(260000)`,
    );
    await connection.run('CHECKPOINT');
    // The parts of metadata that a checkpoint gives up are filled by the one after the next: until several blocks are written in place.
    for (let round = 0; round < 20; round++) {
      for (let k = round % 2; k < TABLES; k += 2) await connection.run(`INSERT INTO main.t${k} VALUES (${round}, 'more', ${round})`);
      if (round % 2 === 0) await connection.run(`INSERT INTO main.broad (n, c1) VALUES (${round}, ${round})`);
      const metadata = (await connection.runAndReadAll('SELECT block_id FROM pragma_metadata_info()')).getRows().map(([id]) => Number(id));
      const held = await heldBy((sql) => rowsOf(connection, sql));
      const [file, log] = [readFileSync(path), readFileSync(`${path}.wal`)];
      await connection.run('CHECKPOINT');
      const made = { file, log, next: readFileSync(path), metadata, held };
      if (rewritten(made).length >= 3) return made;
    }
    throw new Error('no checkpoint wrote several blocks in place');
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function rowsOf(connection: DuckDBConnection, sql: string): Promise<unknown[][]> {
  return (await connection.runAndReadAll(sql)).getRows().map((row) => row.map(String));
}

/** Rows, and their values by an order-free hash, of each table. */
async function heldBy(rows: (sql: string) => Promise<unknown[][]>): Promise<string> {
  const each = Array.from({ length: TABLES }, (_, k) => `SELECT ${k} AS k, count(*) AS n, bit_xor(hash(n, s, m)) AS h FROM main.t${k}`);
  const broad = `SELECT ${TABLES} AS k, count(*) AS n, bit_xor(hash(broad)) AS h FROM main.broad`;
  return JSON.stringify(await rows(`SELECT k::VARCHAR, n::VARCHAR, h::VARCHAR FROM (${[...each, broad].join(' UNION ALL ')}) ORDER BY k`));
}

const heldIn = (store: Store): Promise<string> =>
  heldBy(async (sql) => (await store.rows(sql)).map((row) => Object.values(row).map(String)));

const blockOf = (file: Buffer, id: number): Buffer => Buffer.from(file.subarray(HEADERS + id * BLOCK, HEADERS + (id + 1) * BLOCK));

/** The file as a kill leaves it that comes when so many pages of the block have been written. */
function torn({ file, next }: Stand, ids: readonly number[], pages: number): Buffer {
  const bytes = Buffer.from(file);
  for (const id of ids) blockOf(next, id).copy(bytes, HEADERS + id * BLOCK, 0, pages * PAGE);
  return bytes;
}

function lay(dataPath: string, file: Buffer, log: Buffer | null): string {
  const path = join(dataPath, 'warehouse.duckdb');
  rmSync(`${path}.wal`, { force: true });
  writeFileSync(path, file);
  if (log !== null) writeFileSync(`${path}.wal`, log);
  return path;
}

/** Blocks that the checkpoint has written in place, though the one before it needs parts of them. */
function rewritten({ file, next, metadata }: Stand): number[] {
  return metadata.filter((id) => !blockOf(file, id).equals(blockOf(next, id)));
}

test('a checksum is the one that the engine writes', () => {
  let compared = 0;
  for (let id = 0; HEADERS + (id + 1) * BLOCK <= stand.next.length; id++) {
    const block = blockOf(stand.next, id);
    assert.equal(checksumOf(block), block.readBigUInt64LE(0), `block ${id}`);
    compared++;
  }
  assert.ok(compared > 5);
});

test('whichever block was half written, and however much of it, the warehouse opens with every row, and its blocks are whole then', async (t) => {
  const ids = rewritten(stand);
  const dataPath = folder(t);
  let mended = 0;
  for (const some of [...ids.map((id) => [id]), ids])
    for (const pages of [1, 2, 5, 11, 15]) {
      const path = lay(dataPath, torn(stand, some, pages), stand.log);
      const heard: number[] = [];
      const store = await openStore({
        ...opening(dataPath),
        onMended: (blocks) => heard.push(...blocks.map(({ at }) => (at - HEADERS) / BLOCK)),
      });
      assert.equal(await heldIn(store), stand.held, `${pages} pages of the blocks ${some}`);
      await store.close();
      for (const id of heard) assert.ok(some.includes(id));
      mended += heard.length;
      assert.equal(existsSync(`${path}.wal`), false);
    }
  assert.ok(mended > ids.length, `${mended} were torn`);
});

test('a block of metadata that nobody reads at the start is mended too', async (t) => {
  const dataPath = folder(t);
  for (const id of stand.metadata) {
    const file = Buffer.from(stand.file);
    file[HEADERS + id * BLOCK]! ^= 1;
    lay(dataPath, file, stand.log);
    const heard: number[] = [];
    const store = await openStore({
      ...opening(dataPath),
      onMended: (blocks) => heard.push(...blocks.map(({ at }) => (at - HEADERS) / BLOCK)),
    });
    assert.equal(await heldIn(store), stand.held);
    assert.deepEqual(heard, [id]);
    await store.close();
  }
});

test('nothing is told of a file that is whole', async (t) => {
  const dataPath = folder(t);
  lay(dataPath, stand.file, stand.log);
  const store = await openStore({ ...opening(dataPath), onMended: () => assert.fail('no block is torn') });
  assert.equal(await heldIn(store), stand.held);
  await store.close();
});

test('no other process opens the file meanwhile: its lock is not let go of with what mended it', async (t) => {
  const dataPath = folder(t);
  const path = lay(dataPath, torn(stand, rewritten(stand), 1), stand.log);
  const store = await openStore(opening(dataPath));
  const other = `const { DuckDBInstance } = await import('@duckdb/node-api'); await DuckDBInstance.create(${JSON.stringify(path)});`;
  const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', other], { cwd: import.meta.dirname });
  await assert.rejects(run(), /Could not set lock/);
  await store.close();
  await run();
});

test('a block is as it was where there is no log, and so no checkpoint that was cut off', async (t) => {
  const dataPath = folder(t);
  // With the root of all.
  const file = torn(stand, stand.metadata, 1);
  const path = lay(dataPath, file, null);
  await assert.rejects(openStore(opening(dataPath)), ({ code }: MillraceError) => code === 'STORE_OPEN');
  assert.ok(readFileSync(path).equals(file));
});

test('a block of rows that is broken stays broken, and is told by whoever reads it', async (t) => {
  const dataPath = folder(t);
  const file = Buffer.from(stand.file);
  const data = Array.from({ length: (file.length - HEADERS) / BLOCK }, (_, id) => id).filter((id) => !stand.metadata.includes(id));
  for (const id of data) file[HEADERS + id * BLOCK + 40_000]! ^= 1;
  const path = lay(dataPath, file, stand.log);
  let opened: Store | null = null;
  try {
    opened = await openStore({ ...opening(dataPath), onMended: () => assert.fail('no block of metadata is broken') });
    await assert.rejects(heldIn(opened), /checksum/);
  } catch (thrown) {
    // What is replayed may have needed it.
    if (opened !== null) throw thrown;
    assert.equal((thrown as MillraceError).code, 'STORE_OPEN');
  }
  await opened?.close();
  for (const id of data)
    assert.equal(readFileSync(path)[HEADERS + id * BLOCK], file[HEADERS + id * BLOCK], `block ${id} has another checksum`);
});
