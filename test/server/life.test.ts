import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startMillrace } from '#server';
import { running, until, workspaceIn } from './fixture.ts';

const front = fileURLToPath(new URL('./front.ts', import.meta.url));
const topics = { orders: 'id: id\nfields: {id: text, n: integer}' };

/** The warehouse child of this process: the node process that runs warehouse.ts. */
function warehousePid(): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').map(Number);
  return children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('warehouse'))!;
}

describe('the life of a running Millrace', () => {
  test('the front never loads DuckDB', async (t) => {
    const server = await running(t, { topics });
    await server.send('orders', '{"id":"a","n":1}');
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT count(*) FROM raw.orders'), [[1]]);
    const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
    assert.ok(sharedObjects.length > 0);
    assert.deepEqual(
      sharedObjects.filter((path) => /duckdb/i.test(path)),
      [],
    );
  });

  test('while the warehouse is killed and starts again records are acknowledged, questions get 503, and afterwards nothing is lost or doubled', async (t) => {
    const server = await running(t, { topics });
    let sent = 0;
    const send = async () => {
      const { status } = await server.send('orders', `{"id":"r${sent}","n":${sent}}`);
      assert.equal(status, 200);
      sent++;
    };
    for (let k = 0; k < 20; k++) await send();
    const codes = new Set<string>();
    for (let round = 0; round < 2; round++) {
      process.kill(warehousePid(), 'SIGKILL');
      await until(async () => {
        await send();
        const reply = await server.call('POST', '/v1/query', { body: { sql: 'SELECT 1' } });
        if (reply.status !== 200) {
          codes.add(`${reply.status} ${reply.code} ${reply.headers.get('retry-after')}`);
          assert.equal((await server.call('GET', '/health')).status, 200);
        }
        return codes.size > 0 && reply.status === 200;
      });
    }
    assert.deepEqual([...codes], ['503 STORE_UNAVAILABLE 1']);
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT count(*), count(DISTINCT id), sum(n) FROM raw.orders'), [
      [sent, sent, (sent * (sent - 1)) / 2],
    ]);
    assert.match((await server.call('GET', '/metrics')).text, /^millrace_warehouse_restarts_total 2$/m);
  });

  test('a stop acknowledges what is in flight, delivers it, checkpoints, and leaves no process and no lock', async (t) => {
    const path = workspaceIn(t, { topics });
    const server = await running(t, { path });
    const pid = warehousePid();
    const { hostname, port } = new URL(server.started.address);
    const body = Array.from({ length: 500 }, (_, n) => `{"id":"late${n}","n":${n}}`).join('\n');
    const socket = connect(Number(port), hostname);
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk));
    const closed = once(socket, 'close');
    socket.write(
      `POST /v1/topics/orders/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${server.started.adminToken}\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 5000)}`,
    );
    const acknowledged = await Promise.all(Array.from({ length: 50 }, (_, n) => server.send('orders', `{"id":"a${n}","n":${n}}`)));
    assert.ok(acknowledged.every(({ status }) => status === 200));
    const began = performance.now();
    const stopping = server.started.stop();
    socket.write(body.slice(5000));
    await stopping;
    await closed;
    const took = performance.now() - began;
    assert.match(answer, /^HTTP\/1\.1 200 [\s\S]*"accepted":500/, 'a body that was being sent is taken to its end');
    t.diagnostic(`stopped in ${Math.round(took)} ms`);
    assert.equal(existsSync(`/proc/${pid}`), false);
    assert.equal(existsSync(join(path, '.millrace', 'front.lock')), false);
    assert.deepEqual(
      readdirSync(join(path, '.millrace')).filter((name) => name.endsWith('.wal')),
      [],
      'checkpointed',
    );
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const instance = await DuckDBInstance.create(join(path, '.millrace', 'warehouse.duckdb'), { access_mode: 'READ_ONLY' });
    const connection = await instance.connect();
    assert.deepEqual((await connection.runAndReadAll('SELECT count(*)::INT, count(DISTINCT id)::INT FROM raw.orders')).getRows(), [
      [550, 550],
    ]);
    connection.closeSync();
    instance.closeSync();
  });

  test('a stop waits for a warehouse that hangs no longer than it said: what it had not delivered, the next start delivers', async (t) => {
    const path = workspaceIn(t, { topics });
    const server = await running(t, { path });
    const pid = warehousePid();
    process.kill(pid, 'SIGSTOP');
    assert.equal((await server.send('orders', '{"id":"a","n":1}')).status, 200);
    await server.started.stop();
    assert.equal(existsSync(`/proc/${pid}`), false);
    const next = await running(t, { path });
    await next.delivered();
    assert.deepEqual(await next.ask('SELECT id, n FROM raw.orders'), [['a', 1]]);
  });

  test('a flood of questions beside a warehouse that hangs is refused at once, of one token only; what waited is answered', async (t) => {
    const server = await running(t, { settings: 'roles:\n  viewer: {seconds: 60, rows: 100, concurrency: 1}\n' });
    const metric = async (name: string) =>
      Number(new RegExp(`^millrace_${name} (\\d+)$`, 'm').exec((await server.call('GET', '/metrics')).text)![1]);
    const viewer = await server.token('viewer');
    const pid = warehousePid();
    process.kill(pid, 'SIGSTOP');
    const told: string[] = [];
    const flood = Array.from({ length: 100 }, () =>
      server.call('POST', '/v1/query', { body: { sql: 'SELECT 1' }, token: viewer }).then(({ status, code, headers }) => {
        told.push(`${status} ${code} ${headers.get('retry-after')}`);
      }),
    );
    // One has the role's place, and 48 more may be unanswered.
    await until(async () => told.length === 51);
    assert.deepEqual([...new Set(told)], ['429 QUERY_BUSY 1']);
    const other = server.ask('SELECT 2');
    process.kill(pid, 'SIGCONT');
    assert.deepEqual(await other, [[2]]);
    await Promise.all(flood);
    assert.ok(
      told.slice(51).every((each) => /^(200 undefined null|429 QUERY_BUSY 1)$/.test(each)),
      told.slice(51).join(),
    );
    assert.ok(told.slice(51).filter((each) => each.startsWith('200')).length >= 33, 'one at a time, and 32 that wait');
    assert.equal(await metric('queries_refused_total'), 51);
  });

  test('connections that are let in are counted', async (t) => {
    const server = await running(t);
    const metric = async () => Number(/^millrace_connections_total (\d+)$/m.exec((await server.call('GET', '/metrics')).text)![1]);
    const before = await metric();
    const sockets = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = connect(Number(new URL(server.started.address).port), '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      }),
    );
    await until(async () => (await metric()) >= before + 20);
    for (const socket of sockets) socket.destroy();
  });

  test('a second front on the same workspace is refused, and names the process that has it', async (t) => {
    const path = workspaceIn(t, { topics });
    const other = spawn(process.execPath, ['--conditions=source', front, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => other.kill('SIGKILL'));
    await once(other.stdout, 'data');
    await assert.rejects(startMillrace({ workspace: path, log: null }), { code: 'WORKSPACE_BUSY', params: { pid: other.pid } });
    other.kill('SIGKILL');
    await once(other, 'exit');
    const server = await running(t, { path });
    assert.equal((await server.send('orders', '{"id":"a","n":1}')).status, 200, 'one that was killed holds nothing');
  });

  test('what was acknowledged before a front was killed is delivered by the next', async (t) => {
    const path = workspaceIn(t, { topics });
    const first = spawn(process.execPath, ['--conditions=source', front, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => first.kill('SIGKILL'));
    const [address, token] = JSON.parse(String((await once(first.stdout, 'data'))[0])) as [string, string];
    let acknowledged = 0;
    for (; acknowledged < 30; acknowledged++) {
      const { status } = await fetch(`${address}/v1/topics/orders/records`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: `{"id":"r${acknowledged}","n":${acknowledged}}`,
      });
      assert.equal(status, 200);
    }
    first.kill('SIGKILL');
    await once(first, 'exit');
    const server = await running(t, { path });
    await server.delivered();
    assert.deepEqual(await server.ask('SELECT count(*), count(DISTINCT id) FROM raw.orders'), [[acknowledged, acknowledged]]);
  });

  test('a port that is taken and a host that is open to the network are refused, and leave no lock', async (t) => {
    const server = await running(t, { topics });
    const path = workspaceIn(t);
    const port = Number(new URL(server.started.address).port);
    await assert.rejects(startMillrace({ workspace: path, log: null, port }), { code: 'PORT_TAKEN' });
    await assert.rejects(startMillrace({ workspace: path, log: null, host: '0.0.0.0' }), { code: 'HOST_UNSAFE' });
    await assert.rejects(startMillrace({ workspace: join(path, 'none'), log: null }), { code: 'WORKSPACE_MISSING' });
    assert.equal(existsSync(join(path, '.millrace', 'front.lock')), false);
  });

  test('a stale or torn lock holds nothing', async (t) => {
    for (const content of [
      '',
      '{"pid":',
      JSON.stringify({ pid: 4_000_000, born: '1' }),
      JSON.stringify({ pid: process.ppid, born: 'another' }),
    ]) {
      const path = workspaceIn(t);
      mkdirSync(join(path, '.millrace'), { recursive: true });
      writeFileSync(join(path, '.millrace', 'front.lock'), content);
      const started = await startMillrace({ workspace: path, log: null });
      await started.stop();
    }
  });
});
