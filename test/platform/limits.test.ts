/** The kernel refuses the warehouse process of a running program more files, or larger ones (docs/holds.md). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Running, running, until } from '../server/fixture.ts';

const topics = { orders: 'id: id\nfields: {id: text, n: integer}' };

function warehousePid(): number | null {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'latin1').match(/\d+/g) ?? [];
  return children.map(Number).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('warehouse')) ?? null;
}

/** Sets a soft limit of a running process; false with the test skipped where there is no prlimit. */
function limit(t: TestContext, pid: number, what: 'nofile' | 'fsize', to: number): boolean {
  try {
    execFileSync('prlimit', [`--pid=${pid}`, `--${what}=${to}:`], { stdio: ['ignore', 'ignore', 'pipe'] });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    t.skip('needs prlimit (util-linux)');
    return false;
  }
}

const lines = (from: number, count: number) => Array.from({ length: count }, (_, k) => `{"id":"r${from + k}","n":${from + k}}`).join('\n');

async function standing(server: Running): Promise<{ durable: number; delivered: number }> {
  const { topics: all } = (await server.call('GET', '/v1/status')).json as {
    topics: { name: string; durable: number; delivered: number }[];
  };
  return all.find(({ name }) => name === 'orders')!;
}

test('too many files are open in the warehouse process: records are acknowledged, their delivery is tried again until there is a file for it, and none is blamed', async (t) => {
  const server = await running(t, { topics });
  assert.equal((await server.send('orders', lines(0, 50))).status, 200);
  await server.delivered();
  const pid = warehousePid()!;
  if (!limit(t, pid, 'nofile', 1)) return;
  assert.equal((await server.send('orders', lines(50, 50))).status, 200);
  // Every folder of definitions was looked at meanwhile.
  await sleep(2_500);
  const { durable, delivered } = await standing(server);
  assert.ok(delivered < durable, 'it meets the limit');
  assert.equal(warehousePid(), pid, 'it does not end by it');
  limit(t, pid, 'nofile', 4096);
  await server.delivered();
  assert.deepEqual(await server.ask('SELECT count(*), count(DISTINCT id) FROM raw.orders'), [[100, 100]]);
  assert.deepEqual(((await server.call('GET', '/v1/quarantine')).json as { rows: unknown[] }).rows, []);
});

test('a checkpoint that fails midway, after which DuckDB refuses everything: the process ends, the next one opens the file anew, and all that was acknowledged or answered is there once', async (t) => {
  const server = await running(t, { topics });
  assert.equal((await server.send('orders', lines(0, 50))).status, 200);
  await server.delivered();
  const pid = warehousePid()!;
  // More than the write-ahead log holds before a checkpoint presses, less than the file needs for what is written below.
  if (!limit(t, pid, 'fsize', 40_000_000)) return;
  const rows = 'SELECT random() AS v, md5(random()::VARCHAR) AS w FROM range(40000)';
  await server.ask(`CREATE TABLE main.grows AS ${rows}`);
  let answered = 1;
  let refused: unknown = null;
  for (; answered < 60; answered++) {
    const said = await server.ask(`INSERT INTO main.grows ${rows}`);
    if (typeof said === 'string') {
      refused = said;
      break;
    }
  }
  assert.match(String(refused), /^STORE_(WRITE|UNAVAILABLE)$/);
  assert.equal((await server.send('orders', lines(50, 50))).status, 200, 'records are acknowledged meanwhile');
  await until(async () => Array.isArray(await server.ask('SELECT 1')) && warehousePid() !== pid);
  await server.delivered();
  assert.deepEqual(await server.ask('SELECT count(*), count(DISTINCT id) FROM raw.orders'), [[100, 100]]);
  assert.deepEqual(await server.ask('SELECT count(*) FROM main.grows'), [[answered * 40_000]]);
});
