/** What becomes of a table when the columns of a database's table change between two runs, and while a run follows its log. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Drift, Transfer, TransferTable } from '#core';
import { becomes, followed, start } from '../transfer/following.ts';
import { type Ground, openGround, tableOf } from '../transfer/harness.ts';
import { absent, type MariaDb, startLoggedMariaDb } from '../transfer/mariadb.ts';

interface Outcome {
  readonly columns: string;
  readonly rows: readonly (readonly (string | null)[])[];
  readonly quarantined?: number;
}
type Wanted = Readonly<Record<Drift, Outcome | 'refused'>>;
interface Case {
  readonly what: string;
  /** Of the table `$`, which has (id INT PRIMARY KEY, v SMALLINT NOT NULL, w TEXT) and the rows 1 and 2. */
  readonly change: readonly string[];
  readonly merge: Wanted;
  readonly full: Wanted;
  /** By the log: rows that stood there are not told again. */
  readonly cdc: Wanted;
}

const OLD = 'id INTEGER, v SMALLINT, w VARCHAR';
const [ONE, TWO] = [
  ['1', '1', 'a'],
  ['2', '2', 'b'],
];
const old = (...rows: (string | null)[][]): Outcome => ({ columns: OLD, rows: [ONE!, TWO!, ...rows] });
const unharmed = (...rows: (string | null)[][]): Wanted => ({ evolve: old(...rows), discard: old(...rows), freeze: old(...rows) });

const added: Wanted = {
  evolve: {
    columns: `${OLD}, n INTEGER`,
    rows: [
      [...ONE!, null],
      [...TWO!, null],
      ['3', '3', 'c', '9'],
    ],
  },
  discard: old(['3', '3', 'c']),
  freeze: 'refused',
};
const dropped: Wanted = { evolve: old(['3', '3', null]), discard: old(['3', '3', null]), freeze: 'refused' };
const widened: Wanted = {
  evolve: { columns: 'id INTEGER, v INTEGER, w VARCHAR', rows: [ONE!, TWO!, ['3', '70000', 'c']] },
  discard: { ...old(), quarantined: 1 },
  freeze: 'refused',
};
const narrowed: Wanted = {
  evolve: { columns: 'id INTEGER, v TINYINT, w VARCHAR', rows: [ONE!, TWO!, ['3', '3', 'c']] },
  discard: old(['3', '3', 'c']),
  freeze: 'refused',
};
const withoutW = {
  columns: OLD,
  rows: [
    ['1', '1', null],
    ['2', '2', null],
    ['3', '3', null],
  ],
};

const cases: readonly Case[] = [
  {
    what: 'added',
    change: ['ALTER TABLE $ ADD COLUMN n INT', "INSERT INTO $ VALUES (3, 3, 'c', 9)"],
    merge: added,
    full: added,
    cdc: added,
  },
  {
    what: 'dropped',
    change: ['ALTER TABLE $ DROP COLUMN w', 'INSERT INTO $ VALUES (3, 3)'],
    merge: dropped,
    full: {
      evolve: {
        columns: 'id INTEGER, v SMALLINT',
        rows: [
          ['1', '1'],
          ['2', '2'],
          ['3', '3'],
        ],
      },
      discard: withoutW,
      freeze: 'refused',
    },
    cdc: dropped,
  },
  {
    what: 'renamed',
    change: ['ALTER TABLE $ RENAME COLUMN w TO x', "INSERT INTO $ VALUES (3, 3, 'c')"],
    merge: {
      evolve: {
        columns: `${OLD}, x VARCHAR`,
        rows: [
          ['1', '1', null, 'a'],
          ['2', '2', null, 'b'],
          ['3', '3', null, 'c'],
        ],
      },
      discard: old(['3', '3', null]),
      freeze: 'refused',
    },
    full: {
      evolve: { columns: 'id INTEGER, v SMALLINT, x VARCHAR', rows: [ONE!, TWO!, ['3', '3', 'c']] },
      discard: withoutW,
      freeze: 'refused',
    },
    cdc: {
      evolve: {
        columns: `${OLD}, x VARCHAR`,
        rows: [
          [...ONE!, null],
          [...TWO!, null],
          ['3', '3', null, 'c'],
        ],
      },
      discard: old(['3', '3', null]),
      freeze: 'refused',
    },
  },
  {
    what: 'widened',
    change: ['ALTER TABLE $ MODIFY v INT NOT NULL', "INSERT INTO $ VALUES (3, 70000, 'c')"],
    merge: widened,
    full: widened,
    cdc: widened,
  },
  {
    what: 'narrowed',
    change: ['ALTER TABLE $ MODIFY v TINYINT NOT NULL', "INSERT INTO $ VALUES (3, 3, 'c')"],
    merge: narrowed,
    full: narrowed,
    cdc: narrowed,
  },
  {
    what: 'made NULL',
    change: ['ALTER TABLE $ MODIFY v SMALLINT NULL', "INSERT INTO $ VALUES (3, NULL, 'c')"],
    merge: unharmed(['3', null, 'c']),
    full: unharmed(['3', null, 'c']),
    cdc: unharmed(['3', null, 'c']),
  },
  {
    what: 'reordered',
    change: ['ALTER TABLE $ MODIFY v SMALLINT NOT NULL AFTER w', "INSERT INTO $ (id, v, w) VALUES (3, 3, 'c')"],
    merge: unharmed(['3', '3', 'c']),
    full: {
      evolve: {
        columns: 'id INTEGER, w VARCHAR, v SMALLINT',
        rows: [
          ['1', 'a', '1'],
          ['2', 'b', '2'],
          ['3', 'c', '3'],
        ],
      },
      discard: old(['3', '3', 'c']),
      freeze: old(['3', '3', 'c']),
    },
    cdc: unharmed(['3', '3', 'c']),
  },
];

describe('a column of a database that is', { skip: absent ?? false }, () => {
  let db: MariaDb;
  let ground: Ground;
  before(async () => {
    db = await startLoggedMariaDb(['--binlog-row-metadata=FULL']);
    ground = await openGround({ PW: db.password });
  });
  after(async () => {
    await ground?.close();
    await db?.stop();
  });

  let made = 0;
  async function table(
    more: Partial<TransferTable>,
  ): Promise<{ name: string; transfer: Transfer; change(sql: readonly string[]): Promise<void> }> {
    const name = `d${++made}`;
    await db.ask(`CREATE TABLE ${name} (id INT PRIMARY KEY, v SMALLINT NOT NULL, w TEXT)`);
    await db.ask(`INSERT INTO ${name} VALUES (1, 1, 'a'), (2, 2, 'b')`);
    const connection = { host: db.host, port: db.port, user: db.user, password: { env: 'PW' }, database: db.database };
    const tables = [more.mode === 'cdc' ? followed(name, more) : tableOf({ source: name, ...more })];
    return {
      name,
      transfer: { name, source: 'mysql', connection, tables },
      async change(sql) {
        for (const each of sql) await db.ask(each.replace('$', name));
      },
    };
  }
  const shown = (name: string) => `SELECT CAST(COLUMNS(* EXCLUDE _batch) AS VARCHAR) FROM shop.${name} ORDER BY 1`;
  async function stands(name: string, { columns, rows, quarantined = 0 }: Outcome): Promise<void> {
    const found = await ground.rows(
      `SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_index) FROM duckdb_columns()
       WHERE schema_name = 'shop' AND table_name = '${name}' AND column_name <> '_batch'`,
    );
    assert.equal(found[0]![0], columns);
    assert.deepEqual(await ground.rows(shown(name)), rows);
    const waiting = `SELECT count(*) FROM millrace.quarantine WHERE topic = 'transfer:shop.${name}' AND replayed IS NULL`;
    assert.deepEqual(await ground.rows(waiting), [[quarantined]]);
  }

  for (const { what, change, ...wanted } of cases) {
    for (const drift of ['evolve', 'discard', 'freeze'] as const) {
      for (const mode of ['merge', 'full'] as const) {
        const outcome = wanted[mode][drift];
        test(`${what} between two runs, mode ${mode}, under ${drift}`, async () => {
          const own = await table({ mode, drift });
          assert.equal((await ground.run(own.transfer)).error, null);
          await own.change(change);
          const { error } = await ground.run(own.transfer);
          assert.equal(error?.code ?? null, outcome === 'refused' ? 'TRANSFER_DRIFT' : null);
          await stands(own.name, outcome === 'refused' ? old() : outcome);
        });
      }

      const outcome = wanted.cdc[drift];
      test(`${what} while its log is followed, under ${drift}`, async () => {
        const own = await table({ mode: 'cdc', drift });
        const run = start(ground, own.transfer);
        await becomes(ground, shown(own.name), [ONE!, TWO!], run);
        await own.change(change);
        if (outcome === 'refused') {
          const { error } = await run.report;
          assert.equal(error?.code, 'TRANSFER_DRIFT');
          await stands(own.name, old());
          return;
        }
        // A row that goes to quarantine is followed by one that does not.
        await db.ask(`DELETE FROM ${own.name} WHERE id = 2`);
        await becomes(ground, shown(own.name), outcome.rows.filter(([id]) => id !== '2') as unknown[][], run);
        assert.equal((await run.stop()).error, null);
        await stands(own.name, { ...outcome, rows: outcome.rows.filter(([id]) => id !== '2') });
      });
    }
  }
});
