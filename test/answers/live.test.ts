import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type QueryAnswer, type QuestionsLine, type ShopAnswer, type Started, startMillrace } from '#server';
import { initWorkspace } from '#workspace';
import { millrace } from '../cli/fixture.ts';

const checkout = 'exposure: seen\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: buyers, role: primary }\n';

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
    mkdirSync(join(folder, 'grants'), { recursive: true });
    writeFileSync(join(folder, 'metrics', 'events.yaml'), 'table: main.events\nexpression: count(*)\ntime: time\n');
    mkdirSync(join(folder, 'experiments'));
    writeFileSync(join(folder, 'experiments', 'checkout.yaml'), checkout);
    writeFileSync(join(folder, 'experiments', 'over.yaml'), `${checkout}from: 2020-01-01\nto: 2020-01-31\n`);
    writeFileSync(join(folder, 'experiments', 'broken.yaml'), 'exposure: seen\nvariants: { A: 1 }\n');
    mkdirSync(join(folder, 'segments'));
    writeFileSync(join(folder, 'segments', 'good.yaml'), 'where: net >= 100\n');
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

  describe('a statement that calls answers', () => {
    const funnel = "answers.funnel(steps := 'a,b', events := 'main.events')";
    const both = `SELECT (SELECT count(*) FROM ${funnel}) AS steps, (SELECT value FROM answers.metric(metric := 'events')) AS events`;
    const asked = async (body: object, token = started.adminToken) => {
      const response = await fetch(`${started.address}/v1/query`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return (await response.json()) as QueryAnswer & { error?: { code: string } };
    };
    const ran = async (answer: string, options: object) => (await (await post(`/v1/answers/${answer}`, { options })).json()) as ShopAnswer;

    test('brings what each stands on where that is asked for, as the answer itself says it', async () => {
      const { evidence: ofFunnel } = await ran('funnel', { steps: 'a,b', events: 'main.events' });
      const { evidence: ofMetric } = await ran('metric', { metric: 'events' });
      const whole = await asked({ sql: both, evidence: true });
      assert.deepEqual(whole.rows, [[2, 3]]);
      const evidence = [
        { answer: 'funnel', options: { steps: 'a,b', events: 'main.events' }, ...ofFunnel },
        { answer: 'metric', options: { metric: 'events' }, ...ofMetric },
      ];
      assert.deepEqual(whole.evidence, evidence);
      assert.match(ofFunnel.line, /^events used: 3; /);
      const { rows, columns, evidence: alone } = await asked({ sql: both, evidence: 'only' });
      assert.deepEqual([rows, columns, alone], [[], [], evidence]);
      assert.equal((await asked({ sql: both })).evidence, undefined);
      assert.deepEqual((await asked({ sql: 'SELECT 1', evidence: true })).evidence, []);
    });

    test('is one of several questions, each with its own, and one that fails hinders none', async () => {
      const questions = [
        { sql: 'SELECT 1' },
        { sql: `SELECT count(*) FROM ${funnel}`, evidence: true },
        { sql: `SELECT gone FROM ${funnel}`, evidence: true },
        { sql: `SELECT gone FROM ${funnel}`, evidence: 'only' },
        { sql: 'SELECT 2', evidence: true },
      ];
      const lines = (await (await post('/v1/questions', { questions })).text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as QuestionsLine)
        .toSorted((a, b) => a.at - b.at);
      assert.deepEqual(
        lines.map(({ answer, error }) => [answer?.rows, answer?.evidence?.map(({ line }) => line.slice(0, 14)), error?.code]),
        [
          [[[1]], undefined, undefined],
          [[[2]], ['events used: 3'], undefined],
          [undefined, undefined, 'SQL_FAILED'],
          [[], ['events used: 3'], undefined],
          [[[2]], [], undefined],
        ],
      );
    });

    test('that keeps their rows says nothing of the batch that it makes itself', async () => {
      const kept = await asked({ sql: `CREATE TABLE main.kept AS SELECT * FROM ${funnel}`, evidence: true });
      assert.match(kept.evidence![0]!.line, /^events used: 3; /);
      assert.doesNotMatch(kept.evidence![0]!.line, /meanwhile/);
      await asked({ sql: 'DROP TABLE main.kept' });
    });

    test('brings none as CSV, nor where nothing is run', async () => {
      for (const body of [{ format: 'csv', evidence: true }, { evidence: 'all' }])
        assert.equal((await asked({ sql: both, ...body })).error?.code, 'QUERY_BODY');
      assert.equal((await asked({ sql: both, explain_refusal: true, evidence: true })).evidence, undefined);
    });

    test('is asked with no more rights than its asker has, for its evidence too', async () => {
      await asked({ sql: 'CREATE SCHEMA IF NOT EXISTS shop' });
      await asked({ sql: `CREATE TABLE shop.orders AS SELECT 'o1' AS order_id, 10 AS amount, now() AS ordered_at` });
      writeFileSync(join(folder, 'grants', 'partner.yaml'), 'token: partner\nread: [main.events]\n');
      const { token } = (await (await post('/v1/tokens', { name: 'partner', role: 'viewer' })).json()) as { token: string };
      for (const end = Date.now() + 10_000; (await asked({ sql: 'FROM shop.orders' }, token)).error === undefined; await sleep(100))
        assert.ok(Date.now() < end, 'the grant did not count');
      const told = await asked({ sql: both, evidence: true }, token);
      assert.deepEqual(told.rows, [[2, 3]], JSON.stringify(told));
      for (const { facts } of told.evidence!)
        assert.equal(facts.find(({ fact }) => fact === 'matched paid orders')?.value, 'not known: there is no table of orders');
      const alone = await fetch(`${started.address}/v1/answers/metric`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ options: { metric: 'events' } }),
      });
      assert.deepEqual(((await alone.json()) as ShopAnswer).rows, [[3]]);
      const inSql = `SELECT * FROM answers.rfm(orders := 'shop.orders')`;
      assert.equal((await asked({ sql: inSql, evidence: 'only' }, token)).error?.code, 'ANSWER_TABLE');
      await asked({ sql: 'DROP TABLE shop.orders' });
      rmSync(join(folder, 'grants', 'partner.yaml'));
    });

    test('prints it on the command line, below its rows', async () => {
      const one = await cli('sql', `SELECT step, entered FROM ${funnel}`);
      assert.match(one.stdout, /^step +entered\n/);
      assert.match(one.stderr, /^ {2}events used: 3\n {2}from: 2026-01-01 23:00\n/);
      assert.match(
        (await cli('sql', both)).stderr,
        /^answers\.funnel\n {2}events used: 3\n[\s\S]*\nanswers\.metric\n {2}rows of main\.events: 3\n/,
      );
      for (const more of [['--format', 'csv'], ['--explain-refusal']]) assert.equal((await cli('sql', both, ...more)).stderr, '');
      assert.equal((await cli('sql', `EXPLAIN ${both}`)).stderr, '');
      assert.equal((await cli('sql', 'SELECT 1')).stderr, '');
    });
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

  test('over HTTP: a unit’s variant, the same as in the documented vectors, for any token and for none without', async () => {
    const asked = async (name: string, unit: string | null, token: string | null = started.adminToken) => {
      const response = await fetch(
        `${started.address}/v1/experiments/${name}/assignment${unit === null ? '' : `?unit=${encodeURIComponent(unit)}`}`,
        {
          headers: token === null ? {} : { authorization: `Bearer ${token}` },
        },
      );
      const body = (await response.json()) as { variant: string; reason: string | null; error?: { code: string } };
      return body.error === undefined ? [response.status, body.variant, body.reason] : [response.status, body.error.code];
    };
    // The places of u1 and u2 are 0.317 and 0.713 (test/experiment).
    assert.deepEqual(await asked('checkout', 'u1'), [200, 'A', null]);
    assert.deepEqual(await asked('checkout', 'u2'), [200, 'B', null]);
    assert.deepEqual(await asked('over', 'u1'), [200, null, 'it ended on 2020-01-31']);
    const made = await post('/v1/tokens', { name: 'tracker', role: 'write', topics: ['events'] });
    const { token } = (await made.json()) as { token: string };
    assert.deepEqual(await asked('checkout', 'u1', token), [200, 'A', null]);
    assert.deepEqual(await asked('checkout', 'u1', null), [401, 'TOKEN_MISSING']);
    assert.deepEqual(await asked('nothing', 'u1'), [404, 'EXPERIMENT_UNKNOWN']);
    assert.deepEqual(await asked('..%2Fmillrace', 'u1'), [404, 'EXPERIMENT_UNKNOWN']);
    assert.deepEqual(await asked('broken', 'u1'), [400, 'DEFINITION_INVALID']);
    assert.deepEqual(await asked('checkout', null), [400, 'REQUEST_INVALID']);
    assert.deepEqual(await asked('checkout', 'a'.repeat(201)), [400, 'REQUEST_INVALID']);
    const inSql = (await (
      await post('/v1/query', { sql: `SELECT CAST('0x' || left(sha256('checkout:u1'), 13) AS BIGINT) / 4503599627370496` })
    ).json()) as { rows: number[][] };
    assert.equal(inSql.rows[0]![0], 0.31689777825177057);
  });

  test('a segment leaves as a CSV file, and is kept fresh as a view of the SQL that is shown', async () => {
    const query = async (sql: string, more = {}) => {
      const response = await post('/v1/query', { sql, ...more });
      const text = await response.text();
      assert.ok(response.ok, text);
      return text;
    };
    await query(
      `CREATE TABLE main.sales AS SELECT * FROM (VALUES ('o1', 'kim', 80.0), ('o2', 'kim', 40.0), ('o3', 'lee', 90.0)) AS o(order_id, customer_id, amount) CROSS JOIN (SELECT TIMESTAMPTZ '2026-01-01 15:00:00Z' AS ordered_at)`,
    );
    const csv = await query(`SELECT customer, orders, net FROM answers.segment(segment := 'good', orders := 'main.sales')`, {
      format: 'csv',
    });
    assert.equal(csv.replaceAll('\r\n', '\n'), 'customer,orders,net\nkim,2,120.0\n');

    const { sql } = (await (
      await post('/v1/answers/segment', { options: { segment: 'good', orders: 'main.sales' }, show: true })
    ).json()) as { sql: string };
    await query(`CREATE MATERIALIZED VIEW mart.good AS ${sql}`);
    const members = async () =>
      (JSON.parse(await query('SELECT customer FROM mart.good ORDER BY customer')) as { rows: string[][] }).rows.flat().join();
    const until = async (wanted: string) => {
      for (const end = Date.now() + 30_000; (await members()) !== wanted; await sleep(100))
        assert.ok(Date.now() < end, `${await members()}, not ${wanted}`);
    };
    await until('kim');
    await query(`INSERT INTO main.sales VALUES ('o4', 'lee', 10.0, TIMESTAMPTZ '2026-01-02 15:00:00Z')`);
    await until('kim,lee');
    await query(`DELETE FROM main.sales WHERE order_id = 'o1'`);
    await until('lee');
  });

  test('on the command line: the views of a segment are printed, and made', async () => {
    const asked = ['answer', 'show', 'segment', 'segment=good', 'orders=main.sales', '--views'];
    assert.match((await cli(...asked)).stdout, /^CREATE OR REPLACE MATERIALIZED VIEW mart\.segment_orders PARTITION BY order_id AS\n/);
    const made = await cli(...asked, '--write');
    assert.equal(
      made.stdout,
      ['orders', 'customers', 'good', 'good_moves'].map((name) => `made mart.segment_${name}\n`).join(''),
      made.stderr,
    );
    const view = await cli('view', 'show', 'mart.segment_good');
    assert.match(view.stdout, /^mart\.segment_good is \w+, kept by partition customer/);
    assert.equal((await cli('answer', 'show', 'rfm', 'orders=main.sales', '--views')).code, 2);
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
