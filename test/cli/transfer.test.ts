/** What `millrace transfer` prints and how it exits, over a source that is there, one that is not, and answers that no source gives on demand. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { MillraceError } from '#core';
import type { TransferPreviewAnswer, TransferReport } from '../../src/server/api.ts';
import { running, until } from '../server/fixture.ts';
import { absent, startMariaDb } from '../transfer/mariadb.ts';
import { fakeServer, millrace } from './fixture.ts';

/** A workspace with these files and Millrace running on it, and its command line. */
async function workshop(t: TestContext, files: Readonly<Record<string, string>>) {
  const server = await running(t);
  const put = (name: string, text: string) => writeFileSync(join(server.path, name), text);
  mkdirSync(join(server.path, 'transfers'), { recursive: true });
  for (const [name, text] of Object.entries(files)) put(name, text);
  const env = { MILLRACE_ADDRESS: server.started.address, MILLRACE_TOKEN: server.started.adminToken };
  const transfer = (...words: string[]) => millrace(['transfer', ...words], { env });
  for (const file of Object.keys(files)) {
    const name = /^transfers\/(.*)\.yaml$/.exec(file)?.[1];
    if (name !== undefined) await until(async () => (await server.call('GET', `/v1/transfers/${name}`)).code !== 'TRANSFER_UNKNOWN');
  }
  return { put, transfer, ask: server.ask };
}

/** The lines of a printed table, each as its cells. */
const cells = (printed: string): string[][] =>
  printed
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));
const without = (line: readonly string[] | undefined, column: number): string[] => (line ?? []).toSpliced(column, 1);

const GOODS = `source: csv
connection: { path: goods.csv }
tables: { goods: { target: shop.goods, mode: merge, key: [id], types: { price: INTEGER } } }
`;
const REPORT = ['source', 'target', 'read', 'written', 'replaced', 'quarantined', 'slow side', 'both sides', 'there', 'here'];

describe('millrace transfer, over a CSV file', () => {
  test('shows rows, says what it would do, brings them, compares, and tells where it stands', async (t) => {
    const { put, transfer, ask } = await workshop(t, {
      'goods.csv': 'id,name,price\n1,pen,10\n2,cup,20\n3,"a, b",x\n',
      'transfers/goods.yaml': GOODS,
    });
    const preview = await transfer('preview', 'goods', '--rows', '2');
    assert.deepEqual([preview.code, preview.stderr], [0, '']);
    assert.match(preview.stdout, /^goods → shop\.goods\n {2}id: text → BIGINT\n {2}name: text → VARCHAR\n {2}price: text → INTEGER\n/);
    assert.deepEqual(cells(preview.stdout).slice(-2), [
      ['1', 'pen', '10'],
      ['2', 'cup', '20'],
    ]);
    const whole = await transfer('preview', 'goods');
    assert.match(whole.stdout, /^ {2}line 4 would go to quarantine: .+$/m);
    const { tables }: TransferPreviewAnswer = JSON.parse((await transfer('preview', 'goods', '--json')).stdout);
    assert.deepEqual([tables[0]?.rows.length, tables[0]?.refused.length], [2, 1]);

    const plan = await transfer('run', 'goods', '--dry-run');
    assert.deepEqual([plan.code, cells(plan.stdout)[2]], [0, ['goods', 'shop.goods', 'merge', 'id', '∅', '3']]);
    for (const action of ['state', 'history']) {
      const { code, stdout } = await transfer(action, 'goods');
      assert.deepEqual([code, cells(stdout).length], [0, 2], stdout);
    }
    const early = await transfer('verify', 'goods');
    assert.deepEqual([early.code, cells(early.stdout)[2]?.slice(7)], [0, ['∅', '∅', '∅']]);
    assert.match(early.stdout, /^ {2}goods: no run has brought it yet/m);

    const run = await transfer('run', 'goods');
    assert.deepEqual([run.code, cells(run.stdout)[0]], [0, REPORT]);
    assert.deepEqual(cells(run.stdout)[2], ['goods', 'shop.goods', '3', '2', '0', '1', '∅', 'equal', '2', '2']);
    assert.deepEqual(await ask('SELECT id, name, price FROM shop.goods ORDER BY id'), [
      [1, 'pen', 10],
      [2, 'cup', 20],
    ]);
    const state = cells((await transfer('state', 'goods')).stdout)[2]!;
    assert.deepEqual(state.slice(0, 4), ['goods', 'shop.goods', '∅', 'whole']);
    assert.ok(Math.abs(Date.parse(state[4]!) - Date.now()) < 600_000, state[4]);

    put('goods.csv', 'id,name,price\n1,pen,11\n');
    const differs = await transfer('verify', 'goods');
    assert.deepEqual([differs.code, cells(differs.stdout)[2]?.slice(7)], [1, ['DIFFERENT', '1', '2']]);
    assert.deepEqual(differs.stdout.match(/^ {2}goods: \w+: \w+$/gm)?.sort(), ['  goods: different: 1', '  goods: extra: 2']);
    const { stdout } = await transfer('history', 'goods');
    assert.deepEqual(
      cells(stdout).map((line) => without(line, 0)),
      [
        ['what', 'outcome', 'written', 'both sides', 'error'],
        Array(5)
          .fill('')
          .map((_, k) => cells(stdout)[1]![k + 1]!),
        ['verify', 'done', '0', 'DIFFERENT', '∅'],
        ['run', 'done', '2', 'equal', '∅'],
        ['verify', 'done', '0', '∅', '∅'],
      ],
    );
    const listed = await transfer('list');
    assert.deepEqual([listed.code, cells(listed.stdout)[2]], [0, ['goods', 'csv', '1', 'done', '∅', '∅']]);
    const stop = await transfer('stop', 'goods');
    assert.deepEqual(stop, { code: 0, stdout: 'None runs.\n', stderr: '' });
  });

  test('says by code what is wrong: a name that is not there, a definition, a source, a word', async (t) => {
    const { transfer } = await workshop(t, {
      'goods.csv': 'id,name,price\n1,pen,10\n',
      'transfers/goods.yaml': GOODS,
      'transfers/gone.yaml': 'source: csv\nconnection: { path: gone.csv }\ntables: { gone: { target: shop.gone, mode: full } }\n',
      'transfers/bad.yaml': 'source: csv\n',
    });
    for (const words of [['run'], ['run', '--dry-run'], ['preview'], ['verify'], ['state'], ['history'], ['stop']]) {
      const [action, ...more] = words as [string, ...string[]];
      const { code, stdout, stderr } = await transfer(action, 'nobody', ...more);
      assert.deepEqual([code, stdout], [1, ''], words.join(' '));
      assert.match(stderr, /^TRANSFER_UNKNOWN {2}There is no transfer "nobody"\.\nSee "millrace transfer list"/, words.join(' '));
    }
    const listed = await transfer('list');
    assert.deepEqual(
      [
        listed.code,
        cells(listed.stdout)
          .slice(2)
          .map(([name]) => name),
      ],
      [1, ['gone', 'goods']],
    );
    assert.match(listed.stderr, /^DEFINITION_INVALID {2}transfers\/bad\.yaml:1: /);
    assert.match((await transfer('run', 'bad')).stderr, /^DEFINITION_INVALID {2}transfers\/bad\.yaml:1: /);

    const failed = await transfer('run', 'gone');
    assert.deepEqual([failed.code, failed.stdout], [1, '']);
    assert.match(failed.stderr, /^TRANSFER_FILE {2}The file gone\.csv can't be read as csv.*\n.+\n$/);
    const told = await transfer('run', 'gone', '--json');
    const report: TransferReport = JSON.parse(told.stdout);
    assert.deepEqual([told.code, report.outcome, report.error?.code], [1, 'failed', 'TRANSFER_FILE']);
    // Nothing was compared: neither equal nor different.
    const history = cells((await transfer('history', 'gone')).stdout).slice(2);
    assert.deepEqual(
      history.map((line) => without(line, 0)),
      Array(2).fill(['run', 'failed', '0', '∅', 'TRANSFER_FILE']),
    );
    assert.equal(cells((await transfer('list')).stdout)[2]?.[3], 'failed');

    for (const [words, expected] of [
      [['run'], /^OPTION_VALUE {2}TRANSFER can't be absent/],
      [['runs', 'goods'], /^OPTION_VALUE {2}ACTION can't be "runs".* run is near/],
      [['state', 'goods', '--cursor', 'none'], /^OPTION_VALUE {2}--table can't be absent/],
    ] as const) {
      const { code, stderr } = await transfer(...words);
      assert.equal(code, 2, stderr);
      assert.match(stderr, expected);
    }
    const unknown = await transfer('state', 'goods', '--table', 'other', '--cursor', 'none');
    assert.match(unknown.stderr, /^TRANSFER_TABLE {2}The source has no table "other"/);
    const none = await transfer('state', 'goods', '--table', 'goods', '--cursor', '5');
    assert.match(none.stderr, /^REQUEST_INVALID {2}.*"goods" has no cursor/);
  });

  test('a run is stopped by name, also when its file is gone, and says so with the state that it left', async (t) => {
    const line = `${'x'.repeat(60)}\n`;
    const { put, transfer } = await workshop(t, {
      'long.csv': `id,text\n${Array.from({ length: 1_500_000 }, (_, id) => `${id},${line}`).join('')}`,
      'transfers/long.yaml': 'source: csv\nconnection: { path: long.csv }\ntables: { long: { target: shop.long, mode: full } }\n',
    });
    const going = transfer('run', 'long');
    await until(async () => cells((await transfer('state', 'long')).stdout)[2]?.[3] === 'running');
    assert.match((await transfer('run', 'long')).stderr, /^TRANSFER_BUSY {2}The transfer "long" is running/);
    put('transfers/long.yaml', 'source: nothing\n');
    const stop = await transfer('stop', 'long');
    assert.deepEqual(stop, { code: 0, stdout: 'It ends after what it is writing.\n', stderr: '' });
    put('transfers/long.yaml', 'source: csv\nconnection: { path: long.csv }\ntables: { long: { target: shop.long, mode: full } }\n');
    const { code, stdout, stderr } = await going;
    assert.equal(code, 1);
    assert.match(stderr, /^TRANSFER_ENDED {2}The run of "long" ended early: it was stopped\.$/m);
    assert.equal(cells(stdout)[2]?.[7], '∅');
    await until(async () => cells((await transfer('state', 'long')).stdout)[2]?.[3] === 'cut off');
  });
});

describe('millrace transfer, over MariaDB', { skip: absent ?? false }, () => {
  test('brings what is above the cursor, and begins where it is told to', async (t) => {
    const db = await startMariaDb();
    t.after(() => db.stop());
    await db.ask('CREATE TABLE orders (id INT PRIMARY KEY, total DECIMAL(9,2))');
    await db.ask('INSERT INTO orders VALUES (1, 1.50), (2, 2.50)');
    const connection = `{ host: ${db.host}, port: ${db.port}, user: ${db.user}, password: { file: pw }, database: ${db.database} }`;
    const { put, transfer, ask } = await workshop(t, {
      pw: db.password,
      'transfers/shop.yaml': `source: mysql\nconnection: ${connection}\ntables: { orders: { target: shop.orders, mode: merge, cursor: id } }\n`,
    });
    const written = async () => {
      const { code, stdout, stderr } = await transfer('run', 'shop');
      assert.equal(code, 0, stderr);
      return cells(stdout)[2]?.slice(3);
    };
    assert.deepEqual(await written(), ['2', '0', '0', '∅', 'equal', '2', '2']);
    await db.ask('INSERT INTO orders VALUES (3, 3.50)');
    assert.deepEqual(await written(), ['1', '0', '0', '∅', 'equal', '1', '1']);
    const state = await transfer('state', 'shop');
    assert.deepEqual(cells(state.stdout)[2]?.slice(0, 4), ['orders', 'shop.orders', '3', 'whole']);
    const set = await transfer('state', 'shop', '--table', 'orders', '--cursor', '2');
    assert.deepEqual([set.code, cells(set.stdout)[2]?.[2]], [0, '2']);
    await db.ask('UPDATE orders SET total = 9 WHERE id = 3');
    assert.deepEqual(await written(), ['1', '1', '0', '∅', 'equal', '1', '1']);
    assert.deepEqual(await ask('SELECT id, total::VARCHAR FROM shop.orders ORDER BY id'), [
      [1, '1.50'],
      [2, '2.50'],
      [3, '9.00'],
    ]);
    put('pw', 'wrong');
    const denied = await transfer('run', 'shop');
    assert.equal(denied.code, 1);
    assert.match(denied.stderr, /^TRANSFER_DENIED {2}The source mysql refuses this user/);
    assert.doesNotMatch(denied.stderr, /wrong|pass word/);
    assert.deepEqual(cells((await transfer('history', 'shop')).stdout)[2]?.slice(1), ['run', 'failed', '0', '∅', 'TRANSFER_DENIED']);
  });
});

describe('a run whose answers are given', () => {
  const done = (more: Partial<TransferReport['tables'][number]> = {}): TransferReport => ({
    run: 'r',
    transfer: 'shop',
    began: '',
    ended: '',
    outcome: 'done',
    error: null,
    tables: [
      {
        ...{ source: 'orders', target: 'shop.orders', mode: 'full', read: 9, rows: 9, replaced: 0, quarantined: 0, bytes: 9, seconds: 1 },
        ...{ slow: 'source', notes: [], cursor: null, parity: null },
        ...more,
      },
    ],
  });

  test('draws a bar of rows, share, megabytes and the slow side for each table on a terminal', async (t) => {
    const progress = (table: string, rows: number, source: number) => ({
      ...{ table, rows, bytes: rows * 100, total: 40_000, waited: { source, warehouse: 5 } },
    });
    const steps = [
      null,
      progress('orders', 10_000, 9),
      progress('orders', 20_000, 9),
      progress('goods', 1, 1),
      progress('goods', 30_000, 1),
    ];
    const { address } = await fakeServer(t, ({ method }, number) => {
      if (method === 'POST') return { status: 200, body: { run: 'r' } };
      const step = steps[number - 2];
      const last = { run: 'r', kind: 'run', state: 'running', progress: step ?? null, report: step === undefined ? done() : null };
      return { status: 200, body: last };
    });
    const { code, stderr } = await millrace(['transfer', 'run', 'shop'], {
      env: { MILLRACE_ADDRESS: address },
      terminal: true,
      columns: 200,
    });
    assert.equal(code, 0);
    const drawn = stderr.split('\r\x1b[2K').slice(1);
    assert.match(drawn[0]!, /^orders \[█+░+\] 50 % 20,000\/40,000.* left · 2\.0 MB.*, waiting for the source$/);
    assert.match(drawn[1]!, /^orders 20,000.*\n$/);
    assert.match(drawn[2]!, /^goods \[█+░+\] 75 % .* · 3\.0 MB.*, waiting for the warehouse$/);
    assert.match(drawn[3]!, /^goods 30,000.*\n$/);
    assert.equal(drawn.length, 4);
  });

  test('that has made way for another one is told from the history', async (t) => {
    let known = [done()];
    const { address } = await fakeServer(t, ({ method, path }) => {
      if (method === 'POST') return { status: 200, body: { run: 'r' } };
      if (path.endsWith('/runs')) return { status: 200, body: { runs: known } };
      return { status: 404, body: { error: new MillraceError('TRANSFER_RUN_UNKNOWN', { run: 'r' }).body } };
    });
    const env = { MILLRACE_ADDRESS: address };
    const { code, stdout } = await millrace(['transfer', 'run', 'shop'], { env });
    assert.deepEqual([code, cells(stdout)[2]?.[0]], [0, 'orders']);
    known = [];
    const lost = await millrace(['transfer', 'run', 'shop'], { env });
    assert.equal(lost.code, 1);
    assert.match(lost.stderr, /^TRANSFER_SUPERSEDED {2}Another run of the transfer "shop" has begun since/);
  });

  test('says how many groups differ that have too many rows, and names the parts of a key', async (t) => {
    const side = { rows: 9, sum: '1' };
    const differences = [{ key: ['1', null], kind: 'missing' as const }];
    const parity = { equal: false, source: side, warehouse: side, after: null, up_to: null, differences, unlisted: 3 };
    const { address } = await fakeServer(t, ({ method }) => ({
      status: 200,
      body: method === 'POST' ? { run: 'r' } : { run: 'r', progress: null, report: done({ parity }) },
    }));
    const { code, stdout } = await millrace(['transfer', 'verify', 'shop'], { env: { MILLRACE_ADDRESS: address } });
    assert.equal(code, 1);
    assert.match(stdout, /^ {2}orders: missing: 1, NULL\n {2}orders: too many rows to list all keys: 3 of 256 groups of keys differ\n$/m);
  });
});
