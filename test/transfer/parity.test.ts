/** How the differences of both sides are narrowed down to keys, and what becomes of it where they are too many. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Transfer } from '#core';
import { compare, openSource, type Parity, planned } from '#transfer';
import { type Ground, openGround, tableOf } from './harness.ts';

const SPAN = { cursor: null, after: null, upTo: null };
/** The group of a key, as docs/transfer.md says: by its hash. */
const groupOf = (key: string) => createHash('md5').update(key).digest()[0]!;

describe('rows that differ', () => {
  let ground: Ground;
  before(async () => {
    ground = await openGround();
  });
  after(() => ground?.close());

  /** Brings a file, changes the table here, and compares with at most so many rows listed of each group. */
  async function compared(name: string, rows: readonly string[], change: string, mostListed?: number): Promise<Parity> {
    writeFileSync(join(ground.folder, `${name}.csv`), `id,v\n${rows.join('\n')}\n`);
    const transfer: Transfer = {
      name,
      source: 'csv',
      connection: { path: `${name}.csv` },
      tables: [tableOf({ source: name, key: ['id'] })],
    };
    assert.equal((await ground.run(transfer)).tables[0]?.parity?.equal, true);
    await ground.store.write((tx) => tx.run(change));
    const source = await openSource(transfer, { folder: ground.folder, anywhere: true, env: {} });
    try {
      const [plan] = await planned(transfer, source);
      const bound = mostListed === undefined ? {} : { mostListed };
      return await compare({ plan: plan!, span: SPAN, run: null, source, warehouse: ground.warehouse, ...bound });
    } finally {
      await source.close();
    }
  }

  test('are counted by group where the groups have too many rows to be listed', async () => {
    const rows = Array.from({ length: 5_000 }, (_, id) => `${id},1`);
    const changed = ['7', '8', '9', '4000'];
    const parity = await compared('many', rows, `UPDATE shop.many SET v = 2 WHERE id IN (${changed})`, 2);
    assert.deepEqual([parity.equal, parity.differences, parity.unlisted], [false, [], new Set(changed.map(groupOf)).size]);
  });

  test('are listed with no word of it where all groups can be', async () => {
    const rows = Array.from({ length: 300 }, (_, id) => `${id},1`);
    const parity = await compared('few', rows, 'UPDATE shop.few SET v = 2 WHERE id = 7');
    assert.deepEqual([parity.differences, 'unlisted' in parity], [[{ key: ['7'], kind: 'different' }], false]);
  });

  test('are listed where a row stands twice, on either side', async () => {
    // The key is what the definition says; an append does not ask whether it is one.
    const doubled = await compared('doubled', ['1,1', '2,1', '3,1'], 'INSERT INTO shop.doubled SELECT * FROM shop.doubled WHERE id = 2');
    assert.deepEqual([doubled.equal, doubled.differences], [false, [{ key: ['2'], kind: 'extra' }]]);
    const single = await compared('single', ['1,1', '2,1', '2,1'], 'DELETE FROM shop.single WHERE rowid = 1');
    assert.deepEqual([single.equal, single.differences], [false, [{ key: ['2'], kind: 'missing' }]]);
  });

  test('are listed in the groups that can be, beside one that is too large', async () => {
    assert.notEqual(groupOf('big'), groupOf('small'));
    const rows = [...Array.from({ length: 50 }, (_, n) => `big,${n}`), 'small,1'];
    const parity = await compared('skewed', rows, `UPDATE shop.skewed SET v = v + 100 WHERE v IN (1, 3)`, 10);
    assert.deepEqual([parity.differences, parity.unlisted], [[{ key: ['small'], kind: 'different' }], 1]);
  });

  test('are not read at all of a table whose groups would not fit into memory', async () => {
    const column = { name: 'id', sourceType: 'bigint', type: 'BIGINT', cursor: 'number' as const, long: false, note: null };
    const definition = tableOf({ source: 'huge', key: ['id'] });
    const plan = {
      definition,
      table: { name: 'huge', columns: [column], key: ['id'], rows: null },
      columns: [column],
      key: ['id'],
      cursor: null,
    };
    const side = (rows: number) => ({
      checksum: async (...given: unknown[]) =>
        given.at(-1) === null ? [{ bucket: 0, rows: rows * 256, sum: `${rows}` }] : [{ bucket: 3, rows, sum: `${rows}` }],
      hashes: () => assert.fail('half a million keys would be held'),
    });
    const parity = await compare({ plan, span: SPAN, run: null, source: side(500_000) as never, warehouse: side(499_999) as never });
    assert.deepEqual([parity.equal, parity.differences, parity.unlisted], [false, [], 1]);
  });
});
