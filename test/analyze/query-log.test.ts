import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '#core';
import type { JobState } from '../../src/analyze/query.ts';
import { openQueryLog } from '../../src/analyze/query-log.ts';
import { freshStore } from '../store/fixture.ts';

const N = 450;

test('hundreds of questions at once are few statements of the write lane, each of them a row with all it had', async (t) => {
  const store = await freshStore(t);
  let statements = 0;
  const log = openQueryLog(
    {
      write: (work) =>
        store.write((tx) =>
          work({
            ...tx,
            run: (sql, values) => {
              statements++;
              return tx.run(sql, values);
            },
          }),
        ),
    },
    (problem) => assert.fail(String(problem)),
  );
  for (let k = 0; k < N; k++) {
    const error = k % 3 === 0 ? new MillraceError('QUERY_TIMEOUT', { seconds: k }).body : null;
    const state: JobState = {
      id: `job_${k}`,
      who: "o'neil 김",
      sql: `SELECT ${k} -- $1 'x'`,
      state: error === null ? 'done' : 'failed',
      progress: null,
      rows: k * 10_000_000,
      started: new Date(Date.UTC(2026, 0, 1) + k * 1000).toISOString(),
      elapsed_ms: k,
      error,
    };
    log.ended(state, 'viewer');
  }
  await log.close();
  assert.ok(statements <= 6, `${statements} statements`);
  const [all] = await store.rows(
    `SELECT count(*) AS n, count(DISTINCT job) AS jobs, count(code) AS codes, count(reason) AS reasons, sum(rows)::BIGINT AS rows, sum(elapsed_ms)::BIGINT AS ms,
       bool_and(who = 'o''neil 김' AND role = 'viewer' AND sql = 'SELECT ' || job[5:] || ' -- $1 ''x''') AS whole,
       bool_and(epoch_ms(began) = 1767225600000 + job[5:]::INT * 1000) AS began,
       bool_and((code IS NOT NULL) = (job[5:]::INT % 3 = 0) AND (event = 'failed') = (code IS NOT NULL)) AS ends
     FROM millrace.query_log`,
  );
  const sum = (N * (N - 1)) / 2;
  assert.deepEqual(all, {
    n: BigInt(N),
    jobs: BigInt(N),
    codes: BigInt(N / 3),
    reasons: BigInt(N / 3),
    rows: BigInt(sum) * 10_000_000n,
    ms: BigInt(sum),
    whole: true,
    began: true,
    ends: true,
  });
});

test('a question that is asked again by itself under its own name is not told as lost', async (t) => {
  const store = await freshStore(t);
  const fail = (problem: unknown) => assert.fail(String(problem));
  const state = (id: string): JobState => ({
    ...{ id, who: 'kim', sql: 'SELECT 1', state: 'running', progress: null, rows: 0, elapsed_ms: 1, error: null },
    started: new Date(Date.UTC(2026, 0, 1)).toISOString(),
  });
  const log = openQueryLog(store, fail);
  log.began(state('long'), 'viewer');
  while ((await store.rows('SELECT 1 FROM millrace.query_log')).length === 0) await sleep(20);
  log.again(state('long'), 'viewer');
  log.began(state('short'), 'viewer');
  log.again(state('short'), 'viewer');
  await log.close();
  await openQueryLog(store, fail).close();
  assert.deepEqual(await store.rows('SELECT job, event FROM millrace.query_log ORDER BY logged'), [
    { job: 'long', event: 'began' },
    { job: 'long', event: 'again' },
  ]);
});
