import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Opened, SourceColumn, SourceTable, World } from '#transfer';
import { decodeRows } from '../../src/transfer/rows.ts';
import { openGround, tableOf } from './harness.ts';

/** The table that every source offers to the suite: `id` is its key and grows; the same values, spelled as the source spells them. */
export const ROWS: readonly (readonly (string | null)[])[] = Array.from({ length: 5_000 }, (_, k) => [
  String(k + 1),
  k % 7 === 0 ? null : `name ${k}, "quoted"\n한글 🙂`,
  k % 11 === 0 ? '' : `t${k}`,
  `${k % 3 === 1 ? '-' : ''}${k}.${String(k % 100).padStart(2, '0')}`,
  `20${String(10 + (k % 15)).padStart(2, '0')}-${String(1 + (k % 12)).padStart(2, '0')}-${String(13 + (k % 15)).padStart(2, '0')}`,
  `2024-01-${String(13 + (k % 15)).padStart(2, '0')} 10:${String(k % 60).padStart(2, '0')}:00`,
  k % 2 === 0 ? null : `${k}.5e-3`,
]);

export const COLUMNS = ['id', 'name', 'tag', 'price', 'day', 'moment', 'weight'] as const;

export interface Subject {
  readonly table: string;
  /** Types that the definition gives where the source has none of its own. */
  readonly types: Readonly<Record<string, string>>;
  open(): Promise<Opened>;
  /** The definition's connection, for whole runs. */
  readonly connection: Record<string, unknown>;
  readonly env: Record<string, string>;
  /** What its source may reach. */
  readonly reach?: Partial<World>;
  /** The source gives its rows in parts (files of a folder). */
  readonly inParts?: boolean;
}

const NO_CURSOR = { cursor: null, after: null, upTo: null };

/** What every source does, whatever it is. */
export function sourceContract(name: string, subject: () => Subject): void {
  async function withSource(use: (source: Opened, table: SourceTable, columns: SourceColumn[]) => Promise<void>): Promise<void> {
    const { table: wanted, types, open } = subject();
    const source = await open();
    try {
      const [table] = await source.describe([wanted]);
      await use(
        source,
        table!,
        table!.columns.map((column) => ({ ...column, type: types[column.name] ?? column.type })),
      );
    } finally {
      await source.close();
    }
  }

  async function readAll(source: Opened, table: SourceTable, columns: SourceColumn[], span: Parameters<Opened['read']>[2]) {
    const rows: (string | null)[][] = [];
    const completes: (string | null)[] = [];
    for await (const batch of source.read(table, columns, span, { nulled: new Map() })) {
      const decoded = decodeRows(batch.bytes, Number.POSITIVE_INFINITY);
      assert.equal(decoded.length, batch.count);
      rows.push(...decoded);
      completes.push(batch.complete);
    }
    return { rows, completes };
  }

  test(`${name} describes its tables with their columns in order, and refuses a table that it does not have`, () =>
    withSource(async (source, table) => {
      assert.deepEqual(
        table.columns.map((column) => column.name),
        COLUMNS,
      );
      assert.ok(table.columns.every((column) => column.type !== '' && column.sourceType !== ''));
      await assert.rejects(source.describe(['no_such_table']), { code: 'TRANSFER_TABLE' });
    }));

  test(`${name} gives every row once, with exact text, NULL apart from ''`, () =>
    withSource(async (source, table, columns) => {
      await source.snapshot(table, null, null);
      const chosen = columns.filter((column) => column.name !== 'weight');
      const { rows } = await readAll(source, table, chosen, NO_CURSOR);
      const byId = (a: (string | null)[], b: (string | null)[]) => Number(a[0]) - Number(b[0]);
      rows.sort(byId);
      assert.equal(rows.length, ROWS.length);
      for (const [k, row] of rows.entries()) assert.deepEqual(row, ROWS[k]!.slice(0, 6));
    }));

  test(`${name} reads the rows above a cursor up to its newest, and says with the last batch that all were given`, () =>
    withSource(async (source, table, columns) => {
      const id = columns.find((column) => column.name === 'id')!;
      const { span, without } = await source.snapshot(table, id, '4000');
      assert.deepEqual({ after: span.after, upTo: span.upTo, without }, { after: '4000', upTo: '5000', without: false });
      const { rows, completes } = await readAll(source, table, columns, span);
      assert.deepEqual(
        rows.map((row) => Number(row[0])).sort((a, b) => a - b),
        Array.from({ length: 1_000 }, (_, k) => 4_001 + k),
      );
      assert.equal(completes.at(-1), '5000');
    }));

  test(`${name} gives only about as many rows as a look needs`, () =>
    withSource(async (source, table, columns) => {
      let count = 0;
      for await (const batch of source.read(table, columns, NO_CURSOR, { nulled: new Map() }, 20)) count += batch.count;
      assert.equal(count, 20);
    }));

  test(`${name} can be left in the middle of a read`, () =>
    withSource(async (source, table, columns) => {
      for await (const batch of source.read(table, columns, NO_CURSOR, { nulled: new Map() })) {
        assert.ok(batch.count > 0);
        break;
      }
    }));

  test(`${name} has sums that the buckets add up to, and that change when a row is left out`, () =>
    withSource(async (source, table, columns) => {
      const id = columns.find((column) => column.name === 'id')!;
      const all = await source.snapshot(table, id, null);
      const [whole] = await source.checksum(table, columns, all.span, null);
      assert.equal(whole!.rows, ROWS.length);
      const buckets = await source.checksum(table, columns, all.span, ['id']);
      assert.equal(
        buckets.reduce((sum, each) => sum + each.rows, 0),
        ROWS.length,
      );
      assert.equal(
        buckets.reduce((sum, each) => sum + BigInt(each.sum), 0n),
        BigInt(whole!.sum),
      );
      const [less] = await source.checksum(table, columns, { ...all.span, after: '1' }, null);
      assert.equal(less!.rows, ROWS.length - 1);
      assert.notEqual(less!.sum, whole!.sum);
      const { bucket, rows } = buckets[0]!;
      assert.equal((await source.hashes(table, columns, all.span, ['id'], bucket)).length, rows);
    }));

  test(`${name} and the warehouse make the same sum of the same rows`, async (t) => {
    const { first } = await transferred(t, name, subject());
    const { equal, source, warehouse } = first.tables[0]!.parity!;
    assert.deepEqual({ equal, rows: source.rows, same: source.sum === warehouse.sum }, { equal: true, rows: ROWS.length, same: true });
  });

  test(`a changed, a missing and an extra row are found by key beside ${name}`, async (t) => {
    if (subject().inParts) return t.skip('a table has the rows of all parts: it is never held beside one of them');
    const { ground, transfer } = await transferred(t, name, subject());
    const { env, reach = {} } = subject();
    await ground.store.write(async (tx) => {
      await tx.run(`UPDATE shop.goods SET tag = 'other' WHERE id = 7`);
      await tx.run(`DELETE FROM shop.goods WHERE id = 8`);
      await tx.run(`INSERT INTO shop.goods (id, tag) VALUES (999999, 'mine')`);
    });
    const { compare, openSource, planned } = await import('#transfer');
    const opened = await openSource(transfer, { folder: ground.folder, anywhere: true, env, ...reach });
    try {
      const [plan] = await planned(transfer, opened);
      await opened.snapshot(plan!.table, null, null);
      const parity = await compare({ plan: plan!, span: NO_CURSOR, run: null, source: opened, warehouse: ground.warehouse });
      assert.equal(parity.equal, false);
      assert.deepEqual(
        new Set(parity.differences.map(({ key, kind }) => `${kind} ${key}`)),
        new Set(['different 7', 'missing 8', 'extra 999999']),
      );
    } finally {
      await opened.close();
    }
  });
}

/** The subject's table brought into a warehouse of its own. Of a source in parts only what one run appended can be held beside it. */
async function transferred(t: TestContext, name: string, { table, types, connection, env, reach = {}, inParts = false }: Subject) {
  const ground = await openGround(env, reach);
  t.after(() => ground.close());
  const mode = inParts ? 'append' : 'merge';
  const definition = tableOf({ source: table, target: 'shop.goods', mode, key: ['id'], types });
  const transfer = { name: 'contract', source: name, connection: connection as never, tables: [definition] };
  return { ground, transfer, first: await ground.run(transfer) };
}
