import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Transfer } from '#core';
import { transferStates } from '#store';
import { guess, openSource, runTransfer, type Warehouse } from '#transfer';
import { parseTransfer } from '#workspace';
import { zipOf } from './files-fixture.ts';
import { type Ground, openGround, tableOf } from './harness.ts';

let ground: Ground;
before(async () => {
  ground = await openGround();
});
after(() => ground?.close());

function put(name: string, content: string | Buffer, age = 60): string {
  const path = join(ground.folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  const then = Date.now() / 1000 - age;
  utimesSync(path, then, then);
  return path;
}

let runs = 0;
async function run(transfer: Transfer, warehouse: Warehouse = ground.warehouse, came?: readonly string[]) {
  const states = await transferStates((sql) => ground.store.rows(sql));
  const own = states.filter(({ transfer: name }) => name === transfer.name).sort((a, b) => (a.at < b.at ? -1 : 1));
  const done = new Set(own.filter(({ event }) => event === 'close').map(({ source }) => source));
  const cut = new Set(own.filter(({ event }) => event === 'open' || event === 'slice').map(({ source }) => source));
  const slices = join(ground.folder, `slices-${++runs}`);
  mkdirSync(slices);
  const source = await openSource(transfer, {
    folder: ground.folder,
    anywhere: false,
    env: {},
    done,
    cut,
    ...(came && { came: new Set(came) }),
  });
  try {
    return await runTransfer(transfer, {
      run: `run-${runs}`,
      source,
      warehouse,
      folder: slices,
      onProgress() {},
      signal: new AbortController().signal,
    });
  } finally {
    await source.close();
  }
}

const watching = (path: string, target: string, more: object = {}): Transfer => ({
  name: path,
  source: 'folder',
  connection: { path, pattern: '**/*.csv' },
  tables: [tableOf({ source: 'files', target, mode: 'append', ...more })],
});

describe('a folder that is watched', () => {
  test('gives each file of a zip, whatever spaces their names have', async () => {
    put('spaces/all files.zip', zipOf({ 'sales.csv': 'id,v\n1,a\n', 'sales 2024.csv': 'id,v\n2,b\n', 'sales 2025.csv': 'id,v\n3,c\n' }));
    const transfer = { ...watching('spaces', 'shop.spaces'), connection: { path: 'spaces' } };
    assert.equal((await run(transfer)).error, null);
    assert.deepEqual(await ground.rows('SELECT id FROM shop.spaces ORDER BY id'), [[1], [2], [3]]);
    assert.deepEqual((await run(transfer)).tables, [], 'and each once');
  });

  test('gives each file of a zip by what it is', async () => {
    const file = join(ground.store.folders.slices, 'kinds.parquet');
    const reader = await ground.store.reader();
    await reader.toParquet('SELECT 3 AS id', undefined, file);
    reader.close();
    put(
      'kinds/all.zip',
      zipOf({ 'a.csv': 'id\n1\n', 'b.json': '{"id":2}\n', 'c.parquet': readFileSync(file), 'd.parquet': readFileSync(file) }),
    );
    const transfer = { ...watching('kinds', 'shop.kinds'), connection: { path: 'kinds' } };
    const { error, tables } = await run(transfer);
    assert.deepEqual([error, tables.map(({ parity }) => parity?.equal)], [null, [true, true, true, true]]);
    assert.deepEqual(await ground.rows('SELECT id FROM shop.kinds ORDER BY id'), [[1], [2], [3], [3]]);
  });

  test('is guessed as what a run takes', async () => {
    put('guessed/a.csv', 'id,v\n1,a\n');
    put('guessed/b.csv', 'id,v\n2,b\n');
    const { text } = await guess('guessed/', { folder: ground.folder, anywhere: false, env: {} });
    const guessed = parseTransfer('guessed', text, 'guessed.yaml');
    assert.equal(guessed.schedule?.cron, 'files', 'and watched');
    const report = await run(guessed);
    assert.equal(report.error, null);
    assert.deepEqual(await ground.rows('SELECT id FROM main.files ORDER BY id'), [[1], [2]]);
    put('guessed/b.csv', 'id,v\n2,b\n3,c\n');
    assert.equal((await run(guessed)).error, null);
    assert.deepEqual(await ground.rows('SELECT id FROM main.files ORDER BY id'), [[1], [2], [3]], 'a file may grow');
  });

  test('is guessed with what a file shows of its numbers and days: one with few values is read by it too', async () => {
    put('german/1.csv', 'day;price;weight\n31.12.2025;12,50;1,234\n');
    const { text } = await guess('german/', { folder: ground.folder, anywhere: false, env: {} });
    assert.match(text, /^ {2}decimal: comma$/m);
    assert.match(text, /^ {2}dates: dmy$/m);
    const guessed = parseTransfer('german', text.replace('main.files', 'shop.german'), 'german.yaml');
    assert.equal((await run(guessed)).error, null);
    put('german/2.csv', 'day;price;weight\n01.02.2026;7,25;2,500\n');
    assert.equal((await run(guessed)).error, null);
    assert.deepEqual(
      await ground.rows('SELECT CAST(day AS VARCHAR), CAST(price AS VARCHAR), CAST(weight AS VARCHAR) FROM shop.german ORDER BY 1'),
      [
        ['2025-12-31', '12.50', '1.234'],
        ['2026-02-01', '7.25', '2.500'],
      ],
    );
  });

  test('gives each file once, by its content: not again under another name, and again when it has changed', async () => {
    const transfer = watching('inbox', 'shop.inbox');
    const first = put('inbox/a.csv', 'id,v\n1,a\n');
    put('inbox/sub/b.csv', 'id,v\n2,b\n');
    assert.equal((await run(transfer)).tables.length, 2);
    assert.equal((await run(transfer)).tables.length, 0);
    renameSync(first, join(ground.folder, 'inbox/renamed.csv'));
    put('inbox/copy.csv', 'id,v\n2,b\n');
    assert.equal((await run(transfer)).tables.length, 0);
    put('inbox/sub/b.csv', 'id,v\n3,c\n');
    const { tables, error } = await run(transfer);
    assert.deepEqual([error, tables.map(({ rows, parity }) => [rows, parity?.equal])], [null, [[1, true]]]);
    assert.deepEqual(await ground.rows('SELECT id, v FROM shop.inbox ORDER BY id'), [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ]);
  });

  test('leaves alone what is half-written, hidden or linked to from elsewhere', async () => {
    const transfer = watching('half', 'shop.half');
    put('half/ready.csv', 'id\n1\n');
    put('half/now.csv', 'id\n2\n', 0);
    put('half/.hidden.csv', 'id\n3\n');
    put('half/~$lock.csv', 'id\n4\n');
    await run(transfer);
    assert.deepEqual(await ground.rows('SELECT id FROM shop.half'), [[1]]);
    symlinkSync(put('elsewhere.csv', 'id\n5\n'), join(ground.folder, 'half/linked.csv'));
    await assert.rejects(run(transfer), { code: 'TRANSFER_PATH' });
  });

  test('that is cut off in the middle of a file has each row once after the next run', async () => {
    const transfer = watching('cut', 'shop.cut');
    put('cut/1.csv', 'id\n1\n', 90);
    put('cut/2.csv', `id,text\n${Array.from({ length: 30_000 }, (_, k) => `${k + 2},${'x'.repeat(400)}\n`).join('')}`);
    let slices = 0;
    const report = await run(transfer, {
      ...ground.warehouse,
      async apply(target, slice) {
        if (++slices === 3) throw new Error('cut off');
        return ground.warehouse.apply(target, slice);
      },
    });
    assert.equal(report.outcome, 'failed');
    renameSync(join(ground.folder, 'cut/2.csv'), join(ground.folder, 'cut/3.csv'));
    assert.equal((await run(transfer)).outcome, 'done');
    assert.deepEqual(await ground.rows('SELECT count(*), count(DISTINCT id) FROM shop.cut'), [[30_001, 30_001]], 'whatever it is called');
  });

  test('that has a file which can’t be read brings the others, and says which it was', async () => {
    const transfer = { ...watching('broken', 'shop.broken'), connection: { path: 'broken' } };
    put('broken/1.csv', 'id\n1\n', 90);
    put('broken/2.zip', zipOf({ 'a.csv': 'id\n2\n' }).subarray(0, 40), 80);
    put('broken/3.xlsx', Buffer.from('PK\x03\x04 and no more'), 70);
    put('broken/4.csv', 'id\n4\n');
    const first = await run(transfer);
    assert.deepEqual([first.outcome, first.error?.code], ['failed', 'TRANSFER_FILE']);
    assert.deepEqual(
      first.tables.map(({ source, rows, notes }) => [source.slice(33), rows, notes.length]),
      [
        ['1.csv', 1, 0],
        ['2.zip', 0, 1],
        ['3.xlsx', 0, 1],
        ['4.csv', 1, 0],
      ],
    );
    assert.match(first.tables[1]!.notes[0]!, /2\.zip/);
    put('broken/2.zip', zipOf({ 'a.csv': 'id\n2\n' }));
    rmSync(join(ground.folder, 'broken/3.xlsx'));
    assert.equal((await run(transfer)).error, null);
    assert.deepEqual(await ground.rows('SELECT id FROM shop.broken ORDER BY id'), [[1], [2], [4]]);
  });

  test('whose rows replace others keeps the order of its files: what is behind one that fails waits', async () => {
    const transfer = watching('ordered', 'shop.ordered', { mode: 'merge', key: ['id'] });
    put('ordered/1.csv', 'id,v\n1,a\n', 90);
    put('ordered/2.csv', 'other,v\n1,b\n', 80);
    put('ordered/3.csv', 'id,v\n1,c\n', 70);
    assert.equal((await run(transfer)).error?.code, 'TRANSFER_COLUMN');
    assert.deepEqual(await ground.rows('SELECT id, v FROM shop.ordered'), [[1, 'a']]);
    put('ordered/2.csv', 'id,v\n1,b\n', 80);
    assert.equal((await run(transfer)).error, null);
    assert.deepEqual(await ground.rows('SELECT id, v FROM shop.ordered'), [[1, 'c']]);
  });

  test('whose rows replace others has each name’s newest content, also where it is a former one', async () => {
    const transfer = watching('back', 'shop.back', { mode: 'merge', key: ['id'] });
    for (const [k, v] of ['a', 'b', 'a', 'b', 'c', 'a'].entries()) {
      put('back/1.csv', `id,v\n1,${v}\n`, 90 - k);
      assert.equal((await run(transfer)).error, null);
      assert.deepEqual(await ground.rows('SELECT id, v FROM shop.back'), [[1, v]]);
      assert.deepEqual((await run(transfer)).tables, [], 'and once');
    }
    // Another name for what was loaded is not loaded: it would come after what replaced it.
    put('back/2.csv', 'id,v\n1,b\n', 10);
    assert.deepEqual((await run(transfer)).tables, []);
  });

  describe('where a file replaces what it brought before', () => {
    const replacing = (path: string): Transfer => ({
      ...watching(path, `shop.${path}`),
      connection: { path, pattern: '**/*.{csv,log,zip}', changed: 'replace' },
    });
    const ids = (path: string) => ground.rows(`SELECT id FROM shop.${path} ORDER BY id`);

    test('a file that grows has each row once', async () => {
      const transfer = replacing('grows');
      let text = 'id\n';
      put('grows/other.csv', 'id\n100\n');
      for (let id = 1; id <= 4; id++) {
        put('grows/log.csv', (text += `${id}\n`));
        const { error, tables } = await run(transfer);
        assert.equal(error, null);
        assert.equal(tables.at(-1)!.parity!.equal, true);
        assert.deepEqual(await ids('grows'), [...Array.from({ length: id }, (_, k) => [k + 1]), [100]]);
      }
      assert.deepEqual((await run(transfer)).tables, []);
      assert.equal((await ground.rows('SELECT id FROM change."shop.grows"')).length, 6, 'what was taken out stands in its changes');
      put('grows/log.csv', 'id\n1\n');
      assert.equal((await run(transfer)).error, null);
      assert.deepEqual(await ids('grows'), [[1], [100]], 'and a former content is read again');
    });

    test('a file that has got another name keeps its rows', async () => {
      const transfer = replacing('rotated');
      const log = put('rotated/app.log', 'id\n1\n2\n', 90);
      await run(transfer);
      renameSync(log, join(ground.folder, 'rotated/app.1.log'));
      put('rotated/app.log', 'id\n3\n', 60);
      assert.equal((await run(transfer)).error, null);
      assert.deepEqual(await ids('rotated'), [[1], [2], [3]]);
      // A copy that nobody speaks of, and then another content in the place of the original.
      put('rotated/copy.log', 'id\n3\n', 50);
      put('rotated/app.log', 'id\n4\n', 40);
      assert.equal((await run(transfer, ground.warehouse, ['app.log'])).error, null);
      assert.deepEqual(await ids('rotated'), [[1], [2], [3], [4]]);
    });

    test('a zip replaces what its files brought, those that are gone from it too', async () => {
      const transfer = replacing('zipped');
      put('zipped/all.zip', zipOf({ 'a.csv': 'id\n1\n', 'b.csv': 'id\n2\n', 'c.csv': 'id\n3\n' }), 90);
      await run(transfer);
      put('zipped/all.zip', zipOf({ 'a.csv': 'id\n10\n', 'b.csv': 'id\n2\n' }), 60);
      assert.equal((await run(transfer)).error, null);
      assert.deepEqual(await ids('zipped'), [[2], [10]]);
    });

    test('a file that can’t be read any more keeps its rows', async () => {
      const transfer = replacing('spoilt');
      put('spoilt/a.csv', 'id\n1\n', 90);
      await run(transfer);
      put('spoilt/a.csv', 'PK\x03\x04 and no more', 60);
      assert.notEqual((await run(transfer)).error, null);
      assert.deepEqual(await ids('spoilt'), [[1]]);
    });
  });

  test('that is cut off in the middle of a file has none of it twice when the file has changed since', async () => {
    const transfer = watching('cutoff', 'shop.cutoff');
    const records = Array.from({ length: 30_000 }, (_, k) => `${k + 2},${'x'.repeat(400)}\n`).join('');
    put('cutoff/1.csv', `id,text\n${records}`);
    let slices = 0;
    const report = await run(transfer, {
      ...ground.warehouse,
      async apply(target, slice) {
        if (++slices === 2) throw new Error('cut off');
        return ground.warehouse.apply(target, slice);
      },
    });
    assert.equal(report.outcome, 'failed');
    put('cutoff/1.csv', `id,text\n${records}1,y\n`);
    assert.equal((await run(transfer)).outcome, 'done');
    assert.deepEqual(await ground.rows('SELECT count(*), count(DISTINCT id) FROM shop.cutoff'), [[30_001, 30_001]]);
  });

  test('gives those that are said to have come, and no others', async () => {
    const transfer = watching('came', 'shop.came');
    for (const name of ['a', 'b', 'c']) put(`came/${name}.csv`, `id\n${name}\n`);
    assert.equal((await run(transfer, ground.warehouse, ['b.csv', 'gone.csv'])).error, null);
    assert.deepEqual(await ground.rows('SELECT id FROM shop.came'), [['b']]);
    assert.equal((await run(transfer, ground.warehouse, [])).tables.length, 0);
    assert.equal((await run(transfer)).tables.length, 2);
  });

  test('takes no mode that would keep the last file alone', async () => {
    put('full/1.csv', 'id\n1\n');
    assert.equal((await run(watching('full', 'shop.full', { mode: 'full' }))).error?.code, 'TRANSFER_OPTION');
  });
});

test('store reports are tables by their kind, with the app and the month of their names', async () => {
  const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');
  put(
    'play/installs/installs_com.example.shop_202401_overview.csv',
    utf16('Date,Package Name,Daily User Installs\n2024-01-01,com.example.shop,12\n'),
    90,
  );
  put(
    'play/installs/installs_com.example.shop_202402_overview.csv',
    utf16('Date,Package Name,Daily User Installs\n2024-02-01,com.example.shop,7\n'),
  );
  put('play/sales/salesreport_202401.zip', zipOf({ 'salesreport_202401.csv': utf16('Order Number,Charged Amount\nGPA.1,"1,234.50"\n') }));
  put('play/notes_about_2024.csv', 'not,a report\n');
  const transfer: Transfer = {
    name: 'play',
    source: 'store_reports',
    connection: { path: 'play' },
    tables: [
      tableOf({ source: 'installs_overview', target: 'play.installs', mode: 'merge', key: ['Date', 'report_app'] }),
      tableOf({ source: 'salesreport', target: 'play.sales', mode: 'append' }),
    ],
  };
  const report = await run(transfer);
  assert.deepEqual([report.error, report.tables.length], [null, 4], 'of those that are merged one more, for all of them');
  assert.deepEqual(
    await ground.rows(
      `SELECT CAST("Date" AS VARCHAR), "Daily User Installs", report_app, CAST(report_month AS VARCHAR) FROM play.installs ORDER BY 1`,
    ),
    [
      ['2024-01-01', 12, 'com.example.shop', '2024-01-01'],
      ['2024-02-01', 7, 'com.example.shop', '2024-02-01'],
    ],
  );
  assert.deepEqual(await ground.rows('SELECT "Order Number", CAST(report_month AS VARCHAR), report_app FROM play.sales'), [
    ['GPA.1', '2024-01-01', null],
  ]);
  assert.equal((await run(transfer)).tables.length, 0);
});
