/** What becomes of a table when the columns of a database's table change between two runs, and while a run follows its log. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Drift, ErrorCode, Transfer, TransferTable } from '#core';
import { becomes, followed, start } from '../transfer/following.ts';
import { type Ground, openGround, tableOf } from '../transfer/harness.ts';
import { absent as noMariaDb, startLoggedMariaDb } from '../transfer/mariadb.ts';
import { absent as noPostgres, startPostgres } from '../transfer/postgres-server.ts';

interface Outcome {
  readonly columns: string;
  readonly rows: readonly (readonly (string | null)[])[];
  readonly quarantined?: number;
}
type Wanted = Readonly<Record<Drift, Outcome | ErrorCode>>;
interface Case {
  readonly what: string;
  /** Of the table `$`, which has (id INT PRIMARY KEY, v INT NOT NULL, w TEXT) and the rows 1 and 2. Null where a database has no such change. */
  readonly mysql: readonly string[] | null;
  readonly postgres: readonly string[] | null;
  /** The rows that come with it. */
  readonly rows: readonly string[];
  readonly merge: Wanted;
  readonly full: Wanted;
  /** By the log: rows that stood there are not told again. */
  readonly cdc: Wanted;
}

const OLD = 'id INTEGER, v INTEGER, w VARCHAR';
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
  freeze: 'TRANSFER_DRIFT',
};
const dropped: Wanted = { evolve: old(['3', '3', null]), discard: old(['3', '3', null]), freeze: 'TRANSFER_DRIFT' };
const widened: Wanted = {
  evolve: { columns: 'id INTEGER, v BIGINT, w VARCHAR', rows: [ONE!, TWO!, ['3', '7000000000', 'c']] },
  discard: { ...old(), quarantined: 1 },
  freeze: 'TRANSFER_DRIFT',
};
const narrowed: Wanted = {
  evolve: { columns: 'id INTEGER, v SMALLINT, w VARCHAR', rows: [ONE!, TWO!, ['3', '3', 'c']] },
  discard: old(['3', '3', 'c']),
  freeze: 'TRANSFER_DRIFT',
};
const madeText: Wanted = {
  evolve: { columns: 'id INTEGER, v VARCHAR, w VARCHAR', rows: [ONE!, TWO!, ['3', 'three', 'c']] },
  discard: { ...old(), quarantined: 1 },
  freeze: 'TRANSFER_DRIFT',
};
const same = (outcome: Outcome | ErrorCode): Wanted => ({ evolve: outcome, discard: outcome, freeze: outcome });
const rekeyed = same({ columns: OLD, rows: [['10', '1', 'a'], TWO!, ['3', '3', 'c']] });
const emptied = same({ columns: OLD, rows: [['3', '3', 'c']] });
const noTable = same('TRANSFER_TABLE');
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
    mysql: ['ALTER TABLE $ ADD COLUMN n INT'],
    postgres: ['ALTER TABLE $ ADD COLUMN n INT'],
    rows: ["INSERT INTO $ VALUES (3, 3, 'c', 9)"],
    merge: added,
    full: added,
    cdc: added,
  },
  {
    what: 'dropped',
    mysql: ['ALTER TABLE $ DROP COLUMN w'],
    postgres: ['ALTER TABLE $ DROP COLUMN w'],
    rows: ['INSERT INTO $ VALUES (3, 3)'],
    merge: dropped,
    full: {
      evolve: {
        columns: 'id INTEGER, v INTEGER',
        rows: [
          ['1', '1'],
          ['2', '2'],
          ['3', '3'],
        ],
      },
      discard: withoutW,
      freeze: 'TRANSFER_DRIFT',
    },
    cdc: dropped,
  },
  {
    what: 'renamed',
    mysql: ['ALTER TABLE $ RENAME COLUMN w TO x'],
    postgres: ['ALTER TABLE $ RENAME COLUMN w TO x'],
    rows: ["INSERT INTO $ VALUES (3, 3, 'c')"],
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
      freeze: 'TRANSFER_DRIFT',
    },
    full: {
      evolve: { columns: 'id INTEGER, v INTEGER, x VARCHAR', rows: [ONE!, TWO!, ['3', '3', 'c']] },
      discard: withoutW,
      freeze: 'TRANSFER_DRIFT',
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
      freeze: 'TRANSFER_DRIFT',
    },
  },
  {
    what: 'widened',
    mysql: ['ALTER TABLE $ MODIFY v BIGINT NOT NULL'],
    postgres: ['ALTER TABLE $ ALTER v TYPE BIGINT'],
    rows: ["INSERT INTO $ VALUES (3, 7000000000, 'c')"],
    merge: widened,
    full: widened,
    cdc: widened,
  },
  {
    what: 'narrowed',
    mysql: ['ALTER TABLE $ MODIFY v SMALLINT NOT NULL'],
    postgres: ['ALTER TABLE $ ALTER v TYPE SMALLINT'],
    rows: ["INSERT INTO $ VALUES (3, 3, 'c')"],
    merge: narrowed,
    full: narrowed,
    cdc: narrowed,
  },
  {
    what: 'made NULL',
    mysql: ['ALTER TABLE $ MODIFY v INT NULL'],
    postgres: ['ALTER TABLE $ ALTER v DROP NOT NULL'],
    rows: ["INSERT INTO $ VALUES (3, NULL, 'c')"],
    merge: unharmed(['3', null, 'c']),
    full: unharmed(['3', null, 'c']),
    cdc: unharmed(['3', null, 'c']),
  },
  {
    what: 'reordered',
    mysql: ['ALTER TABLE $ MODIFY v INT NOT NULL AFTER w'],
    postgres: null,
    rows: ["INSERT INTO $ (id, v, w) VALUES (3, 3, 'c')"],
    merge: unharmed(['3', '3', 'c']),
    full: {
      evolve: {
        columns: 'id INTEGER, w VARCHAR, v INTEGER',
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
  {
    what: 'made text',
    mysql: ['ALTER TABLE $ MODIFY v VARCHAR(9) NOT NULL'],
    postgres: ['ALTER TABLE $ ALTER v TYPE TEXT'],
    rows: ["INSERT INTO $ VALUES (3, 'three', 'c')"],
    merge: madeText,
    full: madeText,
    cdc: madeText,
  },
  {
    what: 'put out of the key, another one into it',
    mysql: ['ALTER TABLE $ DROP PRIMARY KEY, ADD PRIMARY KEY (v)'],
    postgres: ['ALTER TABLE $ DROP CONSTRAINT $_pkey, ADD PRIMARY KEY (v)'],
    rows: ['UPDATE $ SET id = 10 WHERE v = 1', "INSERT INTO $ VALUES (3, 3, 'c')"],
    merge: rekeyed,
    full: rekeyed,
    cdc: rekeyed,
  },
  {
    what: 'in a table that is emptied',
    mysql: ['TRUNCATE TABLE $'],
    postgres: ['TRUNCATE TABLE $'],
    rows: ["INSERT INTO $ VALUES (3, 3, 'c')"],
    // A merge sees no deletions.
    merge: unharmed(['3', '3', 'c']),
    full: emptied,
    cdc: emptied,
  },
  {
    what: 'in a table that gets another name',
    mysql: ['ALTER TABLE $ RENAME TO $_x'],
    postgres: ['ALTER TABLE $ RENAME TO $_x'],
    rows: ["INSERT INTO $_x VALUES (3, 3, 'c')"],
    merge: noTable,
    full: noTable,
    cdc: noTable,
  },
  {
    what: 'in a table that is dropped and made again',
    mysql: ['DROP TABLE $', 'CREATE TABLE $ (id INT PRIMARY KEY, v INT NOT NULL, w TEXT)'],
    postgres: null,
    rows: ["INSERT INTO $ VALUES (3, 3, 'c')"],
    merge: unharmed(['3', '3', 'c']),
    full: emptied,
    cdc: emptied,
  },
  {
    what: 'in a table that is dropped and made again',
    mysql: null,
    postgres: ['DROP TABLE $', 'CREATE TABLE $ (id INT PRIMARY KEY, v INT NOT NULL, w TEXT)'],
    rows: ["INSERT INTO $ VALUES (3, 3, 'c')"],
    merge: unharmed(['3', '3', 'c']),
    full: emptied,
    // The publication has the former table, and nothing tells of the new one.
    cdc: same('TRANSFER_GAP'),
  },
];

interface Db {
  ask(sql: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}
type Opened = { readonly db: Db; readonly connection: Transfer['connection']; readonly env: Record<string, string> };

async function openMariaDb(): Promise<Opened> {
  const db = await startLoggedMariaDb(['--binlog-row-metadata=FULL']);
  const { host, port, user, database } = db;
  return { db, connection: { host, port, user, password: { env: 'PW' }, database }, env: { PW: db.password } };
}

/** Each transfer that follows has a slot of its own. */
async function openPostgres(): Promise<Opened> {
  const db = await startPostgres(['max_replication_slots = 100', 'max_wal_senders = 100']);
  return { db, connection: { host: db.host, port: db.port, user: 'admin', database: db.database }, env: {} };
}

drifts('mysql', noMariaDb, openMariaDb);
drifts('postgres', noPostgres, openPostgres);

function drifts(source: 'mysql' | 'postgres', absent: string | null, open: () => Promise<Opened>): void {
  describe(`a column of ${source} that is`, { skip: absent ?? false }, () => {
    let opened: Opened;
    let ground: Ground;
    before(async () => {
      opened = await open();
      ground = await openGround(opened.env);
    });
    after(async () => {
      await ground?.close();
      await opened?.db.stop();
    });

    let made = 0;
    async function table(
      more: Partial<TransferTable>,
    ): Promise<{ name: string; transfer: Transfer; change(sql: readonly string[]): Promise<void> }> {
      const name = `d${++made}`;
      await opened.db.ask(`CREATE TABLE ${name} (id INT PRIMARY KEY, v INT NOT NULL, w TEXT)`);
      await opened.db.ask(`INSERT INTO ${name} VALUES (1, 1, 'a'), (2, 2, 'b')`);
      const tables = [more.mode === 'cdc' ? followed(name, more) : tableOf({ source: name, ...more })];
      return {
        name,
        transfer: { name, source, connection: opened.connection, tables },
        async change(sql) {
          for (const each of sql) await opened.db.ask(each.replaceAll('$', name));
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

    for (const { what, rows, ...wanted } of cases) {
      const change = wanted[source];
      if (change === null) continue;
      for (const drift of ['evolve', 'discard', 'freeze'] as const) {
        for (const mode of ['merge', 'full'] as const) {
          const outcome = wanted[mode][drift];
          test(`${what} between two runs, mode ${mode}, under ${drift}`, async () => {
            const own = await table({ mode, drift });
            assert.equal((await ground.run(own.transfer)).error, null);
            await own.change([...change, ...rows]);
            const { error } = await ground.run(own.transfer);
            assert.equal(error?.code ?? null, typeof outcome === 'string' ? outcome : null);
            await stands(own.name, typeof outcome === 'string' ? old() : outcome);
          });
        }

        const outcome = wanted.cdc[drift];
        test(`${what} while its log is followed, under ${drift}`, async () => {
          const own = await table({ mode: 'cdc', drift });
          const run = start(ground, own.transfer);
          await becomes(ground, shown(own.name), [ONE!, TWO!], run);
          await own.change([...change, ...rows]);
          if (typeof outcome === 'string') {
            const { error } = await run.report;
            assert.equal(error?.code, outcome);
            await stands(own.name, old());
            return;
          }
          // A row that goes to quarantine is followed by one that does not.
          await opened.db.ask(`DELETE FROM ${own.name} WHERE id = 2`);
          await becomes(ground, shown(own.name), outcome.rows.filter(([id]) => id !== '2') as unknown[][], run);
          assert.equal((await run.stop()).error, null);
          await stands(own.name, { ...outcome, rows: outcome.rows.filter(([id]) => id !== '2') });
        });
      }
    }
  });
}
