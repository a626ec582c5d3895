import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchedFolder, watchedSources } from '#core';
import { sources } from '#transfer';
import { parseTransfer } from '#workspace';
import { openArrivals } from '../../src/platform/watch/arrivals.ts';
import { type Running, running, until, workspaceIn } from '../server/fixture.ts';
import { childOf } from './program.ts';

function folderIn(t: TestContext): { workspace: string; put(name: string, content: string, age?: number): string } {
  const workspace = mkdtempSync(join(tmpdir(), 'millrace-watch-'));
  t.after(() => rmSync(workspace, { recursive: true, force: true }));
  mkdirSync(join(workspace, 'in'));
  return {
    workspace,
    put(name, content, age = 60) {
      const path = join(workspace, 'in', name);
      writeFileSync(path, content);
      const then = Date.now() / 1000 - age;
      utimesSync(path, then, then);
      return path;
    },
  };
}

test('a file is told once, when nobody has written to it for long enough and two looks found it the same', async (t) => {
  const { workspace, put } = folderIn(t);
  const look = openArrivals(workspace, { path: 'in', pattern: '*.csv', settle: 10_000 });
  const now = Date.now();
  put('old.csv', 'id\n1\n');
  const slow = put('slow.csv', 'id\n', 0);
  put('half.csv.part', 'id\n');
  put('notes.txt', 'no');
  assert.equal(await look(now), null);
  assert.deepEqual(await look(now), { files: ['old.csv'], problem: null });
  assert.equal(await look(now + 5_000), null);
  appendFileSync(slow, '2\n');
  // Its clock is far behind: that nobody writes to it is not to be believed at once.
  utimesSync(slow, 1_000, 1_000);
  assert.equal(await look(now + 11_000), null);
  assert.deepEqual(await look(now + 12_000), { files: ['slow.csv'], problem: null });
  assert.equal(await look(now + 13_000), null);
  renameSync(join(workspace, 'in/half.csv.part'), join(workspace, 'in/half.csv'));
  assert.equal(await look(now + 14_000), null);
  assert.deepEqual(await look(now + 15_000), { files: ['half.csv'], problem: null });
});

test('a file that was told is told again when it is another one, also of the same size and time', async (t) => {
  const { workspace, put } = folderIn(t);
  const look = openArrivals(workspace, { path: 'in', pattern: '*', settle: 0 });
  put('a.csv', 'id\n1\n');
  await look(Date.now());
  await look(Date.now());
  await sleep(20);
  const path = put('b.csv', 'id\n2\n');
  utimesSync(path, 1_000, 1_000);
  await look(Date.now());
  assert.deepEqual((await look(Date.now()))?.files, ['b.csv']);
  await sleep(20);
  writeFileSync(path, 'id\n3\n');
  utimesSync(path, 1_000, 1_000);
  assert.equal(await look(Date.now()), null);
  assert.deepEqual((await look(Date.now()))?.files, ['b.csv']);
});

test('a folder that can’t be looked at is told once, and once more when it can be again, with what is new in it alone', async (t) => {
  const { workspace, put } = folderIn(t);
  const look = openArrivals(workspace, { path: 'in', pattern: '*', settle: 0 });
  put('a.csv', 'id\n1\n');
  await look(Date.now());
  assert.deepEqual((await look(Date.now()))?.files, ['a.csv']);
  renameSync(join(workspace, 'in'), join(workspace, 'away'));
  assert.match((await look(Date.now()))!.problem!, /ENOENT/);
  assert.equal(await look(Date.now()), null);
  renameSync(join(workspace, 'away'), join(workspace, 'in'));
  assert.deepEqual(await look(Date.now()), { files: [], problem: null });
  rmSync(join(workspace, 'in/a.csv'));
  assert.deepEqual(await look(Date.now()), { files: [], problem: null }, 'a file that is gone is told too');
  assert.equal(await look(Date.now()), null);
});

test('no folder outside of the workspace is looked at', async (t) => {
  const { workspace } = folderIn(t);
  symlinkSync(tmpdir(), join(workspace, 'link'));
  for (const path of ['..', '/', 'link', '../..'])
    assert.match((await openArrivals(workspace, { path, pattern: '*', settle: 0 })(Date.now()))!.problem!, /outside/);
});

test('every source that can be watched says what it watches as its options do', () => {
  for (const [name, defaults] of Object.entries(watchedSources)) {
    const { options } = sources.find((source) => source.name === name)!;
    for (const [option, value] of Object.entries(defaults)) assert.equal(options.find((each) => each.name === option)!.default, value);
    const text = (connection: string) =>
      parseTransfer('a', `source: ${name}\nconnection: ${connection}\ntables: { a: { target: m.a } }\nschedule: { watch: true }\n`, 'a');
    assert.deepEqual(watchedFolder(text('{ path: in }')), { path: 'in', pattern: defaults.pattern, settle: 10_000 });
    assert.deepEqual(watchedFolder(text('{ path: in, pattern: "*.x", settle: 2 }')), { path: 'in', pattern: '*.x', settle: 2_000 });
  }
});

const isLong = process.env['MILLRACE_LONG'] === '1';

const inbox = (settle = isLong ? 1 : 0) =>
  `source: folder
connection: { path: inbox, pattern: '*.csv', settle: ${settle} }
tables: { files: { target: shop.inbox, mode: append } }
schedule: { watch: true, alerts: alarms }
`;

const ids = async (server: Running) => JSON.stringify(await server.ask('SELECT id FROM shop.inbox ORDER BY id'));
const last = async (server: Running) =>
  (await server.call('GET', '/v1/transfers/inbox')).json as { last: { run: string; state: string } | null; schedule: unknown };

test('files that come to a folder are rows within seconds, those that came while Millrace was down too, and what fails holds up nothing', async (t) => {
  const path = workspaceIn(t, { topics: { alarms: 'title: Alarms\n' } });
  for (const folder of ['transfers', 'inbox']) mkdirSync(join(path, folder));
  writeFileSync(join(path, 'transfers/inbox.yaml'), inbox());
  const put = (name: string, content: string) => writeFileSync(join(path, 'inbox', name), content);
  put('before.csv', 'id\n1\n');
  const first = await running(t, { path });
  await until(async () => (await ids(first)) === '[[1]]');

  assert.deepEqual((await last(first)).schedule, { kind: 'watch', cron: null, next: null });
  writeFileSync(join(path, 'transfers/yearly.yaml'), inbox().replace('watch: true', 'cron: "0 0 1 1 *", time_zone: UTC'));
  await until(async () => {
    const { transfers } = (await first.call('GET', '/v1/transfers')).json as { transfers: { name: string; schedule: unknown }[] };
    const { schedule } = transfers.find(({ name }) => name === 'yearly') ?? {};
    const next = `${new Date().getUTCFullYear() + 1}-01-01T00:00:00.000Z`;
    return JSON.stringify(schedule) === JSON.stringify({ kind: 'cron', cron: '0 0 1 1 *', next });
  });

  put('first.csv', 'id\n2\n');
  await until(async () => (await ids(first)) === '[[1],[2]]');

  // What takes its time is the long run's.
  if (isLong) {
    // Longer on its way than it takes to settle.
    put('slow.csv', 'id\n');
    for (let id = 3; id < 8; id++) {
      await sleep(600);
      appendFileSync(join(path, 'inbox/slow.csv'), `${id}\n`);
    }
    await until(async () => (await ids(first)) === '[[1],[2],[3],[4],[5],[6],[7]]');

    const { run } = (await last(first)).last!;
    await sleep(5_000);
    assert.equal((await last(first)).last!.run, run, 'nothing runs while nothing comes');

    put('broken.csv', 'id\n"8\n');
    await until(async () => (await last(first)).last!.state === 'failed');
    const failed = (await last(first)).last!.run;
    await sleep(5_000);
    assert.equal((await last(first)).last!.run, failed, 'what fails is not tried again and again');
    put('after.csv', 'id\n9\n');
    await until(async () => (await ids(first)) === '[[1],[2],[3],[4],[5],[6],[7],[9]]');
    rmSync(join(path, 'inbox/broken.csv'));
    await until(
      async () =>
        JSON.stringify(await first.ask(`SELECT data->>'event' FROM raw.alarms ORDER BY _position`)) === '[["failed"],["recovered"]]',
    );
  }

  const looker = childOf(process.pid, 'looker.ts')!;
  await first.started.stop();
  assert.throws(() => process.kill(looker, 0), 'nobody looks any more');
  put('down.csv', 'id\n10\n');
  const second = await running(t, { path });
  await until(async () => (await ids(second)) === (isLong ? '[[1],[2],[3],[4],[5],[6],[7],[9],[10]]' : '[[1],[2],[10]]'));

  if (!isLong) return;
  // Whoever looks is killed: another looks on.
  process.kill(childOf(process.pid, 'looker.ts')!, 'SIGKILL');
  put('later.csv', 'id\n11\n');
  await until(async () => (await ids(second)).endsWith('[11]]'));
  rmSync(join(path, 'transfers/inbox.yaml'));
  await until(() => childOf(process.pid, 'looker.ts') === null);
});
