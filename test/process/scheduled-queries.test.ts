import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import type { MillraceError } from '#core';
import { openQueries, type Queries } from '#process';
import { readStatement } from '#sql';
import { openStore, type Store } from '#store';

const folder = mkdtempSync(join(tmpdir(), 'millrace-queries-'));
let store: Store;
let queries: Queries;
let now: number;
const saved = new Map<string, string>();
const problems: unknown[] = [];

async function open(): Promise<void> {
  queries = await openQueries({
    store,
    files: {
      list: () => [...saved].map(([name, text]) => ({ name, file: `queries/${name}.sql`, text })),
      save: (name, text) => void saved.set(name, text),
      remove: (name) => void saved.delete(name),
    },
    timeZone: 'UTC',
    onProblem: (problem) => problems.push(problem),
    clock: () => now,
  });
  assert.deepEqual(await queries.define(), []);
}

async function sql(text: string): Promise<void> {
  const reader = await store.reader();
  const statement = await readStatement(text, (part) => reader.serialize(part));
  reader.close();
  if (statement.kind === 'create_scheduled_query') await queries.create(statement);
  else if (statement.kind.endsWith('scheduled_query')) await queries.command(statement as never);
  else await queries.before(statement);
}

async function at(instant: string): Promise<void> {
  now = Date.parse(instant);
  await queries.tick();
}

const define = (options: string, body: string, name = 'mart.out') =>
  sql(`CREATE OR REPLACE SCHEDULED QUERY ${name} OPTIONS (${options}) AS ${body}`);
const rows = async (text: string) =>
  (await store.rows(text)).map((row) => Object.values(row).map((value) => (typeof value === 'bigint' ? Number(value) : value)));
/** What was done and when it was due, in the order of the times. */
const history = async (name = 'mart.out') =>
  (
    await rows(
      `SELECT strftime(due, '%m-%d %H:%M'), outcome FROM millrace.query_run WHERE query = '${name}' AND outcome <> 'defined' ORDER BY due`,
    )
  ).map((row) => row.join(' '));

describe('scheduled queries', () => {
  beforeEach(async () => {
    await queries?.stop();
    await store?.close();
    rmSync(folder, { recursive: true, force: true });
    saved.clear();
    problems.length = 0;
    store = await openStore({ dataPath: folder, memory: 400e6, threads: 2 });
    await store.write(async (tx) => {
      await tx.run('CREATE TABLE main.n AS SELECT 1 AS k, 10 AS v');
      tx.changed({ kind: 'statement', target: 'main.n', rows: 1 });
    });
    now = Date.parse('2026-03-01T00:00:00Z');
    await open();
  });
  after(async () => {
    await queries.stop();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('run at their times, once each, in the zone that they name, across a change of clocks', async () => {
    // In New York the clocks go from 02:00 to 03:00 on 8 March 2026: 06:00 there is 11:00 UTC before and 10:00 UTC from then on.
    now = Date.parse('2026-03-06T12:00:00Z');
    await define(`cron = '0 6 * * *', time_zone = 'America/New_York', write = 'append'`, 'SELECT $run_time AS due');
    for (const instant of ['2026-03-07T10:59:00Z', '2026-03-07T11:00:00Z', '2026-03-07T11:00:05Z', '2026-03-08T10:00:01Z'])
      await at(instant);
    assert.deepEqual(await history(), ['03-07 11:00 done', '03-08 10:00 done']);
    assert.deepEqual((await rows(`SELECT strftime(due, '%m-%d %H:%M') FROM mart.out ORDER BY due`)).flat(), ['03-07 11:00', '03-08 10:00']);
    assert.equal(queries.states()[0]?.next, '2026-03-09T10:00:00.000Z');
  });

  const missed: readonly [string, readonly string[], number][] = [
    ['all', ['03-01 01:00 done', '03-01 02:00 done', '03-01 03:00 done'], 3],
    ['last', ['03-01 02:00 missed', '03-01 03:00 done'], 1],
    ['none', ['03-01 03:00 missed'], 0],
  ];
  for (const [catchUp, expected, count] of missed)
    test(`make up for ${catchUp} of the times that passed while Millrace was down`, async () => {
      await define(`cron = '0 * * * *', write = 'append', catch_up = '${catchUp}'`, 'SELECT $run_time AS due');
      await queries.stop();
      now = Date.parse('2026-03-01T03:30:00Z');
      await open();
      await queries.tick();
      assert.deepEqual(await history(), expected);
      const made = await store.names();
      assert.equal(made.has('mart.out') ? (await rows('FROM mart.out')).length : 0, count);
      await queries.stop();
      await open();
      await queries.tick();
      assert.deepEqual(await history(), expected, 'a time that is settled is not run again');
    });

  for (const [overlap, expected] of [
    ['skip', ['03-01 01:00 done', '03-01 02:00 skipped']],
    ['wait', ['03-01 01:00 done', '03-01 02:00 done']],
  ] as const)
    test(`that take longer than their time ${overlap} the next one when they are told so`, async () => {
      await define(`cron = '0 * * * *', write = 'append', overlap = '${overlap}'`, 'SELECT $run_time AS due');
      const held = Promise.withResolvers<void>();
      const began = Promise.withResolvers<void>();
      const writing = store.write(() => {
        began.resolve();
        return held.promise;
      });
      await began.promise;
      now = Date.parse('2026-03-01T01:00:00Z');
      const first = queries.tick();
      now = Date.parse('2026-03-01T02:00:00Z');
      const second = queries.tick();
      held.resolve();
      await Promise.all([writing, first, second]);
      await queries.tick();
      assert.deepEqual(await history(), expected);
    });

  test('replace, append or merge their table, with every type of value unchanged', async () => {
    await define(
      `cron = '0 * * * *', write = 'replace'`,
      'SELECT sum(v) + 12345678901234567890123 AS v, 1.50::DECIMAL(9,2) AS price, INTERVAL 3 days AS span FROM main.n',
      'mart.replaced',
    );
    await define(`cron = '0 * * * *', write = 'append'`, 'SELECT k, v FROM main.n', 'mart.appended');
    await define(`cron = '0 * * * *', write = 'merge', key = ['k']`, 'SELECT k, v FROM main.n', 'mart.merged');
    await at('2026-03-01T01:00:00Z');
    await store.write(async (tx) => {
      await tx.run('UPDATE main.n SET v = 170141183460469231731687303715884105726::HUGEINT::VARCHAR::HUGEINT % 1000000');
      await tx.run('INSERT INTO main.n VALUES (2, 20)');
      tx.changed({ kind: 'statement', target: 'main.n', rows: 2 });
    });
    await at('2026-03-01T02:00:00Z');
    assert.deepEqual(problems, []);
    assert.deepEqual(await rows('SELECT v::VARCHAR, price::VARCHAR, span::VARCHAR FROM mart.replaced'), [
      ['12345678901234567995869', '1.50', '3 days'],
    ]);
    const types = await rows(`SELECT data_type FROM duckdb_columns() WHERE table_name = 'replaced' ORDER BY column_index`);
    assert.deepEqual(types.flat(), ['HUGEINT', 'DECIMAL(9,2)', 'INTERVAL', 'BIGINT']);
    assert.deepEqual(await rows('SELECT k, v FROM mart.appended ORDER BY k, v'), [
      [1, 10],
      [1, 105726],
      [2, 20],
    ]);
    assert.deepEqual(await rows('SELECT k, v FROM mart.merged ORDER BY k'), [
      [1, 105726],
      [2, 20],
    ]);
  });

  test('that fail write nothing, say why in their history, and go on at the next time', async () => {
    await define(`cron = '0 * * * *', write = 'merge', key = ['k']`, 'SELECT 1 AS k, v FROM main.n');
    await at('2026-03-01T01:00:00Z');
    await store.write((tx) => tx.run('INSERT INTO main.n VALUES (1, 11)'));
    await at('2026-03-01T02:00:00Z');
    assert.deepEqual(await rows('SELECT k, v FROM mart.out'), [[1, 10]]);
    assert.deepEqual(await rows(`SELECT code FROM millrace.query_run WHERE outcome = 'failed'`), [['SCHEDULE_KEY']]);
    assert.equal(queries.states()[0]?.last?.outcome, 'failed');
    await store.write((tx) => tx.run('DELETE FROM main.n WHERE v = 10'));
    await at('2026-03-01T03:00:00Z');
    assert.deepEqual(await rows('SELECT k, v FROM mart.out'), [[1, 11]]);
    await assert.rejects(sql('RUN SCHEDULED QUERY mart.nothing'), { code: 'SCHEDULE_UNKNOWN' });
  });

  const ENDLESS = 'SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3';
  const codes = async () => (await rows(`SELECT code FROM millrace.query_run WHERE outcome = 'failed' ORDER BY due`)).flat();

  test('that take longer than their time_limit are ended, and the others run after them', async () => {
    await define(`cron = '0 1 * * *', time_limit = '300 milliseconds'`, ENDLESS, 'mart.endless');
    await define(`cron = '0 1 * * *', write = 'append'`, 'SELECT $run_time AS due');
    await at('2026-03-01T01:00:00Z');
    assert.deepEqual([await codes(), await history()], [['SCHEDULE_TIME'], ['03-01 01:00 done']]);
    assert.equal((await store.names()).has('mart.endless'), false);
    await assert.rejects(define(`cron = '0 1 * * *', time_limit = 'long'`, 'SELECT 1 AS n'), { code: 'SCHEDULE_OPTION' });
  });

  test('are ended while their rows are written too', async () => {
    await define(
      `cron = '0 1 * * *', write = 'merge', key = 'n', time_limit = '700 milliseconds'`,
      'SELECT range AS n FROM range(2000000)',
    );
    // So many rows without an index on the key: finding those of the same key takes long.
    await store.write(async (tx) => {
      await tx.run('CREATE SCHEMA IF NOT EXISTS mart');
      await tx.run('CREATE TABLE mart.out AS SELECT (range * 7) % 2000003 AS n, repeat(range::VARCHAR, 20) AS long FROM range(4000000)');
    });
    await at('2026-03-01T01:00:00Z');
    assert.deepEqual(await codes(), ['SCHEDULE_TIME']);
    assert.deepEqual(await rows('SELECT count(*) FROM mart.out'), [[4_000_000]]);
  });

  test('are ended where their time is up while they wait for the write lane: nothing is written when its turn comes', async () => {
    await define(`cron = '0 1 * * *', time_limit = '300 milliseconds'`, 'SELECT 1 AS n');
    let release = () => {};
    const held = store.write(() => new Promise<void>((resolve) => (release = resolve)));
    const running = at('2026-03-01T01:00:00Z');
    await new Promise((resolve) => setTimeout(resolve, 900));
    release();
    await Promise.all([held, running]);
    assert.deepEqual([await codes(), (await store.names()).has('mart.out')], [['SCHEDULE_TIME'], false]);
  });

  test('that somebody asked for are over when Millrace has ended: the one that ran, and the one behind it', async () => {
    await define(`cron = '0 1 * * *'`, ENDLESS);
    const over: string[] = [];
    const asked = ['first', 'second'].map((name) => sql('RUN SCHEDULED QUERY mart.out').catch(() => void over.push(name)));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await queries.stop();
    assert.deepEqual(over, ['first', 'second']);
    await Promise.all(asked);
  });

  test('are ended when memory is short, and when Millrace ends; a time that was cut off so comes again', async () => {
    await define(`cron = '0 * * * *', catch_up = 'all'`, ENDLESS);
    assert.equal(queries.relieve(), null);
    const running = at('2026-03-01T01:00:00Z');
    while (queries.relieve() === null) await new Promise((resolve) => setTimeout(resolve, 50));
    await running;
    assert.deepEqual(await codes(), ['QUERY_MEMORY']);
    const cut = at('2026-03-01T02:00:00Z');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await queries.stop();
    await cut;
    assert.deepEqual(await history(), ['03-01 01:00 failed']);
  });

  test('during which the warehouse was killed three times are paused, and run again when they are resumed', async () => {
    await define(`cron = '0 * * * *', write = 'append'`, 'SELECT $run_time AS due');
    for (const deaths of [2, 3]) {
      await queries.stop();
      writeFileSync(join(store.folders.slices, '..', 'scheduled.json'), JSON.stringify({ full: 'mart.out', deaths }));
      await open();
      await at(`2026-03-01T0${deaths - 1}:00:00Z`);
    }
    assert.deepEqual([await history(), await codes()], [['03-01 01:00 done', '03-01 02:00 failed'], ['SCHEDULE_DEATHS']]);
    assert.equal(queries.states()[0]?.state, 'paused');
    await sql('RESUME SCHEDULED QUERY mart.out');
    await at('2026-03-01T03:00:00Z');
    assert.deepEqual((await history()).at(-1), '03-01 03:00 done');
  });

  test('that the engine would not run are refused with the place, and nothing is kept; one that comes to fail says why by code', async () => {
    const body = 'SELECT $run_time AS due, k\n  FROM main.n WHERE _time < $run_time AND w > 1';
    const error = (await define(`cron = '0 * * * *'`, body).catch((thrown: unknown) => thrown)) as MillraceError;
    assert.deepEqual([error.code, error.params['line'], error.params['column']], ['SCHEDULE_QUERY', 2, 21], error.message);
    const other = body.replace('_time < $run_time', '$run_time > now()');
    await assert.rejects(define(`cron = '0 * * * *'`, other), { code: 'SCHEDULE_QUERY', message: /\(line 2, column 43\)/ });
    assert.deepEqual([queries.states(), [...saved]], [[], []]);
    await define(`cron = '0 * * * *'`, 'SELECT k, CAST(v AS TINYINT) AS v FROM main.n');
    const codes = () => rows(`SELECT code, error FROM millrace.query_run WHERE outcome = 'failed' ORDER BY due`);
    await store.write((tx) => tx.run('INSERT INTO main.n VALUES (2, 1000)'));
    await at('2026-03-01T01:00:00Z');
    await store.write((tx) => tx.run('ALTER TABLE main.n DROP COLUMN v'));
    await at('2026-03-01T02:00:00Z');
    const [value, column] = await codes();
    assert.deepEqual([value![0], column![0]], ['SCHEDULE_QUERY', 'SCHEDULE_QUERY']);
    assert.match(String(value![1]), /1000/);
    assert.match(String(column![1]), /"v"/);
    await queries.stop();
    await open();
    assert.deepEqual(
      queries.states().map(({ name }) => name),
      ['mart.out'],
      'it is kept through a new start, and runs when the column is back',
    );
    await store.write((tx) => tx.run('ALTER TABLE main.n ADD COLUMN v INTEGER DEFAULT 5'));
    await at('2026-03-01T03:00:00Z');
    assert.deepEqual(await rows('SELECT k, v FROM mart.out ORDER BY k'), [
      [1, 5],
      [2, 5],
    ]);
  });

  test('whose name is taken leave no file behind', async () => {
    await store.write((tx) => tx.run("INSERT INTO millrace.view (name, definition, batch, refreshed) VALUES ('mart.out', '', 1, now())"));
    await assert.rejects(define(`cron = '0 * * * *'`, 'SELECT k FROM main.n'), { code: 'VIEW_EXISTS' });
    assert.deepEqual([...saved], []);
  });

  test('are refused when an option says nothing, and pause, resume, run and drop as they are told', async () => {
    const refused = [
      `cron = '61 * * * *'`,
      `cron = '* * * * * *'`,
      `write = 'append'`,
      `cron = '0 * * * *', time_zone = '+09:00'`,
      `cron = '0 * * * *', write = 'merge'`,
      `cron = '0 * * * *', key = ['k']`,
      `cron = '0 * * * *', overlap = 'both'`,
      `cron = '0 * * * *', colour = 'red'`,
    ];
    for (const options of refused) await assert.rejects(define(options, 'SELECT 1 AS k'), { code: 'SCHEDULE_OPTION' }, options);
    await assert.rejects(define(`cron = '0 * * * *'`, 'SELECT $now AS k'), { code: 'SCHEDULE_OPTION' });
    await assert.rejects(define(`cron = '0 * * * *',\n overlap = 'both'`, 'SELECT 1 AS k'), {
      message: /overlap \(line 2, column 2\) is one of/,
    });
    await define(`cron = '0 * * * *', write = 'append'`, 'SELECT v FROM main.n');
    await assert.rejects(sql('DROP TABLE main.n'), { code: 'VIEW_READ', message: /mart\.out/ });
    await sql('PAUSE SCHEDULED QUERY mart.out');
    await queries.stop();
    await open();
    assert.equal(queries.states()[0]?.state, 'paused', 'a pause outlives the process');
    await at('2026-03-01T01:00:00Z');
    assert.deepEqual(await history(), []);
    await sql('RUN SCHEDULED QUERY mart.out');
    assert.deepEqual(await rows('SELECT v FROM mart.out'), [[10]]);
    await sql('RESUME SCHEDULED QUERY mart.out');
    await sql('DROP SCHEDULED QUERY mart.out');
    assert.deepEqual([queries.states(), [...saved]], [[], []]);
  });
});
