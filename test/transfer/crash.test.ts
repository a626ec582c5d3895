import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, clientFor } from '../../src/cli/client.ts';
import { findRunning } from '../../src/cli/running.ts';
import type { QueryAnswer, TransferAnswer, TransferReport } from '../../src/server/api.ts';
import { absent, type MariaDb, startMariaDb } from './mariadb.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const KILLS = process.env['MILLRACE_LONG'] === undefined ? 3 : 36;

/** A Millrace of its own, whose processes can be killed one by one. */
interface Program {
  readonly client: Client;
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
}

async function startProgram(workspace: string, env: Record<string, string>): Promise<Program> {
  const program = spawn(process.execPath, ['--conditions=source', MAIN, 'up', '--workspace', workspace, '--port', '0'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => program.once('exit', () => resolve()));
  await new Promise<void>((resolve) => program.stdout!.once('data', () => resolve()));
  program.stdout!.resume();
  const { address, token } = findRunning(workspace);
  const client = clientFor(address, token);
  for (let tries = 0; ; tries++) {
    const ready = await client.open('GET', '/ready');
    ready.resume();
    if (ready.statusCode === 200) break;
    assert.ok(tries < 300, 'the warehouse did not become ready');
    await sleep(100);
  }
  return { client, process: program, ended };
}

/** The front's child that runs this file. */
function childOf(parent: number, file: string): number | null {
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) !== parent) continue;
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(file)) return Number(name);
    } catch {
      // It ended between two looks.
    }
  }
  return null;
}

async function finished(client: Client): Promise<TransferReport> {
  for (;;) {
    const { last } = await client.json<TransferAnswer>('GET', '/v1/transfers/shop');
    if (last?.report) return last.report;
    await sleep(50);
  }
}

async function begin(client: Client): Promise<void> {
  await client.json('POST', '/v1/transfers/shop/run', {});
}

/** Inserts, and changes where the table has changes, until it is told to stop. */
function writer(db: MariaDb): () => Promise<void> {
  let writing = true;
  const work = (async () => {
    for (let k = 0; writing; k++) {
      await db.ask(`INSERT INTO grown (v, s) SELECT ${k}, REPEAT('y', 300) FROM seq_1_to_20`);
      await db.ask(`INSERT INTO changed (v, s) SELECT ${k}, REPEAT('z', 300) FROM seq_1_to_10`);
      await db.ask(`UPDATE changed SET v = v + 1 WHERE id % 501 = ${k % 501}`);
      await sleep(5);
    }
  })();
  return async () => {
    writing = false;
    await work;
  };
}

describe('killed at any moment', { skip: absent ?? (process.platform === 'linux' ? false : 'processes are found in /proc') }, () => {
  test(`${KILLS} kills -9 of the transfer, the warehouse or all of Millrace lose and double nothing`, async (t) => {
    const db = await startMariaDb();
    const root = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
    const workspace = join(root, 'w');
    let program: Program | null = null;
    t.after(async () => {
      program?.process.kill('SIGTERM');
      await program?.ended;
      await db.stop();
      rmSync(root, { recursive: true, force: true });
    });
    await db.ask("SET SESSION time_zone = '+00:00'");
    await db.ask('CREATE TABLE fixed (id INT PRIMARY KEY, s TEXT)');
    await db.ask(`INSERT INTO fixed SELECT seq, REPEAT('x', 400) FROM seq_1_to_40000`);
    await db.ask('CREATE TABLE grown (id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT, s TEXT)');
    await db.ask(
      'CREATE TABLE changed (id BIGINT PRIMARY KEY AUTO_INCREMENT, v BIGINT, s TEXT, at TIMESTAMP(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6), KEY (at))',
    );
    await db.ask(`INSERT INTO grown (v, s) SELECT 0, REPEAT('y', 300) FROM seq_1_to_60000`);
    await db.ask(`INSERT INTO changed (v, s) SELECT 0, REPEAT('z', 300) FROM seq_1_to_60000`);
    mkdirSync(join(workspace, 'transfers'), { recursive: true });
    writeFileSync(join(workspace, 'millrace.yaml'), 'name: crash\ntime_zone: UTC\ncurrency: EUR\n');
    writeFileSync(
      join(workspace, 'transfers', 'shop.yaml'),
      `source: mysql
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
    const hits: Record<string, number> = {};
    for (let k = 0; k < KILLS; k++) {
      await begin(program.client).catch((error: { code?: string }) => assert.equal(error.code, 'TRANSFER_BUSY'));
      // From the first milliseconds of a run to beyond its end.
      await sleep(100 + Math.random() ** 2 * 4_000);
      const victim = ['transfer.ts', 'warehouse.ts', 'all'][k % 3]!;
      const pid = victim === 'all' ? program.process.pid! : childOf(program.process.pid!, victim);
      if (pid === null) continue;
      hits[victim] = (hits[victim] ?? 0) + 1;
      process.kill(pid, 'SIGKILL');
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
    for (const table of ['grown', 'changed']) {
      const [there] = await db.ask(`${sums} ${table}`);
      const here: QueryAnswer = await program.client.json('POST', '/v1/query', { sql: `${sums} shop.${table}` });
      assert.deepEqual(here.rows[0]!.map(Number), Object.values(there!).map(Number));
    }
  });
});
