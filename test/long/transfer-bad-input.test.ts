/** What can go wrong at a source or on the disk: a coded error, the former table, the state where it was, and a rerun that brings the whole. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, createWriteStream, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ErrorCode, Transfer, TransferTable } from '#core';
import type { TransferRun, TransferRunAnswer } from '#server';
import { transferStates } from '#store';
import type { RunReport } from '#transfer';
import { until } from '../server/fixture.ts';
import { zipOf } from '../transfer/files-fixture.ts';
import { becomes, followed, start } from '../transfer/following.ts';
import { connectionTo, type Ground, openGround, tableOf } from '../transfer/harness.ts';
import { absent as mariaAbsent, startLoggedMariaDb } from '../transfer/mariadb.ts';
import { absent as postgresAbsent, startPostgres } from '../transfer/postgres-server.ts';
import { startProgram } from '../transfer/program.ts';

/** A run that fails between two that do not. */
interface Trouble {
  readonly ground: Ground;
  readonly transfer: Transfer;
  /** What stands there after the first run and, later, after the last. */
  readonly shown: string;
  readonly codes: readonly ErrorCode[];
  /** Runs while the trouble lasts. */
  during(): Promise<RunReport>;
  mend(): Promise<unknown> | unknown;
}

async function survives({ ground, transfer, shown, codes, during, mend }: Trouble): Promise<void> {
  assert.equal((await ground.run(transfer)).error, null);
  const state = async () =>
    (await transferStates((sql) => ground.store.rows(sql)))
      .filter((each) => each.transfer === transfer.name)
      .map(({ source, cursor }) => [source, cursor]);
  const [rows, stood] = [await ground.rows(shown), await state()];
  const { error } = await during();
  assert.ok(error !== null && codes.includes(error.code as ErrorCode), JSON.stringify(error));
  assert.ok(error.remedy.length > 20, error.remedy);
  assert.deepEqual(await ground.rows(shown), rows, 'the former table stays');
  assert.deepEqual(await state(), stood, 'the state is where it was');
  await mend();
  const { error: none, tables } = await ground.run(transfer);
  assert.deepEqual([none, tables.map(({ parity }) => parity?.equal)], [null, [true]]);
  assert.notDeepEqual(await ground.rows(shown), rows, 'the rerun continues');
}

const LONG = 70 * 1024 * 1024;

for (const [name, startServer, absent] of [
  ['MariaDB', () => startLoggedMariaDb(['--max-allowed-packet=256M']), mariaAbsent],
  ['PostgreSQL', startPostgres, postgresAbsent],
] as const) {
  describe(`${name} in trouble`, { skip: absent ?? false }, () => {
    let db: Awaited<ReturnType<typeof startLoggedMariaDb>> | Awaited<ReturnType<typeof startPostgres>>;
    let ground: Ground;
    before(async () => {
      db = await startServer();
      ground = await openGround({ PW: db.password, WRONG: 'wrong' });
      await db.ask('CREATE TABLE t (id INT PRIMARY KEY, s TEXT)');
    });
    after(async () => {
      await ground?.close();
      await db?.stop();
    });

    const source = name === 'MariaDB' ? 'mysql' : 'postgres';
    let made = 0;
    const of = (more: object = {}, table: Partial<TransferTable> = {}): Transfer => ({
      name: `t${made}`,
      source,
      connection: { ...connectionTo(db), ...more },
      tables: [tableOf({ source: 't', target: `shop.t${made}`, ...table })],
    });
    /** One row more than before, whatever happens meanwhile. */
    async function troubled(
      codes: readonly ErrorCode[],
      during: () => Promise<RunReport>,
      mend: Trouble['mend'],
      table: Partial<TransferTable> = {},
    ) {
      made++;
      await db.ask(`DELETE FROM t`);
      await db.ask(`INSERT INTO t VALUES (1, 'first')`);
      await survives({
        ground,
        transfer: of({}, table),
        shown: `SELECT id, left(s, 10) FROM shop.t${made} ORDER BY id`,
        codes,
        async during() {
          await db.ask(`INSERT INTO t VALUES (2, 'second')`);
          return during();
        },
        mend,
      });
    }
    const opening = (change: object) => async (): Promise<RunReport> => {
      try {
        return await ground.run(of(change));
      } catch (thrown) {
        // A source that can't be opened ends the run before it is one; the transfer's child makes the report.
        return { error: (thrown as { body: RunReport['error'] }).body } as RunReport;
      }
    };

    for (const [what, change, code] of [
      ['a wrong password', { password: { env: 'WRONG' } }, 'TRANSFER_DENIED'],
      ['an unknown host', { host: 'no-such-host.invalid' }, 'TRANSFER_CONNECT'],
      ['a database that is gone', { database: 'gone' }, 'TRANSFER_DENIED'],
    ] as const)
      test(`${what}: ${code}`, () => troubled([code], opening(change), () => {}));

    test('a locked table: TRANSFER_LOCKED', () =>
      troubled(
        ['TRANSFER_LOCKED'],
        async () => {
          await db.ask(source === 'mysql' ? 'LOCK TABLES t WRITE' : 'BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
          return ground.run(of({ lock_wait: 1 }));
        },
        () => db.ask(source === 'mysql' ? 'UNLOCK TABLES' : 'COMMIT'),
      ));

    for (const mode of ['full', 'append', 'merge'] as const) {
      test(`a connection that is cut in the middle of a table, mode ${mode}`, async () => {
        const rows = source === 'mysql' ? 'seq_10_to_60000' : 'generate_series(10, 60000) seq';
        await troubled(
          ['TRANSFER_READ', 'TRANSFER_CONNECT'],
          async () => {
            await db.ask(`INSERT INTO t SELECT seq, repeat('x', 400) FROM ${rows}`);
            let cut = false;
            const warehouse = {
              ...ground.warehouse,
              async apply() {
                if (!cut)
                  await db.ask(
                    source === 'mysql'
                      ? await killOf('reader')
                      : `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'`,
                  );
                cut = true;
                return { rows: 0, replaced: 0, quarantined: 0 };
              },
            };
            return ground.run(of({}, { mode, ...(mode === 'full' ? {} : { cursor: 'id' }) }), { warehouse });
          },
          () => {},
          { mode, ...(mode === 'full' ? {} : { cursor: 'id' }) },
        );
      });
    }

    async function killOf(user: string): Promise<string> {
      const found = (await db.ask(`SELECT id FROM information_schema.processlist WHERE user = '${user}'`)) as { id: number }[];
      return found.map(({ id }) => `KILL ${id}`).join('; ');
    }

    test('a value that is too long to be held in memory: TRANSFER_ROW', () =>
      troubled(
        ['TRANSFER_ROW'],
        async () => {
          await db.ask(source === 'mysql' ? 'ALTER TABLE t MODIFY s LONGTEXT' : 'SELECT 1');
          await db.ask(`INSERT INTO t VALUES (3, repeat('x', ${LONG}))`);
          return ground.run(of());
        },
        () => db.ask('DELETE FROM t WHERE id = 3'),
      ));

    for (const [what, length] of [
      ['a row', LONG],
      ['a change that does not end', 2 * LONG],
    ] as const)
      test(`${what} that is too long to be held in memory, in the log: TRANSFER_ROW`, async () => {
        made++;
        await db.ask(`CREATE TABLE c${made} (id INT PRIMARY KEY, s ${source === 'mysql' ? 'LONGTEXT' : 'TEXT'})`);
        await db.ask(`INSERT INTO c${made} VALUES (1, 'first')`);
        if (source === 'postgres') await db.ask(`CREATE PUBLICATION millrace_t${made} FOR TABLE c${made}`);
        const run = start(ground, of({}, followed(`c${made}`, { target: `shop.t${made}` })));
        await becomes(ground, `SELECT id FROM shop.t${made}`, [[1]], run);
        await db.ask(`INSERT INTO c${made} VALUES (2, repeat('x', ${length}))`);
        assert.equal((await run.report).error?.code, 'TRANSFER_ROW');
        assert.deepEqual(await ground.rows(`SELECT id FROM shop.t${made}`), [[1]]);
      });
  });
}

describe('a file in trouble', () => {
  let ground: Ground;
  before(async () => {
    ground = await openGround();
  });
  after(() => ground?.close());

  const good = 'id,v\n1,a\n2,b\n';
  /** A file of two gigabytes that takes no room: all but its ends is a hole. */
  function hole(path: string): void {
    const file = openSync(path, 'w');
    writeSync(file, 'id,v\n1,"');
    ftruncateSync(file, 2 ** 31);
    writeSync(file, '"\n', 2 ** 31);
    closeSync(file);
  }

  const troubles: [string, ErrorCode, (path: string) => void][] = [
    ['an unclosed quote at its end', 'TRANSFER_FILE', (path) => writeFileSync(path, `${good}3,"c\n`)],
    ['a cell of 2 GB', 'TRANSFER_FILE', hole],
    ['a zip bomb in it', 'TRANSFER_FILE', (path) => writeFileSync(path, gzipSync(Buffer.alloc(300 * 1024 * 1024, 'a,b\n')))],
    ['half of a zip in it', 'TRANSFER_FILE', (path) => writeFileSync(path, zipOf({ 'a.csv': good }).subarray(0, 60))],
    ['none there', 'TRANSFER_FILE', (path) => rmSync(path)],
    [
      'so many fields that are no row that it is none of this format',
      'TRANSFER_FILE',
      (path) => writeFileSync(path, `id,v\n${'1,2,3\n1,2\n'.repeat(10_001)}`),
    ],
  ];
  for (const [k, [what, code, spoil]] of troubles.entries()) {
    test(`with ${what}: ${code}`, async () => {
      const path = join(ground.folder, `trouble${k}.csv`);
      writeFileSync(path, good);
      const transfer: Transfer = {
        name: `file${k}`,
        source: 'csv',
        // A file of two gigabytes would be looked through for its encoding.
        connection: { path, encoding: 'utf-8' },
        tables: [tableOf({ source: `trouble${k}`, target: `shop.trouble${k}` })],
      };
      const during = async () => {
        spoil(path);
        try {
          return await ground.run(transfer);
        } catch (thrown) {
          return { error: (thrown as { body: RunReport['error'] }).body } as RunReport;
        }
      };
      await survives({
        ground,
        transfer,
        shown: `SELECT id, v FROM shop.trouble${k} ORDER BY id`,
        codes: [code],
        during,
        mend: () => writeFileSync(path, `${good}3,c\n`),
      });
    });
  }

  test('with ragged rows at its end keeps the others, and says which', async () => {
    const path = join(ground.folder, 'ragged.csv');
    writeFileSync(path, `${good}3,c,more\n4`);
    const { error, tables } = await ground.run({
      name: 'ragged',
      source: 'csv',
      connection: { path },
      tables: [tableOf({ source: 'ragged' })],
    });
    assert.deepEqual([error, tables[0]!.quarantined, tables[0]!.parity!.equal], [null, 2, true]);
    assert.deepEqual(await ground.rows(`SELECT reason FROM millrace.quarantine WHERE topic = 'transfer:shop.ragged' ORDER BY 1`), [
      ['Line 4: it has 3 fields; the others have 2'],
      ['Line 5: it has 1 fields; the others have 2'],
    ]);
  });
});

test('a full disk: TRANSFER_DISK; once there is room a rerun brings the whole', async (t: TestContext) => {
  const disk = mkdtempSync(join(tmpdir(), 'millrace-small-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    rmSync(disk, { recursive: true });
    t.skip('needs root, to mount a small file system');
    return;
  }
  const ground = await openGround({}, {}, disk);
  t.after(async () => {
    await ground.close();
    execFileSync('umount', ['-l', disk]);
    rmSync(disk, { recursive: true, force: true });
  });
  const path = join(disk, 'long.csv.gz');
  const filler = join(disk, 'filler');
  const lines = (count: number) => gzipSync(`id,v\n${Array.from({ length: count }, (_, k) => `${k},${'x'.repeat(40)}\n`).join('')}`);
  writeFileSync(path, lines(10));
  const transfer: Transfer = { name: 'long', source: 'csv', connection: { path }, tables: [tableOf({ source: 'long' })] };
  await survives({
    ground,
    transfer,
    shown: 'SELECT count(*) FROM shop.long',
    codes: ['TRANSFER_DISK'],
    during() {
      writeFileSync(path, lines(200_000));
      mkdirSync(filler);
      for (let k = 0; ; k++) {
        try {
          writeFileSync(join(filler, String(k)), Buffer.alloc(1024 * 1024));
        } catch {
          break;
        }
      }
      // Room for the run's own notes, not for a slice.
      rmSync(join(filler, '0'));
      rmSync(join(filler, '1'));
      return ground.run(transfer);
    },
    mend: () => rmSync(filler, { recursive: true }),
  });
});

test('a file of which a third are long lines that are no rows: its process has memory for them, and all are kept', async (t: TestContext) => {
  const workspace = mkdtempSync(join(tmpdir(), 'millrace-bad-'));
  t.after(() => rmSync(workspace, { recursive: true, force: true }));
  const lines = 190_000;
  const line = (k: number) => (k % 3 === 1 ? `{"id":${k}`.padEnd(3_000, 'x') : `{"id":${k}}`);
  const all = Readable.from(Array.from({ length: lines / 1_000 }, (_, k) => k)).map((k: number) =>
    Array.from({ length: 1_000 }, (_, n) => `${line(k * 1_000 + n)}\n`).join(''),
  );
  mkdirSync(join(workspace, 'transfers'));
  await pipeline(all, createWriteStream(join(workspace, 'bad.ndjson')));
  writeFileSync(join(workspace, 'millrace.yaml'), 'name: bad\ntime_zone: UTC\ncurrency: EUR\n');
  const definition = 'source: json\nconnection: { path: bad.ndjson }\ntables: { bad: { target: shop.bad } }\n';
  writeFileSync(join(workspace, 'transfers', 'bad.yaml'), definition);
  // In processes of its own: what the tests before it have left in this one would be in the sum that is watched.
  const program = await startProgram(workspace, {});
  t.after(async () => {
    program.process.kill('SIGTERM');
    await program.ended;
  });
  const begun = await program.client.json<TransferRunAnswer>('POST', '/v1/transfers/bad/run', {});
  const run = () => program.client.json<TransferRun>('GET', `/v1/transfers/runs/${begun.run}`);
  // 190 MB, beside whatever else the machine does.
  await until(async () => (await run()).state !== 'running', 300_000);
  const { report } = await run();
  const [table] = report!.tables;
  const refused = Array.from({ length: lines }, (_, k) => k % 3).filter((rest) => rest === 1).length;
  assert.deepEqual([report!.error, table?.rows, table?.quarantined, table?.parity?.equal], [null, lines - refused, refused, true]);
});
