import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Started, startMillrace } from '#server';
import { initWorkspace } from '#workspace';
import { millrace } from '../cli/fixture.ts';

describe('answers of a running Millrace', { timeout: 120_000 }, () => {
  let folder: string;
  let started: Started;
  const post = (path: string, body: unknown) =>
    fetch(`${started.address}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${started.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const cli = (...words: string[]) => millrace(words, { env: { MILLRACE_ADDRESS: started.address, MILLRACE_TOKEN: started.adminToken } });

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-answers-live-'));
    initWorkspace(folder, { name: 'Shop', timeZone: 'Asia/Seoul', currency: 'KRW' }).close();
    mkdirSync(join(folder, 'metrics'));
    writeFileSync(join(folder, 'metrics', 'events.yaml'), 'table: main.events\nexpression: count(*)\ntime: time\n');
    started = await startMillrace({ workspace: folder, log: null });
    const sql = `CREATE TABLE main.events AS SELECT * FROM (VALUES ('a', 'u1', TIMESTAMPTZ '2026-01-01 15:00:00Z'), ('b', 'u1', TIMESTAMPTZ '2026-01-01 15:01:00Z'), ('a', 'u2', TIMESTAMPTZ '2026-01-01 14:00:00Z')) AS e(event, user_pseudo_id, time)`;
    for (const end = Date.now() + 30_000; !(await post('/v1/query', { sql })).ok; await sleep(100))
      assert.ok(Date.now() < end, 'the warehouse did not come');
  });
  after(async () => {
    await started.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('over HTTP: listed with their options, run with evidence, shown as SQL that runs', async () => {
    const listed = (await (
      await fetch(`${started.address}/v1/answers`, { headers: { authorization: `Bearer ${started.adminToken}` } })
    ).json()) as {
      answers: { name: string; options: { name: string }[] }[];
    };
    assert.ok(listed.answers.find((each) => each.name === 'funnel')!.options.some((option) => option.name === 'steps'));

    const options = { steps: ['a', 'b'], events: 'main.events' };
    const ran = (await (await post('/v1/answers/funnel', { options })).json()) as {
      rows: unknown[][];
      evidence: { line: string };
      sql: string;
      row_count: number;
    };
    assert.deepEqual(
      ran.rows.map((row) => row.slice(0, 3)),
      [
        [1, 'a', 2],
        [2, 'b', 1],
      ],
    );
    assert.equal(ran.row_count, 2);
    assert.match(ran.evidence.line, /^events used: 3; from: 2026-01-01 23:00; to: 2026-01-02 00:01 \(Asia\/Seoul\)/);

    const shown = (await (await post('/v1/answers/funnel', { options, show: true })).json()) as { sql: string };
    assert.equal(shown.sql, ran.sql);
    const own = (await (await post('/v1/query', { sql: shown.sql })).json()) as { rows: unknown[][] };
    assert.deepEqual(own.rows, ran.rows);
    const called = (await (
      await post('/v1/query', { sql: `SELECT entered FROM answers.funnel(steps := 'a,b', events := 'main.events')` })
    ).json()) as { rows: unknown[][] };
    assert.deepEqual(called.rows, [[2], [1]]);
  });

  test('over HTTP: what can’t be answered has its code and status', async () => {
    const refused = async (name: string, body: unknown) => {
      const response = await post(`/v1/answers/${name}`, body);
      return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
    };
    assert.deepEqual(await refused('nothing', {}), [404, 'ANSWER_UNKNOWN']);
    assert.deepEqual(await refused('funnel', { options: { steps: 'a' } }), [400, 'ANSWER_OPTION']);
    assert.deepEqual(await refused('funnel', { option: {} }), [400, 'REQUEST_INVALID']);
  });

  test('on the command line: list, show, run', async () => {
    assert.match((await cli('answer', 'list')).stdout, /^reconcile +Do the collected/m);
    assert.match((await cli('answer', 'show', 'funnel')).stdout, /^steps +list, required/m);
    const ran = await cli('answer', 'run', 'metric', 'metric=events', 'grain=day');
    assert.equal(ran.stdout, 'period      value\n──────────  ─────\n2026-01-01      1\n2026-01-02      2\n');
    assert.match(ran.stderr, /^ {2}rows used: 3$/m);
    assert.match(
      (await cli('answer', 'show', 'metric', 'metric=events', '--sql')).stdout,
      /^SELECT count\(\*\) AS value\nFROM "main"\."events"/,
    );
    const wrong = await cli('answer', 'run', 'metric', 'events');
    assert.equal(wrong.code, 2);
  });
});
