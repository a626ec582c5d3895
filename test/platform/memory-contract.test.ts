/** The memory of all processes together, on a running program with a small `memory:` (docs/holds.md): who is stopped, and what is said of it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Running, running, until } from '../server/fixture.ts';

/** 12 KB of the engine's memory for each group, which its own limit does not count, at some 200 MB a second and core. */
const CREEPS = "SELECT k, approx_quantile(length(sha256(repeat('x', 12000) || k)), 0.5) AS v FROM range(4000000) t(k) GROUP BY k";
/** A second of counting, so that it is in the log, and then one text that no interrupt ends. */
const LEAPS = `SELECT length(repeat('x', 2000000000 + (SELECT count(*) FROM range(30000) a, range(10000) b WHERE a.range * b.range % 7 = 3) % 2))`;

async function small(t: TestContext): Promise<{ server: Running; said: string[] }> {
  const said: string[] = [];
  const server = await running(t, {
    settings: 'memory: 1200MB\n',
    topics: { orders: '{}' },
    log: { write: (line) => void said.push(line) },
  });
  return { server, said };
}

async function logged(server: Running, job: string, event: string): Promise<unknown[]> {
  let rows: unknown[][] = [];
  await until(async () => {
    const answered = await server.ask(`SELECT who, code, reason FROM millrace.query_log WHERE job = '${job}' AND event = '${event}'`);
    if (typeof answered !== 'string') rows = answered;
    return rows.length > 0;
  });
  return rows[0]!;
}

test('near the limit the question that has run longest is stopped, the log says whose it was and why, and the warehouse stays', async (t) => {
  const { server, said } = await small(t);
  const viewer = await server.token('viewer');
  assert.equal(await server.ask(CREEPS, { job: 'creeps' }, viewer), 'QUERY_MEMORY');
  assert.deepEqual(await server.ask('SELECT 41 + 1', {}, viewer), [[42]]);
  assert.ok(said.some((line) => /memory is short: the query creeps of viewer-\d+ was stopped/.test(line)));
  assert.deepEqual(
    said.filter((line) => /memory\.restart|warehouse\.exit/.test(line)),
    [],
  );
  const [who, code, reason] = await logged(server, 'creeps', 'failed');
  assert.match(String(who), /^viewer-/);
  assert.equal(code, 'QUERY_MEMORY');
  assert.match(String(reason), /needed more memory than its share and was stopped/);
});

test('at the limit the warehouse is ended and starts again; records are taken meanwhile, and the log says with whose question it went and why', async (t) => {
  const { server, said } = await small(t);
  const viewer = await server.token('viewer');
  assert.equal((await server.send('orders', '{"n":1}')).status, 200);
  const asked = server.ask(LEAPS, { job: 'leaps' }, viewer);
  await until(() => said.some((line) => line.includes('memory.restart')));
  assert.equal((await server.send('orders', '{"n":2}')).status, 200);
  assert.equal(await asked, 'STORE_UNAVAILABLE');
  await until(async () => (await server.call('GET', '/ready')).status === 200);
  await server.delivered();
  assert.deepEqual(await server.ask('SELECT count(*) FROM raw.orders'), [[2]]);
  const [who, code, reason] = await logged(server, 'leaps', 'lost');
  assert.match(String(who), /^viewer-/);
  assert.equal(code, 'STORE_UNAVAILABLE');
  assert.match(String(reason), /all processes together came to the limit of memory/);
});
