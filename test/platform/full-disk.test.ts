/** The disk of a running program is full (docs/holds.md). */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startMillrace } from '#server';
import { initWorkspace } from '#workspace';
import { clientOf, running, until, workspaceIn } from '../server/fixture.ts';
import { smallDisk } from '../small-disk.ts';

/** A workspace on a tmpfs of that size, or null with the test skipped where this user can't mount one. */
function workspaceOn(t: TestContext, size: string): string | null {
  const path = smallDisk(t, size);
  if (path === null) return null;
  const workspace = initWorkspace(path, { name: 'test', timeZone: 'UTC', currency: 'EUR' });
  workspace.saveTopic('orders', 'id: id\nfields: {id: text, n: integer}');
  workspace.close();
  writeFileSync(join(path, 'millrace.yaml'), 'name: test\ntime_zone: UTC\ncurrency: EUR\nlimits:\n  disk_reserve: 2MB\n');
  return path;
}

test('a full disk refuses whole statements and leaves nothing of them; once there is room all goes on by itself, with everything that was acknowledged', async (t) => {
  const path = workspaceOn(t, '64m');
  if (path === null) return;
  const server = await running(t, { path });
  const send = async (from: number) =>
    (await server.send('orders', Array.from({ length: 50 }, (_, k) => `{"id":"r${from + k}","n":${from + k}}`).join('\n'))).status;
  assert.equal(await send(0), 200);
  await server.delivered();
  const filler = join(path, 'filler');
  const { bavail, bsize } = statfsSync(path);
  writeFileSync(filler, Buffer.alloc(bavail * bsize - 6_000_000));
  assert.equal(await send(50), 200, 'the log has its reserve');
  const rows = (n: number) => `SELECT random() AS v, md5(k::VARCHAR) AS w FROM range(${n}) t(k)`;
  const whole = await server.ask(`CREATE TABLE main.whole AS ${rows(400_000)}`);
  assert.equal(typeof whole, 'string', 'a table of 20 MB in 6 MB');
  // The file keeps the room that the statement took, for what comes next, but the log of writes may have been left without any.
  truncateSync(filler, statSync(filler).size - 1_000_000);
  const grows = await server.ask(`CREATE TABLE main.grows AS ${rows(10)}`);
  assert.ok(Array.isArray(grows), `which leaves nothing behind: ${whole}, then ${grows}`);
  // Piece by piece, so that it is the commit that finds no room.
  let written = 10;
  let refused: unknown;
  for (; written < 400_000; written += 5_000) {
    refused = await server.ask(`INSERT INTO main.grows ${rows(5_000)}`);
    if (typeof refused === 'string') break;
  }
  assert.equal(typeof refused, 'string');
  rmSync(filler);
  await until(async () => Array.isArray(await server.ask('SELECT 1')));
  await server.delivered();
  assert.deepEqual(await server.ask('SELECT count(*) FROM main.grows'), [[written]]);
  assert.ok(Array.isArray(await server.ask(`CREATE TABLE main.later AS ${rows(10)}`)));
  // The room on the disk is looked at once a second.
  await until(async () => (await send(100)) === 200);
  await server.delivered();
  assert.deepEqual(await server.ask('SELECT count(*), count(DISTINCT id), sum(n) FROM raw.orders'), [[150, 150, (150 * 149) / 2]]);
});

test('a file that comes as a body leaves the disk its reserve: at the start, while it comes, and where there is no room at all', async (t) => {
  const path = workspaceOn(t, '64m');
  if (path === null) return;
  const server = await running(t, { path });
  const filler = join(path, 'filler');
  const leave = (bytes: number) => {
    rmSync(filler, { force: true });
    const { bavail, bsize } = statfsSync(path);
    writeFileSync(filler, Buffer.alloc(bavail * bsize - bytes));
  };
  const headers = { 'content-type': 'text/csv' };
  const load = (body: Buffer, more = {}) => server.call('POST', '/v1/load/main.t', { body, headers: { ...headers, ...more } });
  const ready = async () => (await server.call('GET', '/ready')).code;
  const spooled = () => readdirSync(join(path, '.millrace', 'tmp', 'uploads'));

  // Faster than the room on the disk is looked at.
  leave(6_000_000);
  const csv = Buffer.from(`a\n${'1\n'.repeat(8_000_000)}`);
  for (const refused of [await load(csv), await load(gzipSync(csv), { 'content-encoding': 'gzip' })])
    assert.deepEqual([refused.status, refused.code], [503, 'DISK_FULL'], refused.text);
  assert.deepEqual(spooled(), []);

  await until(async () => (await ready()) === undefined);
  const { host } = new URL(server.started.address);
  const slow = request(`http://${host}/v1/load/main.t`, {
    method: 'POST',
    headers: { ...headers, authorization: `Bearer ${server.started.adminToken}` },
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => slow.once('response', resolve).on('error', reject));
  slow.write('a\n1\n');
  await until(async () => spooled().length === 1);
  leave(1_000_000);
  await until(async () => (await ready()) === 'DISK_FULL');
  slow.write('2\n');
  const answer = await answered;
  assert.equal((JSON.parse(await text(answer)) as { error: { code: string } }).error.code, 'DISK_FULL');
  slow.destroy();
  await until(async () => spooled().length === 0);

  assert.equal((await load(Buffer.from('a\n1\n'))).code, 'DISK_FULL');
  assert.equal((await server.call('POST', '/v1/quarantine/replay', { body: {} })).code, 'DISK_FULL');
  rmSync(filler);
  await until(async () => (await ready()) === undefined);
  assert.equal((await load(Buffer.from('a\n1\n'))).status, 200);
  assert.deepEqual(await server.ask('SELECT a FROM main.t'), [[1]]);
});

test('below the reserve records are refused with DISK_FULL, before the disk is full; questions are answered, and with room again records are taken', async (t) => {
  const path = workspaceOn(t, '64m');
  if (path === null) return;
  const server = await running(t, { path });
  const send = (id: string) => server.send('orders', `{"id":"${id}","n":1}`);
  assert.equal((await send('before')).status, 200);
  await server.delivered();
  const filler = join(path, 'filler');
  const { bavail, bsize } = statfsSync(path);
  writeFileSync(filler, Buffer.alloc(bavail * bsize - 1_500_000));
  let taken = 1;
  await until(async () => {
    const { code } = await send(`r${taken}`);
    if (code === undefined) taken++;
    return code !== undefined;
  });
  const refused = await send('refused');
  assert.deepEqual([refused.status, refused.code], [503, 'DISK_FULL']);
  const { params, retryable } = (refused.json as { error: { params: { free: number; reserve: number }; retryable: boolean } }).error;
  assert.ok(retryable && params.free > 0 && params.free < 2_000_000 && params.reserve === 2_000_000, refused.text);
  assert.deepEqual(await server.ask('SELECT 41 + 1'), [[42]]);
  rmSync(filler);
  await until(async () => (await send('after')).status === 200);
  await server.delivered();
  assert.deepEqual(await server.ask("SELECT count(*), count(*) FILTER (WHERE _id = 'refused') FROM raw.orders"), [[taken + 1, 0]]);
});

test('a reserve that the disk does not have: no record is taken', async (t) => {
  const path = workspaceIn(t, { settings: 'limits:\n  disk_reserve: 16TB\n', topics: { orders: '{}' } });
  const started = await startMillrace({ workspace: path, log: null });
  t.after(() => started.stop());
  const server = clientOf(path, started);
  let refused = await server.send('orders', '{"n":1}');
  await until(async () => {
    refused = await server.send('orders', '{"n":1}');
    return refused.status !== 200;
  });
  assert.deepEqual([refused.status, refused.code], [503, 'DISK_FULL']);
  const ready = await server.call('GET', '/ready');
  assert.deepEqual([ready.status, ready.code], [503, 'DISK_FULL']);
});

test('on a disk without any room Millrace says so and does not start; with room again it does', async (t) => {
  const path = workspaceOn(t, '64m');
  if (path === null) return;
  await (await running(t, { path })).started.stop();
  const filler = join(path, 'filler');
  const { bavail, bsize } = statfsSync(path);
  writeFileSync(filler, Buffer.alloc(bavail * bsize));
  await assert.rejects(startMillrace({ workspace: path, log: null }), { code: 'DEFINITION_WRITE', message: /front\.lock.*ENOSPC/ });
  rmSync(filler);
  assert.deepEqual(await (await running(t, { path })).ask('SELECT 1'), [[1]]);
});

test('a transfer whose password can’t be kept is not there at all, and says which file it was', async (t) => {
  const server = await running(t, {});
  const definition = 'source: csv\nconnection: { path: a.csv }\ntables: { a: { target: main.a } }\n';
  const create = () => server.call('PUT', '/v1/transfers/daily', { body: { definition, password: 'hidden' } });
  const secrets = join(server.path, 'secrets');
  writeFileSync(secrets, 'a file in the place of the folder');
  const refused = await create();
  assert.equal(refused.code, 'DEFINITION_WRITE');
  assert.match(refused.text, /secrets\/daily/);
  assert.doesNotMatch(refused.text, /hidden/);
  assert.deepEqual(((await server.call('GET', '/v1/transfers')).json as { transfers: unknown[] }).transfers, []);
  rmSync(secrets);
  assert.equal((await create()).status, 200);
});
