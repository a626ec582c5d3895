/** The disk of a running program is full (docs/holds.md). */
import assert from 'node:assert/strict';
import { rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { initWorkspace } from '#workspace';
import { running, until } from '../server/fixture.ts';
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
