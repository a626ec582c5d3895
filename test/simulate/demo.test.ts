import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { MillraceError } from '#core';
import { type CheckedQuestion, simulateShop, type Truth } from '#simulate';
import { type Answer, checkAnswer } from '../../src/cli/demo/answer.ts';
import { parquetFiles } from '../../src/cli/demo/source.ts';

const root = resolve(import.meta.dirname, '../..');
const data = process.env['MILLRACE_DATA'] ?? join(root, '../shared/data');
const sessionsFile = join(data, 'ga-merch-sessions', 'ga_sample.parquet');
const folder = mkdtempSync(join(tmpdir(), 'millrace-demo-test-'));
after(() => rmSync(folder, { recursive: true }));

async function runDemo(...words: string[]) {
  const child = spawn(process.execPath, ['--conditions=source', join(root, 'src/cli/main.ts'), 'demo', '--exit', '--json', ...words]);
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((done) => child.once('close', done)),
  ]);
  return { stdout, stderr, code };
}

const summaryOf = (stdout: string) => JSON.parse(stdout.trimEnd().split('\n').at(-1)!);

function answerOf(columns: string[], rows: unknown[][]): Answer {
  return {
    question: { name: 'q', title: 'q', sql: '' },
    columns: columns.map((name) => ({ name, type: 'VARCHAR' })),
    rows,
    truncated: false,
    milliseconds: 0,
  };
}
const expecting = (rows: (string | number | null)[][]): CheckedQuestion => ({ name: 'q', title: 'q', sql: '', expected: () => rows });
const noTruth = {} as Truth;

test('the demo sends the simulated shop over HTTP, and every answer is the truth', { timeout: 120_000 }, async () => {
  const options = { seed: 5, users: 300, days: 5, start: '2026-03-02', timeZone: 'Europe/Berlin', currency: 'EUR' };
  const { stdout, stderr, code } = await runDemo(
    '--seed',
    '5',
    '--users',
    '300',
    '--days',
    '5',
    '--time-zone',
    'Europe/Berlin',
    '--currency',
    'EUR',
  );
  assert.equal(code, 0, stderr);
  const { truth } = simulateShop(options);
  const summary = summaryOf(stdout);
  assert.equal(stdout.trimEnd().split('\n').length, 1, 'stdout has the summary and nothing else');
  assert.deepEqual(
    [summary.sessions, summary.users, summary.orders, summary.revenue, summary.records.events.accepted],
    [truth.sessions, truth.users, truth.orders, Number(truth.revenue), truth.records.events + truth.records.retried],
  );
  assert.deepEqual(summary.checks.different, []);
  assert.ok(summary.checks.same > 25);
});

describe('a real export', { skip: existsSync(sessionsFile) ? false : `${sessionsFile} is absent` }, () => {
  test('gives the figures of the sessions that are in the file, whatever the file is called', { timeout: 120_000 }, async () => {
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const subset = join(folder, 'some sessions.parquet');
    await connection.run(
      `COPY (SELECT * FROM '${sessionsFile}' WHERE visitStartTime % 9 = 0 OR totals.transactions = 2) TO '${subset}' (FORMAT parquet)`,
    );
    const [expected] = (
      await connection.runAndReadAll(`WITH hit AS (SELECT unnest(hits) AS h FROM '${subset}'), sold AS (
          SELECT max(h.transaction.transactionRevenue) AS micros FROM hit WHERE h.transaction.transactionId IS NOT NULL GROUP BY h.transaction.transactionId)
        SELECT (SELECT count(*) FROM '${subset}'), (SELECT count(*) FROM hit), (SELECT count(*) FROM sold), (SELECT sum(micros) FROM sold)`)
    ).getRows();
    connection.closeSync();
    const { stdout, stderr, code } = await runDemo('--data', folder);
    assert.equal(code, 0, stderr);
    const { dataset, sessions, hits, orders, revenue, differences } = summaryOf(stdout);
    assert.equal(dataset, 'ga_sessions');
    assert.deepEqual([sessions, hits, orders, Math.round(revenue * 1e6)], expected!.map(Number));
    assert.equal(differences.length, 3);
    assert.match(stderr, /Figures that the source states differently/);
  });
});

test('a figure that differs from the truth is shown beside it and is not the same', () => {
  assert.deepEqual(checkAnswer(answerOf(['sessions', 'revenue'], [[12, 99.5]]), expecting([[12, '99.60']]), noTruth), [
    { question: 'q: sessions', answer: '12', truth: '12', same: true },
    { question: 'q: revenue', answer: '99.5', truth: '99.60', same: false },
  ]);
});

test('the same amount with other trailing zeros is the same, text that only looks alike is not', () => {
  const same = (ours: unknown, right: string | number | null) =>
    checkAnswer(answerOf(['a'], [[ours]]), expecting([[right]]), noTruth)[0]!.same;
  assert.ok(same(12.5, '12.50'));
  assert.ok(same(1200, '1200.00'));
  assert.ok(!same(1200, '12'));
  assert.ok(!same(null, 0));
  assert.ok(!same('/home', '/home/'));
});

test('a longer answer is the same only when all its rows are, in their order', () => {
  const rows = [
    ['a', 1],
    ['b', 2],
  ];
  const check = (expected: (string | number)[][]) => checkAnswer(answerOf(['page', 'orders'], rows), expecting(expected), noTruth)[0]!;
  assert.equal(
    check([
      ['a', 1],
      ['b', 2],
    ]).same,
    true,
  );
  assert.deepEqual(
    check([
      ['a', 1],
      ['b', 3],
    ]),
    { question: 'q: row 2', answer: 'b, 2', truth: 'b, 3', same: false },
  );
  assert.deepEqual(
    check([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ]),
    { question: 'q: row 3', answer: '(no row)', truth: 'c, 3', same: false },
  );
  assert.equal(
    check([
      ['b', 2],
      ['a', 1],
    ]).same,
    false,
  );
});

test('a path without Parquet files is refused with what was found there', () => {
  const empty = mkdtempSync(join(folder, 'empty-'));
  writeFileSync(join(empty, 'orders.csv'), 'a,b\n');
  const missing = (path: string, pattern: RegExp) =>
    assert.throws(
      () => parquetFiles(path),
      (error) => error instanceof MillraceError && error.code === 'EXPORT_MISSING' && pattern.test(error.message),
    );
  missing(empty, /orders\.csv/);
  missing(join(empty, 'nowhere'), /nowhere/);
});
