import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QuestionsLine } from '#server';
import { millrace, send } from './server.ts';

test('questions that are asked together are each answered or refused as if alone, by whoever asks', async (t) => {
  const { address, adminToken } = await millrace(t);
  const admin = { authorization: `Bearer ${adminToken}` };
  const made = await send(address, 'POST', '/v1/query', admin, {
    sql: 'CREATE TABLE main.sales AS SELECT i % 7 AS shop, i % 50 AS page, i::DECIMAL(18,2) AS amount FROM range(400000) r(i)',
  });
  assert.equal(made.status, 200, made.text);
  const viewer = (await send(address, 'POST', '/v1/tokens', admin, { name: 'reader', role: 'viewer' })).json<{ token: string }>().token;
  const where = 'FROM main.sales WHERE shop = $shop::INTEGER';
  const questions = [
    { sql: `SELECT sum(amount) AS revenue ${where}`, params: { shop: '3' } },
    { sql: `SELECT page, count(*) AS n ${where} GROUP BY 1 ORDER BY 2 DESC, 1`, params: { shop: '3' }, limits: { rows: 5 } },
    { sql: `SELECT count(*) AS n ${where}`, params: { shop: '4' } },
    { sql: 'SELECT count(*) AS n FROM main.gone' },
    { sql: 'DROP TABLE main.sales' },
    { sql: "SELECT 'two\nlines' AS text" },
    { sql: 'SELECT 12345678901234567.25::DECIMAL(19,2) AS exact' },
  ];
  const asked = await send(address, 'POST', '/v1/questions', { authorization: `Bearer ${viewer}` }, { questions });
  assert.equal(asked.status, 200, asked.text);
  const lines = asked.text.trim().split('\n');
  assert.equal(lines.length, questions.length);
  const told = new Map(lines.map((line) => JSON.parse(line) as QuestionsLine).map((line) => [line.at, line]));
  assert.equal(told.size, questions.length);
  const rows = (at: number) => told.get(at)!.answer?.rows;
  // Of 0 … 399,999 those that leave 3 by 7: 57,143 of them, from 3 to 399,997.
  assert.deepEqual(rows(0), [[(57_143 * (3 + 399_997)) / 2]]);
  assert.deepEqual([rows(1)!.length, told.get(1)!.answer!.truncated], [5, true]);
  assert.deepEqual(rows(2), [[57_143]]);
  assert.equal(told.get(3)!.error?.code, 'SQL_TABLE');
  assert.match(told.get(4)!.error!.code, /^(ROLE|SQL)_/);
  assert.deepEqual(rows(5), [['two\nlines']]);
  assert.match(asked.text, /12345678901234567\.25/);
  for (const wrong of [
    {},
    { questions: [] },
    { questions: 'SELECT 1' },
    { questions: [{ sql: 1 }] },
    { questions: Array(200).fill({ sql: 'SELECT 1' }) },
  ])
    assert.equal((await send(address, 'POST', '/v1/questions', admin, wrong)).status, 400, JSON.stringify(wrong).slice(0, 60));
  assert.equal((await send(address, 'POST', '/v1/questions', {}, { questions })).status, 401);
});
