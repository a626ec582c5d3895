import assert from 'node:assert/strict';
import { mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Transfer } from '#core';
import { startMillrace } from '#server';
import { applySlice, closeTarget, openStore, openTarget, setCursor, TRANSFER_TABLES, undoAppends } from '#store';
import type { RunReport } from '#transfer';
import { clientOf, type Running, running, until, workspaceIn } from '../server/fixture.ts';
import { cutAfter, openGround, tableOf } from './harness.ts';

test('an append that was cut off has each row once, also where its state was set before the next run', async (t) => {
  const ground = await openGround();
  t.after(() => ground.close());
  const records = Array.from({ length: 30_000 }, (_, k) => `${k + 1},${'x'.repeat(400)}\n`).join('');
  writeFileSync(join(ground.folder, 'a.csv'), `id,text\n${records}`);
  for (const cursor of [null, 'id']) {
    const target = `shop.a_${cursor}`;
    const table = tableOf({ source: 'a', target, mode: 'append', cursor });
    const transfer: Transfer = { name: 'a', source: 'csv', connection: { path: 'a.csv' }, tables: [table] };
    const cut = await ground.run(transfer, { warehouse: cutAfter(ground.warehouse, 1) });
    assert.equal(cut.outcome, 'failed');
    assert.notDeepEqual(await ground.rows(`SELECT count(*) FROM ${target}`), [[0]]);
    await ground.store.write((tx) => setCursor(tx, { transfer: 'a', source: 'a', target, mode: 'append', cursor }, null));
    assert.deepEqual(await ground.rows(`SELECT count(*) FROM ${target}`), [[0]]);
    const { error, tables } = await ground.run(transfer);
    assert.deepEqual([error, tables[0]!.parity!.equal], [null, true]);
    assert.deepEqual(await ground.rows(`SELECT count(*), count(DISTINCT id) FROM ${target}`), [[30_000, 30_000]]);
  }
});

test('a run that has failed leaves of its appends only what stands before a cursor; a merge and a full copy are as they were', async (t) => {
  const ground = await openGround();
  t.after(() => ground.close());
  const file = (rows: number) => {
    const records = Array.from({ length: rows }, (_, k) => `${k + 1},${'x'.repeat(400)}\n`).join('');
    writeFileSync(join(ground.folder, 'a.csv'), `id,text\n${records}`);
  };
  const of = (name: string, given: object): Transfer => ({
    name,
    source: 'csv',
    connection: { path: 'a.csv' },
    tables: [tableOf({ source: 'a', target: `shop.${name}`, ...given })],
  });
  const transfers = [
    of('plain', { mode: 'append' }),
    of('kept', { mode: 'append', cursor: 'id' }),
    of('merged', { mode: 'merge', key: ['id'] }),
    of('whole', {}),
  ];
  file(10);
  for (const transfer of transfers) assert.equal((await ground.run(transfer)).error, null);
  file(60_000);
  const counts: number[][] = [];
  for (const transfer of transfers) {
    const cut = await ground.run(transfer, { warehouse: cutAfter(ground.warehouse, 1) });
    assert.equal(cut.outcome, 'failed');
    const count = async () => Number((await ground.rows(`SELECT count(*) FROM shop.${transfer.name}`))[0]![0]);
    const before = await count();
    const undone = await ground.store.write((tx) => undoAppends(tx, cut.run));
    assert.deepEqual(
      undone.map(({ target }) => target),
      transfer.name === 'plain' ? ['shop.plain'] : [],
    );
    assert.deepEqual(await ground.store.write((tx) => undoAppends(tx, cut.run)), [], 'once');
    counts.push([before > 10 ? 1 : 0, (await count()) - before]);
    if (transfer.name === 'plain') assert.equal(await count(), 10);
    const { error, tables } = await ground.run(transfer);
    assert.deepEqual([error, tables[0]!.parity!.equal], [null, true], transfer.name);
  }
  assert.deepEqual(
    counts.map(([some, change]) => [some, change === 0]),
    [
      [1, false],
      [1, true],
      [1, true],
      [0, true],
    ],
  );
});

test('a run of what is new expects no more rows than it knows of', async (t) => {
  const ground = await openGround();
  t.after(() => ground.close());
  const transfer: Transfer = {
    name: 'a',
    source: 'csv',
    connection: { path: 'a.csv' },
    tables: [tableOf({ source: 'a', mode: 'append', cursor: 'id' })],
  };
  for (const [rows, total] of [
    [1_000, 1_000],
    [1_010, null],
  ] as const) {
    writeFileSync(join(ground.folder, 'a.csv'), `id\n${Array.from({ length: rows }, (_, k) => `${k + 1}\n`).join('')}`);
    const totals: (number | null)[] = [];
    const { error } = await ground.run(transfer, { onProgress: (progress) => totals.push(progress.total) });
    assert.equal(error, null);
    assert.deepEqual(totals, [total]);
  }
});

test('an append that was under way when Millrace was killed is taken out at the next start, before any run', async (t) => {
  const path = workspaceIn(t);
  const store = await openStore({ dataPath: join(path, '.millrace'), memory: 400_000_000, threads: 2 });
  await store.write((tx) => tx.run(TRANSFER_TABLES));
  const columns = [{ name: 'id', type: 'BIGINT' }];
  const of = (run: string) =>
    ({ transfer: 'file', run, source: 'a', target: 'shop.a', mode: 'append', key: [], cursor: null, drift: 'evolve', columns }) as const;
  const slice = async (run: string, row: number) => {
    const file = join(store.folders.slices, 'slice.csv');
    writeFileSync(file, `${row}\n`);
    await store.write((tx) => openTarget(tx, of(run)));
    const one = { number: 1, file, columns: null, rows: 1, bytes: 2, complete: null, refused: [] };
    await store.write((tx) => applySlice(tx, of(run), one, false));
  };
  await slice('whole', 1);
  await store.write((tx) => closeTarget(tx, of('whole'), null));
  await slice('lost', 2);
  assert.equal((await store.rows('SELECT id FROM shop.a')).length, 2);
  await store.close();
  const started = await startMillrace({ workspace: path, log: null });
  t.after(() => started.stop());
  const server = clientOf(path, started);
  await until(async () => (await server.call('GET', '/ready')).status === 200);
  await until(async () => (await server.ask('SELECT code FROM millrace.transfer_run')).length === 1);
  assert.deepEqual(await server.ask('SELECT id FROM shop.a'), [[1]]);
});

test('the history has comparisons, and a run that was under way when Millrace was killed', async (t) => {
  const path = workspaceIn(t);
  const store = await openStore({ dataPath: join(path, '.millrace'), memory: 400_000_000, threads: 2 });
  await store.write((tx) => tx.run(TRANSFER_TABLES));
  const target = {
    transfer: 'file',
    run: 'lost',
    source: 'a',
    target: 'shop.a',
    mode: 'append',
    key: [],
    cursor: null,
    drift: 'evolve',
  } as const;
  await store.write((tx) => openTarget(tx, { ...target, columns: [{ name: 'id', type: 'BIGINT' }] }));
  await store.close();
  writeFileSync(join(path, 'a.csv'), 'id\n1\n');
  // The next run is asked for before the warehouse is there.
  const started = await startMillrace({ workspace: path, log: null });
  t.after(() => started.stop());
  const server = clientOf(path, started);
  define(server, 'file', 'source: csv\nconnection: { path: a.csv }\ntables: { a: { target: shop.a, mode: append } }\n');
  await runOf(server, 'file');
  await runOf(server, 'file', 'verify');
  const history = () => server.ask('SELECT kind, outcome, code FROM millrace.transfer_run ORDER BY began');
  await until(async () => (await history()).length === 3);
  assert.deepEqual(await history(), [
    ['run', 'failed', 'TRANSFER_ENDED'],
    ['run', 'done', null],
    ['verify', 'done', null],
  ]);
  const { runs } = (await server.call('GET', '/v1/transfers/file/runs')).json as { runs: RunReport[] };
  assert.deepEqual(
    runs.map(({ kind }) => kind),
    ['verify', undefined, undefined],
  );
});

async function runOf(server: Running, name: string, verb: 'run' | 'verify' = 'run'): Promise<RunReport> {
  await until(async () => (await server.call('GET', `/v1/transfers/${name}`)).status === 200);
  const { run } = (await server.call('POST', `/v1/transfers/${name}/${verb}`, { body: {} })).json as { run: string };
  const of = async () => (await server.call('GET', `/v1/transfers/runs/${run}`)).json as { report: RunReport | null };
  await until(async () => (await of()).report !== null);
  return (await of()).report!;
}

function define(server: Running, name: string, yaml: string): void {
  mkdirSync(join(server.path, 'transfers'), { recursive: true });
  writeFileSync(join(server.path, 'transfers', `${name}.yaml`), yaml);
}

test('a file that its server calls unchanged is read again by another definition', async (t) => {
  const page = createServer((request, response) => {
    if (request.headers['if-none-match'] === '"v1"') return void response.writeHead(304).end();
    response.writeHead(200, { etag: '"v1"' }).end('zip,v\n1234,a\n');
  });
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
  t.after(() => page.close());
  const server = await running(t, { settings: 'transfer:\n  private_addresses: [127.0.0.1]\n' });
  const yaml = (more: string) =>
    `source: http\nconnection: { url: 'http://127.0.0.1:${(page.address() as AddressInfo).port}/a.csv' }\ntables: { a: { target: shop.a${more} } }\n`;
  define(server, 'web', yaml(''));
  const first = await runOf(server, 'web');
  assert.deepEqual([first.error, first.tables.length], [null, 1]);
  assert.equal((await runOf(server, 'web')).tables.length, 0);
  define(server, 'web', yaml(', types: { zip: VARCHAR }'));
  await until(async () => {
    const { json } = await server.call('GET', '/v1/transfers/web/plan');
    return JSON.stringify(json).includes('"type":"VARCHAR","note":null},{"name":"v"');
  });
  assert.equal((await runOf(server, 'web')).tables.length, 1);
  assert.deepEqual(await server.ask('SELECT typeof(zip) FROM shop.a'), [['VARCHAR']]);
});

test('a folder whose state is set to none reads each file again, and has each row once', async (t) => {
  const server = await running(t);
  for (const name of ['a', 'b']) {
    mkdirSync(join(server.path, 'inbox'), { recursive: true });
    writeFileSync(join(server.path, `inbox/${name}.csv`), `id\n${name}1\n${name}2\n`);
    utimesSync(join(server.path, `inbox/${name}.csv`), 1_000_000_000, 1_000_000_000);
  }
  define(server, 'inbox', 'source: folder\nconnection: { path: inbox }\ntables: { files: { target: shop.inbox, mode: append } }\n');
  const rows = () => server.ask('SELECT id FROM shop.inbox ORDER BY id');
  const set = (cursor: string | null) => server.call('PUT', '/v1/transfers/inbox/state', { body: { table: 'files', cursor } });
  assert.equal((await runOf(server, 'inbox')).tables.length, 2);
  assert.equal((await set('2026-01-01')).code, 'REQUEST_INVALID');
  assert.equal((await runOf(server, 'inbox')).tables.length, 0);
  assert.equal((await set(null)).status, 200);
  assert.deepEqual(await rows(), [['a1'], ['a2'], ['b1'], ['b2']], 'rows stay until their file is read again');
  renameSync(join(server.path, 'inbox/a.csv'), join(server.path, 'inbox/c.csv'));
  assert.equal((await runOf(server, 'inbox')).tables.length, 2);
  assert.deepEqual(await rows(), [['a1'], ['a2'], ['b1'], ['b2']]);
  assert.equal((await runOf(server, 'inbox')).tables.length, 0);
});

test('a file that turns out to be unreadable behind what was appended leaves nothing of itself, in the report and the history too', async (t) => {
  const server = await running(t);
  writeFileSync(join(server.path, 'a.csv'), 'id,v\n1,a\n');
  define(server, 'file', 'source: csv\nconnection: { path: a.csv }\ntables: { a: { target: shop.a, mode: append } }\n');
  assert.equal((await runOf(server, 'file')).error, null);
  const good = Array.from({ length: 130_000 }, (_, k) => `${k},b\n`).join('');
  writeFileSync(join(server.path, 'a.csv'), `id,v\n${good}${'1,b,too,many\n'.repeat(10_100)}`);
  const { error, tables } = await runOf(server, 'file');
  assert.equal(error?.code, 'TRANSFER_FILE');
  const [table] = tables;
  assert.ok(table!.read >= 122_880, `${table!.read}`);
  assert.deepEqual([table!.rows, table!.notes.at(-1)], [0, 'the 122880 rows that had come were taken out again']);
  assert.deepEqual(await server.ask('SELECT id, v FROM shop.a'), [[1, 'a']]);
  const { runs } = (await server.call('GET', '/v1/transfers/file/runs')).json as { runs: RunReport[] };
  assert.equal(runs[0]!.tables[0]!.rows, 0);
  assert.deepEqual(await server.ask('SELECT rows, code FROM millrace.transfer_run ORDER BY began'), [
    [1, null],
    [0, 'TRANSFER_FILE'],
  ]);
  // The next one is not the one that was cut off.
  writeFileSync(join(server.path, 'a.csv'), 'id,v\n2,c\n');
  assert.equal((await runOf(server, 'file')).error, null);
  assert.deepEqual(await server.ask('SELECT id, v FROM shop.a ORDER BY id'), [
    [1, 'a'],
    [2, 'c'],
  ]);
});
