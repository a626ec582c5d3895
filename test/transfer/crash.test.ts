import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../src/cli/client.ts';
import type { QueryAnswer, TransferAnswer, TransferReport } from '../../src/server/api.ts';
import type { Reached } from './harness.ts';
import { absent as mysqlAbsent, startMariaDb } from './mariadb.ts';
import { absent as postgresAbsent, startPostgres } from './postgres-server.ts';
import { childOf, type Program, startProgram } from './program.ts';

/** Of each server. */
const KILLS = process.env['MILLRACE_LONG'] === undefined ? 3 : 18;

interface Database extends Reached {
  readonly source: string;
  /** A key that counts by itself. */
  readonly id: string;
  /** A time that stands at the last change of its row, where `touch` is among what is set. */
  readonly at: string;
  readonly touch: string;
  /** So many rows. */
  readonly times: (count: number) => string;
  ask(sql: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

async function mariadb(): Promise<Database> {
  const db = await startMariaDb();
  await db.ask("SET SESSION time_zone = '+00:00'");
  return {
    ...db,
    source: 'mysql',
    id: 'BIGINT PRIMARY KEY AUTO_INCREMENT',
    at: 'TIMESTAMP(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6)',
    touch: '',
    times: (count) => `seq_1_to_${count}`,
  };
}

async function postgres(): Promise<Database> {
  const db = await startPostgres();
  return {
    ...db,
    source: 'postgres',
    id: 'BIGSERIAL PRIMARY KEY',
    at: 'TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()',
    touch: ', at = clock_timestamp()',
    times: (count) => `generate_series(1, ${count})`,
  };
}

const SERVERS = [
  ['MariaDB', mariadb, mysqlAbsent],
  ['PostgreSQL', postgres, postgresAbsent],
] as const;

async function finished(client: Client): Promise<TransferReport> {
  for (;;) {
    const { last } = await client.json<TransferAnswer>('GET', '/v1/transfers/shop');
    if (last?.report) return last.report;
    await sleep(50);
  }
}

/** False where it is gone by now. */
function killed(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

async function begin(client: Client): Promise<void> {
  await client.json('POST', '/v1/transfers/shop/run', {});
}

/** Inserts, and changes where the table has changes, until it is told to stop. A table that is copied whole also loses rows. */
function writer({ ask, touch, times }: Database): () => Promise<void> {
  let writing = true;
  const work = (async () => {
    for (let k = 0; writing; k++) {
      await ask(`INSERT INTO grown (v, s) SELECT ${k}, REPEAT('y', 300) FROM ${times(20)}`);
      await ask(`INSERT INTO changed (v, s) SELECT ${k}, REPEAT('z', 300) FROM ${times(10)}`);
      await ask(`INSERT INTO fixed (v, s) SELECT ${k}, REPEAT('x', 400) FROM ${times(5)}`);
      await ask(`UPDATE fixed SET v = v + 1 WHERE id % 701 = ${k % 701}`);
      await ask(`DELETE FROM fixed WHERE id % 9973 = ${k % 9973}`);
      await ask(`UPDATE changed SET v = v + 1${touch} WHERE id % 501 = ${k % 501}`);
      await sleep(5);
    }
  })();
  return async () => {
    writing = false;
    await work;
  };
}

for (const [name, open, absent] of SERVERS)
  describe(`copies of ${name} killed at any moment`, {
    skip: absent ?? (process.platform === 'linux' ? false : 'processes are found in /proc'),
  }, () => {
    test(`${KILLS} kills -9 of the transfer, the warehouse or all of Millrace lose and double nothing`, async (t) => {
      const db = await open();
      const { id, at, times } = db;
      const root = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
      const workspace = join(root, 'w');
      let program: Program | null = null;
      t.after(async () => {
        program?.process.kill('SIGTERM');
        await program?.ended;
        await db.stop();
        rmSync(root, { recursive: true, force: true });
      });
      await db.ask(`CREATE TABLE fixed (id ${id}, v BIGINT, s TEXT)`);
      await db.ask(`CREATE TABLE grown (id ${id}, v INT, s TEXT)`);
      await db.ask(`CREATE TABLE changed (id ${id}, v BIGINT, s TEXT, at ${at})`);
      await db.ask('CREATE INDEX changed_at ON changed (at)');
      await db.ask(`INSERT INTO fixed (v, s) SELECT 0, REPEAT('x', 400) FROM ${times(40_000)}`);
      await db.ask(`INSERT INTO grown (v, s) SELECT 0, REPEAT('y', 300) FROM ${times(60_000)}`);
      await db.ask(`INSERT INTO changed (v, s) SELECT 0, REPEAT('z', 300) FROM ${times(60_000)}`);
      mkdirSync(join(workspace, 'transfers'), { recursive: true });
      writeFileSync(join(workspace, 'millrace.yaml'), 'name: crash\ntime_zone: UTC\ncurrency: EUR\n');
      writeFileSync(
        join(workspace, 'transfers', 'shop.yaml'),
        `source: ${db.source}
connection: { host: ${db.host}, port: ${db.port}, user: ${db.user}, password: { env: PW }, database: ${db.database} }
tables:
  fixed: { target: shop.fixed, mode: full }
  grown: { target: shop.grown, mode: append, cursor: id }
  changed: { target: shop.changed, mode: merge, cursor: at, lookback: 30s }
`,
      );
      const env = { PW: db.password };
      program = await startProgram(workspace, env);
      const stopWriting = writer(db);
      const victims = ['transfer.ts', 'warehouse.ts', 'all'] as const;
      const hits = { 'transfer.ts': 0, 'warehouse.ts': 0, all: 0 };
      for (let k = 0, tries = 0; k < KILLS; tries++) {
        assert.ok(tries < 20 * KILLS, `no process to kill: ${JSON.stringify(hits)}`);
        await begin(program.client).catch((error: { code?: string }) => assert.equal(error.code, 'TRANSFER_BUSY'));
        // From the first milliseconds of a run to beyond its end.
        await sleep(100 + Math.random() ** 2 * 4_000);
        const victim = victims[k % 3]!;
        const pid = victim === 'all' ? program.process.pid! : childOf(program.process.pid!, victim);
        // The run had ended already: another one is begun for this kill.
        if (pid === null || !killed(pid)) continue;
        hits[victim]++;
        k++;
        if (victim === 'all') {
          await program.ended;
          program = await startProgram(workspace, env);
        } else if (victim === 'transfer.ts') await finished(program.client);
      }
      await stopWriting();
      // A run that was under way when the writing stopped may have begun before its end.
      for (let done = false; !done; ) {
        await begin(program.client)
          .then(() => {
            done = true;
          })
          .catch((error: { code?: string }) => assert.equal(error.code, 'TRANSFER_BUSY'));
        await sleep(50);
      }
      const report = await finished(program.client);
      assert.deepEqual(hits, { 'transfer.ts': KILLS / 3, 'warehouse.ts': KILLS / 3, all: KILLS / 3 });
      t.diagnostic(`killed: ${JSON.stringify(hits)}; rows at the end: ${report.tables.map((table) => table.parity?.source.rows)}`);
      assert.equal(report.error, null);
      assert.deepEqual(
        report.tables.map((table) => [table.source, table.parity!.equal, table.parity!.differences]),
        [
          ['fixed', true, []],
          ['grown', true, []],
          ['changed', true, []],
        ],
      );
      // The whole tables, asked apart from the parity report.
      const sums = 'SELECT COUNT(*) AS n, COUNT(DISTINCT id) AS d, SUM(id) AS i, SUM(v) AS v FROM';
      for (const table of ['fixed', 'grown', 'changed']) {
        const [there] = await db.ask(`${sums} ${table}`);
        const here: QueryAnswer = await program.client.json('POST', '/v1/query', { sql: `${sums} shop.${table}` });
        assert.deepEqual(here.rows[0]!.map(Number), Object.values(there!).map(Number));
      }
    });
  });
