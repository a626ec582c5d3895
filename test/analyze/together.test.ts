import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Analyst } from '#analyze';
import { MillraceError } from '#core';
import type { Store } from '#store';
import { newSharing } from '../../src/analyze/together.ts';
import type { TurnRules } from '../../src/analyze/turns.ts';
import { freshStore } from '../store/fixture.ts';
import { alone, asking, assertSame, opened as openedOn, together, type Values } from './fixture.ts';

let store: Store;
const ends: (() => unknown)[] = [];

before(async () => {
  store = await freshStore({ after: (fn) => ends.unshift(fn) });
  await store.write(async (tx) => {
    await tx.run(`CREATE TABLE main.sales AS SELECT DATE '2026-01-01' + (i % 200)::INTEGER AS day, (hash(i) % 7)::INTEGER AS shop,
      CASE WHEN hash(i + 1) % 9 = 0 THEN NULL ELSE 'page ' || (hash(i + 2) % 23) END AS "Page",
      CASE WHEN hash(i + 3) % 11 = 0 THEN NULL ELSE (hash(i + 4) % 90000 / 100)::DECIMAL(9,2) END AS amount,
      (hash(i + 5) % 1000)::DOUBLE / 7 AS weight, hash(i + 6) % 2 = 0 AS paid, i AS id FROM range(300000) r(i)`);
    await tx.run('CREATE TABLE main.many AS SELECT s.* FROM main.sales s, range(7)');
    tx.changed({ kind: 'statement', target: 'main.sales', rows: 300_000 });
  });
});
after(async () => {
  for (const end of ends) await end();
});

const opened = (t: TestContext, turns?: TurnRules) => openedOn(store, t, turns && { turns });

/** How many of the statements share scans. */
async function sharing(list: readonly string[], values: Values = {}): Promise<number> {
  const reader = await store.reader(true);
  try {
    const gatherings = await newSharing().gather(
      list.map((sql, at) => ({ at, sql, values })),
      reader,
    );
    return gatherings.reduce((sum, { members }) => sum + members.length, 0);
  } finally {
    reader.close();
  }
}

const where = `WHERE day >= $from::DATE AND ($shop IS NULL OR shop = $shop::INTEGER)`;
const values = { from: '2026-01-20', shop: '3' };
const tiles = [
  `SELECT sum(amount) + 1 AS revenue FROM main.sales ${where}`,
  `SELECT day, sum(amount) AS revenue FROM main.sales ${where} GROUP BY 1 ORDER BY 1`,
  `SELECT 'on ' || page AS page, count(*) + 2 AS n FROM main.sales ${where} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10`,
  `SELECT page, count(*) AS n, avg(amount) AS mean, avg(weight) AS weight FROM main.sales ${where} GROUP BY page ORDER BY n DESC, page`,
  `SELECT date_trunc('month', day)::DATE AS month, count(amount) AS n, min(amount) AS low, max(amount) AS high, min(page) AS first FROM main.sales ${where} GROUP BY ALL ORDER BY ALL`,
  `SELECT page, sum(amount) FILTER (WHERE paid) AS paid, count(*) FILTER (WHERE NOT paid) AS open FROM main.sales ${where} GROUP BY page HAVING count(*) > 10 ORDER BY page NULLS FIRST`,
  `SELECT count(DISTINCT page) AS pages, count(DISTINCT page) FILTER (WHERE day > DATE '2026-03-01') AS late FROM main.sales ${where}`,
  `SELECT page, sum(amount) AS revenue, sum(sum(amount)) OVER () AS whole FROM main.sales ${where} GROUP BY page ORDER BY page`,
  `SELECT Page, s.day, max(weight) AS most FROM main.sales AS s ${where} GROUP BY ROLLUP(Page, s.day) ORDER BY ALL LIMIT 500`,
  `SELECT count(*) AS n, sum(amount) AS revenue FROM main.sales ${where}`,
];

describe('questions that come together', () => {
  test('get the answers that each gets alone', async (t) => {
    const analyst = opened(t);
    assert.equal(await sharing(tiles, values), tiles.length - 1, 'all but the one under another name share a scan');
    for (const chosen of [values, { from: '2026-01-01', shop: null }, { from: '2099-01-01', shop: null }]) {
      const answers = await together(analyst, tiles, chosen);
      for (const [at, sql] of tiles.entries()) assertSame(answers[at]!, await alone(analyst, sql, chosen), sql);
    }
    assert.deepEqual(new Set(analyst.jobs().map(({ state }) => state)), new Set(['done']));
  });

  test('under the name of one job leave none behind that waits for ever', async (t) => {
    const analyst = opened(t);
    const outcomes: string[] = [];
    await analyst.together(
      tiles.slice(0, 3).map((sql) => ({ ...asking(sql, values), job: 'same' })),
      (at, outcome) => {
        outcomes[at] = outcome instanceof MillraceError ? outcome.code : 'answered';
        if (!(outcome instanceof MillraceError)) outcome.body.resume();
      },
    );
    assert.deepEqual(outcomes.sort(), ['QUERY_BODY', 'QUERY_BODY', 'answered']);
    assert.deepEqual(
      analyst.jobs().map(({ state }) => state),
      ['done'],
    );
  });

  test('have each an end in the query log where the scan that they share fails', async (t) => {
    const analyst = opened(t);
    const broken = `SELECT page::INTEGER AS page, count(*) AS n FROM main.sales ${where} GROUP BY 1`;
    const list = [...tiles.slice(0, 3), broken];
    assert.equal(await sharing(list, values), 4);
    const outcomes = await together(analyst, list, values);
    assert.deepEqual(
      outcomes.map((outcome) => (typeof outcome === 'string' ? outcome : 'answered')),
      ['answered', 'answered', 'answered', 'SQL_FAILED'],
    );
    await analyst.close();
    const open = await store.rows(`SELECT sql FROM millrace.query_log b WHERE event = 'began'
      AND NOT EXISTS (FROM millrace.query_log e WHERE e.job = b.job AND e.began = b.began AND e.event <> 'began')`);
    assert.deepEqual(open, []);
  });

  test('do not share what a scan by groups can’t answer, and are answered all the same', async (t) => {
    const analyst = opened(t);
    const others = [
      'SELECT median(amount) AS m FROM main.sales',
      'SELECT sum(amount) AS s, list(shop ORDER BY id) [1] AS first FROM main.sales',
      'SELECT id, count(*) AS n FROM main.sales GROUP BY id ORDER BY id LIMIT 3',
      'SELECT amount FROM main.sales ORDER BY id LIMIT 3',
      'SELECT sum(amount) FROM main.sales',
      'SELECT max(amount, 2) AS most FROM main.sales',
      "SELECT sum(COLUMNS('(amount|shop)')) AS s FROM main.sales",
      'SELECT sum(DISTINCT shop) AS s FROM main.sales',
      'SELECT count(*) AS n, (SELECT max(day) FROM main.sales) AS last FROM main.sales',
      'SELECT count(*) AS n FROM main.sales WHERE random() < 2',
      'SELECT gone, count(*) AS n FROM main.sales GROUP BY gone',
      'SELECT count(*) AS n FROM main.nowhere',
      'DROP TABLE main.sales',
    ];
    for (const sql of others.slice(0, 11)) assert.equal(await sharing([sql, sql]), 0, sql);
    const answers = await together(analyst, others);
    for (const [at, sql] of others.entries()) assertSame(answers[at]!, await alone(analyst, sql), sql);
    assert.equal((await alone(analyst, 'SELECT count(*) AS n FROM main.sales')) instanceof Object, true, 'nothing was dropped');
  });

  test('are refused a value that they do not read, as each is alone', async (t) => {
    const analyst = opened(t);
    const list = ['day', 'page'].map((key) => `SELECT ${key}, count(*) AS n FROM main.sales GROUP BY 1 ORDER BY 1`);
    assert.equal(await sharing(list), 2);
    assert.deepEqual(await together(analyst, list, values), ['SQL_PARAMETERS', 'SQL_PARAMETERS']);
  });

  test('one that groups by very many values keeps no other from sharing', async (t) => {
    const analyst = opened(t);
    const many = 'SELECT id % 5000 AS g, sum(amount) AS s FROM main.sales GROUP BY 1 ORDER BY 1';
    const weights = 'SELECT id, weight, count(*) AS n FROM main.sales GROUP BY ALL ORDER BY ALL LIMIT 9';
    const few = ['day', 'page', 'shop'].map((key) => `SELECT ${key}, count(*) AS n FROM main.sales GROUP BY 1 ORDER BY 1 NULLS FIRST`);
    const list = [many, ...few, weights];
    assert.equal(await sharing([many, weights]), 0);
    assert.equal(await sharing(list), few.length);
    assert.equal(await sharing([few[0]!, many]), 0, 'one alone has nobody to share with');
    const answers = await together(analyst, list);
    for (const [at, sql] of list.entries()) assertSame(answers[at]!, await alone(analyst, sql), sql);
  });

  test('an alias that is called like a column means in each place what it means alone', async (t) => {
    const analyst = opened(t);
    const list = [
      `SELECT date_trunc('month', day)::DATE AS day, count(*) AS n FROM main.sales GROUP BY 1 ORDER BY day`,
      `SELECT upper(page) AS page, count(*) AS n FROM main.sales GROUP BY page ORDER BY n, page`,
      `SELECT shop AS day, count(*) AS n FROM main.sales GROUP BY shop ORDER BY day DESC`,
      `SELECT shop + 1 AS next, count(*) AS shop FROM main.sales GROUP BY next HAVING shop > 1 ORDER BY next`,
      `SELECT shop % 2 AS odd, count(*) AS n FROM main.sales GROUP BY odd ORDER BY odd`,
    ];
    const answers = await together(analyst, list);
    for (const [at, sql] of list.entries()) assertSame(answers[at]!, await alone(analyst, sql), sql);
  });

  test('whatever the groupings, figures and filters are, sharing changes no answer', async (t) => {
    const analyst = opened(t);
    const group = fc.constantFrom(
      'day',
      'page',
      'shop',
      'paid',
      `date_trunc('week', day)`,
      'shop % 3',
      `coalesce(page, 'none')`,
      'day - 3',
    );
    const figure = fc.constantFrom(
      ...[
        'count(*)',
        'count(amount)',
        'sum(amount)',
        'avg(amount)',
        'avg(shop)',
        'sum(weight)',
        'min(day)',
        'max(page)',
        'sum(amount * shop)',
      ],
      ...[
        'count(DISTINCT shop)',
        'sum(amount) / count(*)',
        'round(avg(shop), 3)',
        'count(*) FILTER (WHERE shop > 2)',
        'sum(shop) + max(shop)',
      ],
    );
    const statement = fc
      .tuple(fc.uniqueArray(group, { maxLength: 2 }), fc.array(figure, { minLength: 1, maxLength: 3 }))
      .map(([groups, figures]) => {
        const items = [...groups.map((each, k) => `${each} AS g${k}`), ...figures.map((each, k) => `${each} AS f${k}`)];
        const by =
          groups.length === 0
            ? ''
            : ` GROUP BY ${groups.map((_, k) => k + 1).join(', ')} ORDER BY ${groups.map((_, k) => k + 1).join(', ')}`;
        return (condition: string) => `SELECT ${items.join(', ')} FROM main.sales ${condition}${by}`;
      });
    const condition = fc.constantFrom('', 'WHERE shop > 2', `WHERE page IS NOT NULL AND day < DATE '2026-02-01'`, 'WHERE false', where);
    await fc.assert(
      fc.asyncProperty(fc.array(statement, { minLength: 2, maxLength: 5 }), condition, async (made, rows) => {
        const list = made.map((write) => write(rows));
        const given = rows === where ? values : undefined;
        const answers = await together(analyst, list, given);
        for (const [at, sql] of list.entries()) assertSame(answers[at]!, await alone(analyst, sql, given), sql);
      }),
      { numRuns: 25 },
    );
  });

  test('a scan that is known to be long waits for its turn once, and its statements for none', async (t) => {
    const analyst = opened(t, { places: 1, moment: 0, term: 60_000 });
    // A place that were waited for while it is held would come after a minute.
    for (let round = 0; round < 3; round++) {
      const answers = await together(analyst, tiles, values);
      assert.ok(answers.every((answer) => typeof answer !== 'string'));
    }
  });

  /** Tiles over so many rows that there is time to stop them. */
  const slow = tiles.map((sql) => sql.replace('main.sales', 'main.many').replace(' AS s ', ' '));

  async function asked(t: TestContext, stop: (analyst: Analyst) => void): Promise<Map<number, string>> {
    const analyst = opened(t);
    const told = new Map<number, string>();
    const list = slow.slice(0, 6).map((sql, at) => ({ ...asking(sql, values), job: `tile_${at}` }));
    const all = analyst.together(list, (at, outcome) => told.set(at, outcome instanceof MillraceError ? outcome.code : 'answered'));
    while (analyst.jobs().filter(({ state }) => state === 'running').length < list.length) await sleep(2);
    stop(analyst);
    await all;
    assert.equal(told.size, list.length);
    assert.ok(analyst.jobs().every(({ state }) => state !== 'running' && state !== 'waiting'));
    return told;
  }

  test('one that is stopped while they share ends alone', async (t) => {
    const told = await asked(t, (analyst) => analyst.cancel('tile_3'));
    assert.deepEqual(
      [...told].filter(([, how]) => how !== 'answered'),
      [[3, 'QUERY_CANCELLED']],
    );
  });

  test('that take too much memory all end: asked alone they would take more', async (t) => {
    // One that has just begun is not what filled the memory.
    const told = await asked(t, (analyst) => {
      for (let until = performance.now() + 260; performance.now() < until; );
      assert.match(analyst.relieve()?.id ?? '', /^tile_/);
    });
    assert.deepEqual(new Set(told.values()), new Set(['QUERY_MEMORY']));
  });
});
