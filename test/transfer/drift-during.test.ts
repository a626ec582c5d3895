/** A table is altered while the run copies the one before it: it comes as it stands when it is its turn, and as its policy says. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Transfer } from '#core';
import { connectionTo, type Ground, openGround, tableOf } from './harness.ts';
import { type MariaDb, absent as noMariaDb, startMariaDb } from './mariadb.ts';
import { absent as noPostgres, type Postgres, startPostgres } from './postgres-server.ts';

/** What is done to b (id, v), and what a first copy of its rows is then, by column. */
const CHANGES: readonly (readonly [what: string, mysql: string, postgres: string, rows: Record<string, unknown>[]])[] = [
  ['dropped', 'DROP COLUMN v', 'DROP COLUMN v', [{ id: 1 }, { id: 2 }]],
  [
    'added',
    'ADD COLUMN w INT DEFAULT 7',
    'ADD COLUMN w INT DEFAULT 7',
    [
      { id: 1, v: 11, w: 7 },
      { id: 2, v: 22, w: 7 },
    ],
  ],
  [
    'renamed',
    'CHANGE v u INT',
    'RENAME COLUMN v TO u',
    [
      { id: 1, u: 11 },
      { id: 2, u: 22 },
    ],
  ],
  [
    'widened',
    'MODIFY v TEXT',
    'ALTER COLUMN v TYPE TEXT',
    [
      { id: 1, v: '11' },
      { id: 2, v: '22' },
    ],
  ],
  [
    'narrowed',
    'MODIFY v TINYINT',
    'ALTER COLUMN v TYPE SMALLINT',
    [
      { id: 1, v: 11 },
      { id: 2, v: 22 },
    ],
  ],
];

function suite(source: 'mysql' | 'postgres', absent: string | null, start: () => Promise<MariaDb | Postgres>): void {
  describe(`a table that is altered while a run of ${source} goes on`, { skip: absent ?? false }, () => {
    let db: MariaDb | Postgres;
    let ground: Ground;
    before(async () => {
      db = await start();
      ground = await openGround({ PW: db.password });
      await db.ask('CREATE TABLE a (id INT PRIMARY KEY)');
      await db.ask('INSERT INTO a VALUES (1)');
    });
    after(async () => {
      await ground?.close();
      await db?.stop();
    });

    async function run(target: string, mode: 'full' | 'append' | 'merge', drift: 'evolve' | 'freeze' | 'discard', ddl: string | null) {
      const connection = connectionTo(db);
      const tables = [tableOf({ source: 'a', target: 'during.a' }), tableOf({ source: 'b', target, mode, drift })];
      const transfer: Transfer = { name: 'shop', source, connection, tables };
      let altered = ddl === null;
      const { error, tables: reports } = await ground.run(transfer, {
        warehouse: {
          ...ground.warehouse,
          async close(of, complete) {
            await ground.warehouse.close(of, complete);
            if (!altered) await db.ask(`ALTER TABLE b ${ddl}`);
            altered = true;
          },
        },
      });
      return { code: error?.code ?? null, equal: reports[1]?.parity?.equal };
    }

    async function anew(): Promise<void> {
      await db.ask('DROP TABLE IF EXISTS b');
      await db.ask('CREATE TABLE b (id INT PRIMARY KEY, v INT)');
      await db.ask('INSERT INTO b VALUES (1, 11), (2, 22)');
    }

    const rowsOf = (target: string) => ground.store.rows(`SELECT * EXCLUDE _batch FROM ${target} ORDER BY id`);

    for (const [what, mysql, postgres, rows] of CHANGES)
      for (const mode of ['full', 'append', 'merge'] as const)
        test(`a column ${what}: ${mode}`, async () => {
          await anew();
          const target = `during.${what}_${mode}`;
          assert.deepEqual(await run(target, mode, 'evolve', source === 'mysql' ? mysql : postgres), { code: null, equal: true });
          assert.deepEqual(await rowsOf(target), rows);
        });

    test('a policy that freezes or discards says so of what is altered meanwhile too', async () => {
      for (const drift of ['freeze', 'discard'] as const) {
        await anew();
        const target = `during.${drift}`;
        assert.equal((await run(target, 'merge', drift, null)).code, null);
        await db.ask(`INSERT INTO b VALUES (3, 33)`);
        const { code } = await run(target, 'merge', drift, 'ADD COLUMN w INT DEFAULT 7');
        assert.equal(code, drift === 'freeze' ? 'TRANSFER_DRIFT' : null);
        const stood = [
          { id: 1, v: 11 },
          { id: 2, v: 22 },
        ];
        assert.deepEqual(await rowsOf(target), drift === 'freeze' ? stood : [...stood, { id: 3, v: 33 }]);
      }
    });
  });
}

suite('mysql', noMariaDb, startMariaDb);
suite('postgres', noPostgres, startPostgres);
