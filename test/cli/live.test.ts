import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../bin/millrace.js', import.meta.url));

async function millrace(words: readonly string[], stdin = '') {
  const child = spawn(process.execPath, [bin, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(stdin);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, stdout, stderr };
}

/** A workspace with one topic and Millrace running on it. */
async function running(t: TestContext, topic = 'id: event_id\n'): Promise<{ workspace: string; launcher: ChildProcess }> {
  const workspace = mkdtempSync(join(tmpdir(), 'millrace-live-'));
  t.after(() => rmSync(workspace, { recursive: true, force: true }));
  await millrace(['init', workspace]);
  await millrace(['topic', 'add', 'events', '-', '--workspace', workspace], topic);
  const launcher = spawn(process.execPath, [bin, 'up', '--workspace', workspace, '--port', '0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [launcher.stdout!, launcher.stderr!]) stream.on('data', (chunk) => (said += chunk));
  await until(
    () => said.includes('is ready at') || launcher.exitCode !== null,
    () => said,
  );
  assert.match(said, /ready at http:\/\/127\.0\.0\.1:\d+/);
  return { workspace, launcher };
}

/** Far more time than anything here takes; `explain` says what was there instead. */
async function until(holds: () => boolean | Promise<boolean>, explain: () => string): Promise<void> {
  for (const end = Date.now() + 30_000; !(await holds()); await sleep(50)) assert.ok(Date.now() < end, `in vain: ${explain()}`);
}

describe('millrace, for real', { timeout: 120_000 }, () => {
  test('takes records, answers in SQL, shows what it refused, and stops', async (t) => {
    const { workspace, launcher } = await running(t);
    t.after(() => launcher.kill('SIGTERM'));
    const at = ['--workspace', workspace];
    assert.equal(statSync(join(workspace, '.millrace', 'running.json')).mode & 0o777, 0o600);

    const sent = await millrace(
      ['send', 'events', ...at],
      '{"event_id":"a1","n":9007199254740993}\n{"event_id":"a1","n":9007199254740993}\n{bad\n',
    );
    assert.equal(sent.code, 1);
    assert.equal(sent.stdout, '2 accepted, 1 rejected (see "millrace quarantine list")\n');
    assert.match(sent.stderr, /^line 3: RECORD_JSON/m);

    let answer = '';
    await until(
      async () => {
        answer = (await millrace(['sql', 'SELECT count(*) AS n, any_value(data) AS data FROM raw.events', '--format', 'ndjson', ...at]))
          .stdout;
        return answer.startsWith('{"n":1,');
      },
      () => answer,
    );
    assert.match(answer, /9007199254740993/);
    const counted = 'SELECT count(*) AS n FROM raw.events WHERE event_id = $id AND _position >= $at AND $at::BIGINT < 5';
    for (const [sql, id, from] of [
      [counted, 'id', 'at'],
      [counted.replaceAll('$id', '$1').replaceAll('$at', '$2'), '1', '2'],
    ] as const) {
      const { stdout, stderr } = await millrace(['sql', sql, '--param', `${id}=a1`, '--param', `${from}=0`, '--format', 'ndjson', ...at]);
      assert.equal(stdout, '{"n":1}\n', stderr);
    }
    assert.match((await millrace(['quarantine', 'list', ...at])).stdout, /events .*RECORD_JSON/);
    assert.match((await millrace(['status', ...at])).stdout, /events +2 /);
    assert.match((await millrace(['up', '--port', '0', ...at])).stderr, /WORKSPACE_BUSY/);

    assert.equal((await millrace(['stop', ...at])).code, 0);
    assert.equal(existsSync(join(workspace, '.millrace', 'running.json')), false);
    assert.match((await millrace(['status', ...at])).stderr, /NOT_RUNNING/);
  });

  test('takes again what it refused, once, when the topic’s file has been corrected', async (t) => {
    const { workspace, launcher } = await running(t, 'id: event_id\nfields: {event_id: text, n: integer}\n');
    t.after(() => launcher.kill('SIGTERM'));
    const at = ['--workspace', workspace];
    const file = join(workspace, 'topics', 'events.yaml');
    const refused = await millrace(['send', 'events', ...at], '{"event_id":"b1","n":1.50}');
    assert.equal(refused.stdout, '0 accepted, 1 rejected (see "millrace quarantine list")\n');
    writeFileSync(file, 'id: event_id\nfields: {event_id: text, n: "decimal(9,2)"}\n');
    let said = '';
    await until(
      async () => {
        said = (await millrace(['quarantine', 'replay', '--topic', 'events', ...at])).stdout;
        return said === '1 tried, 1 accepted, 0 rejected again\n';
      },
      () => said,
    );
    assert.equal((await millrace(['quarantine', 'replay', '--topic', 'events', ...at])).stdout, '0 tried, 0 accepted, 0 rejected again\n');
    await until(
      async () => {
        said = (await millrace(['sql', "SELECT n FROM raw.events WHERE event_id = 'b1'", '--format', 'csv', ...at])).stdout;
        return said === 'n\r\n1.50\r\n';
      },
      () => said,
    );
  });

  test('stops in good order when the process that was started is killed outright', async (t) => {
    const { workspace, launcher } = await running(t);
    launcher.kill('SIGKILL');
    await until(
      () => !existsSync(join(workspace, '.millrace', 'running.json')),
      () => 'running.json is still there',
    );
    assert.match((await millrace(['status', '--workspace', workspace])).stderr, /NOT_RUNNING/);
  });

  test('the demo ends with Ctrl-C in the middle of its job, and tries nothing again', async (t) => {
    const workspace = join(mkdtempSync(join(tmpdir(), 'millrace-live-')), 'demo');
    t.after(() => rmSync(dirname(workspace), { recursive: true, force: true }));
    const demo = spawn(process.execPath, [bin, 'demo', '--workspace', workspace, '--users', '20000'], { stdio: 'ignore' });
    t.after(() => demo.kill('SIGKILL'));
    const accepted = async () => (await millrace(['status', '--json', '--workspace', workspace])).stdout.match(/"accepted":([1-9]\d*)/);
    await until(
      async () => (await accepted()) !== null,
      () => 'nothing was sent',
    );
    demo.kill('SIGINT');
    const began = performance.now();
    const [code] = await once(demo, 'exit');
    assert.equal(code, 130);
    assert.ok(performance.now() - began < 20_000, `it took ${performance.now() - began} ms`);
  });
});
