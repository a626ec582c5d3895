import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { openStore } from '#store';
import { parseTopic } from '#workspace';
import { optionsOf } from '../../src/store/open.ts';
import { delivery, folder, opening, type Record } from './fixture.ts';

const topicOf = (fields: string) => parseTopic('visits', `id: id\nfields:\n  id: text\n${fields}`, 'topics/visits.yaml');

/** What makes the table's columns change their types, before the process is killed: by a value that does not fit, by the topic's definition. */
const changes: readonly { name: string; before: string; first: Record; after: string; second: Record; type: string; values: string[] }[] = [
  {
    name: 'a number that meets text',
    before: '',
    first: { json: '{"id":"a","n":1.5}' },
    after: '',
    second: { json: '{"id":"b","n":"many"}' },
    type: 'VARCHAR',
    values: ['1.5', 'many'],
  },
  {
    name: 'a whole number that meets a fraction',
    before: '',
    first: { json: '{"id":"a","n":7}' },
    after: '',
    second: { json: '{"id":"b","n":7.25}' },
    type: 'DOUBLE',
    values: ['7.0', '7.25'],
  },
  ...[
    ['integer', 'BIGINT', ['12', '13']],
    ['double', 'DOUBLE', ['12.0', '13.0']],
    ['decimal(9,2)', 'DECIMAL(9,2)', ['12.00', '13.00']],
    ['json', 'JSON', ['12', '13']],
  ].map(([type, column, values]) => ({
    name: `text that is declared ${type}`,
    before: '  n: text\n',
    first: { json: '{"id":"a","n":"12"}' },
    after: `  n: ${JSON.stringify(type)}\n`,
    second: { json: '{"id":"b","n":13}' },
    type: column as string,
    values: values as string[],
  })),
];

for (const { name, before, first, after, second, type, values } of changes) {
  test(`${name}: killed before a checkpoint, the warehouse opens again with the column and every value`, async (t) => {
    const dataPath = folder(t);
    const earlier = delivery(topicOf(before), 0, [first]);
    const store = await openStore(opening(dataPath));
    await store.deliver([earlier]);
    // Closing checkpoints: the table stands in the file, its change will stand in the log of writes alone.
    await store.close();
    const child = fork(fileURLToPath(new URL('./killed-child.ts', import.meta.url)), [dataPath], { serialization: 'advanced' });
    t.after(() => child.kill('SIGKILL'));
    await said(child, 'open');
    child.send([delivery(topicOf(after), earlier.to, [second])]);
    await said(child, 'delivered');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const log = join(dataPath, 'warehouse.duckdb.wal');
    assert.ok(existsSync(log) && statSync(log).size > 0, 'the kill came before any checkpoint');
    const again = await openStore(opening(dataPath));
    t.after(() => again.close());
    assert.deepEqual(await again.rows('SELECT typeof(n) AS type, CAST(n AS VARCHAR) AS value FROM raw.visits ORDER BY id'), [
      { type, value: values[0] },
      { type, value: values[1] },
    ]);
  });
}

/** Forty tables of forty columns with a row each in the file, and one more in the log of writes of a process that was killed. Made once. */
async function killedWithManyTables(dataPath: string): Promise<void> {
  many ??= makeManyTables(mkdtempSync(join(tmpdir(), 'millrace-many-')));
  cpSync(await many, dataPath, { recursive: true });
}

let many: Promise<string> | null = null;
after(async () => {
  if (many !== null) rmSync(await many, { recursive: true });
});

async function makeManyTables(dataPath: string): Promise<string> {
  const fields = Array.from({ length: 40 }, (_, k) => `  f${k}: integer\n`).join('');
  const topics = Array.from({ length: 40 }, (_, k) =>
    parseTopic(`visits_${k}`, `id: id\nfields:\n  id: text\n${fields}`, 'topics/visits.yaml'),
  );
  const first = topics.map((topic) => delivery(topic, 0, [{ json: '{"id":"a","f0":1}', id: 'a' }]));
  // In blocks of 256 kB, as DuckDB makes a file by itself and warehouses were made before: there it takes most.
  (await DuckDBInstance.create(join(dataPath, 'warehouse.duckdb'))).closeSync();
  const store = await openStore(opening(dataPath));
  await store.deliver(first);
  // What is added to tables that stand in the file takes whole blocks.
  await store.close();
  const child = fork(fileURLToPath(new URL('./killed-child.ts', import.meta.url)), [dataPath], { serialization: 'advanced' });
  await said(child, 'open');
  child.send(topics.map((topic, k) => delivery(topic, first[k]!.to, [{ json: '{"id":"b","f0":1}', id: 'b' }])));
  await said(child, 'delivered');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return dataPath;
}

test('killed with news of many tables, the warehouse opens again within its memory: what they take by the block goes aside on disk', async (t) => {
  const dataPath = folder(t);
  await killedWithManyTables(dataPath);
  const again = fork(fileURLToPath(new URL('./killed-child.ts', import.meta.url)), [dataPath, '128000000'], { serialization: 'advanced' });
  t.after(() => again.kill('SIGKILL'));
  await said(again, 'open');
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${again.pid}/status`, 'utf8'))![1]) * 1024;
  assert.ok(peak < 400_000_000, `${peak} bytes`);
  again.kill('SIGKILL');
  await once(again, 'exit');
});

for (const memory of process.env['MILLRACE_LONG'] === '1' ? [16_000_000, 48_000_000] : [48_000_000])
  test(`where ${memory / 1e6} MB are too little to replay the log, the warehouse opens with more, and every row is there`, async (t) => {
    const dataPath = folder(t);
    await killedWithManyTables(dataPath);
    await assert.rejects(
      DuckDBInstance.create(join(dataPath, 'warehouse.duckdb'), optionsOf({ temp: folder(t), threads: 2, memory })),
      /replaying WAL.*could not allocate block/,
    );
    await assert.rejects(openStore({ ...opening(dataPath), memory: 4_000_000 }), { code: 'STORE_OPEN' }, 'no block is no lock');
    const again = await openStore({ ...opening(dataPath), memory });
    t.after(() => again.close());
    for (const k of [0, 39]) assert.deepEqual(await again.rows(`SELECT id FROM raw.visits_${k} ORDER BY id`), [{ id: 'a' }, { id: 'b' }]);
  });

async function said(child: ChildProcess, word: string): Promise<void> {
  const [message] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
  assert.equal(message, word);
}
