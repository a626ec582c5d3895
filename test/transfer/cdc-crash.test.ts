import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { QueryAnswer, TransferAnswer, TransferReport, TransferRunAnswer } from '../../src/server/api.ts';
import { absent as mysqlAbsent, startLoggedMariaDb } from './mariadb.ts';
import { absent as postgresAbsent, startPostgres } from './postgres-server.ts';
import { childOf, type Program, startProgram } from './program.ts';

const KILLS = process.env['MILLRACE_LONG'] === undefined ? 3 : 36;

interface Database {
  ask(sql: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
  readonly connection: string;
  readonly env: Record<string, string>;
  readonly source: string;
}

async function postgres(): Promise<Database> {
  const db = await startPostgres();
  await db.ask('CREATE TABLE live (id BIGSERIAL PRIMARY KEY, v BIGINT, s TEXT)');
  await db.ask(`INSERT INTO live (v, s) SELECT 0, repeat('x', 300) FROM generate_series(1, 20000)`);
  return {
    ...db,
    source: 'postgres',
    env: {},
    connection: `{ host: ${db.host}, port: ${db.port}, user: admin, database: ${db.database} }`,
  };
}

async function mariadb(): Promise<Database> {
  const db = await startLoggedMariaDb();
  await db.ask('CREATE TABLE live (id BIGINT PRIMARY KEY AUTO_INCREMENT, v BIGINT, s TEXT)');
  await db.ask(`INSERT INTO live (v, s) SELECT 0, REPEAT('x', 300) FROM seq_1_to_20000`);
  const connection = `{ host: ${db.host}, port: ${db.port}, user: ${db.user}, password: { env: PW }, database: ${db.database} }`;
  return { ...db, source: 'mysql', env: { PW: db.password }, connection };
}

const SOURCES = [
  ['PostgreSQL', postgres, postgresAbsent],
  ['MariaDB', mariadb, mysqlAbsent ?? (process.env['MILLRACE_TEST_MYSQL'] === undefined ? null : 'it may write no log of rows')],
] as const;

/** Both sides while the run goes on and the source is written to; a first copy may still be under way. */
async function comparison({ client }: Program): Promise<TransferReport> {
  let state: unknown;
  for (const until = Date.now() + 60_000; Date.now() < until; await sleep(100)) {
    const { run } = await client.json<TransferRunAnswer>('POST', '/v1/transfers/live/verify', {});
    for (let running = true; running && Date.now() < until; await sleep(50)) {
      const { last, comparison: beside } = await client.json<TransferAnswer>('GET', '/v1/transfers/live');
      state = { run, last, beside };
      const found = [last, beside].find((each) => each?.run === run);
      // Asked while no run had begun again after the last kill, it was a run of its own, at no one position; one that follows may have
      // begun since.
      running = found?.report === null;
      if (!found?.report || found === last || found.report.error?.retryable === true) continue;
      assert.deepEqual([found, last!.kind, last!.state], [beside, 'run', 'running']);
      return found.report;
    }
  }
  return assert.fail(`it was not compared: ${JSON.stringify(state)}`);
}

const SUMS = 'SELECT count(*) AS n, count(DISTINCT id) AS d, sum(id) AS i, sum(v) AS v, sum(v * id) AS vi FROM';

for (const [name, open, absent] of SOURCES) {
  const skip = absent ?? (process.platform === 'linux' ? false : 'processes are found in /proc');
  describe(`${name} followed and killed at any moment`, { skip }, () => {
    test(`${KILLS} kills -9 of the transfer, the warehouse or all of Millrace lose, double and revive nothing`, async (t) => {
      const db = await open();
      const root = mkdtempSync(join(tmpdir(), 'millrace-cdc-crash-'));
      const workspace = join(root, 'w');
      let program: Program | null = null;
      t.after(async () => {
        program?.process.kill('SIGTERM');
        await program?.ended;
        await db.stop();
        rmSync(root, { recursive: true, force: true });
      });
      mkdirSync(join(workspace, 'transfers'), { recursive: true });
      writeFileSync(join(workspace, 'millrace.yaml'), 'name: crash\ntime_zone: UTC\ncurrency: EUR\n');
      const tables = 'tables: { live: { target: shop.live, mode: cdc } }';
      writeFileSync(join(workspace, 'transfers', 'live.yaml'), `source: ${db.source}\nconnection: ${db.connection}\n${tables}\n`);
      program = await startProgram(workspace, db.env);
      let writing = true;
      const writer = (async () => {
        for (let k = 1; writing; k++) {
          await db.ask(`INSERT INTO live (v, s) VALUES (${k}, 'new'), (${k}, 'newer')`);
          await db.ask(`UPDATE live SET v = v + 1 WHERE id % 997 = ${k % 997}`);
          await db.ask(`UPDATE live SET id = -id WHERE id = ${k}`);
          await db.ask(`DELETE FROM live WHERE id = ${20_000 - k}`);
          await sleep(4);
        }
      })();
      // Nobody begins a run: what follows a log begins with Millrace, and again where it ended.
      const hits: Record<string, number> = {};
      let waits = 0;
      for (let k = 0; k < KILLS; ) {
        // From the first copy to beyond its end.
        await sleep(200 + Math.random() ** 2 * 2_000);
        const victim = ['transfer.ts', 'warehouse.ts', 'all'][k % 3]!;
        const pid = victim === 'all' ? program.process.pid! : childOf(program.process.pid!, victim);
        if (pid === null) {
          assert.ok(
            ++waits < 30,
            `no ${victim} in ${waits} looks: ${JSON.stringify(await program.client.json('GET', '/v1/transfers/live'))}`,
          );
          continue;
        }
        waits = 0;
        process.kill(pid, 'SIGKILL');
        hits[victim] = (hits[victim] ?? 0) + 1;
        k++;
        if (victim !== 'all') continue;
        await program.ended;
        program = await startProgram(workspace, db.env);
      }
      await sleep(500);
      const compared = await comparison(program);
      assert.deepEqual([compared.error, compared.tables[0]?.parity?.differences, compared.tables[0]?.parity?.equal], [null, [], true]);
      writing = false;
      await writer;
      const [there] = await db.ask(`${SUMS} live`);
      const wanted = Object.values(there!).map(Number);
      let here: number[] = [];
      for (let tries = 0; tries < 300 && here.join() !== wanted.join(); tries++) {
        await sleep(100);
        const answer = await program.client.json<QueryAnswer>('POST', '/v1/query', { sql: `${SUMS} shop.live` }).catch(() => null);
        here = answer?.rows[0]?.map(Number) ?? [];
      }
      t.diagnostic(`killed: ${JSON.stringify(hits)}; rows and sums at the end: ${here}`);
      assert.deepEqual(here, wanted);
    });
  });
}
