/** Files that are merged into one table, compared with it together: what it should hold is told here from the files that were written. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Transfer, TransferTable } from '#core';
import { replayQuarantined, transferStates } from '#store';
import { openSource, type RunReport, runTransfer, type TableReport, verifyTransfer, type Warehouse } from '#transfer';
import { zipOf } from './files-fixture.ts';
import { type Ground, openGround, tableOf } from './harness.ts';

let ground: Ground;
before(async () => {
  ground = await openGround();
});
after(() => ground?.close());

/** Files that are older are brought first. */
let clock = 1e9;
function put(name: string, content: string | Buffer): void {
  const path = join(ground.folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  utimesSync(path, ++clock, clock);
}
const remove = (name: string) => rmSync(join(ground.folder, name));

const merging = (path: string, more: Partial<TransferTable> = {}): Transfer => ({
  name: path,
  source: 'folder',
  connection: { path, pattern: '**/*.{csv,zip}' },
  tables: [tableOf({ source: 'files', target: `shop.${path}`, mode: 'merge', key: ['id'], ...more })],
});

async function run(transfer: Transfer, warehouse: Warehouse = ground.warehouse): Promise<RunReport> {
  const own = (await transferStates((sql) => ground.store.rows(sql)))
    .filter((state) => state.transfer === transfer.name)
    .sort((a, b) => (a.at < b.at ? -1 : 1));
  const done = new Set(own.filter(({ event }) => event === 'close').map(({ source }) => source));
  const folder = join(ground.folder, randomUUID());
  mkdirSync(folder);
  const source = await openSource(transfer, { folder: ground.folder, anywhere: false, env: {}, done });
  const signal = new AbortController().signal;
  try {
    return await runTransfer(transfer, { run: randomUUID(), source, warehouse, folder, onProgress() {}, signal });
  } finally {
    await source.close();
    rmSync(folder, { recursive: true });
  }
}

async function verify(transfer: Transfer): Promise<TableReport[]> {
  const known = await transferStates((sql) => ground.store.rows(sql));
  const source = await openSource(transfer, { folder: ground.folder, anywhere: false, env: {} });
  try {
    const verifying = { run: randomUUID(), source, warehouse: ground.warehouse, folder: ground.folder, known };
    return (await verifyTransfer(transfer, verifying)).tables;
  } finally {
    await source.close();
  }
}

/** Of the tables' own reports: equal, rows on both sides, and the differences as `key kind`. */
function told(tables: readonly TableReport[], source = 'files') {
  const own = tables.filter((table) => table.source === source);
  assert.equal(own.length, 1);
  const { equal, source: there, warehouse: here, differences } = own[0]!.parity!;
  assert.equal(equal, there.sum === here.sum && there.rows === here.rows);
  return [equal, there.rows, here.rows, ...differences.map(({ key, kind }) => `${key.map((each) => each ?? 'NULL').join('/')} ${kind}`)];
}
const sql = (statement: string) => ground.store.write((tx) => tx.run(statement));

/** One run that brings something and is equal to it, as all that stands there is then. */
async function brings(transfer: Transfer, rows: number, all: number): Promise<void> {
  const { error, tables } = await run(transfer);
  assert.deepEqual([error, told(tables)], [null, [true, rows, rows]]);
  assert.deepEqual(told(await verify(transfer)), [true, all, all]);
}

describe('files that are merged', () => {
  test('are compared together: of each key the row that was brought last', async () => {
    const transfer = merging('overlap');
    put('overlap/a.csv', 'id,v\n1,a\n2,a\n3,a\n');
    put('overlap/b.csv', 'id,v\n2,b\n4,b\n');
    await brings(transfer, 4, 4);
    put('overlap/c.csv', 'id,v\n3,c\n4,b\n5,c\n');
    await brings(transfer, 3, 5);
    // An older file that comes late is brought last.
    put('overlap/d.csv', 'id,v\n5,d\n');
    utimesSync(join(ground.folder, 'overlap/d.csv'), 5e8, 5e8);
    await brings(transfer, 1, 5);
    assert.deepEqual((await run(transfer)).tables, [], 'and a run that brings nothing compares nothing');
  });

  test('and changed there and back again are compared by what stands in them', async () => {
    const transfer = merging('back');
    for (const [k, text] of ['id,v\n1,a\n2,a\n', 'id,v\n1,b\n3,b\n', 'id,v\n1,a\n2,a\n', 'id,v\n2,c\n'].entries()) {
      put('back/x.csv', text);
      const { tables } = await run(transfer);
      const rows = k === 3 ? 1 : 2;
      assert.deepEqual(told(tables), [true, rows, rows]);
      assert.deepEqual(told(await verify(transfer)), [true, rows, rows], text);
    }
    // What comes back is newer than what came in between.
    for (const [name, text] of [
      ['x', 'id,v\n1,d\n'],
      ['y', 'id,v\n1,y\n2,y\n'],
      ['x', 'id,v\n2,c\n'],
    ] as const) {
      put(`back/${name}.csv`, text);
      assert.equal(told((await run(transfer)).tables)[0], true);
    }
    assert.deepEqual(await ground.rows('SELECT v FROM shop.back ORDER BY id'), [['y'], ['c'], ['b']]);
    assert.deepEqual(told(await verify(transfer)), [true, 2, 2]);
  });

  test('and come back are compared as not brought yet until they are', async () => {
    const transfer = merging('pending');
    put('pending/x.csv', 'id,v\n1,a\n2,a\n');
    await run(transfer);
    put('pending/x.csv', 'id,v\n1,b\n');
    await run(transfer);
    put('pending/x.csv', 'id,v\n1,a\n2,a\n');
    const [own, part] = await verify(transfer);
    assert.deepEqual([own!.parity!.equal, own!.parity!.source.rows, own!.notes.length], [true, 0, 1]);
    assert.deepEqual([part!.parity, part!.notes], [null, ['no run has brought it yet: there is nothing to compare']]);
  });

  test('count by the last row of a key within a file', async () => {
    put('twice/a.csv', 'id,v\n1,a\n2,a\n1,b\n2,a\n1,c\n');
    await brings(merging('twice'), 2, 2);
    assert.deepEqual(await ground.rows('SELECT id, v FROM shop.twice ORDER BY id'), [
      [1, 'c'],
      [2, 'a'],
    ]);
  });

  test('and are gone keep their rows, which are left out on both sides', async () => {
    const transfer = merging('gone');
    put('gone/a.csv', 'id,v\n1,a\n2,a\n');
    put('gone/b.csv', 'id,v\n2,b\n3,b\n');
    put('gone/c.csv', 'id,v\n4,c\n1,a\n');
    await brings(transfer, 4, 4);
    remove('gone/b.csv');
    const [report] = await verify(transfer);
    assert.deepEqual(told([report!]), [true, 2, 2]);
    assert.deepEqual(report!.notes, [
      '1 rows of these files were replaced by what came from files that are gone or have changed since, from another transfer or from quarantine: they are left out on both sides',
      '1 rows here have other keys and came from files that are gone or have changed since, from another transfer or from quarantine: they are left out',
    ]);
    // What another file brings since counts again.
    put('gone/d.csv', 'id,v\n2,d\n3,b\n');
    const { tables } = await run(transfer);
    assert.deepEqual([told(tables), tables.at(-1)!.notes], [[true, 2, 2], []]);
    assert.deepEqual(told(await verify(transfer)), [true, 4, 4]);
    for (const name of ['a', 'c', 'd']) remove(`gone/${name}.csv`);
    assert.deepEqual(told(await verify(transfer)), [true, 0, 0]);
  });

  test('show by key what was changed, deleted or added here', async () => {
    const transfer = merging('tampered');
    put('tampered/a.csv', 'id,v\n1,a\n2,a\n3,a\n4,a\n');
    put('tampered/b.csv', 'id,v\n4,b\n5,b\n6,b\n');
    await brings(transfer, 6, 6);
    await sql(`UPDATE shop.tampered SET v = 'x' WHERE id = 4`);
    await sql('DELETE FROM shop.tampered WHERE id = 2');
    await sql(`INSERT INTO shop.tampered (id, v) VALUES (7, 'x')`);
    await sql('INSERT INTO shop.tampered SELECT * FROM shop.tampered WHERE id = 5');
    await sql('UPDATE shop.tampered SET id = 60 WHERE id = 6');
    assert.deepEqual(told(await verify(transfer)), [
      false,
      6,
      7,
      ...['2 missing', '4 different', '5 extra', '6 missing', '7 extra', '60 extra'],
    ]);
  });

  test('show a write that was lost or is wrong after the run that made it, and in it nothing else', async () => {
    const transfer = merging('lost');
    put('lost/a.csv', 'id,v\n1,a\n2,a\n');
    await run(transfer);
    await sql(`UPDATE shop.lost SET v = 'x' WHERE id = 1`);
    put('lost/b.csv', 'id,v\n2,b\n3,b\n4,b\n');
    const { tables } = await run(transfer, {
      ...ground.warehouse,
      async apply(target, slice) {
        const applied = await ground.warehouse.apply(target, slice);
        await sql(`UPDATE shop.lost SET v = 'y' WHERE id = 3`);
        await sql('DELETE FROM shop.lost WHERE id = 4');
        return applied;
      },
    });
    assert.deepEqual(told(tables), [false, 3, 2, '3 different', '4 missing']);
    assert.deepEqual(told(await verify(transfer)), [false, 4, 3, '1 different', '3 different', '4 missing']);
  });

  test('are told apart by all columns of a key, NULL and texts with anything in them among them', async () => {
    const transfer = merging('composite', { key: ['a', 'b'] });
    const odd = [
      '',
      '""',
      '"x,y"',
      '"say ""so"""',
      '"two\nlines"',
      '"tab\there"',
      '한글 🙂',
      "'",
      '\\',
      '"[1]"',
      '\u0001',
      '\u007f',
      '\u2028',
    ];
    put('composite/1.csv', `a,b,v\n${odd.map((text, k) => `${text},${k % 3},${k}`).join('\n')}\n,,none\nx,,half\n`);
    put('composite/2.csv', `a,b,v\n,,some\nx,,half\n"tab\there",2,new\n`);
    await brings(transfer, odd.length + 2, odd.length + 2);
    assert.deepEqual(await ground.rows('SELECT v FROM shop.composite WHERE a IS NULL AND b IS NULL'), [['some']]);
    await sql(`UPDATE shop.composite SET v = 'x' WHERE a IS NULL AND b IS NULL`);
    await sql(`DELETE FROM shop.composite WHERE a = 'x'`);
    const rows = odd.length + 2;
    assert.deepEqual(told(await verify(transfer)), [false, rows, rows - 1, 'x/NULL missing', 'NULL/NULL different']);
  });

  test('may differ in columns and types, also in those of the key', async () => {
    const transfer = merging('types');
    put('types/1.csv', 'id,v,day\n1,1,2024-01-01\n2,2,2024-01-02\n3,300,2024-01-03\n');
    put('types/2.csv', 'id,v\n2.0,2\n3.5,1.25\n');
    put('types/3.csv', 'id,w,v\n3.5,true,7\n4.2,false,100000\n');
    await brings(transfer, 5, 5);
    await sql('UPDATE shop.types SET w = NOT w WHERE v = 7');
    // A file that has no day says nothing of it.
    await sql('UPDATE shop.types SET day = NULL WHERE id = 2');
    assert.deepEqual(told(await verify(transfer)), [false, 5, 5, '3.5 different']);
    const texts = merging('texts');
    put('texts/1.csv', 'id,v\n1,1\n2,2\n');
    put('texts/2.csv', 'id,v\nx1,none\n2,many\n');
    await brings(texts, 3, 3);
  });

  test('and hold a row that does not fit show it as other modes do', async () => {
    const transfer = merging('held', { drift: 'discard' });
    put('held/a.csv', 'id,v\n1,1\n2,2\n,0\n');
    await run(transfer);
    put('held/b.csv', 'id,v\n2,two\n3,3\nfour,4\n');
    const { tables } = await run(transfer);
    assert.equal(tables[0]!.quarantined, 2);
    assert.deepEqual(told(tables), [false, 3, 2, '2 different', 'four missing']);
    assert.deepEqual(told(await verify(transfer)), [false, 5, 4, '2 different', 'four missing']);
  });

  test('and wrote what waited in quarantine leave it out', async () => {
    const transfer = merging('replayed', { types: { v: 'INTEGER' } });
    put('replayed/a.csv', 'id,v\n1,1\n2,2\n');
    put('replayed/b.csv', 'id,v\n2,two\n3,3\n');
    await brings(transfer, 3, 3);
    await sql('ALTER TABLE shop.replayed ALTER COLUMN v TYPE VARCHAR');
    await ground.store.write((tx) => replayQuarantined(tx, { topic: 'transfer:shop.replayed' }));
    assert.deepEqual(await ground.rows('SELECT v FROM shop.replayed WHERE id = 2'), [['two']]);
    assert.deepEqual(told(await verify(transfer)), [true, 2, 2]);
  });

  test('are compared as far as they came where one behind them can’t be read', async () => {
    const transfer = merging('broken');
    put('broken/1.csv', 'id,v\n1,a\n');
    put('broken/2.csv', 'other,v\n1,b\n');
    const { error, tables } = await run(transfer);
    assert.deepEqual([error?.code, told(tables)], ['TRANSFER_COLUMN', [true, 1, 1]]);
    put('broken/2.csv', 'id,v\n1,b\n');
    await brings(transfer, 1, 1);
  });

  test('are files of a zip as well', async () => {
    const transfer = merging('zipped');
    put('zipped/all.zip', zipOf({ 'a b.csv': 'id,v\n1,a\n2,a\n', 'c.csv': 'id,v\n2,c\n' }));
    await brings(transfer, 2, 2);
    put('zipped/all.zip', zipOf({ 'a b.csv': 'id,v\n1,a\n2,a\n', 'c.csv': 'id,v\n3,c\n' }));
    await brings(transfer, 3, 3);
  });

  test('and have a cursor are read whole when they come back', async () => {
    const transfer = merging('cursor', { cursor: 'at' });
    for (const text of ['id,at,v\n1,1,a\n2,2,a\n3,,a\n', 'id,at,v\n1,1,b\n', 'id,at,v\n1,1,a\n2,2,a\n3,,a\n']) {
      put('cursor/x.csv', text);
      await run(transfer);
    }
    assert.deepEqual(await ground.rows('SELECT id, v FROM shop.cursor ORDER BY id'), [
      [1, 'a'],
      [2, 'a'],
    ]);
    assert.deepEqual(told(await verify(transfer)), [true, 2, 2]);
  });
});

test('store reports are compared kind by kind', async () => {
  const sales = (...rows: string[]) =>
    Buffer.from(`\ufeffOrder Number,Charged Amount\n${rows.map((row) => `${row}\n`).join('')}`, 'utf16le');
  const zipped = (month: string, ...rows: string[]) =>
    put(`play/salesreport_${month}.zip`, zipOf({ [`salesreport_${month}.csv`]: sales(...rows) }));
  const installs = (month: string, text: string) =>
    put(`play/installs_com.example.shop_${month}_overview.csv`, Buffer.from(`\ufeffDate,Daily User Installs\n${text}`, 'utf16le'));
  const transfer: Transfer = {
    name: 'play',
    source: 'store_reports',
    connection: { path: 'play' },
    tables: [
      tableOf({ source: 'installs_overview', target: 'play.installs', mode: 'merge', key: ['Date', 'report_app'] }),
      tableOf({ source: 'salesreport', target: 'play.sales', mode: 'merge', key: ['Order Number'] }),
    ],
  };
  zipped('202401', 'GPA.1,"1,234.50"', 'GPA.2,3.00');
  zipped('202402', 'GPA.3,4.00');
  installs('202401', '2024-01-01,12\n');
  const first = await run(transfer);
  assert.deepEqual(
    [told(first.tables, 'salesreport'), told(first.tables, 'installs_overview')],
    [
      [true, 3, 3],
      [true, 1, 1],
    ],
  );
  zipped('202402', 'GPA.3,4.00', 'GPA.4,5.00', 'GPA.2,0.00');
  const second = await run(transfer);
  assert.equal(second.error, null);
  assert.deepEqual(told(second.tables, 'salesreport'), [true, 3, 3]);
  await sql(`UPDATE play.sales SET "Charged Amount" = 9 WHERE "Order Number" = 'GPA.1'`);
  const tables = await verify(transfer);
  assert.deepEqual(
    [told(tables, 'salesreport'), told(tables, 'installs_overview')],
    [
      [false, 4, 4, 'GPA.1 different'],
      [true, 1, 1],
    ],
  );
});

/** What a run is to bring: which content of which name, after the other; and what the table then holds of each key. */
interface Oracle {
  readonly files: Map<string, string>;
  readonly brought: { readonly name: string; readonly content: string }[];
  readonly table: Map<string, { v: string; writer: number }>;
}

const rowsOf = (content: string) =>
  content
    .split('\n')
    .slice(1, -1)
    .map((line) => line.split(',') as [string, string]);

function bring({ brought, table }: Oracle, name: string, content: string): void {
  const newest = brought.findLast((each) => each.name === name);
  if (newest === undefined ? brought.some((each) => each.content === content) : newest.content === content) return;
  const writer = brought.push({ name, content }) - 1;
  for (const [id, v] of new Map(rowsOf(content))) if (table.get(id)?.v !== v) table.set(id, { v, writer });
}

/** Each key that is compared; of the others, how many rows have a newer writer that is gone, and how many nobody has. */
function compared({ files, brought, table }: Oracle): { keys: string[]; replaced: number; elsewhere: number } {
  const whole = (name: string, content: string) => (brought.findLast((each) => each.name === name)?.content ?? content) === content;
  const contents = new Set([...files].filter(([name, content]) => whole(name, content)).map(([, content]) => content));
  const result = { keys: [] as string[], replaced: 0, elsewhere: 0 };
  for (const [id, { writer }] of table) {
    const last = brought.findLastIndex(({ content }) => contents.has(content) && new Map(rowsOf(content)).has(id));
    const isGone = !contents.has(brought[writer]!.content);
    if (last === -1) result.elsewhere++;
    else if (isGone && writer > last) result.replaced++;
    else result.keys.push(id);
  }
  return result;
}

/** Few, so that contents come back and overlap. */
const content = fc.oneof(
  fc.constantFrom('id,v\n1,a\n2,a\n', 'id,v\n2,b\n1,b\n', 'id,v\n2,c\n3,a\n'),
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom('a', 'b', 'c')), { minLength: 1, maxLength: 4 })
    .map((rows) => `id,v\n${rows.map((row) => `${row.join(',')}\n`).join('')}`),
);
const name = fc.constantFrom('1.csv', '2.csv', '3.csv');
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), name, content }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), name }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('run' as const) }) },
);
const tampering = fc.record({ kind: fc.constantFrom('different' as const, 'missing' as const, 'extra' as const), pick: fc.nat() });

let cases = 0;
test('whatever files come, change and go, both sides are equal until a row is changed here, which is listed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 6, maxLength: 16, size: 'max' }),
      fc.array(tampering, { maxLength: 3 }),
      async (steps, tamperings) => {
        const path = `random_${++cases}`;
        const transfer = merging(path);
        const oracle: Oracle = { files: new Map(), brought: [], table: new Map() };
        mkdirSync(join(ground.folder, path), { recursive: true });
        for (const each of steps) {
          if (each.kind === 'put') {
            put(`${path}/${each.name}`, each.content);
            // The newest comes last.
            oracle.files.delete(each.name);
            oracle.files.set(each.name, each.content);
          } else if (each.kind === 'remove') {
            if (oracle.files.delete(each.name)) remove(`${path}/${each.name}`);
          } else {
            const before = oracle.brought.length;
            for (const [file, text] of oracle.files) bring(oracle, file, text);
            const { error, tables } = await run(transfer);
            assert.equal(error, null);
            const rows = new Set(oracle.brought.slice(before).flatMap(({ content: text }) => rowsOf(text).map(([id]) => id))).size;
            if (oracle.brought.length > before) assert.deepEqual(told(tables), [true, rows, rows]);
          }
        }
        if (oracle.brought.length === 0) return;
        // What was put since the last run is not brought.
        const { keys, replaced, elsewhere } = compared(oracle);
        const [report] = await verify(transfer);
        assert.deepEqual(told([report!]), [true, keys.length, keys.length]);
        assert.deepEqual(
          report!.notes.map((note) => Number(note.split(' ')[0])),
          [replaced, elsewhere].filter((count) => count > 0),
        );
        const expected = new Map<number, string>();
        for (const { kind, pick } of tamperings) {
          const id = kind === 'extra' ? 100 + expected.size : Number(keys[pick % keys.length]);
          if (Number.isNaN(id) || expected.has(id)) continue;
          expected.set(id, kind);
          if (kind === 'extra') await sql(`INSERT INTO shop.${path} (id, v) VALUES (${id}, 'x')`);
          else if (kind === 'missing') await sql(`DELETE FROM shop.${path} WHERE id = ${id}`);
          else await sql(`UPDATE shop.${path} SET v = 'x' WHERE id = ${id}`);
        }
        const differences = [...expected].sort(([a], [b]) => a - b).map(([id, kind]) => `${id} ${kind}`);
        assert.deepEqual(told(await verify(transfer)).slice(3), differences);
      },
    ),
    { numRuns: 25 },
  );
});
