import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAnalyst } from '#analyze';
import type { Principal } from '#core';
import { freshStore } from '../store/fixture.ts';

const who: Principal = { name: 'test', role: 'viewer', topics: null };
const limit = { seconds: 60, rows: 10_000_000, concurrency: 4 };

/** About a second on one thread; its answer by arithmetic: products of 0…n-1 that leave 3 when divided by 7 come from six pairs of residues. */
const N = 7000;
const PAIRS = 6 * (N / 7) ** 2;
const long = (tag: string) => `SELECT count(*) AS n, '${tag}' AS tag FROM range(${N}) a, range(${N}) b WHERE a.range * b.range % 7 = 3`;

async function analyst(t: TestContext) {
  const store = await freshStore(t);
  const opened = openAnalyst({
    store,
    limits: { admin: limit, editor: limit, viewer: limit, write: limit },
    own: async () => null,
    turns: { places: 1, moment: 40, term: 60_000 },
  });
  t.after(() => opened.close());
  return { store, analyst: opened };
}

describe('long questions over the warehouse', () => {
  test('take turns, each with its whole answer: as text and as Parquet', async (t) => {
    const { store, analyst: it } = await analyst(t);
    const seen = new Set<string>();
    const watch = setInterval(() => {
      for (const { id, state } of it.jobs()) if (state === 'waiting') seen.add(id);
    }, 5);
    t.after(() => clearInterval(watch));
    const ask = (job: string, format: 'ndjson' | 'parquet') => it.ask({ who, sql: long(job), format, job });
    const answers = await Promise.all([ask('one', 'ndjson'), ask('two', 'ndjson'), ask('three', 'parquet'), ask('four', 'parquet')]);
    assert.ok(seen.size >= 2, `waited: ${[...seen]}`);
    for (const [k, tag] of ['one', 'two'].entries()) {
      assert.deepEqual(JSON.parse(String(Buffer.concat(await answers[k]!.body.toArray()))), { n: PAIRS, tag });
    }
    for (const [k, tag] of ['three', 'four'].entries()) {
      const path = join(store.folders.slices, `${tag}.parquet`);
      writeFileSync(path, Buffer.concat(await answers[k + 2]!.body.toArray()));
      assert.deepEqual(await store.rows(`SELECT n, tag FROM '${path}'`), [{ n: BigInt(PAIRS), tag }]);
    }
    assert.ok(it.jobs().every(({ state }) => state === 'done'));
  });

  test('one that waits with rows given is running, and can be ended to free memory', async (t) => {
    const { analyst: it } = await analyst(t);
    const ask = (job: string) => it.ask({ who, sql: long(job).replaceAll(String(N), '1000000'), format: 'ndjson', job });
    const endless = ask('endless');
    // Of two of them one waits; when the other is gone, this one has the only place before the next one asks for it.
    const other = assert.rejects(ask('other'), { code: 'QUERY_CANCELLED' });
    // Each waits for a moment before it begins; the one that waits on has given way.
    const waits = () => it.jobs().find(({ state }) => state === 'waiting')?.id;
    for (let since = performance.now(), who = waits(); who === undefined || performance.now() - since < 500; await sleep(5)) {
      if (waits() !== who) [since, who] = [performance.now(), waits()];
    }
    it.cancel('other');
    await other;
    while (it.job('endless').state !== 'running') await sleep(5);
    // Small pieces, many of them: it pauses between two.
    const pieces = it.ask({ who, sql: 'SELECT range FROM range(8000000)', format: 'ndjson', job: 'pieces' });
    const ended = Promise.all([endless, pieces].map((asked) => assert.rejects(asked, { code: 'QUERY_MEMORY' })));
    while (it.jobs().every(({ id, state }) => id !== 'pieces' || state !== 'running')) await sleep(5);
    await sleep(400);
    assert.equal(it.job('pieces').state, 'running');
    const given = it.job('pieces').rows;
    assert.ok(given > 0 && given < 8_000_000, `${given} rows`);
    assert.deepEqual([it.relieve()?.id, it.relieve()?.id, it.relieve()], ['endless', 'pieces', null]);
    await ended;
  });
});

test('results of every form that wait to be read have one room on disk', async (t) => {
  const store = await freshStore(t);
  const limits = { admin: limit, editor: limit, viewer: limit, write: limit };
  const it = openAnalyst({ store, limits, own: async () => null, spooled: 6_000_000 });
  t.after(() => it.close());
  const ask = (format: 'ndjson' | 'parquet') => it.ask({ who, sql: 'SELECT random() AS v FROM range(500000)', format });
  const refused = { code: 'QUERY_ROOM' };
  const first = await ask('parquet');
  await assert.rejects(ask('parquet'), refused);
  await assert.rejects(ask('ndjson'), refused);
  await first.body.resume().toArray();
  const second = await ask('parquet');
  second.body.destroy();
  await new Promise((resolve) => second.body.once('close', resolve));
  await (await ask('parquet')).body.toArray();
  assert.deepEqual(readdirSync(store.folders.slices), []);
});

test('Parquet that grows beyond the room there is ends while it is written, and leaves nothing', async (t) => {
  const store = await freshStore(t);
  const limits = { admin: limit, editor: limit, viewer: limit, write: limit };
  const most = 20_000_000;
  const it = openAnalyst({ store, limits, own: async () => null, spooled: most });
  t.after(() => it.close());
  let highest = 0;
  const watch = setInterval(() => {
    const sizes = readdirSync(store.folders.slices).map(
      (name) => statSync(join(store.folders.slices, name), { throwIfNoEntry: false })?.size ?? 0,
    );
    highest = Math.max(
      highest,
      sizes.reduce((a, b) => a + b, 0),
    );
  }, 5);
  // 800 MB of what does not compress.
  const sql = `SELECT ${Array.from({ length: 10 }, (_, k) => `random() AS v${k}`).join(', ')} FROM range(10000000)`;
  await assert.rejects(it.ask({ who, sql, format: 'parquet' }), { code: 'QUERY_ROOM' });
  clearInterval(watch);
  assert.ok(highest > 0 && highest < 10 * most, `${highest} bytes`);
  assert.deepEqual(readdirSync(store.folders.slices), []);
});

test('Parquet says whether there are more rows than were given, and asks once', async (t) => {
  const store = await freshStore(t);
  let asked = 0;
  const counting: typeof store = {
    ...store,
    async reader(temporary) {
      const reader = await store.reader(temporary);
      const count = (sql: string) => {
        if (sql.includes('range(')) asked++;
      };
      return {
        ...reader,
        stream(sql, values) {
          count(sql);
          return reader.stream(sql, values);
        },
        toParquet(sql, values, path) {
          count(sql);
          return reader.toParquet(sql, values, path);
        },
      };
    },
  };
  const limits = { admin: limit, editor: limit, viewer: limit, write: limit };
  const it = openAnalyst({ store: counting, limits, own: async () => null });
  t.after(() => it.close());
  const sql = "SELECT range AS n, {'k': range} AS s, uuid() AS u FROM range(300000) ORDER BY hash(range)";
  for (const [rows, given, truncated] of [
    [299_999, 299_999, true],
    [300_000, 300_000, false],
    [1, 1, true],
    [400_000, 300_000, false],
  ] as const) {
    asked = 0;
    const answer = await it.ask({ who, sql, format: 'parquet', rows });
    assert.deepEqual([answer.rows, answer.truncated, asked], [given, truncated, 1]);
    const path = join(store.folders.slices, 'read.parquet');
    writeFileSync(path, Buffer.concat(await answer.body.toArray()));
    const [same] = await store.rows(
      `SELECT count(*) FILTER (WHERE f.n = q.n AND f.s.k = f.n AND typeof(u) = 'UUID') AS n FROM (SELECT *, file_row_number AS r FROM read_parquet('${path}', file_row_number = true)) f
       JOIN (SELECT range AS n, row_number() OVER (ORDER BY hash(range)) - 1 AS r FROM range(300000)) q USING (r)`,
    );
    assert.equal(same!['n'], BigInt(given));
  }
});

test('to free memory a write that only waits for another is left alone, and the one that runs is ended', async (t) => {
  const { store, analyst: it } = await analyst(t);
  await store.write(async (tx) => {
    tx.changed({ kind: 'statement', target: 'main.kept', rows: await tx.run('CREATE TABLE main.kept AS SELECT 0::BIGINT AS n') });
  });
  const editor: Principal = { ...who, role: 'editor' };
  const { promise: freed, resolve: free } = Promise.withResolvers<void>();
  const held = store.write(() => freed);
  // The older one waits for the lane, the younger one computes.
  const waits = it.ask({ who: editor, sql: 'INSERT INTO main.kept SELECT 1', format: 'json', job: 'waits' });
  await sleep(50);
  const reads = assert.rejects(it.ask({ who, sql: long('x').replaceAll(String(N), '1000000'), format: 'json', job: 'reads' }), {
    code: 'QUERY_MEMORY',
  });
  await sleep(600);
  assert.deepEqual([it.relieve()?.id, it.relieve()], ['reads', null]);
  await reads;
  free();
  await held;
  await waits;
  assert.deepEqual(await store.rows('SELECT n FROM main.kept ORDER BY n'), [{ n: 0n }, { n: 1n }]);
});

test('a statement that is cancelled when it has just ended is not written', async (t) => {
  const store = await freshStore(t);
  const late: typeof store = {
    ...store,
    write: (work) =>
      store.write((tx) =>
        work({
          ...tx,
          async run(...said) {
            const rows = await tx.run(...said);
            it.cancel('late');
            return rows;
          },
        }),
      ),
  };
  const limits = { admin: limit, editor: limit, viewer: limit, write: limit };
  const it = openAnalyst({ store: late, limits, own: async () => null });
  t.after(() => it.close());
  const editor: Principal = { name: 'test', role: 'editor', topics: null };
  const asked = it.ask({ who: editor, sql: 'CREATE TABLE main.late AS SELECT 1 AS n', format: 'json', job: 'late' });
  await assert.rejects(asked, { code: 'QUERY_CANCELLED' });
  assert.equal((await store.names()).has('main.late'), false);
});

describe('places of a role', () => {
  test('go to the one who has the fewest, and each has a line of his own', async (t) => {
    const store = await freshStore(t);
    /** Each question that has a place waits here until it may go on. */
    const gates: (() => void)[] = [];
    let isOver = false;
    const order: string[] = [];
    const running = () => it.jobs().flatMap(({ id, state }) => (state === 'running' ? [id] : []));
    const it = openAnalyst({
      store,
      limits: { admin: limit, editor: limit, viewer: { ...limit, concurrency: 2 }, write: limit },
      own: async () => null,
      models: {
        answer() {
          order.push(...running().filter((id) => !order.includes(id)));
          return isOver ? Promise.resolve() : new Promise((resolve) => gates.push(resolve));
        },
      },
    });
    t.after(() => {
      isOver = true;
      for (const gate of gates) gate();
      return it.close();
    });
    const ask = (name: string, job: string) => it.ask({ who: { ...who, name }, sql: 'SELECT 1', format: 'json', job });
    const placed = async (n: number) => {
      while (order.length < n) await sleep(5);
    };
    const many = Array.from({ length: 34 }, (_, k) => ask('many', `m${k}`));
    await placed(2);
    const few = [ask('few', 'f0'), ask('few', 'f1')];
    await assert.rejects(ask('many', 'm34'), { code: 'QUERY_BUSY' });
    // One that has left the line is passed over.
    it.cancel('m3');
    await assert.rejects(many[3]!, { code: 'QUERY_CANCELLED' });
    for (let n = 2; n < 35; n++) {
      gates.shift()!();
      await placed(n + 1);
      assert.equal(running().length, 2);
    }
    for (const gate of gates) gate();
    await Promise.all([...many.filter((_, k) => k !== 3), ...few]);
    // When the second ends f0 has a place and nobody else one: m2 comes before f1.
    assert.deepEqual(order.splice(0, 2).sort(), ['m0', 'm1']);
    assert.deepEqual(order, ['f0', 'm2', 'f1', ...Array.from({ length: 30 }, (_, k) => `m${k + 4}`)]);
  });
});

test('what is no SELECT is not answered as Parquet, and not done', async (t) => {
  const { store, analyst: it } = await analyst(t);
  await store.write((tx) => tx.run('CREATE TABLE main.numbers AS SELECT 1 AS n'));
  const ask = (sql: string, more = {}) => it.ask({ who: { ...who, role: 'admin' }, sql, format: 'parquet', ...more });
  for (const sql of [
    'CREATE TABLE main.made AS SELECT 1 AS n',
    'INSERT INTO main.numbers VALUES (2)',
    'UPDATE main.numbers SET n = 3',
    'DELETE FROM main.numbers',
    'DROP TABLE main.numbers',
    'EXPLAIN SELECT 1',
    'EXPLAIN ANALYZE SELECT 1',
    'SHOW MATERIALIZED VIEWS',
  ])
    await assert.rejects(ask(sql), { code: 'QUERY_PARQUET' }, sql);
  await assert.rejects(ask('SELECT 1', { explain_refusal: true }), { code: 'QUERY_PARQUET' });
  assert.deepEqual(await store.rows('SELECT n FROM main.numbers'), [{ n: 1 }]);
  assert.deepEqual(await store.rows(`SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'`), [{ table_name: 'numbers' }]);
  for (const sql of [
    'SELECT n FROM main.numbers',
    'FROM main.numbers',
    'VALUES (1)',
    'WITH a AS (SELECT 1) FROM a',
    'DESCRIBE main.numbers',
  ]) {
    const { contentType, body } = await ask(sql);
    assert.deepEqual(
      [contentType, String(Buffer.concat(await body.toArray()).subarray(0, 4))],
      ['application/vnd.apache.parquet', 'PAR1'],
      sql,
    );
  }
});

test('a statement of many parts that is stopped while it is read is not read on', async (t) => {
  const store = await freshStore(t);
  let read = 0;
  const stopper = new AbortController();
  const counting: typeof store = {
    ...store,
    async reader(temporary) {
      const reader = await store.reader(temporary);
      return {
        ...reader,
        serialize(sql) {
          if (++read === 3) stopper.abort();
          return reader.serialize(sql);
        },
      };
    },
  };
  const opened = openAnalyst({
    store: counting,
    limits: { admin: limit, editor: limit, viewer: limit, write: limit },
    own: async () => null,
    turns: { places: 1, moment: 40, term: 60_000 },
  });
  t.after(() => opened.close());
  const sql = `UPDATE main.t SET ${Array.from({ length: 200 }, (_, k) => `c${k} = ${k}`).join(', ')}`;
  await assert.rejects(opened.ask({ who, sql, format: 'json', signal: stopper.signal }), { code: 'QUERY_CANCELLED' });
  assert.equal(read, 3);
});
